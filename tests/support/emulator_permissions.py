"""Roles and groups from end to end, with the local identity provider and its Graph: what both
frameworks' sites must do. Subclass `EmulatorPermissions` and say how a site runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keyfob_emulator import EmulatorServer
from keyfob_emulator.sample import (
    ADMINISTRATORS_GROUP,
    DJANGO_SITE,
    DJANGO_SITE_SECRET,
    ORDER_APPROVERS_GROUP,
    PASSWORD,
)
from support.contract_base import RunningSite, Site
from support.form_browser import FormBrowser, Page

ADA, ALAN, MARGARET = (f"{name}@contoso.example" for name in ("ada", "alan", "margaret"))
GRACE = "grace@outlook.example"


class EmulatorPermissions:
    @pytest.fixture
    def running_site(self) -> RunningSite:
        raise NotImplementedError

    @pytest.fixture
    def server(self) -> Iterator[EmulatorServer]:
        with EmulatorServer() as server:
            for username in (ADA, ALAN, MARGARET, GRACE):
                server.emulator.give_consent(
                    username, DJANGO_SITE, "openid profile offline_access User.Read"
                )
            yield server

    @pytest.fixture
    def site(self, running_site: RunningSite, server: EmulatorServer) -> Iterator[Site]:
        settings = {
            "AUTHORITY": server.authority("common"),
            "CLIENT_ID": DJANGO_SITE,
            "CLIENT_SECRET": DJANGO_SITE_SECRET,
            "GROUPS": {"approvers": ORDER_APPROVERS_GROUP, "auditors": ADMINISTRATORS_GROUP},
        }
        with running_site(settings) as site:
            yield site
            assert not site.errors

    def test_roles_and_groups_open_pages_to_who_has_them(self, site: Site) -> None:
        opened = {
            ADA: {"/role"},
            ALAN: set(),
            MARGARET: {"/group"},  # through a group in a group, in an overage
            GRACE: set(),
        }
        for username, pages in opened.items():
            with FormBrowser() as browser:
                sign_in(site, browser, username)
                for path in ("/role", "/group", "/all-groups", "/both"):
                    expected = 200 if path in pages else 403
                    assert browser.open(site.url + path).status == expected, (username, path)

    def test_all_groups_of_who_has_many_are_listed(self, site: Site) -> None:
        with FormBrowser() as browser:
            sign_in(site, browser, MARGARET)
            listed = browser.open(f"{site.url}/listed").text.split()
            assert len(listed) == 242
            assert ORDER_APPROVERS_GROUP in listed

    def test_a_graph_that_is_busy_closes_the_page_and_a_later_visit_opens_it(
        self, site: Site, server: EmulatorServer
    ) -> None:
        with FormBrowser() as browser:
            sign_in(site, browser, MARGARET)
            server.emulator.fail_next("groups", status=503)
            server.emulator.fail_next("groups", status=500)
            assert browser.open(f"{site.url}/group").status == 503
            assert browser.open(f"{site.url}/group").status == 200

    def test_who_has_not_let_the_site_ask_graph_is_asked_on_the_way_in(
        self, site: Site, server: EmulatorServer
    ) -> None:
        server.emulator.withdraw_consent(MARGARET, DJANGO_SITE, "User.Read")
        with FormBrowser() as browser:
            assert sign_in(site, browser, MARGARET).url == f"{site.url}/"
            page = browser.open(f"{site.url}/group?x=1")
            assert "Sign you in and read your profile" in page.text
            page = page.submit(button="Accept")
            assert page.url == f"{site.url}/group?x=1"
            assert page.text == "open"


def sign_in(site: Site, browser: FormBrowser, username: str) -> Page:
    page = browser.open(f"{site.url}/auth/login?next=/")
    return page.submit(button=username).submit(password=PASSWORD)
