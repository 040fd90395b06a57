"""The adapter contract: attempts, callbacks, and the addresses of a site."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
import requests

from support.bare_site import with_apis
from support.contract_base import ContractBase, Site, once, who
from support.form_browser import FormBrowser
from support.provider import Provider


class CallbackContract(ContractBase):
    # Attempts and callbacks

    def test_the_attempts_cookie(self, site: Site, browser: FormBrowser) -> None:
        answer = once(browser, f"{site.url}/auth/login")
        (cookie,) = answer.raw.headers.getlist("Set-Cookie")
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "path=/auth", "samesite=lax", "max-age=600"} <= attributes
        assert "secure" not in attributes
        assert "no-store" in answer.headers["Cache-Control"]

    def test_two_tabs_each_end_where_they_began(self, site: Site, browser: FormBrowser) -> None:
        back = []
        for path in ("/private?tab=1", "/private?tab=2"):
            login = once(browser, site.url + path).headers["Location"]
            there = once(browser, site.url + login).headers["Location"]
            back.append(once(browser, there).headers["Location"])
        for number, address in reversed(list(enumerate(back, 1))):
            assert browser.open(address).url == f"{site.url}/private?tab={number}"

    def test_ten_attempts_are_kept(self, site: Site, browser: FormBrowser) -> None:
        for _ in range(13):
            assert once(browser, f"{site.url}/auth/login").status_code == 302
        attempts = [name for name in browser.session.cookies.get_dict() if "keyfob_" in name]
        assert len(attempts) == 10

    def test_another_browsers_callback_gets_a_page(self, site: Site, browser: FormBrowser) -> None:
        there = once(browser, f"{site.url}/auth/login").headers["Location"]
        back = once(browser, there).headers["Location"]
        with FormBrowser() as victim:
            page = victim.open(back)
            assert page.status == 400
            assert who(victim.open(f"{site.url}/")) == "Nobody"
            assert page.follow("Try again").url == f"{site.url}/"
        assert browser.open(back).status == 200

    def test_a_replayed_callback_goes_on_to_the_site(
        self, site: Site, browser: FormBrowser
    ) -> None:
        hops = browser.open(f"{site.url}/private").hops
        (back,) = (url for url in hops if "/auth/callback?" in url)
        assert browser.open(back).url == f"{site.url}/"

    def test_a_refusal_gets_a_page(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        provider.mutate_callback = lambda answer: answer.__setitem__(
            slice(0, 1), [("error", "access_denied"), ("error_description", "<b>Call us</b>")]
        )
        page = browser.open(f"{site.url}/private")
        assert page.status == 403
        assert "cancelled" in page.text
        assert "Call us" not in page.html
        assert re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", page.text)
        assert "no-store" in page.response.headers["Cache-Control"]
        assert "frame-ancestors" in page.response.headers["Content-Security-Policy"]
        provider.mutate_callback = None
        assert page.follow("Try again").url == f"{site.url}/private"

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "state=%ff%fe&code=%00",
            "state=x&state=y&code=z",
            "error=%3Cscript%3E&state=" + "x" * 3000,
            "posted=x",
            "posted=" + "A" * 3000,
            "%00=%00",
            "state=\ud83d",
        ],
    )
    def test_a_senseless_callback_gets_a_page(
        self, site: Site, browser: FormBrowser, query: str
    ) -> None:
        encoded = query.encode("utf-8", "surrogatepass").decode("latin-1")
        answer = once(browser, f"{site.url}/auth/callback?{encoded}")
        assert answer.status_code == 400
        assert "Try again" in answer.text
        assert "<script>" not in answer.text

    def test_a_senseless_post_gets_a_page(self, site: Site, browser: FormBrowser) -> None:
        url = f"{site.url}/auth/callback"
        for body, kind in [
            (b"", "application/x-www-form-urlencoded"),
            (b"\xff\x00=%ff", "application/x-www-form-urlencoded"),
            (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
            (b"{}", "application/json"),
            (b"a=" + b"x" * 9000, "application/x-www-form-urlencoded"),
        ]:
            answer = once(browser, url, "POST", data=body, headers={"Content-Type": kind})
            if answer.status_code == 303:
                answer = once(browser, site.url + answer.headers["Location"].removeprefix(site.url))
            assert answer.status_code == 400

    def test_a_posted_response_carries_no_cookie(
        self, start: Callable[..., Site], provider: Provider, browser: FormBrowser
    ) -> None:
        """The provider's cross-site post brings none of ours, and no framework's form token."""
        site = start(with_apis(provider, RESPONSE_MODE="form_post"))
        form = browser.open(f"{site.url}/private?x=1").form()
        bounce = requests.post(
            f"{site.url}/auth/callback",
            data=form.fields,
            headers={"Origin": provider.base},
            allow_redirects=False,
            timeout=20,
        )
        assert bounce.status_code == 303
        assert "Set-Cookie" not in bounce.headers
        code = dict(form.fields)["code"]
        assert code not in bounce.headers["Location"]
        page = browser.open(site.url + bounce.headers["Location"].removeprefix(site.url))
        assert page.url == f"{site.url}/private?x=1"

    @pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "https://evil.example"])
    def test_no_sign_in_ends_elsewhere(self, site: Site, browser: FormBrowser, path: str) -> None:
        page = browser.open(f"{site.url}/auth/login?{urlencode({'next': path})}")
        assert page.url == f"{site.url}/"

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_our_own_issuer_may_start_a_sign_in(
        self, site: Site, provider: Provider, browser: FormBrowser, method: str
    ) -> None:
        url = f"{site.url}/auth/login"
        for issuer, status in ((provider.issuer, 302), ("https://evil.example", 400)):
            given = {"iss": issuer, "target_link_uri": f"{site.url}/private", "login_hint": "ada"}
            more = {"params": given} if method == "GET" else {"data": given}
            answer = once(browser, url, method, headers={"Origin": issuer}, **more)
            assert answer.status_code == status
            if status == 302:
                assert "login_hint=ada" in answer.headers["Location"]
                assert browser.open(answer.headers["Location"]).url == f"{site.url}/private"

    # The address

    def test_below_a_mount_point(
        self, start: Callable[..., Site], provider: Provider, browser: FormBrowser
    ) -> None:
        site = start(with_apis(provider), script_name="/shop")
        assert site.url.endswith("/shop")
        page = browser.open(f"{site.url}/me?x=1")
        assert page.url == f"{site.url}/me?x=1"
        page = browser.open(f"{site.url}/").submit(button="Sign out")
        assert page.url.startswith(f"{site.url}/auth/logged-out?")
        assert browser.open(f"{site.url}/auth/login").url == f"{site.url}/"
        assert browser.open(f"{site.url}/private").url == f"{site.url}/private"

    def test_behind_a_proxy_that_is_trusted(
        self, start: Callable[..., Site], provider: Provider, browser: FormBrowser
    ) -> None:
        site = start(with_apis(provider), behind_proxy=True)
        headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "localhost"}
        answer = once(browser, f"{site.url}/auth/login", headers=headers)
        assert (
            "redirect_uri=https%3A%2F%2Flocalhost%2Fauth%2Fcallback" in answer.headers["Location"]
        )
        assert "secure" in answer.headers["Set-Cookie"].lower()

    def test_behind_a_proxy_that_is_not(self, site: Site, browser: FormBrowser) -> None:
        answer = once(browser, f"{site.url}/auth/login", headers={"X-Forwarded-Proto": "https"})
        assert answer.status_code == 503
        assert "BASE_URL" in answer.text
