"""What is in the tokens, and what the token answer says about them."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from keyfob_emulator import CONSUMERS_TENANT, GRAPH_CLIENT_ID, Lifetimes
from keyfob_emulator.sample import (
    ADMINISTRATORS_GROUP,
    CONTOSO,
    DESKTOP_TOOL,
    DJANGO_SITE,
    DJANGO_SITE_SECRET,
    FABRIKAM,
    FLASK_SITE,
    ORDERS_API,
    WAREHOUSE_GROUP,
)

if TYPE_CHECKING:
    from emulator.conftest import Client, Clock

ADA, HEDY, GRACE = "ada@contoso.example", "hedy@fabrikam.example", "grace@outlook.example"
ORDERS = "openid offline_access api://orders/Orders.Read"


def test_an_id_token_says_who_signed_in_to_what(client: Client, clock: Clock) -> None:
    claims = client.claims(client.tokens()["id_token"])
    ada = client.server.emulator.account(ADA)
    now = int(clock.now)
    expected = {
        "aud": FLASK_SITE,
        "iss": f"{client.server.url}/{CONTOSO}/v2.0",
        "tid": CONTOSO,
        "oid": ada.object_id,
        "name": "Ada Keyring",
        "preferred_username": ADA,
        "nonce": "a nonce",
        "roles": ["Admin", "Orders.Approve"],
        "groups": [ADMINISTRATORS_GROUP, WAREHOUSE_GROUP],
        "ver": "2.0",
        "iat": now - 300,
        "nbf": now - 300,
        "exp": now + 3600,
    }
    assert {name: claims[name] for name in expected} == expected
    assert {"sub", "uti", "rh", "sid", "login_hint"} <= set(claims)
    assert not {"at_hash", "auth_time", "email", "idp"} & set(claims)


def test_optional_claims_come_when_they_are_asked_for(client: Client) -> None:
    client.server.emulator.include_at_hash = True
    tokens = client.tokens(scope="openid email")
    claims = client.claims(tokens["id_token"])
    assert claims["email"] == ADA
    assert not {"name", "oid", "preferred_username"} & set(claims)  # no "profile" scope
    half = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
    assert claims["at_hash"] == base64.urlsafe_b64encode(half).rstrip(b"=").decode()


def test_a_request_without_nonce_gets_an_id_token_without_one(client: Client) -> None:
    assert "nonce" not in client.claims(client.tokens(nonce=None)["id_token"])


def test_the_subject_is_stable_and_another_one_for_each_application(client: Client) -> None:
    first = client.claims(client.tokens()["id_token"])["sub"]
    assert client.claims(client.tokens()["id_token"])["sub"] == first
    client.client_id, client.secret = DJANGO_SITE, DJANGO_SITE_SECRET
    assert client.claims(client.tokens()["id_token"])["sub"] != first


def test_a_guest_has_the_tenants_object_id_and_the_home_issuer(client: Client) -> None:
    tokens = client.tokens(HEDY, tenant="contoso.example", client_info=1)
    claims = client.claims(tokens["id_token"])
    hedy = client.server.emulator.account(HEDY)
    assert claims["tid"] == CONTOSO
    assert claims["oid"] == hedy.guest_in[CONTOSO] != hedy.object_id
    assert FABRIKAM in claims["idp"]
    padded = tokens["client_info"] + "=="
    info = json.loads(base64.urlsafe_b64decode(padded + "=" * (-len(padded) % 4)))
    assert info == {"uid": hedy.object_id, "utid": FABRIKAM}


def test_a_personal_account_is_signed_for_by_the_consumers_key(client: Client) -> None:
    tokens = client.tokens(GRACE)
    claims = client.claims(tokens["id_token"], "consumers")
    assert claims["tid"] == CONSUMERS_TENANT
    assert claims["iss"] == f"{client.server.url}/{CONSUMERS_TENANT}/v2.0"


def test_a_graph_token_is_version_one_and_names_its_permissions(client: Client) -> None:
    tokens = client.tokens(scope="openid profile User.Read")
    claims = client.claims(tokens["access_token"])
    assert claims["aud"] == GRAPH_CLIENT_ID
    assert claims["iss"] == f"{client.server.url}/{CONTOSO}/"
    assert claims["ver"] == "1.0"
    assert claims["appid"] == FLASK_SITE
    assert claims["appidacr"] == "1"
    assert claims["scp"].split() == ["openid", "profile", "User.Read"]
    assert claims["upn"] == ADA
    assert claims["idtyp"] == "user"
    assert tokens["scope"].split() == ["User.Read", "openid", "profile"]


@pytest.mark.parametrize("spelling", ["https://graph.microsoft.com", "{base}", "{secure}"])
def test_graph_may_be_named_by_its_address_and_is_the_audience_then(
    client: Client, spelling: str
) -> None:
    base = client.server.url
    prefix = spelling.format(base=base, secure=base.replace("http:", "https:"))
    tokens = client.tokens(scope=f"openid {prefix}/User.Read")
    assert client.claims(tokens["access_token"])["aud"] == prefix
    assert f"{prefix}/User.Read" in tokens["scope"].split()
    assert client.graph("/v1.0/me", tokens["access_token"]).status_code == 200


def test_an_api_token_is_version_two_for_the_apis_client_id(client: Client) -> None:
    tokens = client.tokens(scope=ORDERS)
    claims = client.claims(tokens["access_token"])
    assert claims["aud"] == ORDERS_API
    assert claims["iss"] == f"{client.server.url}/{CONTOSO}/v2.0"
    assert claims["ver"] == "2.0"
    assert claims["azp"] == FLASK_SITE
    assert claims["scp"] == "Orders.Read"
    assert claims["roles"] == ["Admin"]
    assert claims["preferred_username"] == ADA
    assert tokens["scope"] == "api://orders/Orders.Read"


def test_a_version_one_api_is_named_by_its_uri(client: Client) -> None:
    state = client.server.emulator
    state.add(replace(state.application(ORDERS_API), access_token_version=1))
    claims = client.claims(client.tokens(scope=ORDERS)["access_token"])
    assert claims["aud"] == "api://orders"
    assert claims["ver"] == "1.0"


def test_a_token_holds_all_permissions_consented_for_its_resource(client: Client) -> None:
    client.tokens(scope="openid User.Read Mail.Read")
    tokens = client.tokens(scope="openid User.Read")
    assert set(client.claims(tokens["access_token"])["scp"].split()) == {
        "openid",
        "User.Read",
        "Mail.Read",
    }


def test_default_means_what_is_registered_and_then_what_was_consented(client: Client) -> None:
    tokens = client.tokens(scope="openid https://graph.microsoft.com/.default")
    assert "User.Read" in client.claims(tokens["access_token"])["scp"].split()
    client.server.emulator.give_consent(ADA, FLASK_SITE, "Mail.Read")
    tokens = client.tokens(scope="openid https://graph.microsoft.com/.default")
    assert "Mail.Read" in client.claims(tokens["access_token"])["scp"].split()


def test_scope_names_ignore_case_and_come_back_as_registered(client: Client) -> None:
    tokens = client.tokens(scope="openid user.read")
    assert "User.Read" in tokens["scope"].split()


def test_the_answer_has_the_members_of_entras(client: Client) -> None:
    client.server.emulator.lifetimes = Lifetimes(access_token=1234)
    response = client.redeem(client.sign_in(client_info=1)["code"])
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Pragma"] == "no-cache"
    body = response.json()
    assert set(body) == {
        "token_type",
        "scope",
        "expires_in",
        "ext_expires_in",
        "access_token",
        "refresh_token",
        "id_token",
        "client_info",
    }
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == body["ext_expires_in"] == 1234


def test_refresh_and_id_token_come_only_with_their_scopes(client: Client) -> None:
    assert "refresh_token" not in client.tokens(scope="openid User.Read")
    assert "id_token" not in client.tokens(scope="offline_access User.Read")


def test_openid_scopes_alone_give_a_graph_token(client: Client) -> None:
    claims = client.claims(client.tokens(scope="openid profile")["access_token"])
    assert claims["aud"] == GRAPH_CLIENT_ID
    assert claims["scp"] == "openid profile"


def test_a_public_client_is_marked_as_such(client: Client) -> None:
    client.client_id, client.secret = DESKTOP_TOOL, None
    client.redirect_uri = "http://localhost:5000"
    claims = client.claims(client.tokens()["access_token"])
    assert claims["appidacr"] == "0"


def test_client_capabilities_reach_the_access_token(client: Client) -> None:
    wanted = json.dumps({"access_token": {"xms_cc": {"values": ["cp1"]}}})
    assert client.claims(client.tokens(claims=wanted)["access_token"])["xms_cc"] == ["cp1"]
    for odd in ({"access_token": {"xms_cc": None}}, {"access_token": {"xms_cc": {"values": 1}}}):
        tokens = client.tokens(claims=json.dumps(odd))
        assert "xms_cc" not in client.claims(tokens["access_token"])
