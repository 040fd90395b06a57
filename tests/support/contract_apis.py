"""The adapter contract: calls to APIs, scripts, and failures."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from support.bare_site import with_apis
from support.contract_base import FETCH, ContractBase, Site, once, who
from support.form_browser import FormBrowser
from support.provider import Person, Provider
from support.provider_http import drop


class ApiContract(ContractBase):
    # APIs

    def test_an_api_is_called_with_the_persons_token(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        page = browser.open(f"{site.url}/me")
        assert page.url == f"{site.url}/me"
        assert page.response.json()["sub"] == Person().sub
        assert "orders.read" in page.response.json()["scopes"]
        assert len(provider.requests_to("authorize")) == 1

    def test_consent_is_asked_for_where_it_is_missing(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        browser.open(f"{site.url}/private")
        page = browser.open(f"{site.url}/call")
        assert page.url == f"{site.url}/call"
        assert page.response.json()["sub"] == Person().sub
        assert len(provider.requests_to("authorize")) == 2

    @pytest.mark.parametrize("path", ["/me", "/call"])
    def test_what_is_never_granted_ends_on_a_page(
        self, site: Site, provider: Provider, browser: FormBrowser, path: str
    ) -> None:
        provider.narrow_scopes = lambda scopes: [s for s in scopes if s != "orders.read"]
        page = browser.open(site.url + path)
        assert page.status == 403
        assert "Try again" in page.text
        assert len(provider.requests_to("authorize")) <= 3

    def test_many_requests_at_once_refresh_once(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        provider.expires_in = 1
        browser.open(f"{site.url}/me")
        provider.expires_in = None
        asked = len(provider.requests_to("token"))
        time.sleep(1.1)
        cookies = browser.session.cookies.get_dict()

        def me(_: int) -> int:
            return requests.get(f"{site.url}/me", cookies=cookies, timeout=20).status_code

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(me, range(8))) == {200}
        assert len(provider.requests_to("token")) == asked + 1

    def test_a_refresh_that_names_somebody_else_ends_the_session(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        provider.expires_in = 1
        browser.open(f"{site.url}/me")
        provider.mutate_refresh_claims = lambda claims: claims.update(sub="somebody-else")
        time.sleep(1.1)
        assert browser.open(f"{site.url}/me").status == 502
        assert who(browser.open(f"{site.url}/")) == "Nobody"

    @pytest.mark.parametrize("path", ["/me", "/call"])
    def test_an_api_that_is_away_gets_a_page(
        self, site: Site, provider: Provider, browser: FormBrowser, path: str
    ) -> None:
        browser.open(f"{site.url}/me")
        provider.raw["api"] = lambda request: drop
        page = browser.open(site.url + path)
        assert page.status == 503
        assert "Correlation id" in page.text
        assert int(page.response.headers["Retry-After"]) > 0

    def test_a_copy_of_the_session_opens_nothing_after_the_sign_out(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        browser.open(f"{site.url}/me")
        copied = browser.session.cookies.copy()
        browser.open(f"{site.url}/").submit(button="Sign out")
        for path in ("/me", "/private"):
            with FormBrowser(stop_at=(provider.base,)) as copy:
                copy.session.cookies.update(copied)
                assert copy.open(site.url + path).url.startswith(provider.base)

    # Scripts

    def test_scripts_are_told_and_never_redirected(self, site: Site, browser: FormBrowser) -> None:
        for path in self.guarded_by_us:
            headers = {**FETCH, "Referer": f"{site.url}/board"}
            answer = once(browser, site.url + path, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["Content-Type"].startswith("application/problem+json")
            assert "Keyfob" in answer.headers["WWW-Authenticate"]
            problem = answer.json()
            assert problem["code"] == "login_required"
            with FormBrowser() as person:
                page = person.open(site.url + problem["login_url"])
                assert page.url == f"{site.url}/board"

    def test_what_was_posted_to_is_no_page_to_come_back_to(
        self, site: Site, browser: FormBrowser
    ) -> None:
        headers = {"Referer": f"{site.url}/?x=1"}
        answer = once(browser, f"{site.url}/private", "POST", headers=headers)
        assert answer.status_code in (302, 303)
        assert "/auth/login" in answer.headers["Location"]
        browser.open(f"{site.url}/private")
        assert once(browser, f"{site.url}/private", "POST").text == "posted"

    # Failures

    @pytest.mark.parametrize("endpoint", ["discovery", "token", "keys"])
    def test_a_provider_that_fails_gets_a_page_and_is_asked_again(
        self, site: Site, provider: Provider, browser: FormBrowser, endpoint: str
    ) -> None:
        provider.raw[endpoint] = lambda request: Provider.json({"oops": 1}, 500)
        page = browser.open(f"{site.url}/private?x=1")
        assert page.status == 503
        assert page.response.headers["Retry-After"] == "10"
        assert re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", page.text)
        del provider.raw[endpoint]
        assert page.follow("Try again").url == f"{site.url}/private?x=1"

    def test_a_tenant_that_is_not_allowed_gets_a_page(
        self, start: Callable[..., Site], browser: FormBrowser
    ) -> None:
        with Provider(entra=True) as entra:
            allowed = {"ALLOWED_TENANTS": ["99999999-9999-4999-8999-999999999999"]}
            site = start({**with_apis(entra), **allowed})
            page = browser.open(f"{site.url}/private")
            assert page.status == 403
            assert who(browser.open(f"{site.url}/")) == "Nobody"

    def test_nothing_secret_is_logged(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        browser.open(f"{site.url}/me")
        provider.raw["token"] = lambda request: Provider.json({"error": "invalid_grant"}, 400)
        browser.open(f"{site.url}/auth/login")
        del provider.raw["token"]
        browser.open(f"{site.url}/").submit(button="Sign out")
        forms = [request.form for request in provider.requests_to("token")]
        secrets = {form["code"] for form in forms} | {form["code_verifier"] for form in forms}
        secrets |= {provider.client_secret, *provider._access, *provider._refresh}
        log = "\n".join(site.log)
        assert log
        assert [secret for secret in secrets if secret in log] == []
