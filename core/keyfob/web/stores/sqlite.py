"""A token store in one SQLite file, shared by the processes of one machine."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from keyfob.errors import StoreUnavailable
from keyfob.web.stores.base import Record, first_version
from keyfob.web.stores.sqlite_file import Connection, connect, unavailable

#: How long a write waits for other threads and processes, in seconds, before it gives up.
WRITE_TIMEOUT = 5.0
#: How many idle connections a process keeps open; more are opened and closed as needed.
MAX_IDLE = 8

# Expired records are removed by one write a minute, so many at once; sooner while there are more.
_CLEANING_INTERVAL = 60.0
_CLEANING_INTERVAL_BEHIND = 1.0
_CLEANING_BATCH = 200

_LOAD = "SELECT value, version FROM keyfob_records WHERE key = ? AND expires_at > ?"
# One statement, so that of several processes only one finds the place free.
_CREATE = """
    INSERT INTO keyfob_records (key, value, version, expires_at) VALUES (?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE
    SET value = excluded.value, version = excluded.version, expires_at = excluded.expires_at
    WHERE keyfob_records.expires_at <= ?
"""
_REPLACE = """
    UPDATE keyfob_records SET value = ?, version = version + 1, expires_at = ?
    WHERE key = ? AND version = ? AND expires_at > ?
"""
_EXTEND = """
    UPDATE keyfob_records SET expires_at = max(expires_at, ?) WHERE key = ? AND expires_at > ?
"""
_VERSION = "SELECT version FROM keyfob_records WHERE key = ? AND expires_at > ?"
_DELETE = "DELETE FROM keyfob_records WHERE key = ? AND expires_at > ?"
_DELETE_VERSION = _DELETE + " AND version = ?"
_CLEAR = """
    DELETE FROM keyfob_records WHERE key IN
    (SELECT key FROM keyfob_records WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)
"""


class _Pool:
    """One process's idle connections and its queue of writers."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.idle: list[Connection] = []
        #: Raised by `close`, so that connections then in use are closed when they come back.
        self.generation = 0
        # The threads of a process queue here rather than in SQLite, whose waiting is a poll: with
        # many threads some would go on losing until their time is up.
        self.writers = threading.Lock()


class SQLiteStore:
    """Keeps records in one file that several processes and threads may use at once.

    Nothing is touched before the first use. Then the folder (mode 0700) and the file (0600) are
    made where they are missing; what is there keeps its mode. The file is in WAL mode: it has two
    companions (`-wal`, `-shm`), belongs on a local disk rather than a network share, and reading
    never waits for writing. A crash of the site loses nothing; a power failure may lose the last
    moments (`synchronous=NORMAL`), never the file.

    Survives a fork at any time, and the file being removed or replaced under it.

    :param path: the file; a relative one is relative to the working directory of this moment.
    :param clock: gives the time in seconds since 1970.
    :param write_timeout: how long a write may wait for others, in seconds.
    """

    is_local = True
    kind = "sqlite"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Callable[[], float] = time.time,
        write_timeout: float = WRITE_TIMEOUT,
    ) -> None:
        self._path = Path(os.path.abspath(path))  # noqa: PTH100  Path.resolve() would read the disk
        self._clock = clock
        self._write_timeout = write_timeout
        # By process id. A forked child must neither use nor even close its parent's connections
        # (sqlite.org/howtocorrupt.html §2.6), and a lock may have been held while it forked. So
        # it starts its own pool, and leaves the parent's here, where nothing collects it.
        self._pools: dict[int, _Pool] = {}
        self._next_cleaning = 0.0

    def __repr__(self) -> str:
        return f"<SQLiteStore at {str(self._path)!r}>"

    def load(self, key: str) -> Record | None:
        with self._connection() as connection:
            row = connection.db.execute(_LOAD, (key, self._clock())).fetchone()
        return Record(bytes(row[0]), row[1]) if row else None

    def version(self, key: str) -> int | None:
        with self._connection() as connection:
            row = connection.db.execute(_VERSION, (key, self._clock())).fetchone()
        return row[0] if row else None

    def create(self, key: str, value: bytes, expires_at: float) -> bool:
        with self._writing() as db:
            now = self._clock()
            done = db.execute(_CREATE, (key, value, first_version(), expires_at, now)).rowcount == 1
            self._clean_now_and_then(db)
        return done

    def replace(self, key: str, value: bytes, version: int, expires_at: float) -> bool:
        with self._writing() as db:
            now = self._clock()
            done = db.execute(_REPLACE, (value, expires_at, key, version, now)).rowcount == 1
            self._clean_now_and_then(db)
        return done

    def extend(self, key: str, expires_at: float) -> bool:
        with self._writing() as db:
            return db.execute(_EXTEND, (expires_at, key, self._clock())).rowcount == 1

    def delete(self, key: str, version: int | None = None) -> bool:
        with self._writing() as db:
            now = self._clock()
            if version is None:
                return db.execute(_DELETE, (key, now)).rowcount == 1
            return db.execute(_DELETE_VERSION, (key, now, version)).rowcount == 1

    def clear_expired(self) -> int:
        """Remove what has expired, in batches between which others get their turn."""
        total = 0
        while True:
            with self._writing() as db:
                count = db.execute(_CLEAR, (self._clock(), _CLEANING_BATCH)).rowcount
            total += count
            if count < _CLEANING_BATCH:
                return total

    def close(self) -> None:
        pool = self._pool()
        with pool.lock:
            pool.generation += 1
            idle, pool.idle = pool.idle, []
        for connection in idle:
            connection.close()

    def _clean_now_and_then(self, db: sqlite3.Connection) -> None:
        """Inside a write that is going on anyway; two threads at it at once do no harm."""
        now = self._clock()
        # Far ahead: the clock was set back meanwhile.
        if now < self._next_cleaning <= now + _CLEANING_INTERVAL:
            return
        removed = db.execute(_CLEAR, (now, _CLEANING_BATCH)).rowcount
        behind = removed == _CLEANING_BATCH
        self._next_cleaning = now + (_CLEANING_INTERVAL_BEHIND if behind else _CLEANING_INTERVAL)

    def _pool(self) -> _Pool:
        pid = os.getpid()
        pool = self._pools.get(pid)
        # setdefault: of several threads that are first at once, all get the same.
        return pool if pool is not None else self._pools.setdefault(pid, _Pool())

    @contextlib.contextmanager
    def _connection(self) -> Iterator[Connection]:
        """A connection nobody else is using, and any failure as `StoreUnavailable`."""
        pool = self._pool()
        with pool.lock:
            generation = pool.generation
            connection = pool.idle.pop() if pool.idle else None
        try:
            if connection is not None and not connection.is_of(self._path):
                connection.close()  # the file was removed or replaced: start on the new one
                connection = None
            if connection is None:
                connection = connect(self._path, self._write_timeout)
            yield connection
        except BaseException as error:
            # Whatever state it is in now, nobody else shall meet it; closing rolls back.
            if connection is not None:
                connection.close()
            if isinstance(error, (sqlite3.Error, OSError)):
                raise unavailable(self._path, error) from error
            raise
        with pool.lock:
            if pool.generation == generation and len(pool.idle) < MAX_IDLE:
                pool.idle.append(connection)
                return
        connection.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the right to write from its first moment.

        IMMEDIATE, because a transaction that begins by reading cannot wait for its turn to write:
        when another process wrote in between, SQLite fails it at once.
        """
        writers = self._pool().writers
        if not writers.acquire(timeout=self._write_timeout):
            raise StoreUnavailable(
                f"the token store {str(self._path)!r} was busy for {self._write_timeout:g} seconds "
                "with this process's own writes; its disk is too slow for this site"
            )
        try:
            with self._connection() as connection:
                connection.db.execute("BEGIN IMMEDIATE")
                yield connection.db
                connection.db.execute("COMMIT")
        finally:
            writers.release()
