"""What type checkers see of the public names. Never run: `make check` gives it to mypy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests
from flask import Flask
from typing_extensions import assert_type

import keyfob
import keyfob.aio
from flask_keyfob import Keyfob, current_user, downstream_api, login_required
from keyfob.errors import InteractionRequired, KeyfobError
from keyfob.protocol.results import Account, DeviceFlow, TokenResult
from keyfob.web import User, WebSession, load_settings

app = keyfob.ConfidentialClientApplication("client", client_credential="secret")
assert_type(app.client_id, str)
assert_type(app.get_accounts(), list[Account])
assert_type(app.acquire_token_silent(["a"], account=None), TokenResult | None)
assert_type(app.acquire_token_for_client(["a/.default"]), TokenResult)
assert_type(app.with_cache(keyfob.TokenCache()), keyfob.ConfidentialClientApplication)
flow = app.initiate_auth_code_flow(["a"], redirect_uri="http://localhost")
assert_type(flow["state"], str)
assert_type(keyfob.SerializableTokenCache().serialize(), str)

machine = keyfob.ManagedIdentityClient(keyfob.UserAssignedManagedIdentity(client_id="x"))
assert_type(machine.acquire_token_for_client(resource="a"), dict[str, Any])
keyfob.ManagedIdentityClient({"ManagedIdentityIdType": "SystemAssigned", "Id": None})


async def in_a_loop(token_cache: keyfob.TokenCache) -> None:
    async with keyfob.aio.ConfidentialClientApplication("client", "secret") as app:
        assert_type(app, keyfob.aio.ConfidentialClientApplication)
        assert_type(app.with_cache(token_cache), keyfob.aio.ConfidentialClientApplication)
        assert_type(app.get_accounts(), list[Account])
        assert_type(await app.acquire_token_silent(["a"], account=None), TokenResult | None)
        assert_type(await app.acquire_token_for_client(["a/.default"]), TokenResult)
        begun = await app.initiate_auth_code_flow(["a"], redirect_uri="http://localhost")
        assert_type(begun["state"], str)
        result = await app.acquire_token_by_auth_code_flow(begun, {"code": "c"})
        assert_type(result["access_token"], str)
    public = keyfob.aio.PublicClientApplication("client", async_http_client=object())
    device_flow = await public.initiate_device_flow()
    assert_type(device_flow, DeviceFlow)
    await public.acquire_token_by_device_flow(device_flow, exit_condition=lambda flow: True)
    assert_type(await public.acquire_token_interactive(["a"], timeout=60), TokenResult)
    async with keyfob.aio.ManagedIdentityClient({"ManagedIdentityIdType": "x"}) as machine:
        assert_type(await machine.acquire_token_for_client(resource="a"), dict[str, Any])
    await app.acquire_token_for_client(scopes=7)  # type: ignore[arg-type]


site = Flask(__name__)
Keyfob(site)
Keyfob().init_app(site)


@login_required
def home(number: int) -> str:
    return f"{current_user.name} {number}"


@login_required(api="graph")
def me() -> dict[str, Any]:
    found: dict[str, Any] = downstream_api("graph").get("/me").json()
    return found


# A decorated view keeps its signature.
assert_type(home(1), str)
assert_type(me(), dict[str, Any])
home("one")  # type: ignore[arg-type]

assert_type(current_user, User)
assert_type(current_user.claims, Mapping[str, Any])


def tokens(session: WebSession) -> requests.Session:
    assert_type(session.token(api="graph"), str)
    return session.api("graph")


def handled(error: KeyfobError) -> tuple[str, ...]:
    return error.scopes if isinstance(error, InteractionRequired) else (error.code,)


load_settings({"CLIENT_ID": "x"}, {}, source="flask")
