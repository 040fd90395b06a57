"""Private keys and certificates, as PEM (RFC 7468) or PFX (PKCS #12, RFC 7292), judged.

No error shows anything of what was read: it names the part, and the cure.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from keyfob.errors import CredentialError, PassphraseError, ThumbprintError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

    PrivateKey: TypeAlias = RSAPrivateKey | EllipticCurvePrivateKey

#: RFC 7518 §3.3 and §3.5.
MIN_RSA_BITS = 2048
_PEM_CERTIFICATE = re.compile(
    rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL
)
# What stands around the digits where they were copied from: openssl's colons, Windows' blanks
# and its invisible mark at the beginning.
_AROUND_DIGITS = re.compile(r"[\s:\u200e]")


@dataclass(frozen=True)
class Thumbprint:
    """What a certificate is known by (RFC 7515 §4.1.7 and §4.1.8).

    :param header: `x5t` for SHA-1, `x5t#S256` for SHA-256.
    :param value: base64url without padding.
    """

    header: str
    value: str


@dataclass(frozen=True)
class Certificate:
    """One X.509 certificate. Nothing in it is secret, and nothing of it is shown."""

    der: bytes = field(repr=False)
    public_key: bytes = field(repr=False)
    subject: bytes = field(repr=False)
    issuer: bytes = field(repr=False)
    not_before: datetime
    not_after: datetime

    @cached_property
    def sha1(self) -> Thumbprint:
        # A name that providers look the certificate up by, and no protection.
        return Thumbprint("x5t", _base64url(hashlib.sha1(self.der, usedforsecurity=False).digest()))

    @cached_property
    def sha256(self) -> Thumbprint:
        return Thumbprint("x5t#S256", _base64url(hashlib.sha256(self.der).digest()))

    @cached_property
    def x5c(self) -> str:
        """As it stands in the `x5c` header (RFC 7515 §4.1.6)."""
        return base64.b64encode(self.der).decode("ascii")


def parse_private_key(pem: bytes, passphrase: bytes | None, name: str) -> PrivateKey:
    """The private key in a PEM text: RSA, or on one of NIST's curves.

    :param name: what the text is called in messages.
    :raises PassphraseError: (a ValueError and a TypeError) it does not open the key.
    :raises CredentialError: (a ValueError) there is no key in it that can sign assertions.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, passphrase)
    except TypeError:
        if passphrase is None:
            raise PassphraseError(f"{name} is encrypted: add its 'passphrase'") from None
        raise PassphraseError(
            f"{name} is not encrypted: leave 'passphrase' out, or give the encrypted key"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        if passphrase is not None and b"ENCRYPTED" in pem:
            raise PassphraseError(
                f"{name} does not open with this 'passphrase', or is damaged"
            ) from None
        raise CredentialError(
            f"{name} has no private key that can be read: it is a PEM text with a part from "
            "'-----BEGIN PRIVATE KEY-----' to '-----END PRIVATE KEY-----', line breaks and all"
        ) from None
    return _judged(key, name)


def parse_certificates(pem: bytes, name: str) -> tuple[Certificate, ...]:
    """All certificates in a PEM text, as they stand in it. What is around them is not read.

    :raises CredentialError: (a ValueError) there is none, or one that is damaged.
    """
    from cryptography.x509 import load_pem_x509_certificate

    blocks = _PEM_CERTIFICATE.findall(pem)
    if not blocks:
        raise CredentialError(
            f"{name} has no certificate in it: it is a PEM text with a part from "
            "'-----BEGIN CERTIFICATE-----' to '-----END CERTIFICATE-----'"
        )
    try:
        return tuple(_certificate(load_pem_x509_certificate(block)) for block in blocks)
    except ValueError:
        raise CredentialError(f"{name} has a certificate in it that is damaged") from None


def parse_pfx(
    data: bytes, passphrase: bytes | None, name: str
) -> tuple[PrivateKey, tuple[Certificate, ...]]:
    """The key of a PFX file, and all its certificates.

    :raises PassphraseError: (a ValueError) it does not open the file.
    :raises CredentialError: (a ValueError) there is no key or no certificate in it.
    """
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

    if not data.startswith(b"\x30"):
        raise CredentialError(f"{name} is no PFX file (PKCS #12); a PEM file is 'private_key_path'")
    try:
        with warnings.catch_warnings():
            # Files by old tools have their parts in an order that is not quite DER's.
            warnings.simplefilter("ignore")
            found = load_pkcs12(data, passphrase)
    except (ValueError, TypeError):
        raise PassphraseError(
            f"{name} does not open: its 'passphrase' is wrong or missing, or the file is damaged"
        ) from None
    certificates = [each.certificate for each in (found.cert, *found.additional_certs) if each]
    if found.key is None or not certificates:
        raise CredentialError(
            f"{name} needs a private key and its certificate in it; export it with both"
        )
    return _judged(found.key, name), tuple(_certificate(each) for each in certificates)


def parse_thumbprint(text: str | bytes, name: str) -> Thumbprint:
    """A thumbprint in hexadecimal digits: 40 of them for SHA-1, or 64 for SHA-256.

    :raises ThumbprintError: (a ValueError and a binascii.Error) it is none.
    """
    wanted = "the 40 hexadecimal digits of a certificate's SHA-1 thumbprint (or the 64 of SHA-256)"
    plain = text.decode("latin-1") if isinstance(text, bytes) else text
    try:
        digest = binascii.unhexlify(_AROUND_DIGITS.sub("", plain))
    except ValueError:
        raise ThumbprintError(f"{name} is not {wanted}: something else is in it") from None
    headers = {20: "x5t", 32: "x5t#S256"}
    if len(digest) not in headers:
        raise ThumbprintError(f"{name} is not {wanted}: it has {2 * len(digest)}")
    return Thumbprint(headers[len(digest)], _base64url(digest))


def chain_for(
    key: PrivateKey, certificates: Sequence[Certificate], name: str
) -> tuple[Certificate, ...]:
    """The certificates as `x5c` wants them: the key's own first, each certified by the next.

    Those that certify nobody come last.

    :raises CredentialError: (a ValueError) none is the key's own.
    """
    public = _public(key.public_key())
    current = next((each for each in certificates if each.public_key == public), None)
    if current is None:
        raise CredentialError(f"{name} is of another private key than the one given with it")
    rest = [each for each in certificates if each is not current]
    chain = [current]
    while current is not None:
        issuer = current.issuer
        current = next((each for each in rest if each.subject == issuer), None)
        if current is not None:
            rest.remove(current)
            chain.append(current)
    return (*chain, *rest)


def _judged(key: object, name: str) -> PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    if isinstance(key, RSAPrivateKey):
        if key.key_size < MIN_RSA_BITS:
            raise CredentialError(
                f"{name} is an RSA key of {key.key_size} bits; assertions need {MIN_RSA_BITS} "
                "or more. Make a new one"
            )
        return key
    if isinstance(key, EllipticCurvePrivateKey):
        return key
    raise CredentialError(f"{name} is a key of a kind that signs no assertions; use an RSA key")


def _certificate(certificate: x509.Certificate) -> Certificate:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        public = _public(certificate.public_key())
    except UnsupportedAlgorithm:
        public = b""  # somebody else's, further up the chain: it is only passed on
    return Certificate(
        der=certificate.public_bytes(Encoding.DER),
        public_key=public,
        subject=certificate.subject.public_bytes(),
        issuer=certificate.issuer.public_bytes(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def _public(key: CertificatePublicKeyTypes) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
