"""The adapter contract: the provider signs people out, through a frame or by a post of its own."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
import requests

from support.bare_site import with_apis
from support.contract_base import ContractBase, RunningSite, Site, once
from support.form_browser import FormBrowser
from support.logout_tokens import order_by
from support.provider import Provider

SID = "session-1"


def is_ended(site: Site, browser: FormBrowser) -> bool:
    """Whether a page that needs the session's tokens sends the browser to sign in."""
    answer = once(browser, f"{site.url}/me")
    assert answer.status_code in (200, 302)
    return answer.status_code == 302


class LogoutContract(ContractBase):
    @pytest.fixture
    def provider_with_sid(self, provider: Provider) -> Provider:
        provider.extra_claims = {"sid": SID}
        return provider

    @pytest.fixture
    def signed_in(
        self, site: Site, provider_with_sid: Provider, browser: FormBrowser
    ) -> FormBrowser:
        assert browser.open(f"{site.url}/me").url == f"{site.url}/me"
        assert not is_ended(site, browser)
        return browser

    # Front channel

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_a_frame_without_cookies_signs_out(
        self, site: Site, provider: Provider, signed_in: FormBrowser, method: str
    ) -> None:
        query = urlencode({"iss": provider.issuer, "sid": SID})
        answer = requests.request(
            method, f"{site.url}/auth/frontchannel-logout?{query}", timeout=20
        )
        assert (answer.status_code, answer.text) == (200, "")
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "no-store" in answer.headers["Cache-Control"]
        policy = answer.headers["Content-Security-Policy"]
        assert policy == f"default-src 'none'; frame-ancestors {provider.base}"
        assert "X-Frame-Options" not in answer.headers
        assert "Set-Cookie" not in answer.headers
        assert is_ended(site, signed_in)

    @pytest.mark.parametrize("sid", ["another", "", "%00", "x" * 3000, "\u00e9"])
    def test_a_frame_that_knows_no_session_ends_none(
        self, site: Site, provider: Provider, signed_in: FormBrowser, sid: str
    ) -> None:
        query = urlencode({"iss": provider.issuer, "sid": sid})
        answer = once(signed_in, f"{site.url}/auth/frontchannel-logout?{query}")
        assert (answer.status_code, answer.text) == (200, "")
        assert not is_ended(site, signed_in)

    def test_a_frame_whose_cookies_come_signs_its_browser_out(
        self, site: Site, signed_in: FormBrowser
    ) -> None:
        url = f"{site.url}/auth/frontchannel-logout"
        signed_in.open(f"{site.url}/cart?add=book")
        # A link is no frame, wherever it is: it brings cookies as well, and proves no wish.
        assert once(signed_in, url, headers={"Sec-Fetch-Dest": "document"}).status_code == 200
        assert not is_ended(site, signed_in)
        assert once(signed_in, url, headers={"Sec-Fetch-Dest": "iframe"}).status_code == 200
        assert "_keyfob" not in signed_in.open(f"{site.url}/session").response.json()
        assert signed_in.open(f"{site.url}/cart").response.json() == []

    @pytest.mark.parametrize("query", ["iss=x", "sid=x", "iss=x&sid=y&sid=z"])
    def test_a_frame_that_names_half_a_session_is_refused(self, site: Site, query: str) -> None:
        answer = requests.get(f"{site.url}/auth/frontchannel-logout?{query}", timeout=20)
        assert (answer.status_code, answer.text) == (400, "")

    def test_each_channel_has_its_method(self, site: Site) -> None:
        for method, path in (("POST", "frontchannel-logout"), ("GET", "backchannel-logout")):
            answer = requests.request(method, f"{site.url}/auth/{path}", timeout=20)
            assert answer.status_code in (403, 405)  # 403: a post without Django's own token

    # Back channel

    def test_the_providers_post_signs_out(
        self, site: Site, provider: Provider, signed_in: FormBrowser
    ) -> None:
        answer = self._post(site, {"logout_token": order_by(provider, sid=SID)})
        assert (answer.status_code, answer.text) == (200, "")
        assert "no-store" in answer.headers["Cache-Control"]
        assert "Set-Cookie" not in answer.headers
        assert is_ended(site, signed_in)

    def test_other_peoples_sessions_stay(
        self, site: Site, provider: Provider, signed_in: FormBrowser
    ) -> None:
        provider.extra_claims = {"sid": "session-2"}
        with FormBrowser() as other:
            other.open(f"{site.url}/me")
            token = order_by(provider, sid="session-2")
            assert self._post(site, {"logout_token": token}).status_code == 200
            assert is_ended(site, other)
        assert not is_ended(site, signed_in)

    def test_a_token_signs_out_once(
        self, site: Site, provider: Provider, signed_in: FormBrowser
    ) -> None:
        token = order_by(provider, sid=SID)
        assert self._post(site, {"logout_token": token}).status_code == 200
        signed_in.open(f"{site.url}/me")
        self._assert_refused(self._post(site, {"logout_token": token}))
        assert not is_ended(site, signed_in)

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (b"", "application/x-www-form-urlencoded"),
            (b"logout_token=", "application/x-www-form-urlencoded"),
            (b"logout_token=a.b.c", "application/x-www-form-urlencoded"),
            (b"logout_token=x&logout_token=y", "application/x-www-form-urlencoded"),
            (b"logout_token=\xff\x00%ff", "application/x-www-form-urlencoded"),
            (b"logout_token=" + b"x" * 70_000, "application/x-www-form-urlencoded"),
            (b"&".join(b"a%d=1" % n for n in range(1500)), "application/x-www-form-urlencoded"),
            (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
            (b"x", "multipart/form-data"),
            (b'{"logout_token":"x"}', "application/json"),
        ],
    )
    def test_a_post_without_a_good_token_is_refused_as_json(
        self, site: Site, signed_in: FormBrowser, body: bytes, kind: str
    ) -> None:
        answer = requests.post(
            f"{site.url}/auth/backchannel-logout",
            data=body,
            headers={"Content-Type": kind},
            timeout=20,
        )
        self._assert_refused(answer)
        assert not is_ended(site, signed_in)

    def test_below_a_mount_point_both_are_where_the_others_are(
        self, start: RunningSite, provider_with_sid: Provider, browser: FormBrowser
    ) -> None:
        site = start(with_apis(provider_with_sid), script_name="/shop")
        for channel in ("front", "back"):
            browser.open(f"{site.url}/me")
            assert not is_ended(site, browser)
            if channel == "back":
                self._post(site, {"logout_token": order_by(provider_with_sid, sid=SID)})
            else:
                query = urlencode({"iss": provider_with_sid.issuer, "sid": SID})
                requests.get(f"{site.url}/auth/frontchannel-logout?{query}", timeout=20)
            assert is_ended(site, browser)

    @staticmethod
    def _post(site: Site, form: dict[str, str]) -> requests.Response:
        return requests.post(
            f"{site.url}/auth/backchannel-logout",
            data=form,
            headers={"Origin": "https://idp.example"},
            timeout=20,
        )

    @staticmethod
    def _assert_refused(answer: requests.Response) -> None:
        assert answer.status_code == 400
        assert answer.headers["Content-Type"].startswith("application/json")
        assert "no-store" in answer.headers["Cache-Control"]
        assert answer.json()["error"] == "invalid_request"
        assert answer.json()["error_description"]
