"""One table of verbs, for the synchronous applications and for their asynchronous twins.

A scenario is a coroutine function that does everything by `do(verb, ...)`; `driver` makes one of an
application of either kind, so that what both do can be compared.
"""

from __future__ import annotations

import html
import inspect
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

from support.loopback import PATIENCE
from support.provider import HOME_TENANT, Provider
from support.provider_http import Request
from support.provider_jose import dumps
from support.sign_in import REDIRECT_URI, come_back, query_of

CLAIMS = '{"access_token":{"nbf":{"essential":true}}}'
FORWARDED = '{"xms_forwarded":{"value":"one"}}'
#: Further arguments that every verb takes which asks for a token.
MORE = {"data": {"slice": "one"}, "params": {"policy": "two"}, "timeout": 9}
ASSERTION = "the.callers.token"
OWN_SCOPE = ["https://api.example/.default"]
PERSON_ID = "55555555-0000-4000-8000-666666666666"

Do = Callable[..., Awaitable[Any]]


@dataclass
class Stage:
    """A provider, an application there, and what the verbs were given."""

    provider: Provider
    app: Any
    given: dict[str, set[str]] = field(default_factory=dict)

    async def do(self, verb: str, *args: Any, **named: Any) -> Any:
        function = getattr(self.app, verb)
        bound = inspect.signature(function).bind(*args, **named)
        names = set(bound.arguments) - {"options"} | set(bound.arguments.get("options", {}))
        self.given.setdefault(verb, set()).update(names)
        found = function(*args, **named)
        return await found if inspect.isawaitable(found) else found


async def metadata(stage: Stage) -> Any:
    found = await stage.do("metadata")
    return found.token_endpoint


async def auth_code_flow(stage: Stage) -> Any:
    flow = await stage.do(
        "initiate_auth_code_flow",
        ["User.Read"],
        redirect_uri=REDIRECT_URI,
        state="the-state-of-this-test",
        prompt="login",
        login_hint="ada@contoso.example",
        domain_hint="contoso.example",
        claims_challenge=CLAIMS,
        max_age=300,
        response_mode="query",
    )
    response = come_back(flow["auth_uri"])
    result = await stage.do(
        "acquire_token_by_auth_code_flow", flow, response, ["User.Read"], **MORE
    )
    return flow, result


async def older_sign_in(stage: Stage) -> Any:
    uri = await stage.do(
        "get_authorization_request_url",
        ["User.Read"],
        login_hint="ada@contoso.example",
        state="the-state-of-this-test",
        redirect_uri=REDIRECT_URI,
        response_type="code",
        prompt="login",
        nonce="the-nonce-of-this-test",
        domain_hint="contoso.example",
        claims_challenge=CLAIMS,
    )
    result = await stage.do(
        "acquire_token_by_authorization_code",
        come_back(uri)["code"],
        ["User.Read"],
        redirect_uri=REDIRECT_URI,
        nonce="the-nonce-of-this-test",
        claims_challenge=CLAIMS,
        forwarded_client_claims=FORWARDED,
        **MORE,
    )
    return query_of(uri), result


async def silent(stage: Stage) -> Any:
    flow = await stage.do("initiate_auth_code_flow", ["User.Read"], redirect_uri=REDIRECT_URI)
    await stage.do("acquire_token_by_auth_code_flow", flow, come_back(flow["auth_uri"]))
    account = stage.app.get_accounts("ada@contoso.example")[0]
    results = [await stage.do("acquire_token_silent", ["User.Read"], account)]
    asked = {"claims_challenge": CLAIMS, "forwarded_client_claims": FORWARDED, **MORE}
    for verb in ("acquire_token_silent", "acquire_token_silent_with_error"):
        more = await stage.do(verb, ["Mail.Read"], account, force_refresh=True, **asked)
        results.append(more)
    stage.provider.revoke_refresh_tokens()
    for verb in ("acquire_token_silent", "acquire_token_silent_with_error"):
        results.append(await stage.do(verb, ["User.Read"], account, force_refresh=True))
        results.append(await stage.do(verb, ["User.Read"], None))
    held = stage.app.token_at_hand(["User.Read"], account)
    stage.app.remove_account(account)
    return results, held, stage.app.get_accounts()


async def refresh_token(stage: Stage) -> Any:
    flow = await stage.do("initiate_auth_code_flow", ["User.Read"], redirect_uri=REDIRECT_URI)
    first = await stage.do("acquire_token_by_auth_code_flow", flow, come_back(flow["auth_uri"]))
    token = first.get("refresh_token", "none")
    return await stage.do("acquire_token_by_refresh_token", token, ["Mail.Read"], **MORE)


async def password(stage: Stage) -> Any:
    return await stage.do(
        "acquire_token_by_username_password",
        "ada@contoso.example",
        "pass-word",
        ["User.Read"],
        claims_challenge=CLAIMS,
        **MORE,
    )


async def own_token(stage: Stage) -> Any:
    verb = "acquire_token_for_client"
    results = [await stage.do(verb, OWN_SCOPE) for _ in range(2)]
    results.append(
        await stage.do(
            verb,
            OWN_SCOPE,
            claims_challenge=CLAIMS,
            fmi_path="a/path",
            forwarded_client_claims=FORWARDED,
            **MORE,
        )
    )
    stage.app.remove_tokens_for_client()
    return [*results, await stage.do(verb, OWN_SCOPE)]


async def on_behalf_of(stage: Stage) -> Any:
    verb = "acquire_token_on_behalf_of"
    results = [await stage.do(verb, ASSERTION, ["Mail.Read"]) for _ in range(2)]
    asked = {"claims_challenge": CLAIMS, "forwarded_client_claims": FORWARDED, **MORE}
    return [*results, await stage.do(verb, ASSERTION, ["Mail.Read"], **asked)]


async def federated_identity(stage: Stage) -> Any:
    verb = "acquire_token_by_user_federated_identity_credential"
    asked = {"claims_challenge": CLAIMS, "forwarded_client_claims": FORWARDED, **MORE}
    return [
        await stage.do(verb, ["Mail.Read"], ASSERTION, username="ada@contoso.example", **asked),
        await stage.do(verb, ["Mail.Read"], ASSERTION, user_object_id=PERSON_ID),
    ]


async def device_flow(stage: Stage) -> Any:
    flow = await stage.do("initiate_device_flow", ["User.Read"], claims_challenge=CLAIMS)
    begun = dict(flow)
    stage.provider.device_errors[:] = ["authorization_pending"]
    asked = {"claims_challenge": CLAIMS, "exit_condition": lambda flow: True, **MORE}
    early = await stage.do("acquire_token_by_device_flow", flow, **asked)
    # The poll above was a moment ago: that is warned about, and not the matter here.
    flow.pop("latest_attempt_at", None)
    return begun, early, await stage.do("acquire_token_by_device_flow", flow)


async def interactive(stage: Stage) -> Any:
    called: list[Any] = []
    result = await stage.do(
        "acquire_token_interactive",
        ["User.Read"],
        prompt="login",
        login_hint="ada@contoso.example",
        domain_hint="contoso.example",
        claims_challenge=CLAIMS,
        port=None,
        extra_scopes_to_consent=["Mail.Read"],
        max_age=300,
        parent_window_handle=7,
        on_before_launching_ui=lambda **named: called.append(named),
        browser_name="none-such",
        auth_uri_callback=visit,
        success_template="Done.",
        **{**MORE, "timeout": PATIENCE},
    )
    return called, result


def visit(uri: str) -> None:
    """What a browser does: it signs in, and posts the answer to the address it was told."""
    page = requests.get(uri, timeout=PATIENCE).text
    target = html.unescape(re.findall(r'action="([^"]*)"', page)[0])
    inputs = re.findall(r'name="([^"]*)" value="([^"]*)"', page)
    answer = {name: html.unescape(value) for name, value in inputs}
    # By address: "localhost" would be looked up first in a test's own way.
    requests.post(target.replace("localhost", "127.0.0.1"), answer, timeout=PATIENCE)


async def logout_token(stage: Stage) -> Any:
    provider, now = stage.provider, int(time.time())
    claims = {
        "iss": provider.tenant_issuer(HOME_TENANT),
        "aud": provider.client_id,
        "tid": HOME_TENANT,
        "iat": now,
        "exp": now + 60,
        "jti": "the-token-of-this-test",
        "sid": "the-session-of-this-test",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    }
    header = {"alg": "RS256", "typ": "logout+jwt", "kid": provider.key.kid}
    order = await stage.do("judge_logout_token", provider.sign(header, dumps(claims)))
    return order.sid


async def access_token(stage: Stage) -> object:
    provider = stage.provider
    now = int(provider.now())
    claims = {
        "iss": provider.issuer,
        "aud": "api://orders",
        "sub": provider.person.sub,
        "tid": provider.person.tid,
        "oid": provider.person.oid,
        "azp": "a-client",
        "ver": "2.0",
        "scp": "Orders.Read",
        "iat": now,
        "exp": now + 120,
    }
    header = {"alg": "RS256", "typ": "JWT", "kid": provider.key.kid}
    token = provider.sign(header, dumps(claims))
    proven = await stage.do(
        "judge_access_token", token, audiences={"api://orders"}, allowed_clients={"a-client"}
    )
    return sorted(proven.holder.scopes)


Scenario = Callable[[Stage], Awaitable[Any]]
COMMON: tuple[Scenario, ...] = (
    metadata, auth_code_flow, older_sign_in, silent, refresh_token, password,
    logout_token, access_token,
)  # fmt: skip
SCENARIOS: Mapping[str, tuple[Scenario, ...]] = {
    "ConfidentialClientApplication": (*COMMON, own_token, on_behalf_of, federated_identity),
    "PublicClientApplication": (*COMMON, device_flow, interactive),
}
#: What does nothing, or is only refused: tests of their own look at that.
WITHOUT_EFFECT = {"authority", "auth_scheme", "options"}


def provider() -> Provider:
    """Shaped as Microsoft's, and taking every grant of the table."""
    found = Provider(
        entra=True,
        require_pkce=False,
        auth_methods=("client_secret_post", "none"),
        direct_grants={"password", "user_fic", "urn:ietf:params:oauth:grant-type:jwt-bearer"},
    )
    found.raw["userrealm"] = lambda _: Provider.json({"account_type": "Managed"})
    return found


def application(module: Any, name: str, at: Provider, **options: Any) -> Any:
    """One of the applications of `keyfob` or `keyfob.aio`."""
    secret = [at.client_secret] if name == "ConfidentialClientApplication" else []
    options.setdefault("random_bytes", lambda count: b"\7" * count)
    return getattr(module, name)(
        at.client_id, *secret, authority=at.authority(HOME_TENANT), **options
    )


_VOLATILE = {
    "access_token", "refresh_token", "id_token", "code", "device_code", "correlation_id",
    "_correlation_id", "trace_id", "timestamp", "iat", "exp", "nbf", "auth_time", "uti", "jti",
    "expires_at", "latest_attempt_at", "expires_in", "refresh_on", "client-request-id",
    "cached_at", "expires_on", "last_modification_time", "secret", "user_assertion_hash",
    "x-client-last-telemetry", "created_on", "extended_expires_on", "at_hash", "aio",
}  # fmt: skip


def steady(value: Any) -> Any:
    """The same without what differs from one time to the next: there it says only what kind."""
    if isinstance(value, Mapping):
        return {
            name: type(item).__name__ if name in _VOLATILE else steady(item)
            for name, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [steady(item) for item in value]
    if isinstance(value, str):
        return re.sub(r"localhost(:|%3A)\d+", "localhost:PORT", value)
    return value


def steady_request(request: Request) -> Any:
    """What was asked, and who says what about it in headers."""
    ours = {n: v for n, v in request.headers.items() if n.startswith(("x-", "client-"))}
    named = {**ours, "content-type": request.headers.get("content-type")}
    return steady([request.method, request.path, request.query, request.form, named])
