"""A token store in the memory of one process, for development and tests."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from keyfob.web.stores.base import Record, first_version

# Each write looks at this many due entries of the queue: more than it can add, so that expired
# records are gone sooner than new ones come, and few enough that nobody has to wait.
_DUE_PER_WRITE = 4
# Below this a queue is not worth tidying.
_SMALL_QUEUE = 64


@dataclass
class _Entry:
    record: Record
    expires_at: float
    #: When the queue looks at this entry next. Never later than it expires.
    queued_for: float


class MemoryStore:
    """Keeps records in this process until they expire; a restart forgets them.

    Only for sites that run as one process: another process knows nothing of them, and its
    visitors would be signed in on every other request. Expired records are removed a few at a
    time by later writes. There is no upper bound: a live record is never thrown out to make room,
    for that would sign somebody out; memory is bounded by the number of live sessions.

    :param clock: gives the time in seconds since 1970.
    """

    is_local = True
    kind = "memory"

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        # (when to look, key). An entry whose record was extended or deleted is found out when its
        # turn comes; a record that is saved on each request does not lengthen the queue each time.
        self._queue: list[tuple[float, str]] = []

    def __repr__(self) -> str:
        return f"<MemoryStore: {len(self._entries)} records>"

    def load(self, key: str) -> Record | None:
        with self._lock:
            entry = self._live(key)
            return entry.record if entry else None

    def version(self, key: str) -> int | None:
        with self._lock:
            entry = self._live(key)
            return entry.record.version if entry else None

    def create(self, key: str, value: bytes, expires_at: float) -> bool:
        with self._lock:
            if self._live(key):
                return False
            self._put(key, Record(bytes(value), first_version()), expires_at)
            return True

    def replace(self, key: str, value: bytes, version: int, expires_at: float) -> bool:
        with self._lock:
            entry = self._live(key)
            if entry is None or entry.record.version != version:
                return False
            self._put(key, Record(bytes(value), version + 1), expires_at)
            return True

    def extend(self, key: str, expires_at: float) -> bool:
        with self._lock:
            entry = self._live(key)
            if entry is None:
                return False
            self._put(key, entry.record, max(entry.expires_at, expires_at))
            return True

    def delete(self, key: str, version: int | None = None) -> bool:
        with self._lock:
            entry = self._live(key)
            if version is not None and (entry is None or entry.record.version != version):
                return False
            self._entries.pop(key, None)
            self._tidy()
            return entry is not None

    def clear_expired(self) -> int:
        with self._lock:
            return self._remove_due(len(self._queue))

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._queue.clear()

    def _live(self, key: str) -> _Entry | None:
        entry = self._entries.get(key)
        return entry if entry and self._clock() < entry.expires_at else None

    def _put(self, key: str, record: Record, expires_at: float) -> None:
        old = self._entries.get(key)
        if old and old.queued_for <= expires_at:
            queued_for = old.queued_for
        else:
            queued_for = expires_at
            heapq.heappush(self._queue, (expires_at, key))
        self._entries[key] = _Entry(record, expires_at, queued_for)
        self._remove_due(_DUE_PER_WRITE)
        self._tidy()

    def _remove_due(self, limit: int) -> int:
        """Look at up to `limit` entries whose time has come; say how many records went."""
        now = self._clock()
        removed = 0
        for _ in range(limit):
            if not self._queue or self._queue[0][0] > now:
                break
            when, key = heapq.heappop(self._queue)
            entry = self._entries.get(key)
            if entry is None or entry.queued_for != when:
                continue  # deleted, or queued again for another time
            if entry.expires_at <= now:
                del self._entries[key]
                removed += 1
            else:
                entry.queued_for = entry.expires_at
                heapq.heappush(self._queue, (entry.expires_at, key))
        return removed

    def _tidy(self) -> None:
        """Rebuild a queue that is mostly about records which are gone."""
        if len(self._queue) > 2 * len(self._entries) + _SMALL_QUEUE:
            for entry in self._entries.values():
                entry.queued_for = entry.expires_at
            self._queue = [(entry.expires_at, key) for key, entry in self._entries.items()]
            heapq.heapify(self._queue)
