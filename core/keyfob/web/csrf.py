"""The proof that this site made a form for this session, where the framework has none."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from itsdangerous import Signer

#: The name of the form's field.
FIELD = "keyfob_csrf"


class FormTokens:
    """Signs a session's key for the session's forms, which then tell nothing of the key.

    :param keys: oldest to newest: a form made before a new key came is still good.
    :param site: sets the forms of sites apart that share a key.
    """

    def __init__(self, keys: Sequence[str | bytes], site: str) -> None:
        # Named, because itsdangerous' own are one salt for all purposes, and SHA-1.
        self._signer = Signer(
            [key.encode() if isinstance(key, str) else key for key in keys],
            salt=f"keyfob form {site}",
            key_derivation="hmac",
            digest_method=hashlib.sha256,
        )

    def __repr__(self) -> str:
        return "<FormTokens>"

    def token(self, session_key: str) -> str:
        return self._signer.get_signature(session_key).decode()

    def is_token(self, value: str | None, session_key: str) -> bool:
        return bool(value) and self._signer.verify_signature(session_key, value or "")
