"""Tokens that passed every check a moment ago, and need not pass them again with each request."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import NamedTuple

from keyfob.web.caller import Caller

#: Tokens.
MOST = 1_000
#: Seconds. A key that the provider withdrew is believed for no longer than this.
SECONDS = 300.0


class _Entry(NamedTuple):
    caller: Caller
    since: float
    until: float
    keys: object


class RememberedTokens:
    """Callers by the digest of their token. Safe to share between threads.

    Only what passed every check is remembered, so that strangers cannot fill it. The oldest makes
    room for the newest.
    """

    def __init__(self, most: int = MOST, seconds: float = SECONDS) -> None:
        self._most = most
        self._seconds = seconds
        # A plain dict looks for its first entry among all those that were removed before it.
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<RememberedTokens: {len(self._entries)}>"

    def get(self, digest: bytes, keys: object, now: float) -> Caller | None:
        """Who sent this token before; None where it is to be checked again.

        :param digest: the token's SHA-256.
        :param keys: the provider's keys as they are known now: after a change all are checked anew.
        """
        entry = self._entries.get(digest)
        if entry is None:
            return None
        if entry.keys is keys and entry.since <= now < entry.until:
            return entry.caller
        with self._lock:
            self._entries.pop(digest, None)
        return None

    def put(
        self, digest: bytes, caller: Caller, *, keys: object, now: float, expires_at: float
    ) -> None:
        """Remember a token that has passed every check.

        :param keys: the provider's keys as they were known before the check.
        :param expires_at: the token's own end.
        """
        until = min(expires_at, now + self._seconds)
        if keys is None or until <= now:
            return
        with self._lock:
            self._entries[digest] = _Entry(caller, now, until, keys)
            if len(self._entries) > self._most:
                self._entries.popitem(last=False)
