"""Sign-in by authorization code, with PKCE, `state` and `nonce` (RFC 6749 §4.1, RFC 7636)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypedDict

from keyfob.errors import (
    AuthorizationResponseError,
    ConfigurationError,
    IdTokenError,
    MissingKeyError,
    NonceMismatchError,
    StateMismatchError,
)
from keyfob.flows import Flow
from keyfob.flows.client import Client
from keyfob.flows.remember import proven_claims, proven_profile, remember
from keyfob.flows.telemetry import Api
from keyfob.flows.token_request import FORWARDED_CLAIMS, TokenRequest, ask
from keyfob.protocol.authorization import (
    AuthorizationRefusal,
    build_authorization_url,
    judge_authorization_response,
)
from keyfob.protocol.claims import claims_parameter
from keyfob.protocol.client_info import home_account_id_in
from keyfob.protocol.pkce import (
    code_challenge,
    hashed_nonce,
    new_code_verifier,
    new_nonce,
    new_state,
)
from keyfob.protocol.scopes import OPENID_SCOPES, checked_scopes, scope_names, scope_text
from keyfob.protocol.token_endpoint import needed_text, optional_texts

_GRANT = "authorization_code"


class _AuthCodeFlowBase(TypedDict):
    state: str
    redirect_uri: str | None
    scope: list[str]
    auth_uri: str
    code_verifier: str
    nonce: str
    claims_challenge: str | None


class AuthCodeFlow(_AuthCodeFlowBase, total=False):
    """One sign-in attempt, as MSAL keeps it: JSON-safe, secret, for one use, for one browser."""

    max_age: int


def initiate(
    client: Client,
    scopes: Collection[str],
    *,
    redirect_uri: str | None,
    state: str | None = None,
    prompt: str | None = None,
    login_hint: str | None = None,
    domain_hint: str | None = None,
    claims_challenge: str | None = None,
    max_age: int | None = None,
    response_mode: str | None = None,
) -> Flow[AuthCodeFlow]:
    """Begin an attempt: its secrets, and the address the browser is sent to."""
    asked = checked_scopes(scopes)
    optional_texts(
        redirect_uri=redirect_uri,
        state=state,
        prompt=prompt,
        login_hint=login_hint,
        domain_hint=domain_hint,
        response_mode=response_mode,
    )
    if max_age is not None and (type(max_age) is not int or max_age < 0):
        raise ConfigurationError("max_age is a whole number of seconds, 0 or more")
    metadata = yield from client.metadata()
    scope = sorted(client.sign_in_scopes(asked, metadata))
    verifier = new_code_verifier(client.random_bytes)
    flow: AuthCodeFlow = {
        "state": state or new_state(client.random_bytes),
        "redirect_uri": redirect_uri,
        "scope": scope,
        "auth_uri": "",
        "code_verifier": verifier,
        "nonce": new_nonce(client.random_bytes),
        "claims_challenge": claims_challenge,
    }
    if max_age is not None:
        flow["max_age"] = max_age
    microsoft = client.is_microsoft
    flow["auth_uri"] = build_authorization_url(
        metadata,
        {
            "client_id": client.client_id,
            "response_type": "code",
            "redirect_uri": redirect_uri,
            "scope": scope_text(scope),
            "state": flow["state"],
            "response_mode": response_mode,
            "code_challenge": code_challenge(verifier),
            "code_challenge_method": "S256",
            "nonce": hashed_nonce(flow["nonce"]),
            "client_info": "1" if microsoft else None,
            "login_hint": login_hint,
            "prompt": prompt,
            "domain_hint": domain_hint,
            "claims": claims_parameter(claims_challenge, client.capabilities),
            "max_age": str(max_age) if max_age is not None else None,
            "X-AnchorMailbox": f"UPN:{login_hint}" if microsoft and login_hint else None,
        },
    )
    return flow


def redeem(
    client: Client,
    flow: Mapping[str, Any],
    response: Mapping[str, str],
    scopes: Collection[str] | None = None,
    *,
    api: Api = Api.AUTHORIZATION_CODE,
) -> Flow[dict[str, Any]]:
    """Finish an attempt: judge what came back, exchange the code, judge what that gave.

    Tokens reach the cache only after everything about them was checked.

    :returns: the token response with `id_token_claims`, or a dict with `error`.
    """
    for name, given in (("auth_code_flow", flow), ("auth_response", response)):
        if not isinstance(given, Mapping):
            raise MissingKeyError(
                f"{name} is a dict: the attempt is what initiate_auth_code_flow returned, the "
                "response is what came back to the redirect URI"
            )
    state = flow.get("state")
    if not isinstance(state, str) or not state:
        raise StateMismatchError("state missing from auth_code_flow: there is no such attempt")
    metadata = yield from client.metadata()
    answer = judge_authorization_response(response, state=state, metadata=metadata)
    if isinstance(answer, AuthorizationRefusal):
        return _refusal(answer)
    for name in ("scope", "code_verifier", "nonce"):
        wanted = (list, tuple, set, frozenset) if name == "scope" else str
        if not flow.get(name) or not isinstance(flow[name], wanted):
            raise MissingKeyError(
                f"{name} missing from auth_code_flow: keep all that was returned at the beginning"
            )
    begun = scope_names(flow["scope"])
    # Without openid among them, Microsoft's answer would name nobody.
    asked = scope_names(scopes) | (OPENID_SCOPES & begun) if scopes else begun
    if not asked <= begun:
        raise AuthorizationResponseError(
            "The scopes must be among those the attempt began with", code="scopes"
        )
    tokens = yield from ask(
        client,
        metadata,
        TokenRequest(
            {
                "grant_type": _GRANT,
                "code_verifier": flow["code_verifier"],
                "code": answer.code,
                "redirect_uri": flow.get("redirect_uri"),
                "scope": scope_text(asked),
            },
            api=api,
            headers=client.anchor(home_account_id_in(answer.client_info)),
            claims_challenge=flow.get("claims_challenge"),
        ),
    )
    if "error" in tokens:
        return tokens
    tokens["id_token_claims"] = yield from proven_profile(
        client,
        metadata,
        tokens,
        nonce=hashed_nonce(flow["nonce"]),
        code=answer.code,
        max_age=flow.get("max_age"),
    )
    return remember(client, metadata, tokens, asked, grant_type=_GRANT)


def _refusal(answer: AuthorizationRefusal) -> dict[str, Any]:
    found = {"error": answer.error}
    if answer.description:
        found["error_description"] = answer.description
    if answer.uri:
        found["error_uri"] = answer.uri
    return found


def authorization_url(
    client: Client,
    scopes: Collection[str],
    *,
    response_type: str = "code",
    nonce: str | None = None,
    claims_challenge: str | None = None,
    **parameters: str | None,
) -> Flow[str]:
    """MSAL's older way to begin: only the address. Whoever calls it keeps `state` and `nonce`."""
    asked = checked_scopes(scopes)
    optional_texts(response_type=response_type, nonce=nonce, **parameters)
    metadata = yield from client.metadata()
    return build_authorization_url(
        metadata,
        {
            "client_id": client.client_id,
            "response_type": response_type,
            "scope": scope_text(client.sign_in_scopes(asked, metadata)),
            "nonce": nonce,
            "claims": claims_parameter(claims_challenge, client.capabilities),
            **parameters,
        },
    )


def redeem_code(
    client: Client,
    code: str,
    scopes: Collection[str],
    *,
    redirect_uri: str | None = None,
    nonce: str | None = None,
    claims_challenge: str | None = None,
    forwarded_claims: str | None = None,
) -> Flow[dict[str, Any]]:
    """MSAL's older way to finish: a code whose `state` was checked elsewhere.

    :raises NonceMismatchError: the ID token is another attempt's.
    """
    asked = checked_scopes(scopes)
    needed_text(code, "code")
    optional_texts(redirect_uri=redirect_uri, nonce=nonce)
    metadata = yield from client.metadata()
    scope = client.sign_in_scopes(asked, metadata)
    tokens = yield from ask(
        client,
        metadata,
        TokenRequest(
            {
                "grant_type": _GRANT,
                "code": code,
                "redirect_uri": redirect_uri,
                "scope": scope_text(scope),
            },
            api=Api.AUTHORIZATION_CODE,
            claims_challenge=claims_challenge,
            forwarded_claims=forwarded_claims,
        ),
    )
    if "error" in tokens:
        return tokens
    if tokens.get("id_token") or nonce:
        try:
            tokens["id_token_claims"] = yield from proven_claims(
                client, metadata, tokens, nonce=nonce, code=code
            )
        except IdTokenError as error:
            if error.code != "nonce":
                raise
            raise NonceMismatchError(str(error)) from None
    data = {FORWARDED_CLAIMS: forwarded_claims} if forwarded_claims else {}
    return remember(client, metadata, tokens, scope, grant_type=_GRANT, data=data)
