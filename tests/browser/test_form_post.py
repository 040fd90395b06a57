"""`response_mode=form_post`, where the site and the provider are two sites to the browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Request, expect

from browser.test_sign_in import both_sites, sign_in
from support.demo import Demo, running_demo

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def posting_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    settings = {"KEYFOB_RESPONSE_MODE": "form_post"}
    with running_demo(tmp_path_factory.mktemp("posting"), settings) as demo:
        yield demo


@both_sites
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_cross_site_post_signs_in_with_lax_cookies_and_no_code_in_an_address(
    posting_demo: Demo, chromium: Browser, site: str, scripts: bool
) -> None:
    # The provider is at localhost: to a browser 127.0.0.1 is another site, and a post from the
    # one to the other carries no Lax cookie.
    base = posting_demo.site(site).replace("localhost", "127.0.0.1")
    context = chromium.new_context(java_script_enabled=scripts)
    page = context.new_page()
    callbacks: list[Request] = []
    page.on("request", lambda r: callbacks.append(r) if "/auth/callback" in r.url else None)

    page.goto(f"{base}/claims")
    sign_in(page)
    if not scripts:
        # The page that sends the form has a button for those whose browser does not.
        page.get_by_role("button", name="Continue").click()

    expect(page).to_have_url(f"{base}/claims")
    expect(page.get_by_role("main")).to_contain_text("ada@contoso.example")
    assert [request.method for request in callbacks] == ["POST", "GET"]
    assert not any("code=" in request.url for request in callbacks)
    context.close()
