"""Names and passwords without a page, and who checks the password of which name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from emulator.test_token_endpoint import check
from keyfob_emulator.sample import CONTOSO, DESKTOP_TOOL, FABRIKAM, FLASK_SITE, PASSWORD

if TYPE_CHECKING:
    import requests

    from emulator.conftest import Client

ADA, HEDY, JOAN = "ada@contoso.example", "hedy@fabrikam.example", "joan@fabrikam.example"
GRACE, KATHERINE = "grace@outlook.example", "katherine@northwind.example"
SCOPE = "openid profile offline_access User.Read"


@pytest.fixture
def tool(client: Client) -> Client:
    client.client_id, client.secret, client.tenant = DESKTOP_TOOL, None, "organizations"
    for username in (ADA, HEDY, KATHERINE):
        client.server.emulator.give_consent(username, DESKTOP_TOOL, SCOPE)
    return client


def ask(
    client: Client, username: str = ADA, *, tenant: str | None = None, **data: str | None
) -> requests.Response:
    body: dict[str, str | None] = {
        "grant_type": "password",
        "username": username,
        "password": PASSWORD,
        "scope": SCOPE,
        **data,
    }
    return client.token(tenant=tenant, **body)


def test_a_name_and_a_password_are_worth_tokens(tool: Client) -> None:
    tokens = ask(tool, client_info="1").json()
    assert tool.claims(tokens["id_token"])["preferred_username"] == ADA
    assert tool.graph("/v1.0/me", tokens["access_token"]).json()["displayName"] == "Ada Keyring"
    assert tool.refresh(tokens["refresh_token"]).status_code == 200
    assert tokens["client_info"]
    assert "client_info" not in ask(tool).json()


def test_a_guest_gets_tokens_of_the_tenant_that_was_asked(tool: Client) -> None:
    claims = tool.claims(ask(tool, HEDY, tenant=CONTOSO).json()["id_token"], CONTOSO)
    assert claims["tid"] == CONTOSO
    assert tool.claims(ask(tool, HEDY).json()["id_token"])["tid"] == FABRIKAM


@pytest.mark.parametrize(
    ("username", "changes", "error", "code"),
    [
        (ADA, {"password": "wrong"}, "invalid_grant", 50126),
        (ADA, {"password": None}, "invalid_request", 900144),
        ("", {}, "invalid_request", 900144),
        (ADA, {"scope": None}, "invalid_request", 900144),
        (ADA, {"tenant": "fabrikam.example"}, "invalid_grant", 50020),
        ("who@contoso.example", {}, "invalid_grant", 50034),
        (GRACE, {}, "invalid_grant", 50034),
        (JOAN, {}, "invalid_grant", 50057),
        (JOAN, {"password": "wrong"}, "invalid_grant", 50126),
        (KATHERINE, {}, "invalid_grant", 50126),
        (ADA, {"scope": "Mail.Read"}, "invalid_grant", 65001),
        (ADA, {"tenant": "common"}, "invalid_request", 9001023),
        (GRACE, {"tenant": "consumers"}, "invalid_request", 9001023),
    ],
)
def test_passwords_are_refused_as_at_entra(
    tool: Client, username: str, changes: dict[str, str | None], error: str, code: int
) -> None:
    check(ask(tool, username, **changes), 400, error, code)


def test_an_account_that_needs_more_than_a_password_is_refused(tool: Client) -> None:
    emulator = tool.server.emulator
    emulator.add(replace(emulator.account(ADA), multi_factor=True))
    check(ask(tool, password="wrong"), 400, "invalid_grant", 50126)
    body = check(ask(tool), 400, "invalid_grant", 50076)
    assert body["suberror"] == "basic_action"


def test_a_client_without_credentials_must_be_allowed_public_flows(tool: Client) -> None:
    emulator = tool.server.emulator
    emulator.add(replace(emulator.application(DESKTOP_TOOL), public_flows=False))
    check(ask(tool), 401, "invalid_client", 7000218)


def test_a_client_with_a_secret_may_use_passwords(client: Client) -> None:
    client.tenant = "organizations"
    client.server.emulator.give_consent(ADA, FLASK_SITE, SCOPE)
    assert ask(client).status_code == 200
    check(ask(client, client_secret=None), 401, "invalid_client", 7000218)


# User realms


def realm(client: Client, username: str, query: str = "?api-version=1.0") -> requests.Response:
    return client.http.get(f"{client.server.url}/common/userrealm/{username}{query}")


def test_a_realm_is_managed_federated_or_unknown(client: Client) -> None:
    told = realm(client, ADA).json()
    assert (told["account_type"], told["domain_name"]) == ("Managed", "contoso.example")
    assert told["cloud_audience_urn"] == "urn:federation:MicrosoftOnline"
    assert "federation_metadata_url" not in told
    told = realm(client, KATHERINE.upper()).json()
    service = f"{client.server.url}/adfs/services/trust"
    assert told["account_type"] == "Federated"
    assert told["federation_protocol"] == "WSTrust"
    assert told["federation_metadata_url"] == f"{service}/mex"
    assert told["federation_active_auth_url"] == f"{service}/2005/usernamemixed"
    for username in (GRACE, "who@nowhere.example", "contoso.example", "x"):
        assert realm(client, username).json()["account_type"] == "Unknown"


def test_a_realm_depends_on_the_domain_and_tells_nothing_of_people(client: Client) -> None:
    answer = realm(client, "who@contoso.example").json()
    assert answer == realm(client, ADA).json()


def test_the_version_of_the_interface_must_be_known(client: Client) -> None:
    check(realm(client, ADA, ""), 400, "invalid_request", 900144)
    check(realm(client, ADA, "?api-version=9"), 400, "invalid_request", 90023)
    client.server.emulator.fail_next("userrealm", status=404)
    assert realm(client, ADA).status_code == 404
