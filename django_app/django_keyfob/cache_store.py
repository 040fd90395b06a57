"""The token store `django-cache:ALIAS`: one of the project's CACHES, whichever backend it has.

Django's caches cannot replace a value only if it is still the one that was read. So whoever changes
a record holds a short lock meanwhile; see docs/decisions/django-cache-store.md for what that is
worth.
"""

from __future__ import annotations

import difflib
import pickle
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.db import DatabaseError
from django.db.transaction import TransactionManagementError
from django.utils.module_loading import import_string

from django_keyfob.cache_locks import AddLock, CacheLock, FileLock
from keyfob.errors import ConfigurationError, StoreUnavailable
from keyfob.web.stores import Record, first_version

# The cache forgets a record so many seconds after its end; until then our clock decides.
_GRACE = 60.0
_LONGEST = 100 * 365 * 86400.0
# What it begins with, its version, its end. Bytes rather than a tuple, whose shape somebody else's
# value might have as well.
_HEADER = struct.Struct(">4sQd")
_MARK = b"kfc1"
# What comes of unpickling something that was cut off, or that another program put there.
_UNREADABLE = (
    pickle.PickleError,
    zlib.error,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    ImportError,
    LookupError,
)


class _Entry(NamedTuple):
    record: Record
    expires_at: float


class CacheStore:
    """Keeps records in a cache of Django's. What the cache throws out to make room is a miss.

    The cache removes expired records itself, as far as it does so at all: nobody can list what is
    in it, and `clear_expired` removes nothing.

    :param alias: the cache's name in CACHES.
    :param clock: gives the time in seconds since 1970.
    :raises ConfigurationError: there is no such cache, or it keeps nothing.
    """

    is_local = False

    def __init__(self, alias: str, *, clock: Callable[[], float] = time.time) -> None:
        kind = cache_class(alias)
        if issubclass(kind, DummyCache):
            raise ConfigurationError(
                f"TOKEN_STORE names the cache {alias!r}, which is a DummyCache: it keeps nothing, "
                "so that nobody could stay signed in. Name another one, or leave TOKEN_STORE out "
                "to use the site's database",
                setting="TOKEN_STORE",
            )
        self._alias = alias
        self._clock = clock
        # Its `add` looks first and writes then, and is no lock.
        self._folder = (
            Path(settings.CACHES[alias]["LOCATION"]) if issubclass(kind, FileBasedCache) else None
        )

    def __repr__(self) -> str:
        return f"<CacheStore in {self._alias!r}>"

    def load(self, key: str) -> Record | None:
        entry = self._live(key)
        return entry.record if entry else None

    def version(self, key: str) -> int | None:
        """As every store's; a cache sends the value along."""
        entry = self._live(key)
        return entry.record.version if entry else None

    def create(self, key: str, value: bytes, expires_at: float) -> bool:
        with self._lock(key) as lock:
            if self._live(key):
                return False
            self._put(lock, key, Record(value, first_version()), expires_at)
        return True

    def replace(self, key: str, value: bytes, version: int, expires_at: float) -> bool:
        with self._lock(key) as lock:
            entry = self._live(key)
            if entry is None or entry.record.version != version:
                return False
            self._put(lock, key, Record(value, version + 1), expires_at)
        return True

    def extend(self, key: str, expires_at: float) -> bool:
        with self._lock(key) as lock:
            entry = self._live(key)
            if entry is None:
                return False
            if expires_at > entry.expires_at:
                self._put(lock, key, entry.record, expires_at)
        return True

    def delete(self, key: str, version: int | None = None) -> bool:
        with self._lock(key) as lock:
            entry = self._live(key)
            if version is not None and (entry is None or entry.record.version != version):
                return False
            lock.confirm()
            self._ask("delete", _name(key))
        return entry is not None

    def clear_expired(self) -> int:
        """Nothing, and 0: the cache does so."""
        return 0

    def close(self) -> None:
        """Nothing: Django opens and closes the connections."""

    def _live(self, key: str) -> _Entry | None:
        entry = _unpacked(self._ask("get", _name(key)))
        return entry if entry and self._clock() < entry.expires_at else None

    def _put(self, lock: CacheLock, key: str, record: Record, expires_at: float) -> None:
        left = expires_at - self._clock()
        name, data = _name(key), _packed(record, expires_at)
        lock.confirm()
        if left <= 0:
            self._ask("delete", name)
            return
        self._ask("set", name, data, min(left + _GRACE, _LONGEST))
        # Some backends say nothing of a value that they could not keep.
        if self._ask("get", name) != data:
            raise StoreUnavailable(
                f"Django's cache {self._alias!r} did not keep a record of {len(data)} bytes; is "
                "that more than its server takes (memcached: -I), or was it full?"
            )

    def _lock(self, key: str) -> CacheLock:
        if self._folder is not None:
            return FileLock(self._folder, key)
        return AddLock(self._ask, f"keyfob:lock:{key}")

    def _ask(self, verb: str, *arguments: Any) -> Any:
        """Call the cache; any failure of it is a `StoreUnavailable`."""
        try:
            return getattr(caches[self._alias], verb)(*arguments)
        except TransactionManagementError:
            raise  # the caller's own transaction was broken before
        except Exception as error:
            if verb == "get" and isinstance(error, _UNREADABLE):
                return None
            # Each backend has errors of its own. Their texts may have a key or a value in them.
            cure = "; is its table there (manage.py createcachetable)?"
            raise StoreUnavailable(
                f"Django's cache {self._alias!r} failed ({type(error).__name__})"
                f"{cure if isinstance(error, DatabaseError) else ''}"
            ) from error


def cache_class(alias: str) -> type[BaseCache]:
    """The backend of a cache, which is not made for it.

    :raises ConfigurationError: CACHES has no such cache, or its backend is not there.
    """
    if alias not in settings.CACHES:
        near = difflib.get_close_matches(alias, settings.CACHES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(settings.CACHES)}"
        raise ConfigurationError(
            f"TOKEN_STORE names the cache {alias!r}, which is not in CACHES; {hint}",
            setting="TOKEN_STORE",
        )
    backend = settings.CACHES[alias].get("BACKEND", "")
    try:
        found = import_string(backend)
    except ImportError:
        found = None
    if not isinstance(found, type):
        raise ConfigurationError(
            f"TOKEN_STORE names the cache {alias!r}, whose BACKEND {backend!r} cannot be imported",
            setting="TOKEN_STORE",
        )
    return found


def most_entries(alias: str) -> int:
    """How many entries a cache keeps before it throws some out: Django's MAX_ENTRIES."""
    configured = settings.CACHES[alias]
    options = configured.get("OPTIONS") or {}
    try:
        return int(configured.get("max_entries", options.get("MAX_ENTRIES", 300)))
    except (TypeError, ValueError):
        return 300  # as Django takes it


def _name(key: str) -> str:
    return f"keyfob:record:{key}"


def _packed(record: Record, expires_at: float) -> bytes:
    return _HEADER.pack(_MARK, record.version, float(expires_at)) + bytes(record.value)


def _unpacked(data: object) -> _Entry | None:
    """What the cache had, if it is a record."""
    if not isinstance(data, bytes) or len(data) < _HEADER.size:
        return None
    mark, version, expires_at = _HEADER.unpack_from(data)
    if mark != _MARK:
        return None
    return _Entry(Record(data[_HEADER.size :], version), expires_at)
