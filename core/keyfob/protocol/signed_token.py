"""What every signed token of a provider's has to pass: ID token, logout token or access token.

A compact JWS (RFC 7515 §7.1) is taken apart, its signature checked with the provider's own keys,
and the claims that all kinds have are judged. What a kind has beside that is in its own module:
`id_token`, `logout_token` and `access_token`.
"""

from __future__ import annotations

import binascii
import string
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias, TypeGuard, TypeVar

from keyfob.errors import AccessTokenError, IdTokenError, LogoutTokenError
from keyfob.protocol.http import strict_json
from keyfob.protocol.issuer import TENANT_PLACEHOLDER, tenant_of_issuer
from keyfob.protocol.keys import KeySet, SigningKey
from keyfob.protocol.metadata import ProviderMetadata
from keyfob.protocol.signing import (
    ASYMMETRIC_ALGORITHMS,
    PKCS1_ALGORITHMS,
    is_pkcs1_signature,
)
from keyfob.protocol.unverified import json_object_in

MAX_SUBJECT_LENGTH = 255
CLOCK_HINT = (
    ". If that is nearly now, the clocks of this machine and the provider differ: synchronise "
    "them, or raise LEEWAY"
)

#: The characters of base64url without padding (RFC 7515 §2).
_BASE64URL = (string.ascii_letters + string.digits + "-_").encode()
#: What a signature may end in, by its length over four: the last letter has bits that no byte has,
#: which are zero (RFC 4648 §3.5), or one token could be written in sixteen ways.
_LAST_LETTERS = (_BASE64URL.decode(), "", "AQgw", "AEIMQUYcgkosw048")
_TO_BASE64 = bytes.maketrans(b"-_", b"+/")
#: Characters. A longer header has a certificate in it, or is somebody's attempt.
_SHORT = 512


#: What the refusal of a token raises, each kind its own.
TokenError: TypeAlias = "IdTokenError | LogoutTokenError | AccessTokenError"


@dataclass(frozen=True)
class TokenKind:
    """How a kind of token is called, how long one may be, and what its refusal raises.

    :ivar sender: whose it seems to be, before it is known: a caller may send an API anything.
    :ivar unique_names: whether a name that comes twice in its JSON is refused (RFC 7519 §4); where
        not, the last one counts.
    """

    name: str
    max_length: int
    error: type[IdTokenError | LogoutTokenError | AccessTokenError]
    sender: str = "The provider's"
    unique_names: bool = False

    def refusal(self, code: str, message: str) -> TokenError:
        return self.error(message, code=code)


class UnverifiedToken(NamedTuple):
    """A token taken apart. Nothing in it is to be believed yet."""

    text: str
    algorithm: str
    kid: str | None
    #: Whether the header has a nonce, as tokens for Microsoft's own APIs have.
    has_nonce: bool = False
    media_type: str = ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(algorithm={self.algorithm!r}, kid={self.kid!r})"


class SignedToken(NamedTuple):
    """A token that the provider's key signed. Whether it is meant for us is still open."""

    claims: Mapping[str, Any]
    algorithm: str
    key_issuer: str | None
    media_type: str = ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(algorithm={self.algorithm!r})"


Unverified = TypeVar("Unverified", bound=UnverifiedToken)
Signed = TypeVar("Signed", bound=SignedToken)


def read_token(
    token: object, kind: TokenKind, made: Callable[..., Unverified]
) -> tuple[Unverified, str]:
    """Take a compact JWS apart, and refuse what can be no token of a provider's.

    :param made: the kind's own type.
    :returns: the token, and its media type (`typ`): in lower case, without `application/`, "" where
        it names none (RFC 7515 §4.1.9).
    :raises TokenError: with code `malformed` or `unsupported_header`.
    """
    name, whose = kind.name, kind.sender
    if not isinstance(token, str) or not token or len(token) > kind.max_length:
        raise kind.refusal("malformed", f"{whose} {name} is not a signed token")
    if not _is_compact(token):
        raise kind.refusal("malformed", f"{whose} {name} is not three parts of base64url")
    part = token.split(".", 1)[0]
    # All tokens that one key signs have the same header: it is judged once.
    judge = _judged_header if len(part) <= _SHORT else _judged_header.__wrapped__
    algorithm, kid, has_nonce, media_type = judge(part, kind)
    return made(token, algorithm, kid, has_nonce, media_type), media_type


@lru_cache(maxsize=64)
def _judged_header(part: str, kind: TokenKind) -> tuple[str, str | None, bool, str]:
    """Algorithm, key id, whether there is a nonce, and media type; an error is not remembered."""
    name = kind.name
    header = json_object_in(part, unique_names=kind.unique_names)
    if header is None:
        raise kind.refusal("malformed", f"The {name}'s header is not a JSON object")
    if "crit" in header or "b64" in header:
        raise kind.refusal(
            "unsupported_header", f"{kind.sender} {name} asks for an extension of JWS"
        )
    token_type, algorithm, kid = header.get("typ"), header.get("alg"), header.get("kid")
    if not (token_type is None or isinstance(token_type, str)):
        raise kind.refusal("malformed", f"The {name}'s type is not a text")
    if not isinstance(algorithm, str) or not (kid is None or isinstance(kid, str)):
        raise kind.refusal("malformed", f"The {name}'s header has no algorithm, or an odd key id")
    media_type = (token_type or "").lower().removeprefix("application/")
    return algorithm, kid, "nonce" in header, media_type


def _is_compact(token: str) -> bool:
    """Whether it is base64url without padding, thrice (RFC 7515 §7.1), and nothing that a decoder
    might overlook."""
    if not token.isascii() or token.encode().translate(None, _BASE64URL) != b"..":
        return False
    return ".." not in token and token[0] != "." and token[-1] != "."


def verified_token(
    token: UnverifiedToken,
    keys: KeySet,
    algorithms: Collection[str],
    kind: TokenKind,
    made: Callable[..., Signed],
) -> Signed:
    """Check that one of the provider's keys signed the token, with an algorithm it announces.

    :raises TokenError: with code `algorithm` where the algorithm is not one
        of `algorithms`, `unknown_key` where no key fits, `signature` where none of those that fit
        signed it. The last two may be cured by fetching the keys again.
    """
    name = kind.name
    if token.algorithm not in algorithms:
        raise kind.refusal(
            "algorithm",
            f"The {name} is signed with {token.algorithm[:20]!r}; the provider's metadata "
            f"announces {', '.join(sorted(algorithms))}",
        )
    candidates = keys.candidates(token.algorithm, token.kid)
    if not candidates:
        raise kind.refusal("unknown_key", f"None of the provider's keys fits the {name}")
    for key in candidates:
        payload = _payload_signed_by(key, token)
        if payload is not None:
            return made(_claims(payload, kind), token.algorithm, key.issuer, token.media_type)
    raise kind.refusal("signature", f"The {name}'s signature is not by any of the provider's keys")


def judge_issuer(
    token: SignedToken, metadata: ProviderMetadata, tenant: str | None, kind: TokenKind
) -> None:
    """Refuse a token of another issuer, or of a key that is another issuer's.

    :param tenant: whose the token is, where the provider's issuer is a template.
    :raises TokenError: with code `iss`, `tid` or `key_issuer`.
    """
    issuer, name = token.claims.get("iss"), kind.name
    if not isinstance(issuer, str) or issuer != metadata.issuer_for(tenant):
        raise kind.refusal("iss", f"The {name} is not by the expected issuer")
    named = tenant_of_issuer(issuer) if metadata.is_microsoft else None
    if named is not None and tenant is not None and tenant.lower() != named.lower():
        raise kind.refusal("tid", f"The {name}'s tenant is not that of its issuer")
    if token.key_issuer is not None:
        signer = token.key_issuer.replace(TENANT_PLACEHOLDER, tenant or "")
        if signer != issuer:
            raise kind.refusal(
                "key_issuer", f"The key that signed the {name} belongs to another issuer"
            )


def judge_audience(claims: Mapping[str, Any], client_id: str, kind: TokenKind) -> list[str]:
    """Refuse a token that is not for this client. Returns all that it is for.

    :raises TokenError: with code `aud`.
    """
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if (
        not isinstance(audiences, list)
        or not all(isinstance(item, str) for item in audiences)
        or client_id not in audiences
    ):
        raise kind.refusal("aud", f"The {kind.name} is for another application")
    return audiences


def judge_lifetime(
    claims: Mapping[str, Any], now: float, leeway: int, kind: TokenKind
) -> tuple[float, float]:
    """Refuse a token that has expired, or was issued in the future. Returns `iat` and `exp`.

    :raises TokenError: with code `iat` or `exp`.
    """
    expires, issued = time_in(claims, "exp", kind), time_in(claims, "iat", kind)
    if now >= expires + leeway:
        raise kind.refusal(
            "exp", f"The {kind.name} expired {in_seconds(now - expires)} ago{CLOCK_HINT}"
        )
    if issued > now + leeway:
        raise kind.refusal(
            "iat",
            f"The {kind.name} was issued {in_seconds(issued - now)} in the future{CLOCK_HINT}",
        )
    return issued, expires


def time_in(claims: Mapping[str, Any], name: str, kind: TokenKind) -> float:
    """A claim that is a time, in seconds since 1970 (RFC 7519 §2, NumericDate)."""
    value = claims.get(name)
    if not (type(value) is int or type(value) is float):  # and not a bool, which is an int
        raise kind.refusal(name, f"The {kind.name}'s {name} is missing, or is not a number")
    # A whole number may be too large for a float, and NaN is in no range.
    if not 0 <= value < 1e12:
        raise kind.refusal(name, f"The {kind.name}'s {name} is not a time")
    return float(value)


def in_seconds(seconds: float) -> str:
    return f"{seconds:.0f} seconds"


def is_name(value: object) -> TypeGuard[str]:
    """Whether this may be a subject's name, or a session's (OpenID Connect Core §2)."""
    return isinstance(value, str) and 0 < len(value) <= MAX_SUBJECT_LENGTH


def _payload_signed_by(key: SigningKey, token: UnverifiedToken) -> bytes | None:
    """The payload, where the key signed it (RFC 7515 §5.2, steps 5 to 8).

    The header was read, and the algorithm compared with the provider's list and the key, before.
    """
    header_and_payload, _, signature = token.text.rpartition(".")
    if signature[-1] not in _LAST_LETTERS[len(signature) % 4]:
        return None
    try:
        found = _decoded(signature)
        payload = _decoded(header_and_payload.partition(".")[2])
    except ValueError:
        return None
    return payload if _is_signature(found, header_and_payload.encode(), key, token) else None


def _is_signature(signature: bytes, signed: bytes, key: SigningKey, token: UnverifiedToken) -> bool:
    """The key is of the algorithm's own kind and curve: else it were no candidate."""
    if token.algorithm in PKCS1_ALGORITHMS:
        # Nearly all tokens: asked of cryptography itself, as the JOSE library would in the end.
        return is_pkcs1_signature(signature, signed, key.native, token.algorithm)
    from joserfc.errors import JoseError

    try:
        return bool(_verifier(token.algorithm).verify(signed, signature, key.public))
    except (JoseError, ValueError, TypeError):
        return False


@lru_cache(maxsize=len(ASYMMETRIC_ALGORITHMS))
def _verifier(algorithm: str) -> Any:
    from joserfc.jws import JWSRegistry

    return JWSRegistry(algorithms=[algorithm]).get_alg(algorithm)


def _decoded(part: str) -> bytes:
    padding = b"=" * (-len(part) % 4)
    return binascii.a2b_base64(part.encode().translate(_TO_BASE64) + padding)


def _claims(payload: bytes, kind: TokenKind) -> dict[str, Any]:
    try:
        claims = strict_json(payload, unique_names=kind.unique_names)
    except ValueError as reason:
        raise kind.refusal(
            "malformed", f"The {kind.name}'s content is not JSON: {reason}"
        ) from None
    if not isinstance(claims, dict):
        raise kind.refusal("malformed", f"The {kind.name}'s content is not a JSON object")
    return claims
