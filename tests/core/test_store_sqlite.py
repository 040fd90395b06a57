"""The SQLite store: several processes, forks, damaged files, full disks."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyfob.errors import StoreUnavailable
from keyfob.web.stores import SQLiteStore
from keyfob.web.stores import sqlite as sqlite_module
from support.store_contract import Clock, at_once

needs_posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX file modes")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "store.sqlite3"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(path: Path, clock: Clock) -> Iterator[SQLiteStore]:
    store = SQLiteStore(path, clock=clock, write_timeout=5)
    yield store
    store.close()


def failing(path: Path, **options: float) -> str:
    store = SQLiteStore(path, **options)
    try:
        with pytest.raises(StoreUnavailable) as caught:
            store.create("session-key", b"refresh-token", 9e9)
    finally:
        store.close()
    message = str(caught.value)
    assert repr(str(path)) in message
    assert "session-key" not in message
    assert "refresh" not in message
    assert caught.value.retryable
    return message


def test_nothing_is_touched_before_the_first_use(path: Path, store: SQLiteStore) -> None:
    assert not path.parent.exists()
    assert store.load("k") is None
    assert path.exists()


@needs_posix
def test_only_the_sites_user_may_read_what_is_made(path: Path, store: SQLiteStore) -> None:
    before = os.umask(0o000)
    try:
        store.create("k", b"x", 9e9)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    names = sorted(file.name for file in path.parent.iterdir())
    assert names == ["store.sqlite3", "store.sqlite3-shm", "store.sqlite3-wal"]


def test_the_file_is_made_where_the_file_system_has_no_links(
    path: Path, store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert store.create("k", b"x", 9e9)


def test_two_stores_on_one_file_share_their_records(path: Path, store: SQLiteStore) -> None:
    other = SQLiteStore(path)
    store.create("k", b"x", 9e9)
    record = other.load("k")
    assert record is not None
    assert other.replace("k", b"y", record.version, 9e9)
    assert store.replace("k", b"z", record.version, 9e9) is False
    other.close()


def test_records_outlive_the_process(path: Path, store: SQLiteStore) -> None:
    store.create("k", b"x", 9e9)
    store.close()
    again = SQLiteStore(path)
    record = again.load("k")
    assert record is not None
    assert record.value == b"x"
    again.close()


def test_closing_leaves_one_tidy_file(path: Path, store: SQLiteStore) -> None:
    at_once(8, lambda number: store.create(f"{number}", b"x", 9e9))
    store.close()
    assert [file.name for file in path.parent.iterdir()] == ["store.sqlite3"]


def test_a_connection_in_use_while_the_store_is_closed_is_closed_afterwards(
    path: Path, store: SQLiteStore
) -> None:
    with store._connection() as connection:
        store.close()
    with pytest.raises(sqlite3.ProgrammingError):
        connection.db.execute("SELECT 1")


def test_many_that_open_a_new_file_at_once_all_find_it_theirs(tmp_path: Path) -> None:
    for attempt in range(30):
        store = SQLiteStore(tmp_path / str(attempt) / "store.sqlite3")
        together = threading.Barrier(6)

        def opened(_: int, store: SQLiteStore = store, go: threading.Barrier = together) -> bool:
            go.wait(timeout=30)
            return store.load("nothing") is None

        assert all(at_once(6, opened))
        store.close()


def test_no_more_than_a_few_idle_connections_are_kept(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_module, "MAX_IDLE", 2)
    together = threading.Barrier(6)

    def hold(_: int) -> None:
        with store._connection():
            together.wait(timeout=30)

    at_once(6, hold)
    assert len(store._pool().idle) == 2


def test_a_relative_path_means_the_folder_of_the_moment_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = SQLiteStore("here.sqlite3")
    monkeypatch.chdir("/")
    store.create("k", b"x", 9e9)
    assert (tmp_path / "here.sqlite3").exists()
    store.close()


# --- cleaning


def count(path: Path) -> int:
    db = sqlite3.connect(path)
    try:
        return int(db.execute("SELECT count(*) FROM keyfob_records").fetchone()[0])
    finally:
        db.close()


def test_writes_remove_expired_records_once_a_minute_and_a_limited_number_at_a_time(
    path: Path, store: SQLiteStore, clock: Clock
) -> None:
    for number in range(450):
        store.create(f"{number}", b"x", clock.now + 10)
    clock.advance(20)
    store.create("within the minute", b"x", clock.now + 1e6)
    assert count(path) == 451
    clock.advance(60)
    store.create("a minute later", b"x", clock.now + 1e6)
    assert count(path) == 252
    clock.advance(1)
    store.create("soon, for there is more", b"x", clock.now + 1e6)
    assert count(path) == 53


def test_cleaning_goes_on_after_the_clock_was_set_back(
    path: Path, store: SQLiteStore, clock: Clock
) -> None:
    store.create("first", b"x", clock.now + 1e9)
    clock.advance(-100_000)
    store.create("expired", b"x", clock.now - 1)
    assert count(path) == 1


# --- processes

CHILD = """
import sys
from keyfob.web.stores import SQLiteStore
store = SQLiteStore(sys.argv[1], write_timeout=60)
input()
for _ in range(int(sys.argv[2])):
    store.create("counter", b"0", 9e9)
    while True:
        record = store.load("counter")
        if store.replace("counter", b"%d" % (int(record.value) + 1), record.version, 9e9):
            break
store.close()
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_several_processes_lose_no_change_and_never_find_the_file_locked(
    path: Path, store: SQLiteStore
) -> None:
    # All of them find no file, and make it at the same moment.
    children = [start(CHILD, path, 40) for _ in range(4)]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    results = [child.communicate(timeout=120)[1] for child in children]
    assert results == ["", "", "", ""]
    record = store.load("counter")
    assert record is not None
    assert record.value == b"160"


@needs_fork
def test_a_forked_child_opens_its_own_connections(path: Path) -> None:
    # In a process of its own: forking the one that runs the tests would fork its threads' locks.
    code = """
    import os, sys
    from keyfob.web.stores import SQLiteStore
    store = SQLiteStore(sys.argv[1])
    store.create("parent", b"x", 9e9)
    inherited = store._pool().idle[0]
    pool = store._pool()
    pool.lock.acquire(); pool.writers.acquire()   # as if another thread held them
    child = os.fork()
    if not child:
        assert store.load("parent").value == b"x"
        assert store.create("child", b"y", 9e9)
        assert store._pool().idle[0] is not inherited
        store.close()
        os._exit(0)
    pool.lock.release(); pool.writers.release()
    assert os.waitpid(child, 0)[1] == 0
    assert store._pool().idle[0] is inherited
    assert store.load("child").value == b"y"
    assert store.create("parent again", b"z", 9e9)
    store.close()
    """
    child = start(code, path)
    assert child.communicate(timeout=60)[1] == ""
    assert child.returncode == 0


# --- what goes wrong


@pytest.mark.parametrize("content", [b"not a database at all, but some text\n" * 100, b"x" * 600])
def test_a_damaged_file_is_named_with_the_cure(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    message = failing(path)
    assert "damaged" in message
    assert "move the file away" in message


def test_a_file_damaged_while_open_is_named_and_a_new_one_is_used(
    path: Path, store: SQLiteStore
) -> None:
    for number in range(50):
        store.create(f"{number}", b"x" * 5000, 9e9)
    store.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 100_000)
    with pytest.raises(StoreUnavailable, match="move the file away"):
        store.create("0", b"x", 9e9)
    path.unlink()
    assert store.create("0", b"x", 9e9)


def test_a_file_removed_while_open_is_made_anew(path: Path, store: SQLiteStore) -> None:
    store.create("k", b"x", 9e9)
    for file in path.parent.iterdir():
        file.unlink()
    assert store.load("k") is None
    assert store.create("k", b"y", 9e9)
    assert path.exists()
    other = SQLiteStore(path)
    assert other.load("k")
    other.close()


def test_another_programs_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE orders (id)")
    db.commit()
    db.close()
    assert "another program's database" in failing(path)


def test_a_file_of_another_schema_is_left_alone(path: Path, store: SQLiteStore) -> None:
    store.create("k", b"x", 9e9)
    store.close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    assert "another version of Keyfob" in failing(path)


def test_a_folder_that_cannot_be_made_is_named_with_the_cure(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Staged, for root (whom the tests may run as) may write anywhere.
    def refuse(self: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert "cannot be opened for writing" in failing(path)


def test_a_file_that_cannot_be_written_to_is_named_with_the_cure(
    path: Path, store: SQLiteStore
) -> None:
    store.create("k", b"x", 9e9)
    store._pool().idle[0].db.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreUnavailable, match="TOKEN_STORE"):
        store.create("other", b"x", 9e9)


def test_a_path_through_a_file_is_named_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be opened for writing" in failing(tmp_path / "file" / "store.sqlite3")


def test_a_folder_in_the_place_of_the_file_is_named_with_the_cure(path: Path) -> None:
    path.mkdir(parents=True)
    assert "cannot be opened for writing" in failing(path)


def test_a_full_disk_is_named_with_the_cure_and_reading_goes_on(
    path: Path, store: SQLiteStore
) -> None:
    store.create("k", b"x", 9e9)
    # SQLite's own limit on the file's size ends as a full disk does.
    store._pool().idle[0].db.execute("PRAGMA max_page_count = 10")
    with pytest.raises(StoreUnavailable, match=r"store\.sqlite3' cannot grow: the disk is full"):
        store.create("big", b"x" * 100_000, 9e9)
    assert store.load("k")
    assert store.load("big") is None
    assert store.create("big", b"x" * 100_000, 9e9)


def test_a_file_locked_by_another_program_is_reported_after_the_time_limit(
    path: Path, store: SQLiteStore
) -> None:
    store.create("k", b"x", 9e9)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    try:
        assert "locked by another process" in failing(path, write_timeout=0.1)
        assert store.load("k")
    finally:
        db.close()
    assert store.create("after", b"x", 9e9)


def test_a_write_does_not_wait_forever_for_this_processs_own_writes(
    path: Path, store: SQLiteStore
) -> None:
    store._write_timeout = 0.05
    with store._pool().writers, pytest.raises(StoreUnavailable, match=r"busy for 0\.05 seconds"):
        store.create("k", b"x", 9e9)


def test_the_first_opening_waits_its_turn_to_switch_the_journal(path: Path) -> None:
    class Busy:
        calls = 0

        def execute(self, statement: str) -> Busy:
            self.calls += 1
            if self.calls < 3:
                raise sqlite3.OperationalError("database is locked")
            return self

        def fetchone(self) -> tuple[str]:
            return ("wal",)

    from keyfob.web.stores.sqlite_file import _use_wal

    db = Busy()
    _use_wal(db, 5)  # type: ignore[arg-type]
    assert db.calls == 3
    with pytest.raises(sqlite3.OperationalError):
        _use_wal(Busy(), -1)  # type: ignore[arg-type]
