"""Sign-outs that begin elsewhere, with the local identity provider, over real sockets: what both
frameworks' sites must do. Subclass `EmulatorLogouts` and say how a site runs."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
import requests

from keyfob_emulator import EmulatorServer
from keyfob_emulator.sample import DJANGO_SITE, DJANGO_SITE_SECRET, PASSWORD
from support.contract_base import RunningSite, Site, once
from support.contract_logouts import is_ended
from support.form_browser import FormBrowser, Page

ADA, ALAN = "ada@contoso.example", "alan@contoso.example"


class EmulatorLogouts:
    @pytest.fixture
    def running_site(self) -> RunningSite:
        raise NotImplementedError

    @pytest.fixture
    def server(self) -> Iterator[EmulatorServer]:
        with EmulatorServer() as server:
            for username in (ADA, ALAN):
                server.emulator.give_consent(
                    username, DJANGO_SITE, "openid profile offline_access User.Read"
                )
            yield server

    @pytest.fixture
    def site(self, running_site: RunningSite, server: EmulatorServer) -> Iterator[Site]:
        graph = {"base_url": f"{server.url}/v1.0", "scopes": ["User.Read"]}
        settings = {
            "AUTHORITY": server.authority("common"),
            "CLIENT_ID": DJANGO_SITE,
            "CLIENT_SECRET": DJANGO_SITE_SECRET,
            "DOWNSTREAM_APIS": {"api": graph},
        }
        with running_site(settings) as site:
            yield site
            assert not site.errors

    @pytest.fixture
    def one(self, site: Site) -> Iterator[FormBrowser]:
        with FormBrowser() as browser:
            sign_in(site, browser, ADA)
            yield browser

    @pytest.fixture
    def two(self, site: Site) -> Iterator[FormBrowser]:
        with FormBrowser() as browser:
            sign_in(site, browser, ADA)
            yield browser

    def test_signing_out_in_one_browser_ends_the_other_of_the_same_session_at_the_provider(
        self, site: Site, server: EmulatorServer, one: FormBrowser
    ) -> None:
        with FormBrowser() as twin, FormBrowser() as stranger:
            # Two windows that share the provider's cookie, and not the site's.
            for cookie in one.session.cookies:
                if cookie.name.startswith("keyfob_emulator_"):
                    twin.session.cookies.set_cookie(cookie)
            page = twin.open(f"{site.url}/me")
            if page.url != f"{site.url}/me":
                page = page.submit(button=ADA)
            assert page.url == f"{site.url}/me"
            sign_in(site, stranger, ADA)

            one.open(f"{site.url}/").submit(button="Sign out")

            (notice,) = [n for n in server.emulator.logouts.recent if n.channel == "back"]
            assert (notice.status, notice.detail) == (200, "")
            assert is_ended(site, twin)
            # Their own session at the provider goes on, and with it the one here.
            assert not is_ended(site, stranger)

    def test_signed_out_everywhere_at_the_provider_ends_all_browsers_here(
        self, site: Site, server: EmulatorServer, one: FormBrowser, two: FormBrowser
    ) -> None:
        with FormBrowser() as other:
            sign_in(site, other, ALAN)
            (notice,) = server.emulator.sign_out_everywhere(ADA)
            assert notice.status == 200
            assert is_ended(site, one)
            assert is_ended(site, two)
            assert not is_ended(site, other)
        # Who comes back has to sign in: the provider does not know them any more either.
        assert one.open(f"{site.url}/me").url != f"{site.url}/me"

    def test_the_providers_page_does_it_and_shows_what_the_site_answered(
        self, site: Site, server: EmulatorServer, one: FormBrowser, two: FormBrowser
    ) -> None:
        page = two.open(f"{server.url}/sign-outs").submit(button="Sign out")
        assert "Back channel: 200" in page.text
        assert f"{site.url}/auth/backchannel-logout" in page.text
        assert is_ended(site, one)
        assert is_ended(site, two)

    def test_a_frame_of_the_providers_page_signs_out_without_cookies(
        self, site: Site, server: EmulatorServer, one: FormBrowser, two: FormBrowser
    ) -> None:
        state = server.emulator
        state.add(replace(state.application(DJANGO_SITE), back_channel_logout_uri=None))
        page = one.open(f"{server.url}/common/oauth2/v2.0/logout")
        (frame,) = re.findall(r'<iframe[^>]* src="([^"]*)"', page.html)
        url = html.unescape(frame)
        assert url.startswith(f"{site.url}/auth/frontchannel-logout?")
        answer = requests.get(url, headers={"Sec-Fetch-Dest": "iframe"}, timeout=20)
        assert answer.status_code == 200
        ancestors = answer.headers["Content-Security-Policy"].partition("frame-ancestors ")[2]
        assert ancestors.split()[0] == server.url
        assert is_ended(site, one)
        assert not is_ended(site, two)

    def test_another_provider_with_the_same_people_ends_nothing(
        self, site: Site, server: EmulatorServer, one: FormBrowser
    ) -> None:
        with EmulatorServer() as foreign, FormBrowser() as evil:
            foreign.emulator.give_consent(ADA, DJANGO_SITE, "openid")
            back = f"{site.url}/auth/callback"
            evil.stop_at = (site.url,)
            query = (
                f"client_id={DJANGO_SITE}&response_type=code&scope=openid&redirect_uri={back}"
                "&code_challenge_method=S256&code_challenge=" + "x" * 43
            )
            prove(evil.open(f"{foreign.authority('common')}/oauth2/v2.0/authorize?{query}"), ADA)
            (notice,) = foreign.emulator.sign_out_everywhere(ADA)
        assert notice.status == 400
        assert "invalid_request" in notice.detail
        assert not is_ended(site, one)

    def test_after_a_change_of_keys_the_provider_is_still_believed(
        self, site: Site, server: EmulatorServer, one: FormBrowser
    ) -> None:
        server.emulator.rotate_keys(keep_old=False)
        (notice,) = server.emulator.sign_out_everywhere(ADA)
        assert notice.status == 200
        assert is_ended(site, one)


def sign_in(site: Site, browser: FormBrowser, username: str) -> None:
    page = prove(browser.open(f"{site.url}/me"), username)
    assert page.url == f"{site.url}/me", page.text
    assert not is_ended(site, browser)
    assert urlsplit(once(browser, f"{site.url}/me").url).path.endswith("/me")


def prove(page: Page, username: str) -> Page:
    return page.submit(button=username).submit(button="Sign in", password=PASSWORD)
