"""The admin consent endpoint of the local provider: who may agree, for whom, and what is told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from keyfob_emulator.sample import CONTOSO, CONTOSO_PORTAL, FABRIKAM, FLASK_SITE, PASSWORD

if TYPE_CHECKING:
    from emulator.conftest import Client
    from support.form_browser import Page

ADA, ALAN, HEDY = "ada@contoso.example", "alan@contoso.example", "hedy@fabrikam.example"
REDIRECT = "http://localhost:5000/auth/callback"


def open_consent(client: Client, tenant: str = "organizations", **changes: str) -> Page:
    parameters = {
        "client_id": FLASK_SITE,
        "redirect_uri": REDIRECT,
        "scope": "https://graph.microsoft.com/.default",
        "state": "a state",
        **changes,
    }
    url = f"{client.server.url}/{tenant}/v2.0/adminconsent?{urlencode(parameters)}"
    return client.browser.open(url)


def sign_in(page: Page, username: str) -> Page:
    return page.submit(button=username).submit(password=PASSWORD)


def test_an_administrator_agrees_for_everybody_in_the_tenant(client: Client) -> None:
    page = sign_in(open_consent(client), ADA)
    assert page.headings == ["Permissions requested"]
    assert "for your organisation" in page.text
    assert "Sign you in and read your profile" in page.text
    assert client.answer(page.submit(button="Accept")) == {
        "admin_consent": "True",
        "tenant": CONTOSO,
        "scope": "https://graph.microsoft.com/.default",
        "state": "a state",
    }
    other = client.browser
    other.session.cookies.clear()
    # A colleague is not asked any more; people of other tenants are.
    page = sign_in(client.open(), ALAN)
    assert client.answer(page)["code"]
    other.session.cookies.clear()
    assert sign_in(client.open(), HEDY).headings == ["Permissions requested"]


def test_named_scopes_are_agreed_to_and_no_others(client: Client) -> None:
    page = sign_in(open_consent(client, scope="openid Mail.Read"), ADA)
    assert "Read your mail" in page.text
    assert client.answer(page.submit(button="Accept"))["scope"] == "openid Mail.Read"
    client.browser.session.cookies.clear()
    assert sign_in(client.open(), ALAN).headings == ["Permissions requested"]


@pytest.mark.parametrize("username", [ALAN, HEDY, "grace@outlook.example"])
def test_nobody_but_an_administrator_may_agree(client: Client, username: str) -> None:
    page = sign_in(open_consent(client, "common"), username)
    assert page.headings == ["Need admin approval"]
    answer = client.answer(page.submit(button="Return without consent"))
    assert (answer["error"], answer["error_subcode"]) == ("access_denied", "cancel")
    assert (answer["admin_consent"], answer["state"]) == ("True", "a state")


def test_a_guest_is_no_administrator_where_they_are_a_guest(client: Client) -> None:
    directory = client.server.emulator.directory
    hedy = directory.account(HEDY)
    assert hedy is not None
    directory.add(replace(hedy, administrator=True))
    assert sign_in(open_consent(client, CONTOSO), HEDY).headings == ["Need admin approval"]
    client.browser.session.cookies.clear()
    page = sign_in(open_consent(client, FABRIKAM), HEDY)
    assert client.answer(page.submit(button="Accept"))["tenant"] == FABRIKAM


def test_it_can_be_cancelled(client: Client) -> None:
    answer = client.answer(sign_in(open_consent(client), ADA).submit(button="Cancel"))
    assert (answer["error"], answer["admin_consent"]) == ("access_denied", "True")
    assert answer["error_description"].startswith("AADSTS65004")


def test_the_page_is_shown_each_time(client: Client) -> None:
    sign_in(open_consent(client), ADA).submit(button="Accept")
    assert open_consent(client).headings == ["Permissions requested"]


def test_an_application_of_one_tenant_is_refused_elsewhere(client: Client) -> None:
    page = open_consent(client, FABRIKAM, client_id=CONTOSO_PORTAL)
    assert "AADSTS700016" in page.text
    assert "AADSTS50011" in open_consent(client, redirect_uri="https://evil.example/").text


def test_a_scope_that_is_not_there_is_told_to_the_application(client: Client) -> None:
    answer = client.answer(open_consent(client, scope="https://nowhere.example/.default"))
    assert (answer["error"], answer["admin_consent"]) == ("invalid_resource", "True")


def test_directory_roles_are_in_tokens_where_the_application_asks_for_them(
    client: Client,
) -> None:
    directory = client.server.emulator.directory
    site = directory.application(FLASK_SITE)
    assert site is not None
    assert "wids" not in client.claims(client.tokens(ADA)["id_token"])
    directory.add(replace(site, directory_role_claims=True))
    assert len(client.claims(client.tokens(ADA)["id_token"])["wids"]) == 2
    client.browser.session.cookies.clear()
    assert len(client.claims(client.tokens(ALAN)["id_token"])["wids"]) == 1
