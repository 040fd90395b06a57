"""More than a password: authentication contexts, policies on resources, accounts that need it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from keyfob_emulator.conditional_access import ConditionalAccess
from keyfob_emulator.sample import DESKTOP_TOOL, ORDERS_API, ORDERS_API_SECRET, PASSWORD

if TYPE_CHECKING:
    import requests

    from emulator.conftest import Client

ADA = "ada@contoso.example"
GRAPH = "https://graph.microsoft.com"
ORDERS = "openid offline_access api://orders/Orders.Read"
CONFIRM = ["Confirm it is you"]


def acrs(context: str = "c1", kind: str = "access_token", essential: bool = True) -> str:
    return json.dumps({kind: {"acrs": {"essential": essential, "value": context}}})


def interaction_needed(response: requests.Response) -> dict[str, Any]:
    """The claims of an answer that only a person on a page can help."""
    body: dict[str, Any] = response.json()
    assert response.status_code == 400, body
    assert (body["error"], body["suberror"]) == ("interaction_required", "basic_action")
    assert body["error_codes"] == [50076]
    claims: dict[str, Any] = json.loads(body["claims"])
    return claims


def at_the_api(client: Client, assertion: str, **changes: str) -> requests.Response:
    return client.token(
        client_id=ORDERS_API,
        client_secret=ORDERS_API_SECRET,
        grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer",
        requested_token_use="on_behalf_of",
        assertion=assertion,
        scope=f"{GRAPH}/User.Read",
        **changes,
    )


@pytest.mark.parametrize("kind", ["access_token", "id_token"])
def test_an_authentication_context_is_reached_by_a_second_factor_on_a_page(
    client: Client, kind: str
) -> None:
    client.sign_in()
    page = client.open(claims=acrs(kind=kind))
    assert page.headings == CONFIRM
    assert ADA in page.text
    tokens = client.redeem(client.answer(page.submit(button="Approve"))["code"]).json()
    assert client.claims(tokens[kind])["acrs"] == ["c1"]
    other = "id_token" if kind == "access_token" else "access_token"
    assert "acrs" not in client.claims(tokens[other])


def test_the_password_comes_before_the_second_factor(client: Client) -> None:
    page = client.open(claims=acrs(), login_hint=ADA)
    assert page.headings == ["Enter the password"]
    assert page.submit(password="wrong").headings == ["Enter the password"]
    assert page.submit(password=PASSWORD).headings == CONFIRM


def test_the_second_factor_cannot_be_given_before_the_password(client: Client) -> None:
    page = client.open(claims=acrs(), login_hint=ADA)
    (form,) = page.forms
    forged = [*form.fields, ("action", "approve")]
    page = client.browser.send("post", page.url, forged)
    assert page.headings == ["Enter the password"]
    assert page.submit(password=PASSWORD).headings == CONFIRM


def test_who_does_not_confirm_returns_with_access_denied(client: Client) -> None:
    client.sign_in()
    answer = client.answer(client.open(claims=acrs()).submit(button="Cancel"))
    assert answer["error"] == "access_denied"
    assert client.open(claims=acrs()).headings == CONFIRM


def test_a_second_factor_holds_for_the_browsers_session_and_not_for_prompt_login(
    client: Client, other: Client
) -> None:
    client.sign_in(claims=acrs())
    assert client.answer(client.open(claims=acrs()))["code"]
    page = client.open(claims=acrs(), prompt="login", login_hint=ADA)
    assert page.submit(password=PASSWORD).headings == CONFIRM
    other.sign_in()
    assert other.open(claims=acrs()).headings == CONFIRM


def test_an_authentication_context_in_silence_is_interaction_required(client: Client) -> None:
    client.sign_in()
    answer = client.answer(client.open(prompt="none", claims=acrs()))
    assert answer["error"] == "interaction_required"
    assert answer["error_description"].startswith("AADSTS50076: ")
    client.sign_in(claims=acrs())
    assert client.answer(client.open(prompt="none", claims=acrs()))["code"]


def test_a_refresh_does_not_raise_what_a_sign_in_reached(client: Client) -> None:
    tokens = client.tokens()
    response = client.refresh(tokens["refresh_token"], claims=acrs())
    assert interaction_needed(response) == json.loads(acrs())
    # Nothing is lost: the refresh token goes on to serve, below the context.
    body = client.refresh(tokens["refresh_token"]).json()
    assert "acrs" not in client.claims(body["access_token"])


def test_a_refresh_repeats_what_a_sign_in_reached_when_it_is_asked(client: Client) -> None:
    tokens = client.tokens(claims=acrs())
    body = client.refresh(tokens["refresh_token"], claims=acrs()).json()
    assert client.claims(body["access_token"])["acrs"] == ["c1"]
    body = client.refresh(body["refresh_token"]).json()
    assert "acrs" not in client.claims(body["access_token"])


def test_a_code_is_not_spent_by_claims_it_cannot_meet(client: Client) -> None:
    code = client.sign_in()["code"]
    interaction_needed(client.redeem(code, claims=acrs()))
    assert client.redeem(code).status_code == 200


def test_a_context_that_is_not_essential_is_left_out_where_it_was_not_reached(
    client: Client,
) -> None:
    claims = acrs(essential=False)
    assert "acrs" not in client.claims(client.tokens(claims=claims)["access_token"])
    client.sign_in(claims=acrs())
    assert client.claims(client.tokens(claims=claims)["access_token"])["acrs"] == ["c1"]


def test_a_context_without_a_policy_comes_with_any_sign_in(client: Client) -> None:
    access = client.server.emulator.conditional_access
    tokens = client.tokens(claims=acrs("c2"))
    assert client.claims(tokens["access_token"])["acrs"] == ["c2"]
    access.contexts.add("c2")
    assert client.open(claims=acrs("c2")).headings == CONFIRM


def test_a_password_without_a_page_reaches_no_context(client: Client) -> None:
    client.client_id, client.secret, client.tenant = DESKTOP_TOOL, None, "organizations"
    client.server.emulator.give_consent(ADA, DESKTOP_TOOL, "openid User.Read")
    data = {"grant_type": "password", "username": ADA, "password": PASSWORD, "scope": "User.Read"}
    assert client.token(**data).status_code == 200
    interaction_needed(client.token(claims=acrs(), **data))


def test_an_account_that_needs_it_is_asked_once_in_a_browser(client: Client) -> None:
    emulator = client.server.emulator
    emulator.add(replace(emulator.account(ADA), multi_factor=True))
    page = client.open(login_hint=ADA).submit(password=PASSWORD)
    assert page.headings == CONFIRM
    tokens = client.redeem(client.finish(page)["code"]).json()
    assert client.claims(tokens["access_token"])["amr"] == ["pwd", "mfa"]
    assert client.answer(client.open())["code"]


def test_a_policy_on_an_api_asks_on_a_page_before_there_is_a_token_for_it(client: Client) -> None:
    emulator = client.server.emulator
    tokens = client.tokens(scope=ORDERS)
    emulator.require_second_factor("api://orders")
    wanted = interaction_needed(client.refresh(tokens["refresh_token"]))
    assert len(wanted["access_token"]["capolids"]["values"]) == 1
    client.server.emulator.give_consent(ADA, client.client_id, "User.Read")
    assert client.refresh(tokens["refresh_token"], scope="User.Read").status_code == 200
    assert client.open(scope=ORDERS).headings == CONFIRM
    tokens = client.tokens(scope=ORDERS)
    assert client.claims(tokens["access_token"])["scp"] == "Orders.Read"
    emulator.conditional_access.release(emulator.application(ORDERS_API))
    assert emulator.conditional_access.demand(wanted, []) is None


def test_a_policy_on_an_api_behind_an_api_is_met_by_claims_that_travel_to_the_front(
    client: Client,
) -> None:
    assertion = client.tokens(scope=ORDERS)["access_token"]
    assert at_the_api(client, assertion).status_code == 200
    client.server.emulator.require_second_factor(GRAPH)
    wanted = interaction_needed(at_the_api(client, assertion))

    # The API tells its client, and the client takes the claims to the person.
    page = client.open(scope=ORDERS, claims=json.dumps(wanted))
    assert page.headings == CONFIRM
    code = client.answer(page.submit(button="Approve"))["code"]
    assertion = client.redeem(code).json()["access_token"]
    assert at_the_api(client, assertion).status_code == 200


def test_a_context_asked_on_behalf_of_somebody_must_have_been_reached_by_them(
    client: Client,
) -> None:
    assertion = client.tokens(scope=ORDERS)["access_token"]
    assert interaction_needed(at_the_api(client, assertion, claims=acrs())) == json.loads(acrs())
    assertion = client.tokens(scope=ORDERS, claims=acrs())["access_token"]
    body = at_the_api(client, assertion, claims=acrs()).json()
    assert client.claims(body["access_token"])["acrs"] == ["c1"]


def test_consent_missing_behind_an_api_is_told_with_its_suberror(client: Client) -> None:
    assertion = client.tokens(scope=ORDERS)["access_token"]
    assert at_the_api(client, assertion).status_code == 200
    emulator = client.server.emulator
    orders = emulator.application(ORDERS_API)
    emulator.add(replace(orders, admin_consented=frozenset()))
    body = at_the_api(client, assertion).json()
    assert (body["error"], body["suberror"]) == ("invalid_grant", "consent_required")
    assert body["error_codes"] == [65001]


def test_a_policy_needs_an_api_that_there_is(client: Client) -> None:
    with pytest.raises(LookupError, match="api://nothing"):
        client.server.emulator.require_second_factor("api://nothing")


@pytest.mark.parametrize(
    "asked", [None, "c1", [], {"essential": "yes", "value": "c1"}, {"essential": True, "value": 1}]
)
def test_a_demand_is_made_of_readable_claims_only(asked: object) -> None:
    claims = {"access_token": {"acrs": asked, "capolids": asked}, "id_token": {"acrs": asked}}
    assert ConditionalAccess().demand(claims, []) is None
