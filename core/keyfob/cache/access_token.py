"""An access token's entry, read once: lookups compare it far more often than it changes."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple, cast

from keyfob.cache.entries import AccessTokenEntry, Entry, epoch

_TIMES = ("cached_at", "expires_on", "extended_expires_on", "refresh_on")
_FIELDS = frozenset(AccessTokenEntry.__annotations__)


class AccessToken(NamedTuple):
    """What a lookup compares, and the entry as it is to be handed out (as a copy)."""

    expires_on: int
    targets: frozenset[str]
    key_id: object
    kind: str
    entry: AccessTokenEntry

    def __repr__(self) -> str:
        return f"<AccessToken until {self.expires_on}>"


def read_access_token(entry: Entry) -> AccessToken | None:
    """The entry, read; None for one that cannot serve: without a token, or a time of its end."""
    expires_on = epoch(entry.get("expires_on"))
    if expires_on is None or not has_secret(entry):
        return None
    clean = _clean(entry)
    return AccessToken(
        expires_on,
        targets_of(entry),
        entry.get("key_id"),
        _kind(entry),
        # Mostly one and the same, and then one object: ten thousand people have one each.
        cast("AccessTokenEntry", entry if clean == entry else clean),
    )


def has_secret(entry: Entry) -> bool:
    secret = entry.get("secret")
    return isinstance(secret, str) and secret != ""


def targets_of(entry: Entry) -> frozenset[str]:
    """The scopes of an entry, as they are spelled."""
    target = entry.get("target")
    return _split(target) if isinstance(target, str) else frozenset()


@lru_cache(maxsize=512)
def _split(target: str) -> frozenset[str]:
    # The people of one application have the same scopes, and so share one set.
    return frozenset(target.split())


def _kind(entry: Entry) -> str:
    token_type = entry.get("token_type")
    return token_type.lower() if isinstance(token_type, str) and token_type else "bearer"


def _clean(entry: Entry) -> Entry:
    clean = cleaned(entry, _FIELDS)
    clean.setdefault("target", "")
    for name in _TIMES:
        time = epoch(entry.get(name))
        if time is None:
            clean.pop(name, None)
        else:
            clean[name] = str(time)
    return clean


def cleaned(entry: Entry, fields: Collection[str]) -> Entry:
    """A copy without those known fields that are of a wrong type; unknown ones stay."""
    return {
        name: value
        for name, value in entry.items()
        if isinstance(value, str) or value is None or name not in fields
    }
