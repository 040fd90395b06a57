"""Consent, kept forms and fresh proofs with the local identity provider, over real sockets: what
both frameworks' sites must do. Subclass `EmulatorConsent` and say how a site runs."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from keyfob_emulator import EmulatorServer
from keyfob_emulator.sample import DJANGO_SITE, DJANGO_SITE_SECRET, PASSWORD
from support.contract_base import RunningSite, Site
from support.contract_kept_forms import sent
from support.form_browser import FormBrowser, Page

ADA = "ada@contoso.example"


def accepted(page: Page) -> Page:
    """Give the password, choose the account, and agree, where that is asked."""
    for _ in range(4):
        buttons = [button.text for form in page.forms for button in form.buttons]
        if any("password" in form.names() for form in page.forms):
            page = page.submit(button="Sign in", password=PASSWORD)
        elif any(ADA in text for text in buttons):
            page = page.submit(button=ADA)
        elif "Accept" in buttons:
            page = page.submit(button="Accept")
    return page


class EmulatorConsent:
    @pytest.fixture
    def running_site(self) -> RunningSite:
        raise NotImplementedError

    @pytest.fixture
    def server(self) -> Iterator[EmulatorServer]:
        with EmulatorServer() as server:
            yield server

    @pytest.fixture
    def site(self, running_site: RunningSite, server: EmulatorServer) -> Iterator[Site]:
        graph = {"base_url": f"{server.url}/v1.0", "scopes": ["User.Read"]}
        mail = {"base_url": f"{server.url}/v1.0", "scopes": ["Mail.Read"]}
        settings = {
            "AUTHORITY": server.authority("common"),
            "CLIENT_ID": DJANGO_SITE,
            "CLIENT_SECRET": DJANGO_SITE_SECRET,
            "DOWNSTREAM_APIS": {"api": graph, "mail": mail},
        }
        with running_site(settings) as site:
            yield site
            assert not site.errors

    def test_a_form_waits_for_a_consent_that_is_asked_for(
        self, site: Site, browser: FormBrowser
    ) -> None:
        page = browser.open(f"{site.url}/order").submit(button="Order", thing="a book")
        assert page.headings == ["One more step"]
        page = accepted(page.follow("Continue"))
        assert urlsplit(page.url).path == "/auth/resume"
        assert "a book" in page.text
        assert sent(page.submit(button="Send it"))["thing"] == ["a book"]

    def test_a_fresh_proof_is_one_that_the_provider_dates(
        self, site: Site, browser: FormBrowser
    ) -> None:
        accepted(browser.open(f"{site.url}/private"))
        # As at Microsoft, an ID token says when only where that was asked for.
        assert "auth_time" not in browser.open(f"{site.url}/claims").response.json()
        assert accepted(browser.open(f"{site.url}/recent")).text == "recent"
        assert "auth_time" in browser.open(f"{site.url}/claims").response.json()
