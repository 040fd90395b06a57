"""What is random, in a form in which two runs can be compared.

A secret becomes a placeholder that is the same wherever the same secret is: that a refresh token is
sent which came with the sign-in, or that the cache holds what the result showed, is still seen.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

#: Names, in forms, results, claims and caches, whose values are made anew each time.
_RANDOM = frozenset(
    {
        "access_token", "assertion", "client_info", "code", "code_challenge", "code_verifier",
        "device_code", "id_token", "jti", "nonce", "refresh_token", "rh", "secret", "session_state",
        "sid", "state", "user_code", "user_federated_identity_credential", "uti",
    }
)  # fmt: skip
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_USER_CODE = re.compile(r"\b[BCDFGHJKLMNPQRSTVWXZ]{9}\b")


class Normaliser:
    """Of one run. The order in which secrets are met gives them their numbers.

    :param known: GUIDs that are the same in both runs, such as those of tenants and applications.
    """

    def __init__(self, known: Collection[str]) -> None:
        self._known = {guid.lower() for guid in known}
        self._placeholders: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def __call__(self, value: Any, name: str = "") -> Any:
        if isinstance(value, Mapping):
            return {str(key): self(member, str(key)) for key, member in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            members = [self(member, name) for member in value]
            return sorted(members) if name == "scope" else members
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, float):
            return int(value)
        return self._text(value, name) if isinstance(value, str) else value

    def _text(self, value: str, name: str) -> Any:
        if value in self._placeholders:
            return self._placeholders[value]
        if name == "client_assertion":
            return {"header": self(_part(value, 0)), "claims": self(_part(value, 1))}
        if name == "claims":
            return self(json.loads(value))
        if name in ("scope", "target"):
            return " ".join(sorted(value.split()))
        if value.startswith("https://") and "?" in value:
            return {"url": value.partition("?")[0], "query": self(_query(value))}
        opaque = name == "login_hint" and value.startswith("O.")
        if opaque or (name in _RANDOM and value != "1"):  # As `client_info`, "1" asks for one.
            return self._placeholder(value, name)
        return _USER_CODE.sub("<user code>", _UUID.sub(self._guid, value))

    def _placeholder(self, value: str, name: str) -> str:
        count = self._counts[name] = self._counts.get(name, 0) + 1
        return self._placeholders.setdefault(value, f"<{name} {count}>")

    def _guid(self, found: re.Match[str]) -> str:
        return found[0] if found[0].lower() in self._known else "<uuid>"


def _query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def _part(jwt: str, index: int) -> Any:
    part = jwt.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
