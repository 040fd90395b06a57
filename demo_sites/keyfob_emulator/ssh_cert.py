"""SSH certificates in the place of access tokens (``token_type=ssh-cert``).

The client sends its public key as a JSON Web Key (RFC 7517) in ``req_cnf`` and a name for it in
``key_id``; the answer's ``access_token`` is an OpenSSH certificate for that key, in base64 and
without the type in front of it, as at Entra.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import SSHCertificateBuilder, SSHCertificateType

from keyfob_emulator.errors import ProtocolError, problem
from keyfob_emulator.parameters import Parameters

TOKEN_TYPE: Final = "ssh-cert"
_SMALLEST: Final = 2048
_LARGEST: Final = 16384
_SKEW: Final = 300


@dataclass(frozen=True)
class SshKey:
    """The public key a certificate is asked for."""

    key_id: str
    numbers: RSAPublicNumbers


def read_key(parameters: Parameters) -> SshKey | None:
    """The key of the request; None when it asks for a bearer token."""
    token_type = parameters.get("token_type")
    if token_type is None or token_type.lower() == "bearer":
        return None
    if token_type != TOKEN_TYPE:
        raise problem(90023, value=token_type, parameter="token_type")
    jwk = _read_jwk(parameters.require("req_cnf"))
    key_id = parameters.require("key_id")
    if jwk.get("kid", key_id) != key_id:
        raise _malformed("its kid is not the key_id")
    numbers = RSAPublicNumbers(e=_number(jwk, "e"), n=_number(jwk, "n"))
    if not _SMALLEST <= numbers.n.bit_length() <= _LARGEST:
        raise _malformed(f"the key has not {_SMALLEST} to {_LARGEST} bits")
    try:
        numbers.public_key()
    except ValueError:
        raise _malformed("this is not an RSA key") from None
    return SshKey(key_id, numbers)


def _malformed(reason: str) -> ProtocolError:
    return problem(9002313, reason=f"req_cnf must be the JSON Web Key of an RSA key: {reason}")


def _read_jwk(text: str) -> dict[str, Any]:
    try:
        jwk = json.loads(text)
    except (ValueError, RecursionError):
        raise _malformed("it is not JSON") from None
    if not isinstance(jwk, dict) or jwk.get("kty") != "RSA":
        raise _malformed("its kty is not RSA")
    return jwk


def _number(jwk: dict[str, Any], name: str) -> int:
    text = jwk.get(name)
    if not isinstance(text, str):
        raise _malformed(f"{name} is missing")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _malformed(f"{name} is not base64url") from None
    return int.from_bytes(data, "big")


def certificate(
    key: SshKey, authority: RSAPrivateKey, principals: list[str], now: int, lifetime: int
) -> str:
    """A user certificate (OpenSSH PROTOCOL.certkeys) without its type, signed by ``authority``."""
    builder = (
        SSHCertificateBuilder()
        .public_key(key.numbers.public_key())
        .serial(secrets.randbits(63))
        .type(SSHCertificateType.USER)
        .key_id(key.key_id.encode("utf-8", "replace"))
        .valid_principals([name.encode() for name in principals])
        .valid_after(now - _SKEW)
        .valid_before(now + lifetime)
        .add_extension(b"permit-pty", b"")
        .add_extension(b"permit-port-forwarding", b"")
    )
    return builder.sign(authority).public_bytes().split()[1].decode("ascii")
