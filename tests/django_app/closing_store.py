"""A token store for the contract's threads: they are nobody's requests, so that nothing closes
their connections to databases and caches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from django.core.cache import caches
from django.db import connections

from keyfob.web.stores import Record, TokenStore

T = TypeVar("T")


class ClosingStore:
    """Asks `store`, and closes what the calling thread has opened for it, unless it is the main
    thread."""

    def __init__(self, store: TokenStore) -> None:
        self._store = store
        self.is_local = store.is_local

    def load(self, key: str) -> Record | None:
        return _and_close(lambda: self._store.load(key))

    def version(self, key: str) -> int | None:
        return _and_close(lambda: self._store.version(key))

    def create(self, key: str, value: bytes, expires_at: float) -> bool:
        return _and_close(lambda: self._store.create(key, value, expires_at))

    def replace(self, key: str, value: bytes, version: int, expires_at: float) -> bool:
        return _and_close(lambda: self._store.replace(key, value, version, expires_at))

    def extend(self, key: str, expires_at: float) -> bool:
        return _and_close(lambda: self._store.extend(key, expires_at))

    def delete(self, key: str, version: int | None = None) -> bool:
        return _and_close(lambda: self._store.delete(key, version))

    def clear_expired(self) -> int:
        return self._store.clear_expired()

    def close(self) -> None:
        self._store.close()


def _and_close(work: Callable[[], T]) -> T:
    try:
        return work()
    finally:
        if threading.current_thread() is not threading.main_thread():
            caches.close_all()
            connections.close_all()
