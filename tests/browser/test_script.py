"""The script in a real browser: fetch and htmx sign in by a popup, or by going there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask, Response, jsonify, request
from playwright.sync_api import BrowserContext, Page, expect

from flask_ext.pages_consent import make_consent_app
from flask_ext.site import RunningSite, running_site
from flask_keyfob import Keyfob, login_required
from support.bare_site import with_apis
from support.provider import Person, Provider

pytestmark = pytest.mark.browser

STRICT = "default-src 'none'; script-src 'self'; connect-src 'self'; form-action 'self'"
APP = """
const out = document.getElementById("out");
const show = async answer => out.textContent = answer.status + " " + await answer.text();
document.getElementById("load").onclick = () => keyfob.fetch("/me").then(show);
document.addEventListener("app:post", () =>
  keyfob.fetch("/echo", { method: "POST", body: new URLSearchParams({ a: "b" }) }).then(show));
let asked = 0;
document.addEventListener("app:again", () => keyfob.fetch("/echo", () => ({
  method: "POST", body: new URLSearchParams({ time: ++asked }) })).then(show));
document.addEventListener("app:twice", () => Promise.all([
  keyfob.fetch("/me"), keyfob.fetch("/me?again"),
]).then(all => out.textContent = all.map(answer => answer.status)));
// The first popup asks for less than the second request needs.
const reallyOpen = window.open;
document.addEventListener("app:less", async () => {
  const opened = new Promise(go => window.open = (...how) => (go(), reallyOpen(...how)));
  const both = [keyfob.fetch("/private")];
  await opened;
  both.push(keyfob.fetch("/me"));
  out.textContent = (await Promise.all(both)).map(answer => answer.status);
});
// What htmx does when it gets an answer that is an error, and what it offers.
window.htmx = { async ajax(verb, path, { source, target }) {
  const answer = await fetch(path, { method: verb, headers: { "HX-Request": "true" } });
  if (answer.ok) target.textContent = await answer.text();
  else await failed(verb, path, source, target, answer);
} };
let failures = 0;
const failed = async (verb, path, elt, target, answer) => {
  if (++failures == 2) setTimeout(() => target.textContent = "failed twice", 300);
  const text = await answer.text();
  const xhr = { status: answer.status, responseText: text,
    getResponseHeader: name => answer.headers.get(name) };
  const detail = { xhr, target, requestConfig: { elt, verb, path } };
  elt.dispatchEvent(new CustomEvent("htmx:responseError", { bubbles: true, detail }));
};
document.addEventListener("app:htmx", () => htmx.ajax("GET", "/me", { source: out, target: out }));
"""


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def start(provider: Provider) -> Iterator[Callable[..., RunningSite]]:
    """A site whose pages are strict, and whose provider is another site."""
    with ExitStack() as stack:

        def start(**headers: str) -> RunningSite:
            def init(app: Flask) -> None:
                Keyfob(app)
                _add_script(app, headers)

            site = running_site(
                with_apis(provider), host="localhost", init=init, make=make_consent_app
            )
            return stack.enter_context(site)

        yield start


def _add_script(app: Flask, headers: dict[str, str]) -> None:
    @app.after_request
    def add(response: Response) -> Response:
        if request.path == "/board":
            response.headers["Content-Security-Policy"] = STRICT
            response.set_data(response.get_data() + b'<script src="/app.js" defer></script>')
        for name, value in headers.items():
            response.headers.setdefault(name.replace("_", "-"), value)
        return response

    @app.get("/app.js")
    def script() -> Response:
        return Response(APP, mimetype="text/javascript")

    @app.post("/echo")
    @login_required(api="api")
    def echo() -> Any:
        return jsonify(request.form.to_dict())


def board(page: Page, site: RunningSite) -> list[str]:
    """Open the page; what its console says of errors."""
    said: list[str] = []
    page.on(
        "console",
        lambda message: said.append(message.text) if "Content Security" in message.text else None,
    )
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{site.url}/board?x=1")
    return said


OPENER_POLICIES = [{}, {"Cross_Origin_Opener_Policy": "same-origin"}]


@pytest.mark.parametrize("headers", OPENER_POLICIES, ids=["plain", "coop"])
def test_a_fetch_signs_in_by_a_popup_and_is_sent_again(
    start: Callable[..., RunningSite], page: Page, headers: dict[str, str]
) -> None:
    site = start(**headers)
    said = board(page, site)
    with page.expect_popup() as opened:
        page.click("#load")
    expect(page.locator("#out")).to_contain_text(Person().sub)
    expect(page.locator("#out")).to_contain_text("200")
    assert page.url == f"{site.url}/board?x=1"
    assert said == []
    popup = opened.value
    if not popup.is_closed():
        popup.wait_for_event("close", timeout=5000)
    # Now it needs no popup any more.
    page.evaluate("document.getElementById('out').textContent = ''")
    page.click("#load")
    expect(page.locator("#out")).to_contain_text(Person().sub)
    assert len(page.context.pages) == 1


def test_a_post_is_sent_again_with_its_body(start: Callable[..., RunningSite], page: Page) -> None:
    board(page, start())
    page.evaluate("document.dispatchEvent(new Event('app:post'))")
    expect(page.locator("#out")).to_have_text('200 {"a":"b"}\n')


def test_options_may_be_made_anew_for_the_second_time(
    start: Callable[..., RunningSite], page: Page
) -> None:
    """As Django's token against forgery must be: it is another one after a sign-in."""
    board(page, start())
    page.evaluate("document.dispatchEvent(new Event('app:again'))")
    expect(page.locator("#out")).to_have_text('200 {"time":"2"}\n')


def test_two_at_once_open_one_popup(
    start: Callable[..., RunningSite], page: Page, provider: Provider
) -> None:
    board(page, start())
    page.evaluate("document.dispatchEvent(new Event('app:twice'))")
    expect(page.locator("#out")).to_have_text("200,200")
    assert len(provider.requests_to("authorize")) == 1


def test_who_shared_a_popup_that_asked_for_less_opens_one_more(
    start: Callable[..., RunningSite], page: Page, provider: Provider
) -> None:
    board(page, start())
    page.evaluate("document.dispatchEvent(new Event('app:less'))")
    expect(page.locator("#out")).to_have_text("200,200")
    assert len(provider.requests_to("authorize")) == 2


def test_where_no_popup_opens_the_page_itself_goes_and_comes_back(
    start: Callable[..., RunningSite], page: Page, provider: Provider
) -> None:
    site = start()
    page.add_init_script("window.open = () => null")
    board(page, site)
    with page.expect_navigation(url=f"{site.url}/board?x=1"):
        page.click("#load")
    assert len(provider.requests_to("token")) == 1
    expect(page.locator("#out")).to_have_text("")
    page.click("#load")
    expect(page.locator("#out")).to_contain_text(Person().sub)


def test_who_closes_the_popup_gets_the_refusal(
    start: Callable[..., RunningSite], page: Page, provider: Provider
) -> None:
    site = start()
    provider.raw["authorize"] = lambda request: Provider.page("What is your password?")
    board(page, site)
    with page.expect_popup() as opened:
        page.click("#load")
    opened.value.close()
    page.evaluate("dispatchEvent(new Event('focus'))")  # as when the window comes to the front
    expect(page.locator("#out")).to_contain_text("401")
    expect(page.locator("#out")).to_contain_text("login_url")


def test_htmx_signs_in_by_a_popup_and_asks_again(
    start: Callable[..., RunningSite], page: Page
) -> None:
    said = board(page, start())
    page.evaluate("document.dispatchEvent(new Event('app:htmx'))")
    expect(page.locator("#out")).to_contain_text(Person().sub)
    assert said == []


def test_htmx_asks_again_once(
    start: Callable[..., RunningSite], page: Page, provider: Provider
) -> None:
    provider.narrow_scopes = lambda scopes: [s for s in scopes if s != "orders.read"]
    site = start()
    board(page, site)
    page.evaluate("document.dispatchEvent(new Event('app:htmx'))")
    expect(page.locator("#out")).to_have_text("failed twice")
    assert len(provider.requests_to("authorize")) == 1
    assert len(page.context.pages) == 1


@pytest.mark.parametrize(
    "login_url", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "", None]
)
def test_an_address_of_another_site_is_not_gone_to(
    start: Callable[..., RunningSite], page: Page, login_url: str | None
) -> None:
    board(page, start())
    outcome = page.evaluate(
        """async url => {
            window.open = () => { throw new Error("opened"); };
            window.fetch = async () => new Response(JSON.stringify({ login_url: url }),
                { status: 401, headers: { "Content-Type": "application/problem+json" } });
            try { return (await keyfob.fetch("/me")).status; }
            catch (error) { return error.message; }
        }""",
        login_url,
    )
    assert outcome in (401, "foreign login_url")


def test_other_answers_and_other_sites_are_left_alone(
    start: Callable[..., RunningSite], page: Page
) -> None:
    board(page, start())
    seen = page.evaluate(
        """async () => {
            const seen = [];
            window.fetch = async request => {
                seen.push(request.headers.get("X-Requested-With"));
                const headers = { "Content-Type": "text/html" };
                return new Response("{}", { status: 401, headers });
            };
            await keyfob.fetch("/me");
            await keyfob.fetch("https://elsewhere.example/");
            return seen;
        }"""
    )
    assert seen == ["XMLHttpRequest", None]


def test_a_kept_form_is_sent_by_a_click_in_a_browser(
    start: Callable[..., RunningSite], page: Page, context: BrowserContext
) -> None:
    site = start()
    page.goto(f"{site.url}/order")
    page.fill("[name=thing]", "Zwei B\u00fccher & <b>\u2026")
    page.click("text=Order >> nth=0")
    expect(page.get_by_role("heading", level=1)).to_have_text("One more step")
    page.get_by_role("link", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Send it now?")
    page.reload()
    page.get_by_role("button", name="Send it").click()
    expect(page).to_have_url(f"{site.url}/order?shop=1")
    expect(page.locator("body")).to_contain_text("Zwei B")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing to send")
