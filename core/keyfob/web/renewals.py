"""Tokens that were had because an API refused the one before: none is replaced again at once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

#: Seconds in which such a token is not replaced for the same reason.
ENOUGH = 60.0
#: Tokens that are remembered: the oldest make room.
_MOST = 1000


class Renewals:
    """What refusals brought lately, in this process: program life, for all sessions.

    An API that refuses every token, because it expects another audience, must not have each visit
    of a page ask the provider for a new one: that is a loop, which Microsoft ends by throttling.

    :param clock: seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._brought: dict[bytes, float] = {}

    def __repr__(self) -> str:
        return f"<Renewals: {len(self._brought)}>"

    def note(self, token: str, claims: str) -> None:
        """Remember a token that was had after a refusal.

        :param claims: the claims challenge that it answers, or "".
        """
        key, now = _key(token, claims), self._clock()
        with self._lock:
            self._brought.pop(key, None)  # the dict is in the order of time
            self._brought[key] = now
            while len(self._brought) > _MOST:
                del self._brought[next(iter(self._brought))]

    def is_recent(self, token: str, claims: str) -> bool:
        """Whether this token was had for this very reason a moment ago."""
        at = self._brought.get(_key(token, claims))
        return at is not None and 0 <= self._clock() - at < ENOUGH


def _key(token: str, claims: str) -> bytes:
    return hashlib.sha256(f"{token}\n{claims}".encode()).digest()
