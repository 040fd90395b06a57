"""The provider's signing keys (RFC 7517), and which of them may have signed a token."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from keyfob.errors import KeySetError
from keyfob.protocol.http import HttpRequest, HttpResponse, json_object, refuse_unusable_status
from keyfob.protocol.signing import KEY_FOR_ALGORITHM

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, RSAKey

#: RFC 7518 §3.3 asks for 2048 bits at least; far more only costs time.
RSA_BITS = range(2048, 16385)
#: A key set is searched linearly only within one `kid`; this bounds what a hostile one can cost.
MAX_KEYS = 200
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_CURVES = frozenset(curve for _, curve in KEY_FOR_ALGORITHM.values() if curve)


@dataclass(frozen=True)
class SigningKey:
    """One public key of a provider. `issuer` is Microsoft's: whose tokens the key may sign."""

    kid: str | None
    kty: str
    curve: str | None
    algorithm: str | None
    issuer: str | None
    public: RSAKey | ECKey = field(repr=False, compare=False)

    @cached_property
    def native(self) -> Any:
        """The same as cryptography has it."""
        return self.public.public_key

    def may_sign_with(self, algorithm: str) -> bool:
        if self.algorithm is not None and self.algorithm != algorithm:
            return False
        return KEY_FOR_ALGORITHM.get(algorithm) == (self.kty, self.curve)


@dataclass(frozen=True)
class KeySet:
    keys: tuple[SigningKey, ...]

    def candidates(self, algorithm: str, kid: str | None) -> list[SigningKey]:
        """The keys that may have signed a token with this `alg` and `kid`.

        A `kid` on both sides must agree. Where either side has none, every key of the right
        kind is a candidate.
        """
        return [
            key
            for key in self.keys
            if key.may_sign_with(algorithm) and (kid is None or key.kid is None or key.kid == kid)
        ]


def build_key_set_request(jwks_uri: str) -> HttpRequest:
    return HttpRequest(
        "GET", jwks_uri, "the provider's signing keys", headers={"Accept": "application/json"}
    )


def parse_key_set(response: HttpResponse) -> KeySet:
    """Judge the key set. Keys that cannot sign ID tokens are left out (RFC 7517 §5).

    :raises KeySetError: it is no key set, or no key in it can be used.
    :raises TransportError: the provider answered a redirect, 429 or 5xx.
    """
    refuse_unusable_status(response, "The provider's key set")
    if response.status != 200:
        raise KeySetError(f"The provider's key set answered HTTP {response.status}", code="no_keys")
    document = json_object(response, "The provider's key set", KeySetError)
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise KeySetError("The provider's key set has no list of keys", code="no_keys")
    if len(entries) > MAX_KEYS:
        raise KeySetError(f"The provider's key set has over {MAX_KEYS} keys", code="too_many_keys")
    keys = [key for entry in entries if (key := _signing_key(entry)) is not None]
    if not keys:
        raise KeySetError("No key in the provider's key set can sign ID tokens", code="no_keys")
    return KeySet(tuple(keys))


def _signing_key(entry: object) -> SigningKey | None:
    """One entry as a key, or None where it is not a public signing key of a kind we accept."""
    if not isinstance(entry, dict):
        return None
    optional = {name: entry.get(name) for name in ("kid", "alg", "use", "issuer", "crv")}
    if any(value is not None and not isinstance(value, str) for value in optional.values()):
        return None
    # A published private key proves nothing: anybody could have signed with it.
    if _PRIVATE_MEMBERS & entry.keys() or optional["use"] not in (None, "sig"):
        return None
    operations = entry.get("key_ops")
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        return None
    public = _public_key(entry)
    if public is None:
        return None
    return SigningKey(
        kid=optional["kid"],
        kty=entry["kty"],
        curve=optional["crv"] if entry["kty"] == "EC" else None,
        algorithm=optional["alg"],
        issuer=optional["issuer"],
        public=public,
    )


def _public_key(entry: Mapping[str, Any]) -> RSAKey | ECKey | None:
    # Imported here: the JOSE library and its cryptography cost more than the rest of Keyfob.
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, RSAKey

    try:
        if entry.get("kty") == "RSA":
            modulus, exponent = _number(entry["n"]), _number(entry["e"])
            if modulus.bit_length() not in RSA_BITS or not _sound_exponent(exponent):
                return None
            rsa: RSAKey = RSAKey.import_key({"kty": "RSA", "n": entry["n"], "e": entry["e"]})
            _ = rsa.public_key
            return rsa
        if entry.get("kty") == "EC" and entry.get("crv") in _CURVES:
            parameters = {name: entry[name] for name in ("kty", "crv", "x", "y")}
            ec: ECKey = ECKey.import_key(parameters)
            _ = ec.public_key  # raises when the point is not on its curve
            return ec
    except (KeyError, TypeError, ValueError, JoseError):
        return None
    return None


def _sound_exponent(exponent: int) -> bool:
    return exponent >= 3 and exponent % 2 == 1 and exponent.bit_length() <= 256


def _number(text: object) -> int:
    if not isinstance(text, str):
        raise TypeError
    try:
        return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")
    except binascii.Error:
        raise ValueError from None
