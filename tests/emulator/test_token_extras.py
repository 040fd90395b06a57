"""What is asked for beside tokens: families, lifetimes, claims, interaction, parts of a service."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from emulator.test_token_endpoint import check
from keyfob_emulator import Application, Audience, Lifetimes
from keyfob_emulator.claims_request import asked_values, merged, requested_claims
from keyfob_emulator.sample import (
    CONTOSO,
    DESKTOP_TOOL,
    FLASK_SITE,
    NIGHTLY_JOB,
    NIGHTLY_JOB_SECRET,
    ORDERS_API,
    ORDERS_API_SECRET,
    PASSWORD,
)

if TYPE_CHECKING:
    import requests

    from emulator.conftest import Client, Clock

ADA = "ada@contoso.example"
SCOPE = "openid profile offline_access User.Read"
OTHER_TOOL = "07e20000-0009-4070-9b09-000000000009"


def password_tokens(client: Client, client_id: str = DESKTOP_TOOL, **data: str) -> dict[str, Any]:
    client.client_id, client.secret, client.tenant = client_id, None, "organizations"
    client.server.emulator.give_consent(ADA, client_id, SCOPE)
    body = {"username": ADA, "password": PASSWORD, "scope": SCOPE, **data}
    response = client.token(grant_type="password", **body)
    assert response.status_code == 200, response.text
    return dict(response.json())


# Families of client ids


@pytest.fixture
def family(client: Client) -> Client:
    """Two tools of one family."""
    emulator = client.server.emulator
    first = replace(emulator.application(DESKTOP_TOOL), family="1")
    emulator.add(first)
    emulator.add(replace(first, client_id=OTHER_TOOL, name="Other tool"))
    emulator.give_consent(ADA, OTHER_TOOL, SCOPE)
    return client


def test_a_refresh_token_of_a_family_serves_its_other_members(family: Client) -> None:
    tokens = password_tokens(family)
    assert tokens["foci"] == "1"
    family.client_id = OTHER_TOOL
    answer = family.refresh(tokens["refresh_token"]).json()
    assert answer["foci"] == "1"
    assert family.claims(answer["id_token"])["aud"] == OTHER_TOOL
    family.client_id = DESKTOP_TOOL
    assert family.refresh(answer["refresh_token"]).status_code == 200


def test_a_refresh_token_of_a_family_serves_nobody_else(family: Client) -> None:
    tokens = password_tokens(family)
    emulator = family.server.emulator
    emulator.add(replace(emulator.application(OTHER_TOOL), family=None))
    family.client_id = OTHER_TOOL
    body = check(family.refresh(tokens["refresh_token"]), 400, "invalid_grant", 70000)
    assert body["error_additional_info"] == ["client_mismatch"]
    assert body["suberror"] == "client_mismatch"
    emulator.add(replace(emulator.application(OTHER_TOOL), family="2"))
    check(family.refresh(tokens["refresh_token"]), 400, "invalid_grant", 70000)


def test_a_member_of_a_family_needs_consent_of_its_own(family: Client) -> None:
    tokens = password_tokens(family)
    family.server.emulator.withdraw_consent(ADA, OTHER_TOOL)
    family.client_id = OTHER_TOOL
    check(family.refresh(tokens["refresh_token"]), 400, "invalid_grant", 65001)


def test_a_refresh_token_from_before_the_family_stays_its_clients_own(client: Client) -> None:
    tokens = password_tokens(client)
    assert "foci" not in tokens
    emulator = client.server.emulator
    first = replace(emulator.application(DESKTOP_TOOL), family="1")
    emulator.add(first)
    emulator.add(replace(first, client_id=OTHER_TOOL))
    client.client_id = OTHER_TOOL
    body = check(client.refresh(tokens["refresh_token"]), 400, "invalid_grant", 70000)
    assert "error_additional_info" not in body


# Lifetimes


def test_refresh_in_is_told_on_demand(client: Client) -> None:
    assert "refresh_in" not in password_tokens(client)
    client.server.emulator.lifetimes = Lifetimes(access_token=7200, refresh_in=3600)
    tokens = password_tokens(client)
    assert (tokens["expires_in"], tokens["ext_expires_in"], tokens["refresh_in"]) == (
        7200,
        7200,
        3600,
    )


# Claims


def test_a_challenge_comes_back_in_the_access_token(client: Client, clock: Clock) -> None:
    since = int(clock.now) - 60
    asked = {
        "access_token": {
            "xms_cc": {"values": ["cp1"]},
            "acrs": {"essential": True, "value": "c2"},
            "nbf": {"essential": True, "value": str(since)},
        }
    }
    tokens = password_tokens(client, claims=json.dumps(asked))
    claims = client.claims(tokens["access_token"])
    assert (claims["acrs"], claims["xms_cc"], claims["nbf"]) == (["c2"], ["cp1"], since)
    claims = client.claims(client.refresh(tokens["refresh_token"]).json()["access_token"])
    assert "acrs" not in claims
    assert "xms_cc" not in claims
    assert claims["nbf"] == int(clock.now) - 300


def test_claims_of_the_token_request_add_to_those_of_the_authorization(client: Client) -> None:
    first = json.dumps({"access_token": {"acrs": {"value": "c2"}, "xms_cc": {"values": ["a"]}}})
    second = json.dumps({"access_token": {"xms_cc": {"values": ["b"]}}})
    code = client.sign_in(claims=first)["code"]
    claims = client.claims(client.redeem(code, claims=second).json()["access_token"])
    assert (claims["acrs"], claims["xms_cc"]) == (["c2"], ["b"])


def test_malformed_claims_do_not_spend_a_code(client: Client) -> None:
    code = client.sign_in()["code"]
    check(client.redeem(code, claims="{"), 400, "invalid_request", 9002313)
    assert client.redeem(code).status_code == 200


@pytest.mark.parametrize(
    "asked",
    [None, "c1", {}, {"value": 1}, {"values": "c1"}, {"values": [1, None]}, {"value": ""}],
)
def test_claims_that_ask_for_nothing_readable_are_passed_over(asked: object) -> None:
    claims = {"access_token": {"acrs": asked, "xms_cc": asked, "nbf": asked}}
    assert requested_claims(claims, asked_values(claims, "acrs"), 100, 400) == {}


def test_a_challenge_never_makes_a_token_start_in_the_future_or_earlier() -> None:
    def nbf(value: str) -> object:
        return requested_claims({"access_token": {"nbf": {"value": value}}}, [], 100, 400)["nbf"]

    assert [nbf("50"), nbf("200"), nbf("9" * 15)] == [100, 200, 400]
    assert requested_claims({"access_token": {"nbf": {"value": "-1"}}}, [], 100, 400) == {}


def test_of_two_requests_for_one_claim_the_second_one_counts() -> None:
    assert merged({"a": {"x": 1, "y": 1}}, {"a": {"y": 2}, "b": {"z": None}}) == {
        "a": {"x": 1, "y": 2},
        "b": {"z": None},
    }


# Interaction


def test_interaction_can_be_required_until_the_person_comes_to_a_page(client: Client) -> None:
    tokens = client.tokens()
    emulator = client.server.emulator
    emulator.require_interaction(ADA, suberror="message_only", claims='{"access_token":{}}')
    for _ in range(2):
        body = check(client.refresh(tokens["refresh_token"]), 400, "interaction_required", 50076)
        assert (body["suberror"], body["claims"]) == ("message_only", '{"access_token":{}}')
    page = client.open()
    assert page.headings == ["Enter the password"]
    code = client.finish(page)["code"]
    assert client.redeem(code).status_code == 200
    assert client.refresh(tokens["refresh_token"]).status_code == 200


def test_what_is_required_is_told_as_a_policy_of_entra(client: Client) -> None:
    tokens = client.tokens()
    client.server.emulator.require_interaction(ADA)
    body = check(client.refresh(tokens["refresh_token"]), 400, "interaction_required", 50076)
    assert body["suberror"] == "basic_action"
    policy = json.loads(body["claims"])["access_token"]["capolids"]
    assert policy["essential"] is True
    assert len(policy["values"]) == 1


def test_a_silent_sign_in_tells_that_interaction_is_required(client: Client) -> None:
    client.tokens()
    client.server.emulator.require_interaction(ADA)
    answer = client.answer(client.open(prompt="none"))
    assert answer["error"] == "interaction_required"
    assert answer["error_description"].startswith("AADSTS50076")


def test_an_api_hears_what_its_caller_must_do(client: Client) -> None:
    client.server.emulator.give_consent(ADA, FLASK_SITE, "openid api://orders/Orders.Read")
    called_with = client.tokens(scope="openid api://orders/Orders.Read")["access_token"]
    client.server.emulator.require_interaction(ADA)
    client.client_id, client.secret = ORDERS_API, ORDERS_API_SECRET
    response = client.token(
        grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer",
        requested_token_use="on_behalf_of",
        assertion=called_with,
        scope="User.Read",
    )
    assert check(response, 400, "interaction_required", 50076)["claims"]


# Parts of a service


def app_token(client: Client, **data: str) -> requests.Response:
    client.client_id, client.secret, client.tenant = NIGHTLY_JOB, NIGHTLY_JOB_SECRET, CONTOSO
    body = {"grant_type": "client_credentials", "scope": "api://orders/.default", **data}
    return client.token(**body)


def test_an_application_token_may_be_for_a_part_of_the_application(client: Client) -> None:
    claims = client.claims(app_token(client, fmi_path="farm/house-7").json()["access_token"])
    assert claims["fmi_path"] == "farm/house-7"
    assert claims["sub"] == f"/eid1/c/pub/t/{CONTOSO}/a/{NIGHTLY_JOB}/farm/house-7"
    claims = client.claims(app_token(client).json()["access_token"])
    assert "fmi_path" not in claims
    assert claims["sub"] == claims["oid"]


@pytest.mark.parametrize("path", ["a b", "a\tb", "é", "x" * 1025])
def test_a_part_has_a_plain_name(client: Client, path: str) -> None:
    check(app_token(client, fmi_path=path), 400, "invalid_request", 90023)


def test_capabilities_show_in_application_tokens_as_well(client: Client) -> None:
    asked = json.dumps({"access_token": {"xms_cc": {"values": ["cp1"]}}})
    claims = client.claims(app_token(client, claims=asked).json()["access_token"])
    assert claims["xms_cc"] == ["cp1"]
    check(app_token(client, claims="[]"), 400, "invalid_request", 9002313)


# User federated identity credentials

AGENT, AGENT_SECRET = "a6e70000-000a-4a6e-9b0a-00000000000a", "agent-development-secret"
EXCHANGE = "api://AzureADTokenExchange/.default"


@pytest.fixture
def agent(client: Client) -> Client:
    """An application that acts for people whom an administrator consented for."""
    client.server.emulator.add(
        Application(
            AGENT,
            "Agent",
            CONTOSO,
            (AGENT_SECRET,),
            audience=Audience.MULTIPLE_TENANTS,
            admin_consented=frozenset({"openid", "profile", "offline_access", "User.Read"}),
        )
    )
    client.client_id, client.secret, client.tenant = AGENT, AGENT_SECRET, CONTOSO
    return client


def credential(client: Client, scope: str = EXCHANGE) -> str:
    answer = client.token(grant_type="client_credentials", scope=scope)
    return str(answer.json()["access_token"])


def act_for(client: Client, given: str, **data: str | None) -> requests.Response:
    body = {"grant_type": "user_fic", "user_federated_identity_credential": given, "scope": SCOPE}
    return client.token(**{**body, **data})


def test_an_agent_names_the_person_it_acts_for(agent: Client) -> None:
    ada = agent.server.emulator.account(ADA)
    by_name = act_for(agent, credential(agent), username=ADA, client_info="1").json()
    by_id = act_for(agent, credential(agent), user_id=ada.object_id).json()
    for tokens in (by_name, by_id):
        assert agent.claims(tokens["id_token"])["preferred_username"] == ADA
        assert agent.graph("/v1.0/me", tokens["access_token"]).status_code == 200
        assert agent.refresh(tokens["refresh_token"]).status_code == 200
    assert by_name["client_info"]
    assert "client_info" not in by_id


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"username": None}, "invalid_request", 9002313),
        ({"user_id": "ada00000-0a01-4ada-8001-000000000001"}, "invalid_request", 9002313),
        ({"user_federated_identity_credential": None}, "invalid_request", 900144),
        ({"user_federated_identity_credential": "x.y.z"}, "invalid_grant", 50013),
        ({"scope": None}, "invalid_request", 900144),
        ({"scope": "Mail.Read"}, "invalid_grant", 65001),
        ({"username": "who@contoso.example"}, "invalid_grant", 50034),
        ({"username": "alan@fabrikam.example"}, "invalid_grant", 50034),
        ({"username": "grace@outlook.example"}, "invalid_grant", 50034),
        ({"client_secret": None}, "invalid_client", 7000218),
    ],
)
def test_an_agent_is_refused(
    agent: Client, changes: dict[str, str | None], error: str, code: int
) -> None:
    response = act_for(agent, credential(agent), **{"username": ADA, **changes})
    check(response, 401 if error == "invalid_client" else 400, error, code)


def test_a_credential_is_the_agents_own_fresh_and_for_the_exchange(
    agent: Client, clock: Clock
) -> None:
    other = credential(agent, "api://orders/.default")
    check(act_for(agent, other, username=ADA), 400, "invalid_grant", 500131)
    persons = act_for(agent, credential(agent), username=ADA).json()["access_token"]
    check(act_for(agent, persons, username=ADA), 400, "invalid_grant", 50013)
    job = app_token(agent, scope=EXCHANGE).json()["access_token"]
    agent.client_id, agent.secret = AGENT, AGENT_SECRET
    check(act_for(agent, job, username=ADA), 400, "invalid_grant", 50013)
    own = credential(agent)
    clock.now += 3600
    check(act_for(agent, own, username=ADA), 400, "invalid_grant", 500133)
