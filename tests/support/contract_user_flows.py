"""Azure AD B2C's user flows, with the local identity provider, over real sockets: what both
frameworks' sites must do. Subclass `UserFlowsContract` and say how a site with its pages runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from keyfob_emulator import EmulatorServer
from keyfob_emulator.sample import PASSWORD
from keyfob_emulator.sample_customers import B2C_DOMAIN, SHOP, SHOP_SECRET
from support.contract_base import RunningSite, Site, once, who
from support.form_browser import FormBrowser, Page
from support.provider import Provider

ELISA = "elisa@shop.example"
BASKET = f"https://{B2C_DOMAIN}/shop/Basket.Read"


class UserFlowsContract:
    @pytest.fixture
    def running_site(self) -> RunningSite:
        raise NotImplementedError

    @pytest.fixture
    def server(self) -> Iterator[EmulatorServer]:
        with EmulatorServer() as server:
            yield server

    @pytest.fixture
    def settings(self, server: EmulatorServer) -> dict[str, object]:
        return {
            "AUTHORITY": f"{server.url}/{B2C_DOMAIN}/B2C_1_susi",
            "USER_FLOWS": {
                "edit_profile": "B2C_1_edit_profile",
                "reset_password": "B2C_1_reset_password",
                "sign_up": "B2C_1_sign_up",
            },
            "CLIENT_ID": SHOP,
            "CLIENT_SECRET": SHOP_SECRET,
            "SCOPES": [BASKET],
            "DOWNSTREAM_APIS": {"api": {"base_url": "http://localhost:1/", "scopes": [BASKET]}},
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

    def test_whoever_edits_their_profile_is_the_same_person_with_new_claims(
        self, site: Site, browser: FormBrowser
    ) -> None:
        before = sign_in(site, browser)
        page = browser.open(f"{site.url}/links").follow("Edit")
        assert page.headings == ["Edit your profile"]
        page = page.submit(button="Continue", name="Elisa Bolt")
        assert (page.url, who(page)) == (f"{site.url}/profile", "Elisa Bolt")
        after = renewed(site, browser)
        assert after["key"] == before["key"]
        assert after.get("user") == before.get("user")

    def test_a_view_may_send_somebody_who_is_signed_in_to_a_flow(
        self, site: Site, browser: FormBrowser
    ) -> None:
        sign_in(site, browser)
        page = browser.open(f"{site.url}/edit")
        assert page.headings == ["Edit your profile"]

    def test_a_link_leads_to_the_authority_that_has_the_flow(
        self, running_site: RunningSite, settings: dict[str, object], browser: FormBrowser
    ) -> None:
        with (
            Provider() as staff,
            running_site({**staff.settings(), "AUTHORITIES": {"customers": settings}}) as site,
        ):
            for _ in range(2):
                html = browser.open(f"{site.url}/links").html
                assert html.count('href="/auth/login/customers?') == 2
                browser.open(f"{site.url}/private")  # as one of the site's own people
            assert not site.errors

    def test_tokens_are_renewed_at_the_flow_that_the_person_came_through(
        self, site: Site, browser: FormBrowser
    ) -> None:
        """Elsewhere: AADB2C90088, the grant has not been issued for this endpoint."""
        assert sign_in(site, browser)["tfp"] == "b2c_1_susi"
        browser.open(f"{site.url}/links").follow("Edit").submit(button="Continue")
        assert renewed(site, browser)["tfp"] == "b2c_1_edit_profile"
        assert renewed(site, browser)["tfp"] == "b2c_1_edit_profile"

    def test_a_forgotten_password_leads_on_by_itself(
        self, site: Site, browser: FormBrowser
    ) -> None:
        page = browser.open(f"{site.url}/private").submit(button=ELISA)
        page = page.submit(button="Forgot your password?")
        assert page.headings == ["Pick an account"]
        page = page.submit(button=ELISA).submit(button="Continue", new_password="a new password")
        assert page.url == f"{site.url}/private"
        assert "Hello Elisa Bolzen" in page.html
        renewed_at = renewed(site, browser)
        assert renewed_at["acr"] == "b2c_1_reset_password"
        with FormBrowser() as other:
            # This flow has itself in its issuer; the person is the same all the same.
            again = sign_in(site, other, "a new password")
            assert again["key"] == renewed_at["key"]

    def test_whoever_signs_up_is_signed_in(self, site: Site, browser: FormBrowser) -> None:
        page = browser.open(f"{site.url}/links").follow("Sign up")
        filled = {"email": "mabel@shop.example", "name": "Mabel", "new_password": "long enough"}
        page = page.submit(button="Create", **filled)
        assert (page.url, who(page)) == (f"{site.url}/profile", "Mabel")
        assert renewed(site, browser)["tfp"] == "b2c_1_sign_up"

    def test_whoever_cancels_is_back_where_they_were(
        self, site: Site, browser: FormBrowser
    ) -> None:
        sign_in(site, browser)
        page = browser.open(f"{site.url}/links").follow("Edit").submit(button="Cancel")
        assert (page.status, page.url, who(page)) == (200, f"{site.url}/profile", "Elisa Bolzen")

    def test_whoever_cancels_before_a_guarded_page_reads_so_and_can_try_again(
        self, site: Site, browser: FormBrowser
    ) -> None:
        page = browser.open(f"{site.url}/private").submit(button="Cancel")
        assert (page.status, page.headings) == (403, ["Sign-in was cancelled"])
        assert page.follow("Try again").headings == ["Pick an account"]

    def test_cancelling_the_new_password_ends_in_no_circle(
        self, site: Site, browser: FormBrowser
    ) -> None:
        page = browser.open(f"{site.url}/private").submit(button=ELISA)
        page = page.submit(button="Forgot your password?").submit(button="Cancel")
        assert page.headings == ["Sign-in was cancelled"]

    def test_a_flow_that_is_not_in_the_settings_is_passed_over(
        self, site: Site, browser: FormBrowser
    ) -> None:
        for named in ("no_such_flow", "B2C_1_edit_profile", "../x", "%00", "x" * 3000):
            sent = once(browser, f"{site.url}/auth/login?flow={named}").headers["Location"]
            assert urlsplit(sent).path == f"/{B2C_DOMAIN}/b2c_1_susi/oauth2/v2.0/authorize"

    def test_a_developers_link_to_no_flow_is_told_to_them(
        self, running_site: RunningSite, settings: dict[str, object], browser: FormBrowser
    ) -> None:
        with running_site(settings) as site:
            page = browser.open(f"{site.url}/wrong-link")
            assert page.status >= 500
            assert any("no_such_flow" in line for line in [*site.log, *map(str, site.errors)])

    def test_signing_out_goes_to_the_flow_that_the_person_came_through(
        self, site: Site, browser: FormBrowser
    ) -> None:
        sign_in(site, browser)
        browser.open(f"{site.url}/links").follow("Edit").submit(button="Continue")
        page = browser.open(f"{site.url}/").submit(button="Sign out")
        assert any("/b2c_1_edit_profile/oauth2/v2.0/logout" in hop for hop in page.hops)

    def test_an_answer_of_one_flow_finishes_no_attempt_at_another(
        self, site: Site, browser: FormBrowser
    ) -> None:
        sent = once(browser, f"{site.url}/auth/login?flow=edit_profile").headers["Location"]
        edit = parse_qs(urlsplit(sent).query)["state"][0]
        page = browser.open(f"{site.url}/private").submit(button=ELISA)
        browser.stop_at = (f"{site.url}/auth/callback",)
        answer = parse_qs(urlsplit(page.submit(password=PASSWORD).url).query)
        browser.stop_at = ()
        url = f"{site.url}/auth/callback?code={answer['code'][0]}&state={edit}"
        assert browser.open(url).status >= 400
        assert who(browser.open(f"{site.url}/profile")) == "Nobody"


def sign_in(site: Site, browser: FormBrowser, password: str = PASSWORD) -> dict[str, Any]:
    """Sign in as Elisa; what a renewed token says."""
    page: Page = browser.open(f"{site.url}/private").submit(button=ELISA)
    page = page.submit(password=password)
    assert page.url == f"{site.url}/private", page.text
    return renewed(site, browser)


def renewed(site: Site, browser: FormBrowser) -> dict[str, Any]:
    found: dict[str, Any] = browser.open(f"{site.url}/renewed").response.json()
    return found
