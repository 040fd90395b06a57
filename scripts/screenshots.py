"""Take the pictures of docs/images from a real run of the demo (needs chromium)."""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.demo import Demo, running_demo  # noqa: E402
from support.programs import require_program  # noqa: E402

IMAGES = ROOT / "docs" / "images"
VIEWPORT: ViewportSize = {"width": 1000, "height": 640}


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_demo(Path(folder)) as demo,
        sync_playwright() as playwright,
    ):
        chromium = playwright.chromium.launch(
            executable_path=require_program("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = chromium.new_page(viewport=VIEWPORT)
        visit(page, demo)
        orders(page, demo)
        refused(chromium.new_page(viewport=VIEWPORT), demo)
        chromium.close()


def visit(page: Page, demo: Demo) -> None:
    page.goto(demo.flask)
    page.goto(f"{demo.flask}/me")
    shoot(page, "account-picker")
    sign_in(page, "ada@contoso.example")
    shoot(page, "consent")
    page.get_by_role("button", name="Accept").click()
    shoot(page, "flask-me")
    page.goto(f"{demo.django}/me")
    page.get_by_role("button", name="Accept").click()
    shoot(page, "django-me")
    page.goto(f"{demo.flask}/claims")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{demo.flask}/auth/logged-out*")
    shoot(page, "signed-out")
    page.goto(f"{demo.django}/auth/callback?state=x&code=y")
    page.context.clear_cookies()
    page.goto(f"{demo.django}/auth/callback?state=x&code=y")
    shoot(page, "no-attempt")


def orders(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.flask}/orders")
    sign_in(page, "ada@contoso.example")
    page.get_by_role("button", name="Accept").click()
    page.get_by_label("What do you need?").fill("A lock with a better key")
    page.get_by_role("button", name="Order", exact=True).click()
    shoot(page, "order-kept")
    page.get_by_role("link", name="Continue").click()
    shoot(page, "order-consent")
    page.get_by_role("button", name="Accept").click()
    shoot(page, "order-resume")
    page.get_by_role("button", name="Send it").click()
    shoot(page, "orders")
    page.get_by_role("link", name="Approvals").click()
    shoot(page, "approvals")
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("link", name="Continue").click()
    shoot(page, "provider-confirm")
    page.goto(f"{demo.emulator}/sessions")
    shoot(page, "provider-sessions")
    page.goto(f"{demo.emulator}/weather")
    page.get_by_label("How much").fill("3")
    page.get_by_role("button", name="Let it fail").click()
    shoot(page, "provider-weather")
    page.get_by_role("button", name="Clear the sky").click()


def refused(page: Page, demo: Demo) -> None:
    page.context.clear_cookies()
    page.goto(f"{demo.django}/approvals")
    sign_in(page, "alan@contoso.example")
    page.get_by_role("button", name="Accept").click()
    shoot(page, "approvals-refused")


def sign_in(page: Page, username: str) -> None:
    page.get_by_role("button", name=username).click()
    page.get_by_label("Password").fill("open-sesame")
    page.get_by_role("button", name="Sign in", exact=True).click()


def shoot(page: Page, name: str) -> None:
    page.wait_for_load_state()
    page.screenshot(path=IMAGES / f"{name}.png", full_page=True)
    print(f"docs/images/{name}.png", flush=True)


if __name__ == "__main__":
    main()
