"""Whether an access token opens a web API of ours, and who it speaks for (RFC 9068 §4, RFC 6750).

Three steps, each with its own type, as for ID tokens: `read_access_token`, `verify_signature` and
`judge_access`. Who a token speaks for, and that it is no ID token, is found in `access_holder`.
docs/decisions/access-tokens.md has the rules, and what each of them keeps from happening.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from keyfob.errors import AccessTokenError
from keyfob.protocol.access_holder import Holder, holder_of
from keyfob.protocol.id_token import TenantRule, tenant_is_allowed
from keyfob.protocol.keys import KeySet
from keyfob.protocol.metadata import ProviderMetadata
from keyfob.protocol.signed_token import (
    CLOCK_HINT,
    SignedToken,
    TokenKind,
    UnverifiedToken,
    in_seconds,
    is_name,
    judge_issuer,
    judge_lifetime,
    read_token,
    time_in,
    verified_token,
)

#: Characters. Microsoft's with two hundred groups in it has about ten thousand.
MAX_LENGTH = 32_768
#: What `typ` may be: RFC 9068's own, or, from most providers, a JWT's or none.
AT_JWT = "at+jwt"
_TYPES = (AT_JWT, "jwt", "")
_VERSIONS = ("1.0", "2.0")

_KIND = TokenKind("access token", MAX_LENGTH, AccessTokenError, sender="The", unique_names=True)


class UnverifiedAccessToken(UnverifiedToken):
    """An access token taken apart. Nothing in it is to be believed yet."""


class SignedAccessToken(SignedToken):
    """An access token that the provider's key signed. Whether it is meant for us is still open."""


class AccessExpectations(NamedTuple):
    """What a good access token says, here and now.

    :param audiences: what the API is called; a token must be for one of them.
    :param leeway: seconds of clock difference that are forgiven.
    :param allowed_tenants: None for every tenant that the authority serves.
    :param allowed_clients: the applications that may call; None for every one.
    """

    audiences: Collection[str]
    metadata: ProviderMetadata
    now: float
    leeway: int = 60
    allowed_tenants: TenantRule | None = None
    allowed_clients: Collection[str] | None = None


class ProvenAccess(NamedTuple):
    """An access token that has passed every check.

    :ivar claims: the token's claims.
    :ivar holder: who it speaks for, and what it allows.
    :ivar issuer: as the provider's ID tokens name it; an access token's own may be another one.
    :ivar expires_at: seconds since 1970.
    """

    claims: Mapping[str, Any]
    holder: Holder
    issuer: str
    expires_at: float

    def __repr__(self) -> str:
        return f"ProvenAccess(holder={self.holder!r}, issuer={self.issuer!r})"


def default_audiences(client_id: str, *, is_microsoft: bool) -> frozenset[str]:
    """What an API is called that names no audiences of its own: its client id; at Microsoft, in
    tokens of version 1, also the address that a registration is given by itself."""
    return frozenset({client_id, f"api://{client_id}"} if is_microsoft else {client_id})


def read_access_token(token: object) -> UnverifiedAccessToken:
    """Take a compact JWS apart (RFC 7515 §7.1) and refuse what can be no access token.

    :raises AccessTokenError: with code `malformed`, `unsupported_header` or `wrong_type`.
    """
    found, media_type = read_token(token, _KIND, UnverifiedAccessToken)
    if media_type not in _TYPES:
        raise _refusal("wrong_type", "Another kind of token was sent as access token")
    return found


def verify_signature(
    token: UnverifiedAccessToken, keys: KeySet, algorithms: Collection[str]
) -> SignedAccessToken:
    """Check that one of the provider's keys signed the token, with an algorithm it announces.

    :raises AccessTokenError: with code `algorithm`, `unknown_key` or `signature`, as for ID tokens;
        `proxied` for a token that only an API of Microsoft's can check.
    """
    try:
        return verified_token(token, keys, algorithms, _KIND, SignedAccessToken)
    except AccessTokenError as error:
        if error.code != "signature" or not token.has_nonce:
            raise
        # What was signed has a hash in the place of the nonce, which only those APIs know to make.
        raise _refusal(
            "proxied",
            "The access token has a nonce in its header: it is for Microsoft Graph, or another API "
            "of Microsoft's, which alone can check it. Ask for a token for this API",
        ) from None


def judge_access(token: SignedAccessToken, expected: AccessExpectations) -> ProvenAccess:
    """Check that the token is for this API, now, and find out who it speaks for.

    :raises AccessTokenError: `code` names the claim that is wrong.
    """
    claims, metadata = token.claims, expected.metadata
    if not is_name(claims.get("sub")):
        raise _refusal("sub", "The access token names no subject")
    issuer, version = _judge_issuer(token, expected)
    _judge_audience(claims, expected)
    expires_at = _judge_times(claims, expected)
    if claims.get("cnf") is not None:
        raise _refusal(
            "bound",
            "The access token is bound to a key (cnf), which a plain bearer does not prove to have",
        )
    holder = holder_of(claims, metadata.kind, version, says_so=token.media_type == AT_JWT)
    allowed = expected.allowed_clients
    if allowed is not None and not _is_among(holder.client_id, allowed, metadata):
        raise _refusal("client_not_allowed", "This application may not call this API")
    return ProvenAccess(claims, holder, issuer, expires_at)


def _judge_issuer(token: SignedAccessToken, expected: AccessExpectations) -> tuple[str, str]:
    """Returns the issuer as ID tokens name it, and the version of Entra's token, "" elsewhere."""
    claims, metadata = token.claims, expected.metadata
    tenant = claims.get("tid")
    if tenant is not None and not isinstance(tenant, str):
        raise _refusal("tid", "The access token's tenant is not a text")
    issuer, usual = claims.get("iss"), metadata.issuer_for(tenant)
    is_other = (
        usual is not None and issuer != usual and issuer == metadata.access_token_issuer_for(tenant)
    )
    if is_other:
        # Judged as if it named the issuer that the metadata, and the keys, are called by.
        token = token._replace(claims={**claims, "iss": usual})
    judge_issuer(token, metadata, tenant, _KIND)
    version = ""
    if metadata.kind in ("entra", "ciam"):
        version = "1.0" if is_other else "2.0"
        if claims.get("ver") != version:
            raise _refusal("ver", "The access token's version is not that of its issuer")
    rule = expected.allowed_tenants
    if rule is not None and not tenant_is_allowed(tenant, rule):
        raise _refusal("tenant_not_allowed", "People of this organisation may not call this API")
    return token.claims["iss"], version


def _judge_audience(claims: Mapping[str, Any], expected: AccessExpectations) -> None:
    audience = claims.get("aud")
    if isinstance(audience, str):
        is_ours = audience in expected.audiences
    elif (
        isinstance(audience, list)
        and not expected.metadata.is_microsoft
        and all(isinstance(each, str) for each in audience)
    ):
        is_ours = any(each in expected.audiences for each in audience)
    else:
        raise _refusal("aud", "The access token's audience is not a text")
    if not is_ours:
        raise _refusal("aud", "The access token is for another API")


def _judge_times(claims: Mapping[str, Any], expected: AccessExpectations) -> float:
    now, leeway = expected.now, expected.leeway
    begins, expires_at = judge_lifetime(claims, now, leeway, _KIND)
    if "nbf" in claims:
        not_before = begins = time_in(claims, "nbf", _KIND)
        if not_before > now + leeway:
            raise _refusal(
                "nbf",
                f"The access token is valid {in_seconds(not_before - now)} from now{CLOCK_HINT}",
            )
    if begins >= expires_at:
        raise _refusal("exp", "The access token ends before it begins")
    return expires_at


def _is_among(client_id: str, allowed: Collection[str], metadata: ProviderMetadata) -> bool:
    """At Microsoft an application's id is a GUID, whose letters may be written in either case."""
    if client_id in allowed:
        return True
    return metadata.is_microsoft and client_id.lower() in {each.lower() for each in allowed}


def _refusal(code: str, message: str) -> AccessTokenError:
    return AccessTokenError(message, code=code)
