"""A web API at the local identity provider that goes on in its caller's name, or in its own."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from emulator.conftest import Client, Clock
from keyfob.errors import CallerMustInteract, InteractionRequired
from keyfob.web import WebApplication, load_settings
from keyfob.web.caller import Caller
from keyfob.web.identity import Identity
from keyfob.web.stores import MemoryStore
from keyfob_emulator import EmulatorServer
from keyfob_emulator.sample import ORDERS_API, ORDERS_API_SECRET

ADA = "ada@contoso.example"


@pytest.fixture
def api(server: EmulatorServer, clock: Clock) -> Iterator[WebApplication]:
    """The orders API, which serves every tenant and calls Graph."""
    settings = {
        "CLIENT_ID": ORDERS_API,
        "CLIENT_SECRET": ORDERS_API_SECRET,
        "AUTHORITY": f"{server.url}/common",
    }
    api = WebApplication(
        load_settings(settings, {}, source="flask"),
        store=MemoryStore(clock=clock),
        secrets=["a secret of the test's own, long enough to be one"],
        clock=clock,
    )
    yield api
    api.close()


@pytest.fixture
def caller(client: Client) -> Caller:
    token = client.tokens(scope="openid api://orders/Orders.Read")["access_token"]
    claims = client.claims(token)
    key = Identity.from_claims(claims, is_microsoft=True).key
    return Caller(claims, token, is_app=False, client_id=claims["azp"], key=key)


def called(api: WebApplication, who: Caller) -> Any:
    session = api.session({})
    session.act_for(who)
    return session


def test_an_api_calls_graph_in_its_callers_name(
    api: WebApplication, caller: Caller, client: Client
) -> None:
    session = called(api, caller)
    assert session.api("graph").get("/me").json()["mail"] == ADA
    token = session.token(api="graph")
    assert client.claims(token)["appid"] == ORDERS_API
    assert called(api, caller).token(api="graph") == token


def test_its_work_goes_on_when_the_caller_is_gone(
    api: WebApplication, caller: Caller, clock: Clock
) -> None:
    key = api.start_long_running(caller, api="graph")
    clock.now += 5 * 3600
    assert api.long_running(key).api("graph").get("/me").json()["mail"] == ADA
    api.sign_out_everywhere(caller.key)
    with pytest.raises(InteractionRequired):
        api.long_running(key).token(api="graph")


def test_what_the_provider_wants_proven_reaches_the_caller(
    api: WebApplication, caller: Caller, server: EmulatorServer
) -> None:
    server.emulator.require_interaction(ADA)
    with pytest.raises(CallerMustInteract) as raised:
        called(api, caller).token(api="graph")
    assert json.loads(raised.value.claims)["access_token"]


def test_missing_consent_is_no_claims_challenge(api: WebApplication, caller: Caller) -> None:
    with pytest.raises(CallerMustInteract) as raised:
        called(api, caller).token(scopes=["Mail.Read"])
    assert raised.value.claims == ""
    assert "consent_required" in (raised.value.error, raised.value.suberror)


def test_the_apis_own_token_is_of_the_tenant_that_is_named(
    api: WebApplication, caller: Caller, client: Client
) -> None:
    scopes = ["https://graph.microsoft.com/.default"]
    token = api.app_token(scopes=scopes, tenant=caller.tid)
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert (claims["tid"], claims["appid"]) == (caller.tid, ORDERS_API)
    assert claims["idtyp"] == "app"
