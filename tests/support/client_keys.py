"""Private keys and certificates of clients, and a token endpoint that judges what they sign."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from support.provider_http import Reply, Request
from support.provider_jose import Key, ec_key, rsa_key, unb64

#: No message, log line or repr may have one of these in it.
PASSPHRASE = "pässphrase-MARKED-0f9d8c7b6a"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLIENT_ID = "11111111-2222-4333-8444-555555555555"


def certificate(
    key: Key,
    name: str,
    issuer: tuple[str, Key] | None = None,
    *,
    start: dt.datetime | None = None,
    days: float = 30,
) -> x509.Certificate:
    """A certificate for `key`, by `issuer`, or signed by itself."""
    by, signer = issuer or (name, key)
    begin = start or dt.datetime.now(dt.timezone.utc) - dt.timedelta(hours=1)
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(by))
        .public_key(key.private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=days))
        .sign(signer.private, hashes.SHA256())
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def pem_of(certificates: Sequence[x509.Certificate]) -> str:
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in certificates)


@dataclass(frozen=True)
class ClientKey:
    """A client's key with its chain: its own certificate, an intermediate's, the root's."""

    key: Key
    chain: tuple[x509.Certificate, ...]

    @property
    def leaf(self) -> x509.Certificate:
        return self.chain[0]

    @property
    def chain_pem(self) -> str:
        return pem_of(self.chain)

    @property
    def sha1(self) -> str:
        return self.leaf.fingerprint(hashes.SHA1()).hex().upper()

    @property
    def sha256(self) -> str:
        return self.leaf.fingerprint(hashes.SHA256()).hex()

    def key_pem(self, passphrase: str | None = None) -> str:
        lock: KeySerializationEncryption = NoEncryption()
        if passphrase:
            lock = BestAvailableEncryption(passphrase.encode())
        return self.key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock).decode()

    def pfx(self, passphrase: str | None = None) -> bytes:
        lock: KeySerializationEncryption = NoEncryption()
        if passphrase:
            lock = BestAvailableEncryption(passphrase.encode())
        # The others stand in no useful order.
        others = list(reversed(self.chain[1:]))
        return pkcs12.serialize_key_and_certificates(
            b"client", self.key.private, self.leaf, others, lock
        )


_made: dict[str, ClientKey] = {}
_making = threading.Lock()


def client_key(name: str = "client", *, curve: Any = None) -> ClientKey:
    """The key of this name; RSA, or on a curve. Made once per process."""
    key = ec_key(name, curve) if curve else rsa_key(name)
    root, middle = ec_key("client-root"), ec_key("client-intermediate")
    with _making:
        if name not in _made:
            _made[name] = ClientKey(
                key,
                (
                    certificate(key, name, ("Intermediate", middle)),
                    certificate(middle, "Intermediate", ("Root", root)),
                    certificate(root, "Root"),
                ),
            )
        return _made[name]


def opened(assertion: str, key: Key) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of an assertion that `key` signed (RFC 7515 §5.2), by cryptography alone.

    :raises InvalidSignature: it did not.
    """
    head, body, signature = assertion.split(".")
    header, claims = json.loads(unb64(head)), json.loads(unb64(body))
    signed, raw, public = f"{head}.{body}".encode(), unb64(signature), key.private.public_key()
    digest = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}[header["alg"][2:]]()
    if isinstance(public, rsa.RSAPublicKey):
        kinds = {"RS256": padding.PKCS1v15(), "PS256": padding.PSS(padding.MGF1(digest), 32)}
        public.verify(raw, signed, kinds[header["alg"]], digest)
    else:
        half = len(raw) // 2
        pair = int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
        public.verify(utils.encode_dss_signature(*pair), signed, ec.ECDSA(digest))
    return header, claims


@dataclass
class AssertionJudge:
    """A token endpoint that knows clients by their keys: for a test provider's `raw["token"]`."""

    keys: list[Key]
    clock: Callable[[], float]
    seen: list[str] = field(default_factory=list)
    headers: list[dict[str, Any]] = field(default_factory=list)
    claims: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, request: Request) -> Reply:
        assertion = request.form.get("client_assertion", "")
        self.seen.append(assertion)
        if (
            request.form.get("client_assertion_type") != ASSERTION_TYPE
            or "client_secret" in request.form
        ):
            return _refused()
        for key in self.keys:
            try:
                header, claims = opened(assertion, key)
            except (InvalidSignature, ValueError):
                continue
            self.headers.append(header)
            self.claims.append(claims)
            if not claims["nbf"] <= self.clock() + 1 or not self.clock() < claims["exp"]:
                return _refused()
            token = {"access_token": "at", "token_type": "Bearer", "expires_in": 3600}
            return Reply(200, {"Content-Type": "application/json"}, json.dumps(token).encode())
        return _refused()


def _refused() -> Reply:
    error = {"error": "invalid_client", "error_description": "not known by this"}
    return Reply(401, {"Content-Type": "application/json"}, json.dumps(error).encode())
