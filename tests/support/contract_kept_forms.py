"""The adapter contract: forms that came before their person could be let in.

The sites have, beside the usual pages: `/order` (a form, and what it is posted to, which needs the
API `api`), `/late` (posted to as well, and needs it in the middle of the view), `/exempt` (as
`/order`, and no framework checks it), and `/takes-body` (reads the body first).
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
import requests

from support.bare_site import with_apis
from support.contract_base import GRACE, ContractBase, RunningSite, Site, once
from support.form_browser import FormBrowser, Page
from support.provider import Person, Provider

HOSTILE = {
    'x"><script>alert(1)</script>': "<b>&amp;",
    "lines": "one\r\ntwo",
    "\u202eevil": "\u2028",
    "empty": "",
}


def fill_in(browser: FormBrowser, site: Site, **fields: str) -> Page:
    """Open the form and send it; the answer that it gets."""
    return browser.open(f"{site.url}/order").submit(button="Order", fields=fields)


def sent(page: Page) -> dict[str, list[str]]:
    """What the view got, without the frameworks' own fields."""
    got: dict[str, list[str]] = page.response.json()
    return {name: values for name, values in got.items() if "csrf" not in name}


class KeptFormContract(ContractBase):
    def test_a_form_that_needs_consent_is_kept_shown_and_sent_by_a_click(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        browser.open(f"{site.url}/private")
        page = fill_in(browser, site, thing="a book", note="for Ada")
        assert page.status == 401
        assert page.headings == ["One more step"]
        page = page.follow("Continue")
        assert urlsplit(page.url).path.endswith("/auth/resume")
        assert page.status == 200
        assert "/order?shop=1" in page.text
        assert "a book" in page.text
        page = page.submit(button="Send it")
        assert urlsplit(page.url).path.endswith("/order")
        assert urlsplit(page.url).query == "shop=1"
        assert sent(page) == {"thing": ["a book"], "note": ["for Ada"]}
        assert len(provider.requests_to("authorize")) == 2

    def test_a_form_of_somebody_who_is_not_signed_in_is_kept(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        page = fill_in(browser, site, thing="a book")
        page = page.follow("Continue").submit(button="Send it")
        assert sent(page)["thing"] == ["a book"]
        assert len(provider.requests_to("authorize")) == 1

    def test_a_view_that_finds_out_late_keeps_the_form_as_well(
        self, site: Site, browser: FormBrowser
    ) -> None:
        browser.open(f"{site.url}/private")
        page = browser.open(f"{site.url}/order").submit(button="Order late", thing="x")
        page = page.follow("Continue").submit(button="Send it")
        assert sent(page)["thing"] == ["x"]

    def test_a_form_is_sent_once(self, site: Site, browser: FormBrowser) -> None:
        shown = fill_in(browser, site, thing="a book").follow("Continue")
        again = browser.open(shown.url)
        assert again.status == 200  # nothing was sent yet
        assert sent(shown.submit(button="Send it"))["thing"] == ["a book"]
        replayed = again.submit(button="Send it")
        assert replayed.status == 410
        assert replayed.headings == ["There is nothing to send"]
        assert browser.open(shown.url).status == 410

    def test_a_form_is_its_persons_only(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        browser.open(f"{site.url}/private")
        page = fill_in(browser, site, thing="a secret plan")
        provider.person = GRACE
        page = page.follow("Continue")
        assert page.status == 403
        assert page.headings == ["This is not yours to send"]
        assert "secret plan" not in page.html
        url = page.url
        own = self._post_to_resume(browser, url, site)
        assert own.status_code == 403
        provider.person = Person()
        browser.open(f"{site.url}/auth/login")
        assert "secret plan" in browser.open(url).text

    def test_a_form_is_its_browsers_only(self, site: Site, browser: FormBrowser) -> None:
        shown = fill_in(browser, site, thing="x").follow("Continue")
        with FormBrowser() as other:
            other.open(f"{site.url}/private")
            assert other.open(shown.url).status == 410
            assert self._post_to_resume(other, shown.url, site).status_code == 410

    def test_who_is_signed_out_meanwhile_signs_in_again_and_goes_on(
        self, site: Site, browser: FormBrowser
    ) -> None:
        shown = fill_in(browser, site, thing="x").follow("Continue")
        browser.open(f"{site.url}/").submit(button="Sign out")
        page = shown.submit(button="Send it")
        assert urlsplit(page.url).path.endswith("/auth/resume")
        assert sent(page.submit(button="Send it"))["thing"] == ["x"]

    def test_a_strangers_page_can_send_nothing(self, site: Site, browser: FormBrowser) -> None:
        shown = fill_in(browser, site, thing="x").follow("Continue")
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site", "Origin": site.url},
            {},
        ):
            answer = once(browser, shown.url, "POST", data={"thing": "y"}, headers=headers)
            assert answer.status_code == 403
            assert "not come from a page of this site" in answer.text
        assert sent(shown.submit(button="Send it"))["thing"] == ["x"]

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Referer": "https://evil.example/"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "none"},
        ],
    )
    def test_a_strangers_form_is_not_kept(
        self, site: Site, browser: FormBrowser, headers: dict[str, str]
    ) -> None:
        browser.open(f"{site.url}/private")
        form = {"thing": "planted"}
        answer = once(browser, f"{site.url}/exempt", "POST", data=form, headers=headers)
        assert answer.status_code == 401
        assert "Nothing was sent" in answer.text
        assert "resume" not in answer.text
        assert "forms" not in answer.headers.get("Set-Cookie", "")

    @pytest.mark.parametrize("kind", ["application/json", "text/plain", ""])
    def test_what_is_no_form_is_not_kept(self, site: Site, browser: FormBrowser, kind: str) -> None:
        browser.open(f"{site.url}/private")
        headers = {"Origin": site.url, "Content-Type": kind}
        answer = once(browser, f"{site.url}/exempt", "POST", data=b'{"a":1}', headers=headers)
        assert answer.status_code == 401
        assert "Nothing was sent" in answer.text
        assert "resume" not in answer.text

    def test_a_body_that_the_view_took_is_not_taken_for_an_empty_form(
        self, site: Site, browser: FormBrowser
    ) -> None:
        browser.open(f"{site.url}/private")
        headers = {"Origin": site.url}
        for more in ({"data": {"a": "b"}}, {"files": {"a": ("", b"b"), "c": ("c", b"d")}}):
            answer = once(browser, f"{site.url}/takes-body", "POST", headers=headers, **more)
            assert answer.status_code == 401
            assert "Nothing was sent" in answer.text

    def test_a_button_alone_is_a_form(self, site: Site, browser: FormBrowser) -> None:
        browser.open(f"{site.url}/private")
        headers = {"Origin": site.url, "Content-Type": "application/x-www-form-urlencoded"}
        answer = once(browser, f"{site.url}/exempt", "POST", headers=headers)
        page = Page(browser, answer, [answer.url]).follow("Continue")
        assert sent(page.submit(button="Send it")) == {}

    def test_a_large_form_is_not_kept(self, site: Site, browser: FormBrowser) -> None:
        browser.open(f"{site.url}/private")
        for form in ({"a": "x" * 66_000}, {f"f{n}": "" for n in range(1001)}):
            answer = once(
                browser, f"{site.url}/exempt", "POST", data=form, headers={"Origin": site.url}
            )
            # Too many fields are Django's own affair.
            assert answer.status_code in (400, 401)
            assert "resume" not in answer.text

    def test_hundreds_of_fields_come_through(self, site: Site, browser: FormBrowser) -> None:
        browser.open(f"{site.url}/private")
        fields = {f"field-{number}": str(number) for number in range(600)}
        page = browser.open(f"{site.url}/order")
        csrf = [(name, value) for name, value in page.forms[0].fields if "csrf" in name]
        page = browser.send(
            "post", f"{site.url}/order", [*csrf, *fields.items()], referrer=page.url
        )
        page = page.follow("Continue")
        assert re.search(r"and 58\d more", page.text)
        assert {name: values[0] for name, values in sent(page.submit()).items()} == fields

    def test_odd_names_and_values_are_escaped_and_come_through(
        self, site: Site, browser: FormBrowser
    ) -> None:
        page = fill_in(browser, site).browser.open(f"{site.url}/order")
        csrf = [(name, value) for name, value in page.forms[0].fields if "csrf" in name]
        page = browser.send(
            "post", f"{site.url}/order", [*csrf, *HOSTILE.items()], referrer=page.url
        )
        page = page.follow("Continue")
        assert "<script>" not in page.html
        assert "<b>" not in page.html
        got = {name: values[0] for name, values in sent(page.submit()).items()}
        assert got == HOSTILE

    def test_a_password_is_not_kept_and_asked_for_again(
        self, site: Site, browser: FormBrowser
    ) -> None:
        page = browser.open(f"{site.url}/order")
        csrf = [(name, value) for name, value in page.forms[0].fields if "csrf" in name]
        form = [*csrf, ("thing", "x"), ("new_password", "hunter2"), ("api_key", "k-123")]
        page = browser.send("post", f"{site.url}/order", form, referrer=page.url).follow("Continue")
        assert "hunter2" not in page.html
        assert "k-123" not in page.text
        got = sent(page.submit(new_password="hunter3"))
        assert got == {"thing": ["x"], "api_key": ["k-123"], "new_password": ["hunter3"]}

    def test_files_are_not_kept_and_the_page_says_so(
        self, site: Site, browser: FormBrowser
    ) -> None:
        page = browser.open(f"{site.url}/order")
        form = {name: value for name, value in page.forms[0].fields if "csrf" in name}
        answer = browser.session.post(
            f"{site.url}/order",
            data={**form, "thing": "x"},
            files={"photo": ("p.png", b"PNG")},
            headers={"Origin": site.url, "Referer": page.url},
            timeout=20,
        )
        kept = Page(browser, answer, [answer.url])
        assert "Files are not kept" in kept.text
        page = kept.follow("Continue")
        assert "Files are not kept" in page.text
        assert sent(page.submit()) == {"thing": ["x"]}

    def test_the_page_lets_nobody_frame_it_nor_send_it_elsewhere(
        self, site: Site, browser: FormBrowser
    ) -> None:
        page = fill_in(browser, site, thing="x").follow("Continue")
        headers = page.response.headers
        policy = headers["Content-Security-Policy"]
        assert "form-action 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy
        assert "default-src 'none'" in policy
        assert headers["X-Frame-Options"] == "DENY"
        assert (
            headers["Cache-Control"].startswith("no-store")
            or "no-store" in headers["Cache-Control"]
        )
        # A stricter one would leave the framework's own check without an Origin.
        assert headers["Referrer-Policy"] == "same-origin"

    def test_below_a_mount_point_a_form_comes_through(
        self, start: RunningSite, provider: Provider, browser: FormBrowser
    ) -> None:
        site = start(with_apis(provider), script_name="/shop")
        page = fill_in(browser, site, thing="x").follow("Continue").submit(button="Send it")  # type: ignore[arg-type]
        assert sent(page)["thing"] == ["x"]

    def test_what_is_never_granted_ends_on_a_page(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        provider.narrow_scopes = lambda scopes: [s for s in scopes if s != "orders.read"]
        page = fill_in(browser, site, thing="x")
        for _ in range(4):
            if page.status == 403:
                break
            page = page.follow("Continue").submit(button="Send it")
        assert page.status == 403
        assert page.headings == ["This page needs more than you have"]
        assert len(provider.requests_to("authorize")) <= 3
        # What was filled in is still there, should it be granted after all.
        provider.narrow_scopes = None
        page = page.follow("Try again").submit(button="Send it")
        assert sent(page)["thing"] == ["x"]

    @pytest.mark.parametrize("form", ["", "x", "a" * 22, "a" * 5000, "%00", "../x"])
    def test_an_address_of_nothing_shows_nothing(
        self, site: Site, browser: FormBrowser, form: str
    ) -> None:
        browser.open(f"{site.url}/private")
        assert browser.open(f"{site.url}/auth/resume?form={form}").status == 410

    @staticmethod
    def _post_to_resume(browser: FormBrowser, url: str, site: Site) -> requests.Response:
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(site.url))
        return once(browser, url, "POST", data={"thing": "x"}, headers={"Origin": origin})
