"""The SQLite store's file: made, opened, recognised, and its failures put into words."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from keyfob.errors import StoreUnavailable

#: Stands in the file's header and says that it is ours ("Kfob").
APPLICATION_ID = 0x4B666F62
SCHEMA_VERSION = 1

_SCHEMA = (
    """
    CREATE TABLE keyfob_records (
        key TEXT NOT NULL PRIMARY KEY,
        value BLOB NOT NULL,
        version INTEGER NOT NULL,
        expires_at REAL NOT NULL
    )
    """,
    "CREATE INDEX keyfob_records_by_expiry ON keyfob_records (expires_at)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)

# What SQLite says, what it means, and what to do. By its words: error codes come with Python 3.11.
_CURES = (
    (
        ("not a database", "malformed"),
        (
            "is damaged, or not a SQLite file. "
            "Stop the site, move the file away, start again: people will sign in anew, no more"
        ),
    ),
    (
        ("unable to open", "readonly", "read-only", "permission denied", "directory", "exists"),
        (
            "cannot be opened for writing. The user that the site runs as must be able to write to "
            "the file and to its folder; or set TOKEN_STORE to a place where it can"
        ),
    ),
    (
        ("is full", "no space left"),
        "cannot grow: the disk is full. Make room on it",
    ),
    (
        ("is locked", "is busy"),
        (
            "was kept locked by another process for too long. Look for a backup or a database tool "
            "that has it open; on a network share, move it to a local disk"
        ),
    ),
    (
        ("disk i/o error", "input/output error"),
        (
            "cannot be read or written: the disk reports an error. "
            "Is it a network share? The file must be on a local disk"
        ),
    ),
)


@dataclass(frozen=True)
class Connection:
    """An open connection, and which file it was opened on."""

    db: sqlite3.Connection
    file: tuple[int, int]

    def is_of(self, path: Path) -> bool:
        """Whether `path` still is the file that this connection writes to."""
        try:
            return _identity(path) == self.file
        except OSError:
            return False

    def close(self) -> None:
        # A connection that cannot be closed properly is of no use to anybody either way.
        with contextlib.suppress(sqlite3.Error):
            self.db.close()


def connect(path: Path, timeout: float) -> Connection:
    """Open `path`, made and given its table where needed. Raises sqlite3.Error or OSError.

    :param timeout: how long to wait for other processes, in seconds.
    """
    _make(path)
    # Any thread may use it, one at a time: the pool sees to that.
    db = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    try:
        _use_wal(db, timeout)
        db.execute("PRAGMA synchronous = NORMAL")
        _prepare(db, path)
        return Connection(db, _identity(path))
    except BaseException:
        db.close()
        raise


def unavailable(path: Path, error: sqlite3.Error | OSError) -> StoreUnavailable:
    """`error` as an error that names the file and the cure. SQLite's words hold no values."""
    said = str(error).lower()
    for signs, cure in _CURES:
        if any(sign in said for sign in signs):
            return StoreUnavailable(f"the token store {str(path)!r} {cure}")
    kind = type(error).__name__
    return StoreUnavailable(f"the token store {str(path)!r} failed ({kind}: {error})")


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _make(path: Path) -> None:
    """An empty file that only we may read, and its folder, unless they are there.

    SQLite would make the file with the umask's mode, and give its companions the same.
    """
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made under another name (`mkstemp` gives mode 0600) and closed before anybody can open it as
    # a database: closing a file drops every lock that this process has on it, whoever took them
    # (sqlite.org/howtocorrupt.html §2.2).
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        # Fails when another process was quicker, unlike a rename.
        path.hardlink_to(temporary)
    except FileExistsError:
        pass
    except OSError:
        # A file system without links. Then the moment described above is accepted.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    finally:
        temporary.unlink(missing_ok=True)


def _use_wal(db: sqlite3.Connection, timeout: float) -> None:
    """Switch to WAL mode, which only the very first connection has to do.

    When several processes try at once, SQLite fails all but one without waiting, for the switch
    does not heed the busy timeout.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
            continue
        if mode != "wal":
            raise sqlite3.OperationalError(f"disk I/O error: journal mode stays {mode}")
        return


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    """Give an empty file its table; refuse a file that is not ours, or newer than we know."""
    # In a transaction even to read: between two questions another process may make the table, and
    # half of one answer with half of the other looks like somebody else's database.
    db.execute("BEGIN")
    ready = _is_ready(db, path)
    db.execute("COMMIT")
    if ready:
        return
    db.execute("BEGIN IMMEDIATE")
    # Again, now that nobody else can be at it.
    if not _is_ready(db, path):
        for statement in _SCHEMA:
            db.execute(statement)
    db.execute("COMMIT")


def _is_ready(db: sqlite3.Connection, path: Path) -> bool:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if application == APPLICATION_ID:
        if version == SCHEMA_VERSION:
            return True
        raise StoreUnavailable(
            f"the token store {str(path)!r} was made by another version of Keyfob (its schema is "
            f"{version}, this one's {SCHEMA_VERSION}). Give each version its own file in "
            "TOKEN_STORE, or move the file away: people will sign in anew"
        )
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application or version or tables:
        raise StoreUnavailable(
            f"{str(path)!r} is another program's database. The token store needs a file of its "
            "own: change TOKEN_STORE"
        )
    return False
