"""A lock for each of many keys, which is there only while somebody holds it or waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class KeyedLocks:
    """One session's refresh must keep nobody else's waiting, however slow the provider is."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        #: By key: its lock, and how many hold it or wait for it.
        self._held: dict[str, tuple[threading.Lock, int]] = {}

    def __len__(self) -> int:
        return len(self._held)

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        with self._guard:
            lock, users = self._held.get(key) or (threading.Lock(), 0)
            self._held[key] = (lock, users + 1)
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, users = self._held[key]
                if users > 1:
                    self._held[key] = (lock, users - 1)
                else:
                    del self._held[key]
