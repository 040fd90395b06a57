"""A real browser brings its answer to the loopback port, and a person reads the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect

from keyfob.transport.loopback import AuthCodeReceiver
from support.loopback import PATIENCE, STATE, waiting
from support.provider import CLIENT_ID, Provider

pytestmark = pytest.mark.browser


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(require_pkce=False) as started:
        yield started


@pytest.fixture
def receiver() -> Iterator[AuthCodeReceiver]:
    with AuthCodeReceiver() as opened:
        yield opened


def auth_uri(provider: Provider, receiver: AuthCodeReceiver, **changes: str) -> str:
    query = {
        "client_id": CLIENT_ID,
        "response_type": "code",
        "redirect_uri": receiver.redirect_uri,
        "scope": "openid",
        "state": STATE,
        "response_mode": "form_post",
        **changes,
    }
    return f"{provider.url('authorize')}?{urlencode(query)}"


@pytest.mark.parametrize("mode", ["form_post", "query"])
def test_the_answer_arrives_and_the_person_reads_that_they_can_close_the_page(
    provider: Provider, receiver: AuthCodeReceiver, page: Page, screenshots: Path, mode: str
) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    with waiting(receiver) as future:
        page.goto(auth_uri(provider, receiver, response_mode=mode))
        expect(page.get_by_role("heading", level=1)).to_have_text("You can close this page")
        answer = future.result(PATIENCE)
    assert answer is not None
    assert set(answer) == {"code", "state"}
    assert complaints == []
    assert page.evaluate("getComputedStyle(document.querySelector('main')).maxWidth") != "none"
    page.screenshot(path=screenshots / f"loopback-success-{mode}.png")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_refusal_is_read_in_the_providers_words_and_never_run(
    receiver: AuthCodeReceiver, chromium: Browser, screenshots: Path, scheme: str
) -> None:
    hostile = "AADSTS65004: declined <img src=x onerror=\"document.title='run'\"> " + "long" * 60
    context = chromium.new_context(color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    with waiting(receiver) as future, Provider(require_pkce=False) as provider:

        def refuse(answer: list[tuple[str, str]]) -> None:
            answer[:] = [
                ("error", "access_denied"),
                ("error_description", hostile),
                ("error_uri", "https://idp.example/errors"),
                ("state", STATE),
            ]

        provider.mutate_callback = refuse
        page.goto(auth_uri(provider, receiver))
        expect(page.get_by_role("heading", level=1)).to_have_text("You were not signed in")
        expect(page.get_by_role("main")).to_contain_text("onerror")
        expect(page.get_by_role("link")).to_have_attribute("href", "https://idp.example/errors")
        assert page.title() == "You were not signed in"
        assert page.locator("img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        answer = future.result(PATIENCE)
        assert answer is not None
        assert answer["error"] == "access_denied"
        page.screenshot(path=screenshots / f"loopback-error-{scheme}.png")
    context.close()


def test_an_old_tabs_answer_gets_its_page_and_the_right_one_is_still_taken(
    provider: Provider, receiver: AuthCodeReceiver, page: Page, screenshots: Path
) -> None:
    with waiting(receiver) as future:
        page.goto(auth_uri(provider, receiver, state="an-older-one"))
        expect(page.get_by_role("heading", level=1)).to_have_text(
            "This is not the answer that is awaited"
        )
        page.screenshot(path=screenshots / "loopback-wrong-state.png")
        assert not future.done()
        page.goto(auth_uri(provider, receiver))
        expect(page.get_by_role("heading", level=1)).to_have_text("You can close this page")
        assert future.result(PATIENCE)


def test_a_welcome_page_leads_to_the_provider_and_back(
    provider: Provider, receiver: AuthCodeReceiver, page: Page
) -> None:
    told: SimpleQueue[str] = SimpleQueue()
    template = '<!doctype html><a href="$auth_uri">Sign in</a> <a href="$abort_uri">No</a>'
    with waiting(
        receiver,
        auth_uri=auth_uri(provider, receiver),
        welcome_template=template,
        browser_name="none-such",
        auth_uri_callback=told.put,
        success_template="<h1>Welcome</h1>",
    ) as future:
        page.goto(receiver.redirect_uri)
        expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing to see here")
        page.goto(told.get(timeout=PATIENCE))
        page.get_by_role("link", name="Sign in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Welcome")
        answer = future.result(PATIENCE)
    assert answer is not None
    assert "code" in answer
