"""ID tokens made by hand, and the whole of their validation as one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from keyfob.errors import IdTokenError
from keyfob.protocol.authority import oidc_authority, tenant_authority
from keyfob.protocol.id_token import Expectations, judge_claims, read_id_token, verify_signature
from keyfob.protocol.keys import KeySet, parse_key_set
from keyfob.protocol.metadata import ProviderMetadata, parse_metadata
from keyfob.protocol.signing import ASYMMETRIC_ALGORITHMS
from support.provider_jose import compact, dumps, key_for, rsa_key
from support.sign_in import answer

NOW = 1_800_000_000
CLIENT = "client"
ISSUER = "https://idp.example"
TENANT = "11111111-aaaa-4bbb-8ccc-222222222222"
OTHER = "33333333-dddd-4eee-8fff-444444444444"
LOGIN = "https://login.microsoftonline.com"
KEY = rsa_key("id-token")
ABSENT: Any = object()

Claims = dict[str, Any]


def metadata(microsoft: str = "", **more: Any) -> ProviderMetadata:
    template = f"{LOGIN}/{{tenantid}}/v2.0" if microsoft == "common" else f"{LOGIN}/{TENANT}/v2.0"
    document = {
        "issuer": template if microsoft else ISSUER,
        "authorization_endpoint": f"{ISSUER}/authorize",
        "token_endpoint": f"{ISSUER}/token",
        "jwks_uri": f"{ISSUER}/keys",
        "id_token_signing_alg_values_supported": sorted(ASYMMETRIC_ALGORITHMS),
        **more,
    }
    authority = tenant_authority(microsoft) if microsoft else oidc_authority(ISSUER)
    return parse_metadata(authority, answer(document))


def claims(**changes: Any) -> Claims:
    found = {
        "iss": ISSUER,
        "sub": "subject",
        "aud": CLIENT,
        "exp": NOW + 3600,
        "iat": NOW,
        "nonce": "nonce",
        **changes,
    }
    return {name: value for name, value in found.items() if value is not ABSENT}


def entra(**changes: Any) -> Claims:
    return claims(**{"iss": f"{LOGIN}/{TENANT}/v2.0", "tid": TENANT, "oid": "oid", **changes})


def token(payload: Claims | bytes, alg: str = "RS256", header: Claims | None = None) -> str:
    key = key_for(alg, "id-token")
    head = {"alg": alg, "typ": "JWT", "kid": "k", **(header or {})}
    raw = payload if isinstance(payload, bytes) else dumps(payload)
    return compact(
        {k: v for k, v in head.items() if v is not ABSENT}, raw, lambda d: key.sign(alg, d)
    )


def key_set(kind: str = "RS256", **members: Any) -> KeySet:
    jwk = {**key_for(kind, "id-token").public_jwk(), "kid": "k", **members}
    return parse_key_set(answer({"keys": [jwk]}))


def judged(
    text: object, keys: KeySet | None = None, about: ProviderMetadata | None = None, **more: Any
) -> Claims:
    about = about or metadata()
    expected = Expectations(
        **{"client_id": CLIENT, "metadata": about, "now": NOW, "nonce": "nonce", **more}
    )
    signed = verify_signature(read_id_token(text), keys or key_set(), about.signing_algorithms)
    return judge_claims(signed, expected)


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(IdTokenError) as caught:
        call()
    return caught.value.code


def refused(payload: Claims, **more: Any) -> str:
    return code_of(lambda: judged(token(payload), **more))
