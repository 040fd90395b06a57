"""Signing keys: RSA-2048 with a self-signed certificate, made when first needed.

As at Entra there are two rings: one signs for every organisation, the other for personal accounts,
and each key of the key set says in ``issuer`` which tokens it may sign. The federation service and
the authority for SSH certificates have keys of their own, which are not in the key set. JSON Web
Key: RFC 7517; ``x5t`` and ``x5c``: its sections 4.7 and 4.8.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

from keyfob_emulator.model import CONSUMERS_TENANT

ALGORITHM: Final = "RS256"
ORGANISATIONS: Final = "organisations"
CONSUMERS: Final = "consumers"
FEDERATION: Final = "federation"
SSH: Final = "ssh"
_TOKEN_RINGS: Final = (ORGANISATIONS, CONSUMERS)


def base64url(data: bytes) -> str:
    """RFC 7515 section 2: base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def new_private_key() -> rsa.RSAPrivateKey:
    """A new RSA key, which takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class SigningKey:
    """A private key, its certificate, and the public face of both."""

    def __init__(self, private: rsa.RSAPrivateKey, now: float) -> None:
        name = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, "Keyfob local identity provider")]
        )
        start = datetime.fromtimestamp(now, timezone.utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start - timedelta(days=1))
            .not_valid_after(start + timedelta(days=5 * 365))
            .sign(private, hashes.SHA256())
        )
        der = certificate.public_bytes(serialization.Encoding.DER)
        # Entra's kid is the certificate's SHA-1 thumbprint; no security rests on it.
        self.kid = base64url(hashlib.sha1(der, usedforsecurity=False).digest())
        self.x5c = base64.b64encode(der).decode("ascii")
        self.private = private
        self._key: RSAKey = RSAKey.import_key(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            {"kid": self.kid},
        )

    def sign(self, claims: dict[str, Any], typ: str = "JWT") -> str:
        """A signed JWT (RFC 7519) with the header Entra writes."""
        header = {"typ": typ, "alg": ALGORITHM, "x5t": self.kid, "kid": self.kid}
        return jwt.encode(header, claims, self._key, algorithms=[ALGORITHM])

    def public(self) -> dict[str, Any]:
        """The key's entry in a key set."""
        numbers = self._key.as_dict(private=False)
        return {
            "kty": "RSA",
            "use": "sig",
            "kid": self.kid,
            "x5t": self.kid,
            "n": numbers["n"],
            "e": numbers["e"],
            "x5c": [self.x5c],
        }

    @property
    def jose_key(self) -> RSAKey:
        """The key for verification."""
        return self._key


class KeyRings:
    """The keys in use. The last of a ring signs; the others are still published.

    :param key_factory: gives a private key that no other ring has. Tests keep some at hand.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        key_factory: Callable[[], rsa.RSAPrivateKey] = new_private_key,
    ) -> None:
        self._clock = clock
        self._key_factory = key_factory
        self._lock = threading.Lock()
        self._rings: dict[str, list[SigningKey]] = {
            name: [] for name in (*_TOKEN_RINGS, FEDERATION, SSH)
        }

    def _new_key(self) -> SigningKey:
        return SigningKey(self._key_factory(), self._clock())

    def _ring(self, name: str) -> list[SigningKey]:
        with self._lock:
            if not self._rings[name]:
                self._rings[name] = [self._new_key()]
            return list(self._rings[name])

    def current(self, ring: str) -> SigningKey:
        """The key of a ring that signs now."""
        return self._ring(ring)[-1]

    def sign(self, claims: dict[str, Any], tenant_id: str, typ: str = "JWT") -> str:
        """Sign claims with the current key of the tenant's ring."""
        ring = CONSUMERS if tenant_id == CONSUMERS_TENANT else ORGANISATIONS
        return self.current(ring).sign(claims, typ)

    def rotate(self, *, keep_old: bool = True) -> None:
        """Make new signing keys. ``keep_old=False`` also withdraws the published old ones."""
        for name in _TOKEN_RINGS:
            fresh = self._new_key()
            kept = self._ring(name) if keep_old else []
            with self._lock:
                self._rings[name] = [*kept, fresh]

    def key_set(self, rings: Iterable[str], issuer: str | None) -> dict[str, Any]:
        """The document behind ``jwks_uri``; ``issuer`` is a template with ``{tenantid}``.

        Without an issuer the keys do not say for whom they sign.
        """
        keys = []
        for name in rings:
            if issuer is None:
                keys += [key.public() for key in reversed(self._ring(name))]
                continue
            concrete = issuer.replace("{tenantid}", CONSUMERS_TENANT)
            owner = concrete if name == CONSUMERS else issuer
            keys += [{**key.public(), "issuer": owner} for key in reversed(self._ring(name))]
        return {"keys": keys}

    def verify(self, token: str) -> dict[str, Any] | None:
        """The claims of a token these keys signed, whatever they say; None for anything else."""
        keys = [key.jose_key for name in _TOKEN_RINGS for key in self._ring(name)]
        try:
            return dict(jwt.decode(token, KeySet(list(keys)), algorithms=[ALGORITHM]).claims)
        except (JoseError, ValueError):
            return None
