"""User flows on the way back: forgotten passwords, cancelling, hostile answers, no circles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from keyfob.errors import IdTokenError
from keyfob.web import Answer
from keyfob.web.user_flows import proven_identity
from keyfob_emulator import EmulatorServer
from keyfob_emulator.sample_customers import B2C_DOMAIN, SHOP, SHOP_SECRET
from support.bare_site import BareSite
from support.form_browser import FormBrowser

FORGOTTEN = "AADB2C90118: The user has forgotten their password.\r\nCorrelation ID: 1"
CANCELLED = "AADB2C90091: The user has cancelled.\r\nCorrelation ID: 1"
FLOWS = {"edit_profile": "B2C_1_edit_profile", "reset_password": "B2C_1_reset_password"}


@pytest.fixture(scope="module")
def server() -> Iterator[EmulatorServer]:
    with EmulatorServer() as server:
        yield server


@pytest.fixture
def settings(server: EmulatorServer) -> dict[str, object]:
    return {
        "AUTHORITY": f"{server.url}/{B2C_DOMAIN}/B2C_1_susi",
        "USER_FLOWS": FLOWS,
        "CLIENT_ID": SHOP,
        "CLIENT_SECRET": SHOP_SECRET,
        "SCOPES": [f"https://{B2C_DOMAIN}/shop/Basket.Read"],
    }


@pytest.fixture
def site(settings: dict[str, object]) -> Iterator[BareSite]:
    with BareSite(settings) as site:
        yield site


def state_of(answer: Answer) -> str:
    return parse_qs(urlsplit(answer.location).query)["state"][0]


def refused(site: BareSite, query: str, description: str, **more: str) -> Answer:
    """A trip that the provider ends with `access_denied`."""
    answer = {"error": "access_denied", "error_description": description, **more}
    state = state_of(site.login(query))
    return site.callback(f"/auth/callback?{urlencode({'state': state, **answer})}")


def code_of(answer: Answer) -> tuple[int, str]:
    assert answer.page is not None, answer
    return answer.status, answer.page.code


def come_through(site: BareSite, server: EmulatorServer, query: str = "") -> Answer:
    """A whole sign-in of a customer's."""
    with FormBrowser(stop_at=("http://localhost:5000/",)) as browser:
        page = browser.open(site.login(query).location)
        page = page.submit(button="elisa@shop.example")
        if page.headings == ["Enter the password"]:
            password = server.emulator.account("elisa@shop.example").password
            page = page.submit(password=password)
        if page.headings in (["Edit your profile"], ["Set a new password"]):
            fields = {"new_password": "a new password"} if "new" in page.headings[0] else {}
            page = page.submit(button="Continue", **fields)
        return site.callback(page.url)


class TestForgottenPasswords:
    def test_lead_to_the_flow_for_them(self, site: BareSite) -> None:
        answer = refused(site, "next=/orders", FORGOTTEN)
        assert (answer.status, answer.location) == (
            302,
            "/auth/login?next=%2Forders&flow=reset_password",
        )
        sent = site.login(urlsplit(answer.location).query)
        assert "/b2c_1_reset_password/oauth2/v2.0/authorize" in sent.location

    def test_of_an_account_that_is_added_leave_the_others_where_they_are(
        self, settings: dict[str, Any]
    ) -> None:
        with BareSite({**settings, "MAX_ACCOUNTS": 2}) as site:
            location = refused(site, "next=/orders&add=1", FORGOTTEN).location
            assert location == "/auth/login?next=%2Forders&flow=reset_password&add=1"

    def test_lead_nowhere_from_that_flow_itself(self, site: BareSite) -> None:
        assert code_of(refused(site, "flow=reset_password", FORGOTTEN)) == (403, "access_denied")

    def test_lead_to_a_page_where_there_is_no_such_flow(self, settings: dict[str, Any]) -> None:
        with BareSite({**settings, "USER_FLOWS": {"edit_profile": "B2C_1_edit_profile"}}) as site:
            assert code_of(refused(site, "", FORGOTTEN)) == (403, "access_denied")

    def test_belong_to_azure_ad_b2c(self, server: EmulatorServer) -> None:
        other = {
            "AUTHORITY": server.authority("common"),
            "CLIENT_ID": "f1a5c000-0001-4f1a-9b01-000000000001",
            "CLIENT_SECRET": "x",
        }
        with BareSite(other) as site:
            assert code_of(refused(site, "", FORGOTTEN)) == (403, "access_denied")
            assert code_of(refused(site, "", CANCELLED)) == (403, "access_denied")

    def test_come_to_no_attempt_but_that_of_this_browser(self, site: BareSite) -> None:
        query = urlencode({"error": "access_denied", "error_description": FORGOTTEN, "state": "x"})
        assert code_of(site.callback(f"/auth/callback?{query}")) == (400, "no_attempt")

    def test_lead_on_once_for_each_attempt(self, site: BareSite) -> None:
        state, kept = state_of(site.login()), dict(site.cookies)
        query = urlencode(
            {"error": "access_denied", "error_description": FORGOTTEN, "state": state}
        )
        assert site.callback(f"/auth/callback?{query}").status == 302
        site.cookies.update(kept)
        assert code_of(site.callback(f"/auth/callback?{query}")) == (400, "no_attempt")


class TestCancelling:
    def test_goes_back_to_the_page(self, site: BareSite) -> None:
        answer = refused(site, "next=/shop&flow=edit_profile", CANCELLED)
        assert (answer.status, answer.location) == (302, "/shop")

    def test_goes_back_within_the_site_only(self, site: BareSite) -> None:
        answer = refused(site, "next=//evil.example/&flow=edit_profile", CANCELLED)
        assert answer.location == "/"

    @pytest.mark.parametrize("sent", ["cross-site", "none", "same-site", ""])
    def test_stops_at_a_page_where_a_guard_would_send_them_back(
        self, site: BareSite, sent: str
    ) -> None:
        back = refused(site, "next=/private", CANCELLED)
        answer = site.get(back.location)
        assert answer is not None
        site.headers = {"sec-fetch-site": sent} if sent else {}
        stopped = site.login(urlsplit(answer.location).query)
        assert code_of(stopped) == (403, "access_denied")
        assert stopped.page is not None
        # The page's own way on is open: it comes once.
        again = site.login(urlsplit(stopped.page.retry_url).query)
        assert "/b2c_1_susi/" in again.location

    def test_does_not_stand_in_the_way_of_a_link(self, site: BareSite) -> None:
        refused(site, "next=/", CANCELLED)
        site.headers = {"sec-fetch-site": "same-origin"}
        assert "/b2c_1_susi/" in site.login("next=/").location


class TestAttemptsAndDocuments:
    def test_the_flow_is_kept_with_the_tokens(self, site: BareSite, server: EmulatorServer) -> None:
        come_through(site, server)
        document = site.keyfob.document()
        assert document is not None
        assert document.user_flow == ""
        assert b'"flow"' not in document.to_bytes()
        come_through(site, server, "flow=edit_profile")
        document = site.keyfob.document()
        assert document is not None
        assert document.user_flow == "edit_profile"

    def test_another_machine_renews_tokens_at_the_same_flow(
        self, site: BareSite, server: EmulatorServer
    ) -> None:
        come_through(site, server, "flow=edit_profile")
        with site.another_machine() as other:
            assert other.keyfob.token(scopes=site.app.settings.scopes, force_refresh=True)

    def test_tokens_of_a_flow_that_was_taken_out_are_the_persons_to_renew(
        self, site: BareSite, server: EmulatorServer, settings: dict[str, Any]
    ) -> None:
        come_through(site, server, "flow=edit_profile")
        with BareSite({**settings, "USER_FLOWS": {}}, site.store) as other:
            other.session = site.session
            request = other.request("/private")
            site.clock_offset = other.clock_offset = 4000
            answer = other.guard(request, scopes=list(other.app.settings.scopes))
            assert answer is not None
            assert answer.location.startswith("/auth/login?")

    def test_the_person_is_the_same_whichever_flow_they_came_through(
        self, site: BareSite, server: EmulatorServer
    ) -> None:
        for query in ("", "flow=edit_profile", "flow=reset_password"):
            come_through(site, server, query)
        assert len({(each.issuer, each.subject) for each in site.established}) == 1
        issuers = {each.claims["iss"] for each in site.established}
        assert len(issuers) == 2, "one flow has itself in its issuer"


@pytest.mark.parametrize(
    ("asked", "answered"), [("edit_profile", ""), ("", "edit_profile"), ("", "reset_password")]
)
def test_a_token_of_another_flow_signs_nobody_in(
    site: BareSite, server: EmulatorServer, asked: str, answered: str
) -> None:
    """The metadata of one flow lead to the endpoints of another: key and issuer are the same."""
    client = site.app.client_for(asked)
    metadata, other = client.metadata(), site.app.client_for(answered).metadata()
    provider = client._client.provider
    held = provider._metadata
    assert held is not None
    swapped = replace(other, issuer=other.issuer if answered else metadata.issuer)
    provider._metadata = replace(held, value=swapped)
    answer = come_through(site, server, f"flow={asked}")
    assert code_of(answer) == (502, "user_flow")
    assert not site.is_signed_in


class TestWhoItIs:
    def test_a_token_that_names_no_flow_proves_nobody_at_another_than_the_sign_ins(
        self, site: BareSite, server: EmulatorServer
    ) -> None:
        claims = {"iss": site.app.client.metadata().issuer, "sub": "somebody"}
        assert proven_identity(site.app, "", claims).subject == "somebody"
        with pytest.raises(IdTokenError):
            proven_identity(site.app, "edit_profile", claims)

    @pytest.mark.parametrize(
        "issuer",
        [
            "https://contoso.b2clogin.com/99999999-9999-4999-8999-999999999999/v2.0/",
            "https://contoso.b2clogin.com/tfp/contoso.example/b2c_1_edit_profile/v2.0/",
        ],
    )
    def test_an_issuer_of_another_tenant_is_another_person(
        self, site: BareSite, issuer: str
    ) -> None:
        claims = {"iss": issuer, "sub": "somebody", "tfp": "b2c_1_edit_profile"}
        assert proven_identity(site.app, "edit_profile", claims).issuer == issuer
