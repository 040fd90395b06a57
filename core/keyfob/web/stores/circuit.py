"""A breaker for stores behind a network: while one is away, nobody waits to be told so."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from keyfob.errors import StoreUnavailable
from keyfob.web.metrics import STORE_CIRCUIT, STORE_REJECTIONS
from keyfob.web.observe import Observer
from keyfob.web.stores.base import Record, TokenStore

#: So many calls in a row must fail before the circuit opens.
FAILURES = 3
#: Seconds that it then stays open.
PAUSE = 5.0

T = TypeVar("T")

_logger = logging.getLogger("keyfob.store")


class CircuitStore:
    """Any token store, that is not asked for a while after it could not be reached. Itself one.

    A store that is away costs each call a timeout. After `failures` such calls in a row, all
    further ones raise `StoreUnavailable` at once, with a `retry_after`. After `pause` seconds one
    call is let through: when it succeeds all are, when it fails (or is not back yet) the next is
    let through another `pause` later. Each process finds out for itself.

    :param store: what is asked.
    :param failures: how many calls in a row must fail.
    :param pause: seconds between two attempts.
    :param clock: gives seconds from any moment on, and is never set back.
    :param observer: is told when the circuit opens and closes, and of each call it refuses.
    """

    def __init__(
        self,
        store: TokenStore,
        *,
        failures: int = FAILURES,
        pause: float = PAUSE,
        clock: Callable[[], float] = time.monotonic,
        observer: Observer | None = None,
    ) -> None:
        self._store = store
        self._observer = observer or Observer()
        self.is_local = store.is_local
        self._limit = failures
        self._pause = pause
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = 0
        self._opened_at: float | None = None
        self._next_attempt = 0.0

    def __repr__(self) -> str:
        state = "closed" if self._opened_at is None else "open"
        return f"<CircuitStore ({state}) over {self._store!r}>"

    def load(self, key: str) -> Record | None:
        return self._call(lambda: self._store.load(key))

    def version(self, key: str) -> int | None:
        return self._call(lambda: self._store.version(key))

    def create(self, key: str, value: bytes, expires_at: float) -> bool:
        return self._call(lambda: self._store.create(key, value, expires_at))

    def replace(self, key: str, value: bytes, version: int, expires_at: float) -> bool:
        return self._call(lambda: self._store.replace(key, value, version, expires_at))

    def extend(self, key: str, expires_at: float) -> bool:
        return self._call(lambda: self._store.extend(key, expires_at))

    def delete(self, key: str, version: int | None = None) -> bool:
        return self._call(lambda: self._store.delete(key, version))

    def clear_expired(self) -> int:
        """As every store's. Always let through, and proof of nothing: it may take minutes."""
        return self._store.clear_expired()

    def close(self) -> None:
        self._store.close()

    def _call(self, ask: Callable[[], T]) -> T:
        is_probe = self._admit()
        try:
            answer = ask()
        except StoreUnavailable as error:
            if error.code == "store_refused":
                # It is there, and takes no writes: reads are not to suffer for it.
                self._note_answer(is_probe=is_probe)
            else:
                self._note_failure(is_probe=is_probe)
            raise
        except BaseException as error:
            # Whatever it is, the store said it; but somebody who was interrupted knows nothing.
            if isinstance(error, Exception):
                self._note_answer(is_probe=is_probe)
            raise
        self._note_answer(is_probe=is_probe)
        return answer

    def _admit(self) -> bool:
        """Let a call through, and say whether it is the one that finds out; or raise."""
        with self._lock:
            if self._opened_at is None:
                return False
            now = self._clock()
            left = self._next_attempt - now
            if left <= 0:
                self._next_attempt = now + self._pause
                return True
        self._observer.count(STORE_REJECTIONS)
        raise StoreUnavailable(
            "The token store could not be reached a moment ago, and was not asked again yet",
            retry_after=max(1, math.ceil(left)),
        )

    def _note_failure(self, *, is_probe: bool) -> None:
        with self._lock:
            self._failed += 1
            now = self._clock()
            opens = self._opened_at is None and self._failed >= self._limit
            if opens:
                self._opened_at = now
            if opens or is_probe:
                self._next_attempt = now + self._pause
        if opens:
            self._observer.count(STORE_CIRCUIT, state="open")
            _logger.error(
                "The token store failed %d times in a row; until it answers, it is asked once in "
                "%g seconds, and whoever needs it is told to come back later",
                self._limit,
                self._pause,
            )

    def _note_answer(self, *, is_probe: bool) -> None:
        if not self._failed:  # nothing to do, nearly always; and no lock for it
            return
        with self._lock:
            if self._opened_at is None:
                self._failed = 0
                return
            if not is_probe:
                return  # asked before the circuit opened; says nothing about now
            away = self._clock() - self._opened_at
            self._opened_at, self._failed = None, 0
        self._observer.count(STORE_CIRCUIT, state="closed")
        _logger.warning("The token store answers again, after %.0f seconds", away)
