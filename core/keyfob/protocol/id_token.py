"""Whether an ID token proves who signed in (OpenID Connect Core §3.1.3.7, §12.2).

Three steps, each with its own type, so that none can be left out: `read_id_token` takes a token
apart, `verify_signature` accepts what came out, and `judge_claims` accepts what came out of that.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from keyfob.errors import IdTokenError, SubjectChangedError
from keyfob.protocol.http import strict_json
from keyfob.protocol.issuer import TENANT_PLACEHOLDER, tenant_of_issuer
from keyfob.protocol.keys import KeySet, SigningKey
from keyfob.protocol.metadata import ProviderMetadata
from keyfob.protocol.signing import hash_name
from keyfob.protocol.unverified import json_object_in

MAX_TOKEN_LENGTH = 200_000
MAX_SUBJECT_LENGTH = 255
#: Media types of tokens that are no ID tokens (RFC 9068, RFC 8417, OpenID Connect Back-Channel
#: Logout): they may be signed by the same key for the same client, and must not pass for one.
_FOREIGN_TYPES = ("at+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "entity-statement+jwt")

#: base64url without padding, thrice (RFC 7515 §2, §7.1): nothing that a decoder might overlook.
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)

#: Tenants by their id, or a function that is given one in lower case and says whether its people
#: may come in.
TenantRule = Collection[str] | Callable[[str], object]


@dataclass(frozen=True)
class UnverifiedIdToken:
    """A token taken apart. Nothing in it is to be believed yet."""

    text: str = field(repr=False)
    algorithm: str
    kid: str | None


@dataclass(frozen=True)
class SignedIdToken:
    """A token that the provider's key signed. Whether it is meant for us is still open."""

    claims: Mapping[str, Any] = field(repr=False)
    algorithm: str
    key_issuer: str | None


@dataclass(frozen=True)
class Expectations:
    """What a good ID token says, here and now.

    :param nonce: what this sign-in attempt sent; None at a refresh.
    :param access_token: what came with it, for `at_hash`; likewise `code` for `c_hash`.
    :param max_age: seconds since the person proved themselves, when the request asked for it.
    :param leeway: seconds of clock difference that are forgiven.
    :param previous: the claims of the ID token that this one refreshes.
    """

    client_id: str
    metadata: ProviderMetadata
    now: float
    nonce: str | None = None
    access_token: str | None = field(default=None, repr=False)
    code: str | None = field(default=None, repr=False)
    max_age: int | None = None
    leeway: int = 60
    allowed_tenants: TenantRule | None = None
    previous: Mapping[str, Any] | None = field(default=None, repr=False)


def read_id_token(token: object) -> UnverifiedIdToken:
    """Take a compact JWS apart (RFC 7515 §7.1) and refuse what can be no ID token.

    :raises IdTokenError: with code `malformed`, `unsupported_header` or `wrong_type`.
    """
    if not isinstance(token, str) or not token or len(token) > MAX_TOKEN_LENGTH:
        raise _refusal("malformed", "The provider's ID token is not a signed token")
    if not _COMPACT.fullmatch(token):
        raise _refusal("malformed", "The provider's ID token is not three parts of base64url")
    header = json_object_in(token.split(".", 1)[0])
    if header is None:
        raise _refusal("malformed", "The ID token's header is not a JSON object")
    if "crit" in header or "b64" in header:
        raise _refusal("unsupported_header", "The provider's ID token asks for an extension of JWS")
    token_type = header.get("typ")
    if isinstance(token_type, str):
        if token_type.lower().removeprefix("application/") in _FOREIGN_TYPES:
            raise _refusal("wrong_type", "The provider sent another kind of token as ID token")
    elif token_type is not None:
        raise _refusal("malformed", "The ID token's type is not a text")
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or not (kid is None or isinstance(kid, str)):
        raise _refusal("malformed", "The ID token's header has no algorithm, or an odd key id")
    return UnverifiedIdToken(token, algorithm, kid)


def verify_signature(
    token: UnverifiedIdToken, keys: KeySet, algorithms: Collection[str]
) -> SignedIdToken:
    """Check that one of the provider's keys signed the token, with an algorithm it announces.

    :raises IdTokenError: with code `algorithm` where the algorithm is not one of `algorithms`,
        `unknown_key` where no key fits, `signature` where none of those that fit signed it. The
        last two may be cured by fetching the keys again.
    """
    if token.algorithm not in algorithms:
        raise _refusal(
            "algorithm",
            f"The ID token is signed with {token.algorithm[:20]!r}; the provider's metadata "
            f"announces {', '.join(sorted(algorithms))}",
        )
    candidates = keys.candidates(token.algorithm, token.kid)
    if not candidates:
        raise _refusal("unknown_key", "None of the provider's keys fits the ID token")
    for key in candidates:
        payload = _payload_signed_by(key, token)
        if payload is not None:
            return SignedIdToken(_claims(payload), token.algorithm, key.issuer)
    raise _refusal("signature", "The ID token's signature is not by any of the provider's keys")


def judge_claims(token: SignedIdToken, expected: Expectations) -> dict[str, Any]:
    """Check that the token is about this sign-in, at this client, now. Returns its claims.

    :raises SubjectChangedError: at a refresh, where it names another subject or issuer.
    :raises IdTokenError: `code` names the claim that is wrong.
    """
    claims = token.claims
    _judge_subject(claims, expected)
    _judge_issuer(token, expected)
    _judge_audience(claims, expected.client_id)
    _judge_times(claims, expected)
    _judge_nonce(claims, expected)
    _judge_hash(token, "at_hash", expected.access_token)
    _judge_hash(token, "c_hash", expected.code)
    return dict(claims)


def _payload_signed_by(key: SigningKey, token: UnverifiedIdToken) -> bytes | None:
    from joserfc.errors import JoseError
    from joserfc.jws import JWSRegistry, deserialize_compact

    # Unknown header members (x5t, rh, ...) are to be ignored: RFC 7515 §4.
    registry = JWSRegistry(algorithms=[token.algorithm], strict_check_header=False)
    # Its own limits refuse a header with a certificate in it (x5c), 200 KB of groups, and what a
    # long key signs. All of the token was measured before.
    registry.max_header_length = MAX_TOKEN_LENGTH
    registry.max_payload_length = MAX_TOKEN_LENGTH
    registry.max_signature_length = MAX_TOKEN_LENGTH
    try:
        # The algorithm was compared with the provider's list before; the key fits it.
        return deserialize_compact(token.text, key.public, registry=registry).payload
    except (JoseError, ValueError, TypeError, RecursionError):
        return None


def _judge_subject(claims: Mapping[str, Any], expected: Expectations) -> None:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_LENGTH:
        raise _refusal("sub", "The ID token names no subject")
    before = expected.previous
    if before is None:
        return
    if subject != before.get("sub") or claims.get("iss") != before.get("iss"):
        raise SubjectChangedError("The refreshed ID token is about somebody else")


def _judge_issuer(token: SignedIdToken, expected: Expectations) -> None:
    issuer, tenant = token.claims.get("iss"), token.claims.get("tid")
    metadata = expected.metadata
    if tenant is not None and not isinstance(tenant, str):
        raise _refusal("tid", "The ID token's tenant is not a text")
    if metadata.is_microsoft and not _is_name_or_absent(token.claims, "oid"):
        raise _refusal("oid", "The ID token's object id is not a text")
    if not isinstance(issuer, str) or issuer != metadata.issuer_for(tenant):
        raise _refusal("iss", "The ID token is not by the expected issuer")
    named = tenant_of_issuer(issuer) if metadata.is_microsoft else None
    if named is not None and tenant is not None and tenant.lower() != named.lower():
        raise _refusal("tid", "The ID token's tenant is not that of its issuer")
    if token.key_issuer is not None:
        signer = token.key_issuer.replace(TENANT_PLACEHOLDER, tenant or "")
        if signer != issuer:
            raise _refusal(
                "key_issuer", "The key that signed the ID token belongs to another issuer"
            )
    if expected.allowed_tenants is not None and not tenant_is_allowed(
        tenant, expected.allowed_tenants
    ):
        raise _refusal("tenant_not_allowed", "People of this organisation may not sign in here")


def _is_name_or_absent(claims: Mapping[str, Any], name: str) -> bool:
    value = claims.get(name)
    return name not in claims or (isinstance(value, str) and 0 < len(value) <= MAX_SUBJECT_LENGTH)


def tenant_is_allowed(tenant: str | None, rule: TenantRule) -> bool:
    """Whether ALLOWED_TENANTS lets this `tid` in. Without a tenant: never."""
    if tenant is None:
        return False
    if callable(rule):
        return bool(rule(tenant.lower()))
    return tenant.lower() in {allowed.lower() for allowed in rule}


def _judge_audience(claims: Mapping[str, Any], client_id: str) -> None:
    audience, party = claims.get("aud"), claims.get("azp")
    audiences = [audience] if isinstance(audience, str) else audience
    if (
        not isinstance(audiences, list)
        or not all(isinstance(item, str) for item in audiences)
        or client_id not in audiences
    ):
        raise _refusal("aud", "The ID token is for another application")
    if "azp" in claims and party != client_id:
        raise _refusal("azp", "The ID token was given to another application")
    if len(audiences) > 1 and party is None:
        raise _refusal(
            "azp", "The ID token is for several applications, and names none it was given to"
        )


def _judge_times(claims: Mapping[str, Any], expected: Expectations) -> None:
    now, leeway = expected.now, expected.leeway
    expires, issued = _time(claims, "exp"), _time(claims, "iat")
    not_before = _time(claims, "nbf") if "nbf" in claims else issued
    if now >= expires + leeway:
        raise _refusal("exp", f"The ID token expired {_ago(now - expires)} ago{_CLOCK_HINT}")
    if issued > now + leeway:
        raise _refusal(
            "iat", f"The ID token was issued {_ago(issued - now)} in the future{_CLOCK_HINT}"
        )
    if not_before > now + leeway:
        raise _refusal(
            "nbf", f"The ID token is valid {_ago(not_before - now)} from now{_CLOCK_HINT}"
        )
    if expected.max_age is not None:
        _judge_auth_time(_time(claims, "auth_time"), expected.max_age, now, leeway)


def _judge_auth_time(proved: float, max_age: int, now: float, leeway: int) -> None:
    if now - proved > max_age + leeway:
        raise _refusal("auth_time", "The person proved who they are too long ago")
    if proved > now + leeway:
        raise _refusal(
            "auth_time",
            f"The person proved who they are {_ago(proved - now)} in the future{_CLOCK_HINT}",
        )


_CLOCK_HINT = (
    ". If that is nearly now, the clocks of this machine and the provider differ: synchronise "
    "them, or raise LEEWAY"
)


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _refusal(name, f"The ID token's {name} is missing, or is not a number")
    # A whole number may be too large for a float, and NaN is in no range.
    if not 0 <= value < 1e12:
        raise _refusal(name, f"The ID token's {name} is not a time")
    return float(value)


def _ago(seconds: float) -> str:
    return f"{seconds:.0f} seconds"


def _judge_nonce(claims: Mapping[str, Any], expected: Expectations) -> None:
    nonce = claims.get("nonce")
    if expected.nonce is None:
        # OpenID Connect Core §12.2: a refreshed token need not repeat it, but must not alter it.
        before = (expected.previous or {}).get("nonce")
        if nonce is not None and before is not None and nonce != before:
            raise _refusal("nonce", "The refreshed ID token has another nonce")
        return
    if not isinstance(nonce, str) or not _same(nonce, expected.nonce):
        raise _refusal("nonce", "The ID token belongs to another sign-in attempt")


def _judge_hash(token: SignedIdToken, name: str, value: str | None) -> None:
    """`at_hash` and `c_hash` tie the token to what came with it (§3.1.3.6, §3.3.2.11)."""
    stated = token.claims.get(name)
    if name not in token.claims or value is None:
        return
    digest = hashlib.new(hash_name(token.algorithm), value.encode()).digest()
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    if not isinstance(stated, str) or not _same(stated, half):
        raise _refusal(name, f"The ID token's {name} is not that of what came with it")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def _claims(payload: bytes) -> dict[str, Any]:
    try:
        claims = strict_json(payload)
    except ValueError as reason:
        raise _refusal("malformed", f"The ID token's content is not JSON: {reason}") from None
    if not isinstance(claims, dict):
        raise _refusal("malformed", "The ID token's content is not a JSON object")
    return claims


def _refusal(code: str, message: str) -> IdTokenError:
    return IdTokenError(message, code=code)
