"""The random values of one sign-in attempt: `state`, `nonce`, and PKCE's verifier (RFC 7636)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

RandomBytes = Callable[[int], bytes]


def new_state(random_bytes: RandomBytes) -> str:
    """128 bits, url-safe: nobody guesses it (RFC 6749 §10.10)."""
    return _base64url(random_bytes(16))


def new_nonce(random_bytes: RandomBytes) -> str:
    return _base64url(random_bytes(16))


def hashed_nonce(nonce: str) -> str:
    """What goes to the provider in the nonce's place (OpenID Connect Core §15.5.2).

    The plain value stays with the attempt; only who holds it can name a token's attempt.
    """
    return hashlib.sha256(nonce.encode("ascii", "replace")).hexdigest()


def new_code_verifier(random_bytes: RandomBytes) -> str:
    """43 characters, 256 bits (RFC 7636 §4.1)."""
    return _base64url(random_bytes(32))


def code_challenge(verifier: str) -> str:
    """The S256 challenge (RFC 7636 §4.2)."""
    return _base64url(hashlib.sha256(verifier.encode("ascii")).digest())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
