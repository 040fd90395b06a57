"""The signature algorithms that Keyfob accepts (RFC 7518 §3.1), and what each one needs."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

#: The key type each algorithm needs, and the curve where it is an elliptic one.
KEY_FOR_ALGORITHM: dict[str, tuple[str, str | None]] = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS256": ("RSA", None),
    "PS384": ("RSA", None),
    "PS512": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
}

#: RSASSA-PKCS1-v1_5 (RFC 7518 §3.3).
PKCS1_ALGORITHMS = frozenset({"RS256", "RS384", "RS512"})
ASYMMETRIC_ALGORITHMS = frozenset(KEY_FOR_ALGORITHM)


def hash_name(algorithm: str) -> str:
    """The hash that belongs to a signature algorithm, as `at_hash` uses it."""
    return f"sha{algorithm[2:]}"


def is_pkcs1_signature(signature: bytes, signed: bytes, key: RSAPublicKey, algorithm: str) -> bool:
    """Whether this is the key's signature by one of PKCS1_ALGORITHMS (RFC 8017 §8.2.2)."""
    padding, digest, invalid = _pkcs1(algorithm)
    try:
        key.verify(signature, signed, padding, digest)
    except invalid:
        return False
    return True


@lru_cache(maxsize=len(PKCS1_ALGORITHMS))
def _pkcs1(algorithm: str) -> tuple[PKCS1v15, HashAlgorithm, type[Exception]]:
    """Padding, digest, and what is raised; an import in each call would take a microsecond."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    digests: dict[str, Callable[[], HashAlgorithm]] = {
        "RS256": hashes.SHA256,
        "RS384": hashes.SHA384,
        "RS512": hashes.SHA512,
    }
    return PKCS1v15(), digests[algorithm](), InvalidSignature
