"""The proof that this site made a form for this session, where the framework has none."""

from __future__ import annotations

import hashlib
import hmac

#: The name of the form's field.
FIELD = "keyfob_csrf"


def csrf_token(secret: bytes, session_key: str) -> str:
    """What a form of this session carries. It tells nothing about the session's key."""
    return hmac.new(secret, f"csrf {session_key}".encode(), hashlib.sha256).hexdigest()


def is_csrf_token(value: str | None, secret: bytes, session_key: str) -> bool:
    if not value:
        return False
    expected = csrf_token(secret, session_key)
    return hmac.compare_digest(value.encode("utf-8", "replace"), expected.encode())
