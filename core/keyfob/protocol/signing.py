"""The signature algorithms that Keyfob accepts (RFC 7518 §3.1), and what each one needs."""

from __future__ import annotations

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

ASYMMETRIC_ALGORITHMS = frozenset(KEY_FOR_ALGORITHM)


def hash_name(algorithm: str) -> str:
    """The hash that belongs to a signature algorithm, as `at_hash` uses it."""
    return f"sha{algorithm[2:]}"
