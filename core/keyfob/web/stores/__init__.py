"""Token stores: where the sessions' records are kept."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from keyfob.errors import ConfigurationError
from keyfob.web.stores.base import Record, TokenStore, first_version
from keyfob.web.stores.circuit import CircuitStore
from keyfob.web.stores.memory import MemoryStore
from keyfob.web.stores.observed import ObservedStore
from keyfob.web.stores.redis_store import RedisStore
from keyfob.web.stores.sealed import MAX_VALUE_SIZE, SealedStore, hashed_key
from keyfob.web.stores.sqlite import SQLiteStore
from keyfob.web.stores.urls import StoreName, parse_store_url

__all__ = [
    "MAX_VALUE_SIZE",
    "CircuitStore",
    "MemoryStore",
    "ObservedStore",
    "Record",
    "RedisStore",
    "SQLiteStore",
    "SealedStore",
    "StoreName",
    "TokenStore",
    "first_version",
    "hashed_key",
    "open_store",
    "parse_store_url",
]


def open_store(
    url: str,
    *,
    base_dir: str | os.PathLike[str] | None = None,
    default_path: str | os.PathLike[str] | None = None,
    clock: Callable[[], float] = time.time,
) -> TokenStore:
    """The store that a TOKEN_STORE value names. Nothing is opened before its first use.

    `sqlite:///name` is relative and `sqlite:////name` absolute, as in SQLAlchemy; `sqlite://`
    alone is `default_path`. The names `django-db` and `django-cache:ALIAS` are not for this
    function: the Django app opens those.

    :param url: the setting's value.
    :param base_dir: what a relative path is relative to; default: the working directory.
    :param default_path: the file meant by `sqlite://`; relative to `base_dir` as well.
    :param clock: gives the time in seconds since 1970.
    :raises ConfigurationError: when it names no such store, or one whose package is missing.
    """
    kind, rest = parse_store_url(url)
    if kind == "memory":
        return MemoryStore(clock=clock)
    if kind == "redis":
        return RedisStore(rest, clock=clock)
    path = rest or default_path
    if path is None:
        raise ConfigurationError(
            "TOKEN_STORE 'sqlite://' names no file; write sqlite:///keyfob.sqlite3",
            setting="TOKEN_STORE",
        )
    return SQLiteStore(Path(base_dir or "") / path, clock=clock)
