"""The adapter contract: App Service's own authentication in front of a site."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from support.app_service import ENVIRON, ID_TOKEN, AppService
from support.bare_site import with_apis
from support.contract_base import FETCH, GRACE, ContractBase, Site, once, who
from support.form_browser import FormBrowser
from support.provider import Provider


class AppServiceContract(ContractBase):
    @pytest.fixture
    def provider(self) -> Iterator[Provider]:
        with Provider(entra=True) as provider:
            yield provider

    @pytest.fixture
    def platform(self, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> AppService:
        for name, value in ENVIRON.items():
            monkeypatch.setenv(name, value)
        return AppService(provider)

    @pytest.fixture
    def site(self, start: Callable[..., Site], provider: Provider, platform: AppService) -> Site:
        return start(with_apis(provider, EASY_AUTH=True))

    @pytest.fixture
    def behind(self, browser: FormBrowser, platform: AppService) -> FormBrowser:
        """A browser whom the platform has signed in, with a token store."""
        browser.session.headers.update(platform.headers(refresh=True))
        return browser

    def test_the_same_pages_work_behind_it(
        self, site: Site, behind: FormBrowser, provider: Provider
    ) -> None:
        assert "Ada Keyring" in who(behind.open(f"{site.url}/private"))
        assert behind.open(f"{site.url}/me").response.json()["displayName"] == "Ada Keyring"
        assert behind.open(f"{site.url}/claims").response.json()["name"] == "Ada Keyring"
        assert provider.requests_to("authorize") == []

    def test_and_without_it(
        self, start: Callable[..., Site], provider: Provider, browser: FormBrowser
    ) -> None:
        site = start(with_apis(provider, EASY_AUTH=True))
        browser.session.headers.update(AppService(provider).headers(GRACE))
        assert who(browser.open(f"{site.url}/private")) == "Hello Ada Keyring"
        assert len(provider.requests_to("authorize")) == 1

    def test_whom_it_has_not_signed_in_is_sent_there(
        self, site: Site, browser: FormBrowser
    ) -> None:
        browser.stop_at = (f"{site.url}/.auth/",)
        page = browser.open(f"{site.url}/private")
        assert page.url.startswith(f"{site.url}/.auth/login/aad?post_login_redirect_uri=%2Fauth")

    def test_who_signed_out_there_is_out_here(
        self, site: Site, behind: FormBrowser, platform: AppService
    ) -> None:
        behind.open(f"{site.url}/private")
        for name in platform.headers(refresh=True):
            del behind.session.headers[name]
        assert who(behind.open(f"{site.url}/")) == "Nobody"
        for page in ("/private", "/me"):
            answer = once(behind, f"{site.url}{page}")
            assert answer.status_code == 302
            assert "/auth/login" in answer.headers["Location"]
        answer = once(behind, f"{site.url}/me", headers=FETCH)
        assert (answer.status_code, answer.json()["code"]) == (401, "login_required")

    def test_somebody_else_there_is_somebody_else_here(
        self, site: Site, behind: FormBrowser, platform: AppService
    ) -> None:
        before = behind.open(f"{site.url}/private") and self._user(site, behind)
        behind.session.headers.update(platform.headers(replace(GRACE, name="Grace Padlock")))
        assert who(behind.open(f"{site.url}/private")) == "Hello Grace Padlock"
        assert self._user(site, behind) != before

    def test_a_forged_token_signs_nobody_in(
        self, site: Site, behind: FormBrowser, provider: Provider
    ) -> None:
        behind.session.headers[ID_TOKEN] = AppService(provider.attacker).headers()[ID_TOKEN]
        page = behind.open(f"{site.url}/private")
        assert (page.status, page.headings) == (502, ["The sign-in service answered wrongly"])
        assert who(behind.open(f"{site.url}/")) == "Nobody"

    def test_signing_out_ends_both(self, site: Site, behind: FormBrowser) -> None:
        page = behind.open(f"{site.url}/private")
        behind.stop_at = (f"{site.url}/.auth/",)
        page = page.submit(button="Sign out")
        assert page.url.startswith(f"{site.url}/.auth/logout?post_logout_redirect_uri=%2Fauth")
        assert who(behind.open(f"{site.url}/")) == "Nobody"

    @staticmethod
    def _user(site: Site, browser: FormBrowser) -> object:
        return browser.open(f"{site.url}/user").response.json()["key"]
