"""The provider's page signs people out of sites in frames, which bring no cookies."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Response, expect

from browser.test_sign_in import accept_if_asked, both_sites, sign_in
from support.demo import Demo

pytestmark = pytest.mark.browser


@both_sites
def test_signing_out_of_one_site_signs_out_of_the_other_in_a_frame(
    demo: Demo, context: BrowserContext, page: Page, site: str
) -> None:
    # To the browser 127.0.0.1 and the provider's localhost are two sites: a frame of the one in a
    # page of the other carries no Lax cookie.
    base = demo.site(site).replace("localhost", "127.0.0.1")
    other = demo.site("django" if site == "flask" else "flask").replace("localhost", "127.0.0.1")
    page.goto(f"{base}/claims")
    sign_in(page)
    expect(page).to_have_url(f"{base}/claims")
    page.goto(f"{other}/claims")
    accept_if_asked(page)
    expect(page).to_have_url(f"{other}/claims")

    framed: list[Response] = []
    page.on(
        "response", lambda r: framed.append(r) if "/auth/frontchannel-logout" in r.url else None
    )
    problems: list[str] = []
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    page.goto(f"{base}/claims")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="You signed out")).to_be_visible()
    expect(page.locator("iframe")).to_have_count(1)
    expect(page).to_have_url(re.compile(re.escape(base) + "/auth/logged-out"))

    (answer,) = framed
    assert answer.url.startswith(f"{other}/auth/frontchannel-logout?")
    assert answer.status == 200
    assert "cookie" not in answer.request.all_headers()
    assert answer.request.all_headers()["sec-fetch-dest"] == "iframe"
    # The page showed the frame: the browser found nothing against it.
    assert not [text for text in problems if "fram" in text.lower() or "policy" in text.lower()]
    page.goto(f"{other}/claims")
    if site == "flask":
        # Django's stock guard finds nobody there, and begins a new sign-in.
        assert urlsplit(page.url).netloc == urlsplit(demo.emulator).netloc
    else:
        expect(page.get_by_role("heading", name="Your sign-in has ended")).to_be_visible()


def test_the_provider_shows_who_was_told_and_what_they_answered(demo: Demo, page: Page) -> None:
    page.goto(f"{demo.flask}/claims")
    sign_in(page)
    expect(page).to_have_url(f"{demo.flask}/claims")

    page.goto(f"{demo.emulator}/")
    page.get_by_role("link", name="Sign-outs").click()
    page.get_by_role("button", name="Sign out Ada Keyring everywhere").click()

    told = page.locator(".notices li").filter(has_text=f"{demo.flask}/auth/backchannel-logout")
    newest = told.first
    expect(newest).to_contain_text("Flask demo site")
    expect(newest).to_contain_text("Back channel: 200")
    page.goto(f"{demo.flask}/claims")
    expect(page.get_by_role("heading", name="Your sign-in has ended")).to_be_visible()
