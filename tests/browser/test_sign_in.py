"""A person in a real browser, on both demo sites, at the local identity provider."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from support.demo import Demo

pytestmark = pytest.mark.browser

PASSWORD = "open-sesame"
SITES = ["flask", "django"]

both_sites = pytest.mark.parametrize("site", SITES)


def pick_ada(page: Page) -> None:
    page.get_by_role("button", name="ada@contoso.example").click()


def give_password(page: Page) -> None:
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def accept_if_asked(page: Page) -> None:
    page.wait_for_load_state()
    accept = page.get_by_role("button", name="Accept")
    if accept.count():
        accept.click()


def sign_in(page: Page) -> None:
    pick_ada(page)
    give_password(page)
    accept_if_asked(page)


@both_sites
def test_a_person_signs_in_sees_what_the_api_says_and_signs_out(
    demo: Demo, page: Page, site: str
) -> None:
    base = demo.site(site)
    page.goto(base)
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello")
    page.get_by_role("main").get_by_role("link", name="Sign in").click()
    sign_in(page)

    expect(page).to_have_url(f"{base}/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Hello Ada")

    page.get_by_role("link", name="Me", exact=True).click()
    accept_if_asked(page)
    expect(page).to_have_url(f"{base}/me")
    expect(page.get_by_role("main")).to_contain_text("ada@contoso.example")
    photo = page.get_by_role("img", name="Your photo")
    expect(photo).to_be_visible()
    assert photo.evaluate("image => image.naturalWidth") > 50

    page.get_by_role("link", name="Claims", exact=True).click()
    expect(page.get_by_role("row", name="preferred_username")).to_contain_text("ada@")

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")

    page.goto(f"{base}/me")
    expect(page).not_to_have_url(f"{base}/me")
    # The provider's session ended too: it asks for the password again.
    pick_ada(page)
    expect(page.get_by_label("Password")).to_be_visible()


@both_sites
def test_two_tabs_sign_in_at_once_and_each_lands_on_its_own_page(
    demo: Demo, context: BrowserContext, site: str
) -> None:
    base = demo.site(site)
    first, second = context.new_page(), context.new_page()
    first.goto(f"{base}/me")
    second.goto(f"{base}/claims?from=second")

    sign_in(second)
    expect(second).to_have_url(f"{base}/claims?from=second")

    pick_ada(first)
    first.wait_for_load_state()
    if first.get_by_label("Password").count():
        give_password(first)
    accept_if_asked(first)
    expect(first).to_have_url(f"{base}/me")
    expect(first.get_by_role("main")).to_contain_text("ada@contoso.example")


def test_who_is_signed_in_at_one_site_gives_no_password_at_the_other(
    demo: Demo, page: Page
) -> None:
    page.goto(f"{demo.flask}/claims")
    sign_in(page)
    expect(page).to_have_url(f"{demo.flask}/claims")

    page.goto(f"{demo.django}/claims")
    accept_if_asked(page)

    expect(page).to_have_url(f"{demo.django}/claims")


@both_sites
def test_who_cancels_is_told_so_and_can_try_again(demo: Demo, page: Page, site: str) -> None:
    base = demo.site(site)
    page.goto(f"{base}/claims")
    pick_ada(page)
    page.get_by_role("button", name="Cancel").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Sign-in was cancelled")
    page.get_by_role("link", name="Try again").click()
    sign_in(page)

    expect(page).to_have_url(f"{base}/claims")


@both_sites
def test_the_back_button_after_a_sign_in_shows_no_error(demo: Demo, page: Page, site: str) -> None:
    base = demo.site(site)
    page.goto(base)
    page.get_by_role("main").get_by_role("link", name="Sign in").click()
    callbacks: list[str] = []
    page.on("request", lambda r: callbacks.append(r.url) if "/auth/callback" in r.url else None)
    sign_in(page)
    expect(page).to_have_url(f"{base}/")

    page.goto(callbacks[0])

    expect(page).to_have_url(f"{base}/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Hello Ada")


@both_sites
def test_a_script_in_a_page_gets_a_401_with_the_login_address(
    demo: Demo, page: Page, site: str
) -> None:
    base = demo.site(site)
    page.goto(base)

    answer = page.evaluate(
        """async () => {
            const reply = await fetch("/me");
            return {status: reply.status, type: reply.headers.get("content-type"),
                    body: await reply.json()};
        }"""
    )

    assert answer["status"] == 401
    assert answer["type"].startswith("application/problem+json")
    assert answer["body"]["code"] == "login_required"
    assert answer["body"]["login_url"].startswith("/auth/login?")


@both_sites
def test_signing_in_needs_no_javascript_and_no_mouse(
    demo: Demo, chromium: Browser, site: str
) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{demo.site(site)}/claims")
    page.get_by_role("button", name="ada@contoso.example").press("Enter")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    accept_if_asked(page)

    expect(page).to_have_url(f"{demo.site(site)}/claims")
    context.close()


@both_sites
def test_the_browser_holds_no_token_and_little_else(
    demo: Demo, context: BrowserContext, page: Page, site: str
) -> None:
    base = demo.site(site)
    page.goto(f"{base}/me")
    sign_in(page)
    expect(page).to_have_url(f"{base}/me")

    cookies = {cookie["name"]: cookie for cookie in context.cookies(base)}
    session = cookies["session" if site == "flask" else "sessionid"]

    assert len(session["value"]) < 500
    assert session["httpOnly"]
    assert not [
        name for name in cookies if name.startswith("keyfob_") and "emulator" not in name
    ], "attempts must end"
    assert not any("eyJ0eX" in cookie["value"] for cookie in cookies.values())
