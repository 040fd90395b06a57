"""Many tenants, with the local identity provider, over real sockets: what both frameworks' sites
must do. Subclass `TenantsContract` and say how a site runs, and what hears of a tenant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from keyfob.errors import SignInRefused
from keyfob_emulator import EmulatorServer
from keyfob_emulator.sample import (
    CONTOSO,
    DJANGO_SITE,
    DJANGO_SITE_SECRET,
    FABRIKAM,
    PASSWORD,
)
from support.contract_base import RunningSite, Site, once
from support.form_browser import FormBrowser, Page

ADA, ALAN, HEDY = "ada@contoso.example", "alan@contoso.example", "hedy@fabrikam.example"
#: Runs with a function called for each tenant that joins.
Listening = Callable[[Callable[..., None]], AbstractContextManager[object]]


class Tenants:
    """The site's own list of tenants, which grows where one joins."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.heard: list[dict[str, Any]] = []
        self.refusal = ""
        self.fails = False

    def admits(self, tenant: str) -> bool:
        if self.fails:
            raise LookupError("the database is away")
        return tenant in self.known

    def joined(self, **facts: Any) -> None:
        self.heard.append(facts)
        if self.refusal:
            raise SignInRefused(self.refusal)
        if facts["administrator"]:
            self.known.add(facts["tenant"])


class TenantsContract:
    @pytest.fixture
    def running_site(self) -> RunningSite:
        raise NotImplementedError

    @pytest.fixture
    def listening(self) -> Listening:
        raise NotImplementedError

    @pytest.fixture
    def server(self) -> Iterator[EmulatorServer]:
        with EmulatorServer() as server:
            directory = server.emulator.directory
            application = directory.application(DJANGO_SITE)
            assert application is not None
            directory.add(replace(application, directory_role_claims=True))
            yield server

    @pytest.fixture
    def tenants(self, listening: Listening) -> Iterator[Tenants]:
        tenants = Tenants()
        with listening(tenants.joined):
            yield tenants

    @pytest.fixture
    def settings(self, server: EmulatorServer, tenants: Tenants) -> dict[str, object]:
        return {
            "AUTHORITY": server.authority("organizations"),
            "CLIENT_ID": DJANGO_SITE,
            "CLIENT_SECRET": DJANGO_SITE_SECRET,
            "ALLOWED_TENANTS": tenants.admits,
            "ADMIN_CONSENT": True,
            "TOKEN_STORE_L1_SECONDS": 0,
        }

    @pytest.fixture
    def site(self, running_site: RunningSite, settings: dict[str, object]) -> Iterator[Site]:
        with running_site(settings) as site:
            yield site
            assert not site.errors

    @pytest.fixture
    def browser(self) -> Iterator[FormBrowser]:
        with FormBrowser() as browser:
            yield browser

    def test_an_organisation_joins_and_its_people_come_in(
        self, site: Site, tenants: Tenants, browser: FormBrowser
    ) -> None:
        page = join(site, browser, ADA)
        assert page.headings == ["Your organisation can use this site"]
        [heard] = tenants.heard
        assert (heard["tenant"], heard["administrator"]) == (CONTOSO, True)
        assert heard["identity"].claims["preferred_username"] == ADA
        assert "Hello Ada Keyring" in page.follow("Go on").html
        with FormBrowser() as colleague:
            # Nor are they asked for consent: the administrator gave it for everybody.
            page = at_provider(colleague.open(f"{site.url}/private"), ALAN)
            assert page.url == f"{site.url}/private"
            assert "Hello Alan Latch" in page.html

    def test_whoever_is_of_no_known_tenant_is_told_of_their_administrator(
        self, site: Site, tenants: Tenants, browser: FormBrowser
    ) -> None:
        page = at_provider(browser.open(f"{site.url}/private"), ADA)
        if page.headings == ["Permissions requested"]:
            page = page.submit(button="Accept")
        assert (page.status, page.headings) == (403, ["You cannot sign in here"])
        page = page.follow("I am an administrator")
        assert page.headings == ["Permissions requested"]
        assert "for your organisation" in page.text
        assert page.submit(button="Accept").headings == ["Your organisation can use this site"]
        assert tenants.known == {CONTOSO}

    def test_a_response_that_somebody_wrote_themselves_adds_no_tenant(
        self, site: Site, tenants: Tenants, browser: FormBrowser
    ) -> None:
        sent = once(browser, f"{site.url}/auth/admin-consent").headers["Location"]
        state = parse_qs(urlsplit(sent).query)["state"][0]
        forged = {"admin_consent": "True", "tenant": CONTOSO, "state": state}
        page = browser.open(f"{site.url}/auth/callback?{urlencode(forged)}")
        page = at_provider(page, HEDY)
        if page.headings == ["Permissions requested"]:
            page = page.submit(button="Accept")
        assert page.status == 403
        assert "account of another" in page.text
        assert tenants.heard == []
        assert "Nobody" in browser.open(f"{site.url}/").html

    def test_who_is_no_administrator_cannot_join_by_such_a_response(
        self, site: Site, tenants: Tenants, browser: FormBrowser
    ) -> None:
        sent = once(browser, f"{site.url}/auth/admin-consent").headers["Location"]
        state = parse_qs(urlsplit(sent).query)["state"][0]
        forged = {"admin_consent": "True", "tenant": FABRIKAM, "state": state}
        page = browser.open(f"{site.url}/auth/callback?{urlencode(forged)}")
        page = at_provider(page, HEDY).submit(button="Accept")
        assert (page.status, tenants.heard) == (403, [])

    def test_a_site_that_does_not_want_them_says_so(
        self, site: Site, tenants: Tenants, browser: FormBrowser
    ) -> None:
        tenants.refusal = "Your contract has ended."
        page = join(site, browser, ADA)
        assert page.status == 403
        assert "Your contract has ended." in page.text
        assert "Nobody" in browser.open(f"{site.url}/").html

    def test_a_cancelled_consent_is_a_page(
        self, site: Site, tenants: Tenants, browser: FormBrowser
    ) -> None:
        page = at_provider(browser.open(f"{site.url}/auth/admin-consent"), ADA)
        page = page.submit(button="Cancel")
        assert (page.status, page.headings) == (403, ["Your organisation has not agreed"])
        assert page.follow("Try again").headings == ["Permissions requested"]
        assert tenants.heard == []

    def test_a_tenant_that_is_taken_out_is_out_at_once(
        self, site: Site, tenants: Tenants, browser: FormBrowser
    ) -> None:
        join(site, browser, ADA)
        assert "Hello Ada Keyring" in browser.open(f"{site.url}/private").html
        tenants.known.clear()
        page = browser.open(f"{site.url}/private")
        assert page.status == 403
        assert "You cannot sign in here" in page.text
        assert "Nobody" in browser.open(f"{site.url}/").html

    def test_a_list_that_cannot_be_read_shows_nothing_and_signs_nobody_out(
        self, site: Site, tenants: Tenants, browser: FormBrowser
    ) -> None:
        join(site, browser, ADA)
        tenants.fails = True
        page = browser.open(f"{site.url}/private")
        assert page.status == 503
        assert "database" not in page.text
        assert once(browser, f"{site.url}/private").status_code in (302, 503)
        tenants.fails = False
        assert "Hello Ada Keyring" in browser.open(f"{site.url}/private").html

    def test_without_the_setting_there_is_no_such_page(
        self,
        running_site: RunningSite,
        settings: dict[str, object],
        browser: FormBrowser,
    ) -> None:
        with running_site({**settings, "ADMIN_CONSENT": False}) as site:
            assert browser.open(f"{site.url}/auth/admin-consent").status == 404
            assert once(browser, f"{site.url}/auth/admin-consent", "POST").status_code in (403, 405)
            assert not site.errors


def at_provider(page: Page, username: str) -> Page:
    """Sign in on the provider's pages."""
    return page.submit(button=username).submit(password=PASSWORD)


def join(site: Site, browser: FormBrowser, username: str) -> Page:
    """Agree for an organisation, and come back."""
    page = at_provider(browser.open(f"{site.url}/auth/admin-consent?next=/private"), username)
    return page.submit(button="Accept")
