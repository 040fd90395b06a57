"""A form that came too early, in a real browser, whose own rules Django's check goes by."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from django_app.site import RunningSite, running_site
from support.bare_site import with_apis
from support.provider import Person, Provider

pytestmark = pytest.mark.browser


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningSite]:
    # Playwright's event loop is this thread's; the database is used by it before and after only.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with Provider() as provider:
        config = {"ROOT_URLCONF": "django_app.pages_consent"}
        with running_site(with_apis(provider), host="localhost", config=config) as site:
            yield site
            assert site.errors == []


def test_a_form_is_kept_and_passes_djangos_check(site: RunningSite, page: Page) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{site.url}/order")
    page.fill("[name=thing]", "Zwei B\u00fccher & <b>\u2026")
    page.get_by_role("button", name="Order", exact=True).click()
    page.get_by_role("link", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Send it now?")
    page.reload()
    page.get_by_role("button", name="Send it").click()
    expect(page).to_have_url(f"{site.url}/order?shop=1")
    expect(page.locator("body")).to_contain_text("Zwei B")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing to send")
    assert [line for line in said if "Content Security" in line] == []


def test_a_strangers_page_can_neither_have_a_form_kept_nor_sent(
    site: RunningSite, page: Page
) -> None:
    page.goto(f"{site.url}/private")
    target = f"{site.url}/exempt"
    page.goto("data:text/html,<title>evil</title>")
    page.set_content(
        f'<form method="post" action="{target}"><input name="thing" value="planted">'
        "<button>Win</button></form>"
    )
    page.get_by_role("button", name="Win").click()
    expect(page.locator("body")).not_to_contain_text("planted")
    assert not [c for c in page.context.cookies() if c["name"].endswith("-forms")]


def test_djangos_own_opener_policy_does_not_stop_the_popup(site: RunningSite, page: Page) -> None:
    answer = page.goto(f"{site.url}/board")
    assert answer is not None
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    with page.expect_popup() as opened:
        text = page.evaluate("keyfob.fetch('/me').then(answer => answer.text())")
    assert Person().sub in text
    if not opened.value.is_closed():
        opened.value.wait_for_event("close", timeout=5000)
