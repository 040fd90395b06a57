"""Whether an ID token proves who signed in (OpenID Connect Core §3.1.3.7, §12.2).

Three steps, each with its own type, so that none can be left out: `read_id_token` takes a token
apart, `verify_signature` accepts what came out, and `judge_claims` accepts what came out of that.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from keyfob.errors import IdTokenError, SubjectChangedError
from keyfob.protocol.keys import KeySet
from keyfob.protocol.metadata import ProviderMetadata
from keyfob.protocol.signed_token import (
    CLOCK_HINT,
    SignedToken,
    TokenKind,
    UnverifiedToken,
    in_seconds,
    is_name,
    judge_audience,
    judge_issuer,
    judge_lifetime,
    read_token,
    time_in,
    verified_token,
)
from keyfob.protocol.signing import hash_name

_KIND = TokenKind("ID token", 200_000, IdTokenError)
#: Media types of tokens that are no ID tokens (RFC 9068, RFC 8417, OpenID Connect Back-Channel
#: Logout): they may be signed by the same key for the same client, and must not pass for one.
_FOREIGN_TYPES = ("at+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt", "entity-statement+jwt")

#: Tenants by their id, or a function that is given one in lower case and says whether its people
#: may come in.
TenantRule = Collection[str] | Callable[[str], object]


class UnverifiedIdToken(UnverifiedToken):
    """An ID token taken apart. Nothing in it is to be believed yet."""


class SignedIdToken(SignedToken):
    """An ID token that the provider's key signed. Whether it is meant for us is still open."""


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
    found, media_type = read_token(token, _KIND, UnverifiedIdToken)
    if media_type in _FOREIGN_TYPES:
        raise _refusal("wrong_type", "The provider sent another kind of token as ID token")
    return found


def verify_signature(
    token: UnverifiedIdToken, keys: KeySet, algorithms: Collection[str]
) -> SignedIdToken:
    """Check that one of the provider's keys signed the token, with an algorithm it announces.

    :raises IdTokenError: with code `algorithm` where the algorithm is not one of `algorithms`,
        `unknown_key` where no key fits, `signature` where none of those that fit signed it. The
        last two may be cured by fetching the keys again.
    """
    return verified_token(token, keys, algorithms, _KIND, SignedIdToken)


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


def _judge_subject(claims: Mapping[str, Any], expected: Expectations) -> None:
    subject = claims.get("sub")
    if not is_name(subject):
        raise _refusal("sub", "The ID token names no subject")
    before = expected.previous
    if before is None:
        return
    if subject != before.get("sub") or claims.get("iss") != before.get("iss"):
        raise SubjectChangedError("The refreshed ID token is about somebody else")


def _judge_issuer(token: SignedIdToken, expected: Expectations) -> None:
    tenant, metadata = token.claims.get("tid"), expected.metadata
    if tenant is not None and not isinstance(tenant, str):
        raise _refusal("tid", "The ID token's tenant is not a text")
    if metadata.is_microsoft and not _is_name_or_absent(token.claims, "oid"):
        raise _refusal("oid", "The ID token's object id is not a text")
    judge_issuer(token, metadata, tenant, _KIND)
    if expected.allowed_tenants is not None and not tenant_is_allowed(
        tenant, expected.allowed_tenants
    ):
        raise _refusal("tenant_not_allowed", "People of this organisation may not sign in here")


def _is_name_or_absent(claims: Mapping[str, Any], name: str) -> bool:
    return name not in claims or is_name(claims.get(name))


def tenant_is_allowed(tenant: str | None, rule: TenantRule) -> bool:
    """Whether ALLOWED_TENANTS lets this `tid` in. Without a tenant: never."""
    if tenant is None:
        return False
    if callable(rule):
        return bool(rule(tenant.lower()))
    return tenant.lower() in {allowed.lower() for allowed in rule}


def _judge_audience(claims: Mapping[str, Any], client_id: str) -> None:
    audiences, party = judge_audience(claims, client_id, _KIND), claims.get("azp")
    if "azp" in claims and party != client_id:
        raise _refusal("azp", "The ID token was given to another application")
    if len(audiences) > 1 and party is None:
        raise _refusal(
            "azp", "The ID token is for several applications, and names none it was given to"
        )


def _judge_times(claims: Mapping[str, Any], expected: Expectations) -> None:
    now, leeway = expected.now, expected.leeway
    issued, _ = judge_lifetime(claims, now, leeway, _KIND)
    not_before = time_in(claims, "nbf", _KIND) if "nbf" in claims else issued
    if not_before > now + leeway:
        raise _refusal(
            "nbf", f"The ID token is valid {in_seconds(not_before - now)} from now{CLOCK_HINT}"
        )
    if expected.max_age is not None:
        _judge_auth_time(time_in(claims, "auth_time", _KIND), expected.max_age, now, leeway)


def _judge_auth_time(proved: float, max_age: int, now: float, leeway: int) -> None:
    if now - proved > max_age + leeway:
        raise _refusal("auth_time", "The person proved who they are too long ago")
    if proved > now + leeway:
        raise _refusal(
            "auth_time",
            f"The person proved who they are {in_seconds(proved - now)} in the future{CLOCK_HINT}",
        )


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


def _refusal(code: str, message: str) -> IdTokenError:
    return IdTokenError(message, code=code)
