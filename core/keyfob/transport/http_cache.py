"""Answers that serve again for a while, in a mapping that belongs to the application."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, MutableMapping
from typing import Any, NamedTuple

from keyfob.protocol.http import HttpResponse

logger = logging.getLogger(__name__)

#: Before our keys, in a mapping that may hold MSAL's entries and anybody's.
PREFIX = "keyfob:1:"
#: Entries at most. One that is written beyond them makes room for a quarter.
CAPACITY = 1024
_MARK = "keyfob.http"
#: What is kept of an answer's head: what its parsers read, and what support asks for.
_HEADERS = frozenset({"content-type", "client-request-id", "x-ms-request-id", "www-authenticate"})


class Remembered(NamedTuple):
    """An answer from memory, and for how many seconds more it serves (more than 0)."""

    response: HttpResponse
    seconds: float


class HttpCache:
    """Answers by key, each until its time is over. Safe to share between threads.

    Values are tuples of texts, numbers and bytes, so that the mapping may be a dict, a `shelve`, or
    anything that pickles; what is in it and not ours is passed over, and a mapping that fails is
    as good as an empty one. Applications in several threads that share a mapping which is not
    itself thread-safe share this object in its place.

    :param mapping: where to keep them; by default a dict of its own.
    :param clock: seconds since 1970, which processes that share a mapping agree upon.
    """

    def __init__(
        self,
        mapping: MutableMapping[str, Any] | None = None,
        *,
        capacity: int = CAPACITY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._mapping: MutableMapping[str, Any] = {} if mapping is None else mapping
        self._capacity = capacity
        self._clock = clock
        self._lock = threading.Lock()
        #: How many may be written before the mapping is looked through; at the first, it is.
        self._room = 0

    def __repr__(self) -> str:
        return f"<HttpCache of {type(self._mapping).__name__}>"

    def get(self, key: str, longest: float) -> Remembered | None:
        """What is kept under `key`.

        :param longest: seconds that such an entry can last; one that says more is not believed:
            it is corrupt, or the clock was set back.
        """
        with self._lock:
            value = self._read(key)
            if value is None:
                return None
            try:
                found, left = _unpacked(value), _expiry(value) - self._clock()
            except Exception:  # noqa: BLE001 - whatever is in there, it is not ours
                return None
            if 0 < left <= longest + 1:  # a float of this size is no more exact than that
                return Remembered(found, left)
            self._drop(key)
            return None

    def put(self, key: str, response: HttpResponse, seconds: float) -> None:
        """Keep an answer under `key` for so many seconds."""
        now = self._clock()
        headers = tuple(sorted((k, v) for k, v in response.headers.items() if k in _HEADERS))
        value = (_MARK, now + seconds, response.status, headers, response.body, response.url)
        with self._lock:
            try:
                if self._room <= 0:
                    self._make_room(now)
                self._mapping[key] = value
                self._room -= 1
            except Exception as error:  # noqa: BLE001 - the mapping is not ours
                logger.debug("http_cache cannot be written (%s)", type(error).__name__)

    def _make_room(self, now: float) -> None:
        """Look through the mapping, once for many writes: what is over goes, then what soonest is.

        Others may write to it too, and so what is in it is counted and not remembered.
        """
        lasting: list[tuple[float, str]] = []
        for key in [key for key in self._mapping if _is_ours(key)]:
            try:
                expiry = _expiry(self._read(key))
            except Exception:  # noqa: BLE001 - likewise
                expiry = 0.0
            if expiry <= now:
                self._drop(key)
            else:
                lasting.append((expiry, key))
        lasting.sort()
        excess = 0
        if len(lasting) >= self._capacity:
            excess = len(lasting) - self._capacity * 3 // 4
        for _, key in lasting[:excess]:
            self._drop(key)
        self._room = self._capacity - (len(lasting) - excess)

    def _read(self, key: str) -> Any:
        try:
            return self._mapping[key]
        except Exception:  # noqa: BLE001 - absent, or no longer to be unpickled
            return None

    def _drop(self, key: str) -> None:
        try:
            del self._mapping[key]
        except Exception as error:  # noqa: BLE001 - gone already, or not ours to say
            logger.debug("http_cache: nothing to delete (%s)", type(error).__name__)


def _is_ours(key: object) -> bool:
    return isinstance(key, str) and key.startswith(PREFIX)


def _expiry(value: Any) -> float:
    if not isinstance(value, tuple) or len(value) != 6 or value[0] != _MARK:
        raise ValueError("not ours")
    expiry = value[1]
    if isinstance(expiry, bool) or not isinstance(expiry, (int, float)) or math.isnan(expiry):
        raise ValueError("no time")
    return float(expiry)


def _unpacked(value: Any) -> HttpResponse:
    """The answer, every part of it of the right type; or a ValueError or TypeError."""
    _expiry(value)
    _, _, status, headers, body, url = value
    if type(status) is not int or not isinstance(body, bytes) or not isinstance(url, str):
        raise ValueError("corrupt")
    named = dict(headers)
    if not all(isinstance(text, str) for pair in named.items() for text in pair):
        raise ValueError("corrupt")
    return HttpResponse(status, named, body, url)
