"""A certificate of the nightly job, in the shapes that MSAL takes."""

from __future__ import annotations

import atexit
import base64
import functools
import tempfile
import time
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import pkcs12
from joserfc import jwt
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry

from keyfob_emulator import sample
from keyfob_emulator.keys import new_private_key

PASSPHRASE = "certificate-passphrase"

#: The same for both libraries, whichever second each of them gets to it.
_NOW = int(time.time())


class _LongHeaders(JWSRegistry):
    """With room for a certificate, which joserfc's own has not."""

    max_header_length = 16_384


@functools.cache
def _key() -> RSAPrivateKey:
    return new_private_key()


@functools.cache
def _certificate() -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nightly-job.contoso.example")])
    now = datetime.now(timezone.utc)
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=_key().public_key(),
        serial_number=7,
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + timedelta(days=300),
    )
    return builder.sign(_key(), hashes.SHA256())


def certificate() -> str:
    return _certificate().public_bytes(serialization.Encoding.PEM).decode()


def private_key(passphrase: str | None = None) -> str:
    encryption = (
        serialization.NoEncryption()
        if passphrase is None
        else serialization.BestAvailableEncryption(passphrase.encode())
    )
    return (
        _key()
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        .decode()
    )


def thumbprint() -> str:
    return _certificate().fingerprint(hashes.SHA1()).hex().upper()


def by_thumbprint() -> dict[str, Any]:
    return {"private_key": private_key(), "thumbprint": thumbprint()}


def by_certificate() -> dict[str, Any]:
    return {"private_key": private_key(), "public_certificate": certificate()}


def encrypted() -> dict[str, Any]:
    return {
        "private_key": private_key(PASSPHRASE),
        "public_certificate": certificate(),
        "passphrase": PASSPHRASE,
    }


@functools.cache
def _pfx_path() -> str:
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    path = Path(folder.name) / "job.pfx"
    encryption = serialization.BestAvailableEncryption(PASSPHRASE.encode())
    path.write_bytes(
        pkcs12.serialize_key_and_certificates(b"job", _key(), _certificate(), None, encryption)
    )
    return str(path)


def by_pfx() -> dict[str, Any]:
    return {"private_key_pfx_path": _pfx_path(), "passphrase": PASSPHRASE}


def x5c() -> str:
    """The certificate as it stands in a JWS header (RFC 7515 §4.1.6)."""
    der = _certificate().public_bytes(serialization.Encoding.DER)
    return base64.b64encode(der).decode()


def assertion(audience: str, **header: Any) -> str:
    """A client assertion that somebody else's code made (RFC 7523 §3)."""
    now = _NOW
    claims = {
        "aud": audience,
        "iss": sample.NIGHTLY_JOB,
        "sub": sample.NIGHTLY_JOB,
        "jti": str(uuid.uuid4()),
        "iat": now,
        "exp": now + 86_400,
    }
    print_ = _certificate().fingerprint(hashes.SHA256())
    named = base64.urlsafe_b64encode(print_).rstrip(b"=").decode()
    header = {"alg": "PS256", "x5t#S256": named, **header}
    key = RSAKey.import_key(private_key())
    return jwt.encode(header, claims, key, registry=_LongHeaders(algorithms=["PS256"]))


def ssh_key() -> dict[str, str]:
    """The public key that an SSH certificate is asked for, as a JWK (RFC 7517)."""
    numbers = RSAKey.import_key(private_key()).as_dict(private=False)
    return {"kty": "RSA", "n": str(numbers["n"]), "e": str(numbers["e"]), "kid": "a key"}
