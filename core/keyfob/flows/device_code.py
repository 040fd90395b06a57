"""Sign-in on another device than the one the program runs on (RFC 8628)."""

from __future__ import annotations

import math
import uuid
import warnings
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import Any, TypeGuard

from keyfob.errors import ConfigurationError, MissingKeyError
from keyfob.flows import Flow, call, pause, send
from keyfob.flows.client import Client
from keyfob.flows.remember import proven_profile, remember
from keyfob.flows.telemetry import Api
from keyfob.flows.token_request import TokenRequest, ask, exchange_headers, proof_for
from keyfob.protocol.claims import claims_parameter
from keyfob.protocol.device_code import (
    DEFAULT_INTERVAL,
    DEVICE_CODE_GRANT,
    build_device_authorization_request,
    parse_device_authorization,
)
from keyfob.protocol.metadata import ProviderMetadata
from keyfob.protocol.scopes import checked_scopes, scope_names

#: Seconds by which each `slow_down` lengthens the interval, for good (RFC 8628 §3.5).
SLOW_DOWN = 5
#: What the provider answers while the person has not finished.
_NOT_YET = ("authorization_pending", "slow_down")

DeviceFlow = MutableMapping[str, Any]
ExitCondition = Callable[[DeviceFlow], object]


def initiate(
    client: Client, scopes: Collection[str] | None = None, *, claims_challenge: str | None = None
) -> Flow[dict[str, Any]]:
    """Ask for a code that a person enters elsewhere.

    :param scopes: beyond `openid profile offline_access`.
    :returns: what the provider said, with `message`, `user_code` and `verification_uri` to show,
        and `interval`, `expires_in` (seconds) and `expires_at` (since the epoch). JSON-safe;
        secret, for whoever has its `device_code` gets the tokens. Where the provider refused it
        has `error`, and no `user_code`.
    :raises ConfigurationError: (a ValueError) the provider has no such endpoint.
    :raises DeviceAuthorizationError: (a ValueError) its answer cannot be used.
    """
    asked = checked_scopes(scopes or [])
    metadata = yield from client.metadata()
    scope = client.sign_in_scopes(asked, metadata)
    correlation_id = str(uuid.uuid4())
    endpoint = metadata.device_authorization_endpoint
    if endpoint is None:
        raise ConfigurationError(
            f"{client.provider.authority.url} offers no device code flow: its metadata have no "
            "device_authorization_endpoint",
            setting="AUTHORITY",
            code="no_device_endpoint",
        )
    request = build_device_authorization_request(
        endpoint,
        client.client_id,
        (yield from proof_for(client, metadata)),
        scope,
        claims_parameter(claims_challenge, client.capabilities),
        exchange_headers(client, correlation_id),
    )
    flow = parse_device_authorization((yield from send(request)))
    flow["expires_at"] = client.clock() + flow["expires_in"]
    flow["_correlation_id"] = correlation_id
    flow["_scope"] = sorted(scope)
    return flow


def poll(
    client: Client,
    flow: DeviceFlow,
    *,
    claims_challenge: str | None = None,
    exit_condition: ExitCondition | None = None,
) -> Flow[dict[str, Any]]:
    """Ask whether the person has finished: at once, and then every `interval` seconds.

    `flow` is kept up to date: its `latest_attempt_at`, and its `interval`, which the provider may
    lengthen. After an error of the transport it still serves for another call.

    :param flow: what `initiate` returned. Setting its `expires_at` to 0 ends the polling.
    :param exit_condition: is given the flow before each second of waiting; the polling ends where
        its answer is true. In its place there is the flow's expiry.
    :returns: the token response with proven `id_token_claims`; or a dict with `error`, which is
        `authorization_pending` (or `slow_down`) where the polling ended before the person had.
    :raises MissingKeyError: (a KeyError) the flow has no `device_code`.
    :raises IdTokenError: (a RuntimeError) the ID token proves nothing; nothing was cached.
    """
    _judge_flow(flow)
    metadata = yield from client.metadata()
    _warn_if_too_early(flow, client.clock())
    while True:
        flow["latest_attempt_at"] = client.clock()
        tokens = yield from _tokens(client, metadata, flow, claims_challenge)
        if tokens.get("error") not in _NOT_YET:
            break
        if tokens["error"] == "slow_down":
            flow["interval"] = _interval(flow) + SLOW_DOWN
        if (yield from _wait(client, flow, exit_condition)):
            return tokens
    if "error" in tokens:
        return tokens
    # There is no nonce: the code itself ties the answer to this request.
    tokens["id_token_claims"] = yield from proven_profile(client, metadata, tokens)
    scopes = scope_names(flow.get("_scope") or ())
    return remember(client, metadata, tokens, scopes, grant_type=DEVICE_CODE_GRANT)


def _tokens(
    client: Client,
    metadata: ProviderMetadata,
    flow: Mapping[str, Any],
    claims_challenge: str | None,
) -> Flow[dict[str, Any]]:
    # Microsoft's older endpoints know the code by the shorter name.
    code = flow["device_code"] if client.is_microsoft else None
    correlation_id = flow.get("_correlation_id")
    request = TokenRequest(
        {"grant_type": DEVICE_CODE_GRANT, "device_code": flow["device_code"], "code": code},
        api=Api.DEVICE_CODE,
        claims_challenge=claims_challenge,
        correlation_id=correlation_id if isinstance(correlation_id, str) else None,
    )
    return (yield from ask(client, metadata, request))


def _wait(client: Client, flow: DeviceFlow, exit_condition: ExitCondition | None) -> Flow[bool]:
    """One interval, second by second; true where it was cut short."""
    for _ in range(_interval(flow)):
        if exit_condition is None:
            ended: object = _expires_at(flow) < client.clock()
        else:
            ended = yield from call(_asked(exit_condition, flow))
        if ended:
            return True
        yield from pause(1)
    return False


def _asked(condition: ExitCondition, flow: DeviceFlow) -> Callable[[], object | Awaitable[object]]:
    return lambda: condition(flow)


def _judge_flow(flow: object) -> None:
    code = flow.get("device_code") if isinstance(flow, MutableMapping) else None
    if isinstance(code, str) and code:
        return
    cure = "give what initiate_device_flow returned"
    if isinstance(flow, Mapping) and "error" in flow:
        cure = "the provider refused to begin it: look at its error, and whether it has a user_code"
    raise MissingKeyError(f"The device flow has no device_code: {cure}")


def _warn_if_too_early(flow: Mapping[str, Any], now: float) -> None:
    latest = flow.get("latest_attempt_at")
    if _is_number(latest) and 0 <= now - latest < _interval(flow) - 1:
        warnings.warn(
            f"This device flow was polled less than its interval of {_interval(flow)} seconds ago; "
            "wait that long between two calls, or the provider will ask for more",
            stacklevel=2,
        )


def _interval(flow: Mapping[str, Any]) -> int:
    """Whole seconds, at least one: nothing in there is a reason to poll without a pause."""
    value = flow.get("interval")
    return max(1, int(value)) if _is_number(value) else DEFAULT_INTERVAL


def _expires_at(flow: Mapping[str, Any]) -> float:
    value = flow.get("expires_at")
    return float(value) if _is_number(value) else 0.0


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and math.isfinite(value)
