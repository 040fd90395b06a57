"""Whether a logout token ends sessions, and whose (OpenID Connect Back-Channel Logout 1.0 §2.6).

Three steps, each with its own type, as for ID tokens: `read_logout_token`, `verify_signature` and
`judge_logout`. An ID token or an access token, which the same key signs for the same client, never
passes for one: it lacks the event, and an ID token may have a nonce, which no logout token has.

That a token comes a second time is not seen here: whoever takes it remembers `LogoutOrder.token_id`
until `LogoutOrder.expires_at`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from keyfob.errors import LogoutTokenError
from keyfob.protocol.issuer import tenant_of_issuer
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
    verified_token,
)

#: The member of `events` that makes a token a logout token (§2.4).
EVENT = "http://schemas.openid.net/event/backchannel-logout"
#: Seconds. Providers are to give one two minutes (§4); who tries again may take some more. It
#: bounds for how long a token must be remembered, whatever its own `exp` says.
MAX_AGE = 600
#: Characters. A logout token has a handful of claims.
MAX_LENGTH = 16_384
#: What `typ` may be: its own type, or, from providers that are older than that, a JWT's or none.
_TYPES = ("logout+jwt", "jwt", "")

_KIND = TokenKind("logout token", MAX_LENGTH, LogoutTokenError)


class UnverifiedLogoutToken(UnverifiedToken):
    """A logout token taken apart. Nothing in it is to be believed yet."""


class SignedLogoutToken(SignedToken):
    """A logout token that the provider's key signed. Whether it is meant for us is still open."""


@dataclass(frozen=True)
class LogoutExpectations:
    """What a good logout token says, here and now.

    :param leeway: seconds of clock difference that are forgiven.
    """

    client_id: str
    metadata: ProviderMetadata
    now: float
    leeway: int = 60


@dataclass(frozen=True)
class LogoutOrder:
    """Whose sessions are to end: the provider's session `sid`; without one all of `subject`.

    :param expires_at: seconds since 1970 from when on the token is refused as too old anyway.
    """

    issuer: str
    subject: str | None = field(repr=False)
    sid: str | None = field(repr=False)
    token_id: str = field(repr=False)
    expires_at: float


def read_logout_token(token: object) -> UnverifiedLogoutToken:
    """Take a compact JWS apart (RFC 7515 §7.1) and refuse what can be no logout token.

    :raises LogoutTokenError: with code `malformed`, `unsupported_header` or `wrong_type`.
    """
    found, media_type = read_token(token, _KIND, UnverifiedLogoutToken)
    if media_type not in _TYPES:
        raise _refusal("wrong_type", "Another kind of token was sent as logout token")
    return found


def verify_signature(
    token: UnverifiedLogoutToken, keys: KeySet, algorithms: Collection[str]
) -> SignedLogoutToken:
    """Check that one of the provider's keys signed the token, with an algorithm it announces for
    ID tokens (§2.6, steps 2 and 3).

    :raises LogoutTokenError: with code `algorithm`, `unknown_key` or `signature`, as for ID tokens.
    """
    return verified_token(token, keys, algorithms, _KIND, SignedLogoutToken)


def judge_logout(token: SignedLogoutToken, expected: LogoutExpectations) -> LogoutOrder:
    """Check that the token is the expected provider's, for this client, and of now.

    :raises LogoutTokenError: `code` names the claim that is wrong.
    """
    claims = token.claims
    _judge_event(token)
    judge_issuer(token, expected.metadata, _tenant(token, expected.metadata), _KIND)
    judge_audience(claims, expected.client_id, _KIND)
    issued, expires = judge_lifetime(claims, expected.now, expected.leeway, _KIND)
    age = expected.now - issued
    if age > MAX_AGE + expected.leeway:
        raise _refusal("iat", f"The logout token was issued {in_seconds(age)} ago{CLOCK_HINT}")
    return LogoutOrder(
        issuer=claims["iss"],
        subject=_name(token, "sub"),
        sid=_name(token, "sid"),
        token_id=_token_id(token),
        expires_at=min(expires, issued + MAX_AGE) + expected.leeway,
    )


def _judge_event(token: SignedLogoutToken) -> None:
    claims, events = token.claims, token.claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise _refusal("events", "The token is about no logout")
    if "nonce" in claims:
        raise _refusal("nonce", "The logout token has a nonce, which only ID tokens have")
    if "sub" not in claims and "sid" not in claims:
        raise _refusal("sub", "The logout token names neither a subject nor a session")


def _tenant(token: SignedLogoutToken, metadata: ProviderMetadata) -> str | None:
    """Whose token it is, of a provider that serves many tenants. Other than an ID token it need not
    say so apart from its issuer."""
    tenant, issuer = token.claims.get("tid"), token.claims.get("iss")
    if tenant is None and isinstance(issuer, str) and metadata.issuer_is_template:
        return tenant_of_issuer(issuer)
    if tenant is not None and not isinstance(tenant, str):
        raise _refusal("tid", "The logout token's tenant is not a text")
    return tenant


def _name(token: SignedLogoutToken, claim: str) -> str | None:
    if claim not in token.claims:
        return None
    value = token.claims[claim]
    if not is_name(value):
        raise _refusal(claim, f"The logout token's {claim} is no name")
    return value


def _token_id(token: SignedLogoutToken) -> str:
    value = token.claims.get("jti")
    if not is_name(value):
        raise _refusal("jti", "The logout token has no id of its own")
    return value


def _refusal(code: str, message: str) -> LogoutTokenError:
    return LogoutTokenError(message, code=code)
