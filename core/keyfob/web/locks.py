"""A lock for each of many keys, which is there only while somebody holds it or waits."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from keyfob.errors import StoreUnavailable, TransportError


class _Lock:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        #: How many hold it or wait for it.
        self.users = 0
        #: How often the provider was away for who held it, and how it was the last time.
        self.failures = 0
        self.error: TransportError | None = None


class KeyedLocks:
    """One session's refresh must keep nobody else's waiting, however slow the provider is.

    :param patience: seconds that somebody waits for others.
    """

    def __init__(self, *, patience: float = 30.0) -> None:
        self._patience = patience
        self._guard = threading.Lock()
        self._held: dict[str, _Lock] = {}

    def __len__(self) -> int:
        return len(self._held)

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Be the only one for the time of the block.

        :raises StoreUnavailable: others took too long.
        :raises TransportError: the provider was away for who was before; everybody who had queued
            by then would wait for it in turn, as long again.
        """
        with self._guard:
            mine = self._held.setdefault(key, _Lock())
            mine.users += 1
            failures = mine.failures
        try:
            if not mine.lock.acquire(timeout=self._patience):
                raise StoreUnavailable(
                    "Others have been refreshing this session's tokens for too long",
                    code="lease_timeout",
                )
            try:
                if mine.error is not None and mine.failures != failures:
                    raise copy.copy(mine.error)
                with _noting(mine):
                    yield
            finally:
                mine.lock.release()
        finally:
            with self._guard:
                mine.users -= 1
                if not mine.users:
                    del self._held[key]


@contextmanager
def _noting(lock: _Lock) -> Iterator[None]:
    try:
        yield
    except TransportError as error:
        lock.failures, lock.error = lock.failures + 1, copy.copy(error)
        raise
