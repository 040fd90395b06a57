"""Take the pictures of docs/images from a real run of the demo (needs chromium)."""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.demo import Demo, running_demo  # noqa: E402
from support.programs import require_program  # noqa: E402

IMAGES = ROOT / "docs" / "images"


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
        page = chromium.new_page(viewport={"width": 1000, "height": 640})
        visit(page, demo)
        chromium.close()


def visit(page: Page, demo: Demo) -> None:
    page.goto(demo.flask)
    page.goto(f"{demo.flask}/me")
    shoot(page, "account-picker")
    page.get_by_role("button", name="ada@contoso.example").click()
    page.get_by_label("Password").fill("open-sesame")
    page.get_by_role("button", name="Sign in", exact=True).click()
    shoot(page, "consent")
    page.get_by_role("button", name="Accept").click()
    shoot(page, "flask-me")
    page.goto(f"{demo.django}/me")
    page.get_by_role("button", name="Accept").click()
    shoot(page, "django-me")
    page.goto(f"{demo.flask}/claims")
    page.get_by_role("button", name="Sign out").click()
    shoot(page, "signed-out")
    page.goto(f"{demo.django}/auth/callback?state=x&code=y")
    page.context.clear_cookies()
    page.goto(f"{demo.django}/auth/callback?state=x&code=y")
    shoot(page, "no-attempt")


def shoot(page: Page, name: str) -> None:
    page.wait_for_load_state()
    page.screenshot(path=IMAGES / f"{name}.png", full_page=True)
    print(f"docs/images/{name}.png", flush=True)


if __name__ == "__main__":
    main()
