"""Logout tokens made by hand, and the whole of their validation as one call."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from keyfob.errors import LogoutTokenError
from keyfob.protocol.keys import KeySet
from keyfob.protocol.logout_token import (
    EVENT,
    LogoutExpectations,
    LogoutOrder,
    judge_logout,
    read_logout_token,
    verify_signature,
)
from keyfob.protocol.metadata import ProviderMetadata
from support.id_tokens import ABSENT, CLIENT, ISSUER, NOW, Claims, key_set, metadata, token
from support.provider import Provider
from support.provider_jose import dumps


def logout_claims(**changes: Any) -> Claims:
    found = {
        "iss": ISSUER,
        "sub": "subject",
        "aud": CLIENT,
        "iat": NOW,
        "exp": NOW + 120,
        "jti": "token-1",
        "events": {EVENT: {}},
        "sid": "session-1",
        **changes,
    }
    return {name: value for name, value in found.items() if value is not ABSENT}


def logout_token(payload: Claims | bytes, alg: str = "RS256", header: Claims | None = None) -> str:
    return token(payload, alg, {"typ": "logout+jwt", **(header or {})})


def order_of(
    text: object,
    keys: KeySet | None = None,
    about: ProviderMetadata | None = None,
    **more: Any,
) -> LogoutOrder:
    about = about or metadata()
    expected = LogoutExpectations(**{"client_id": CLIENT, "metadata": about, "now": NOW, **more})
    signed = verify_signature(read_logout_token(text), keys or key_set(), about.signing_algorithms)
    return judge_logout(signed, expected)


def refusal_code(call: Callable[[], object]) -> str:
    with pytest.raises(LogoutTokenError) as caught:
        call()
    return caught.value.code


def refused(payload: Claims, **more: Any) -> str:
    return refusal_code(lambda: order_of(logout_token(payload), **more))


def order_by(provider: Provider, header: Claims | None = None, **changes: Any) -> str:
    """A logout token of a running provider, for its one client."""
    claims = logout_claims(
        **{
            "iss": provider.issuer,
            "aud": provider.client_id,
            "iat": int(provider.now()),
            "exp": int(provider.now()) + 120,
            "jti": secrets.token_hex(8),
            "sub": provider.person.sub,
            **changes,
        }
    )
    alg = provider.signing_alg
    head = {"alg": alg, "typ": "logout+jwt", "kid": provider.key.kid, **(header or {})}
    return provider.sign(head, dumps(claims))
