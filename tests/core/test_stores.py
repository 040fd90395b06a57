"""Token stores: the contract, and what is particular to each."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyfob.errors import StoreError, StoreUnavailable
from keyfob.web.sealing import KeyRing, Sealer
from keyfob.web.stores import (
    MAX_VALUE_SIZE,
    MemoryStore,
    Record,
    SealedStore,
    SQLiteStore,
    TokenStore,
)
from support.store_contract import Clock, StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self, clock: Clock) -> Iterator[TokenStore]:
        store = MemoryStore(clock=clock)
        yield store
        store.close()


class TestSQLiteStore(StoreContract):
    @pytest.fixture
    def store(self, clock: Clock, tmp_path: Path) -> Iterator[TokenStore]:
        store = SQLiteStore(tmp_path / "store.sqlite3", clock=clock)
        yield store
        store.close()


class TestSealedMemoryStore(StoreContract):
    @pytest.fixture
    def store(self, clock: Clock) -> Iterator[TokenStore]:
        store = SealedStore(MemoryStore(clock=clock), sealer("one"))
        yield store
        store.close()


class TestSealedSQLiteStore(StoreContract):
    @pytest.fixture
    def store(self, clock: Clock, tmp_path: Path) -> Iterator[TokenStore]:
        store = SealedStore(SQLiteStore(tmp_path / "s.sqlite3", clock=clock), sealer("one"))
        yield store
        store.close()


def sealer(*keys: str) -> Sealer:
    return Sealer(KeyRing(keys, purpose="token store"))


class ReadableStore(MemoryStore):
    """A memory store whose records a test can look at, and damage."""

    @property
    def content(self) -> dict[str, bytes]:
        return {key: entry.record.value for key, entry in self._entries.items()}

    def put(self, key: str, value: bytes) -> None:
        entry = self._entries[key]
        entry.record = Record(value, entry.record.version)


def test_a_records_repr_does_not_show_its_value() -> None:
    assert repr(Record(b"refresh-token", 7)) == "Record(<13 bytes>, version=7)"
    assert "refresh-token" not in f"{Record(b'refresh-token', 7)}"


# --- memory


def test_the_memory_store_removes_what_expired_as_it_is_written_to() -> None:
    clock = Clock()
    store = ReadableStore(clock=clock)
    for number in range(1000):
        store.create(secrets.token_hex(8), b"x", clock.now + 10)
        clock.advance(1)
        assert len(store.content) <= 11, number


def test_the_memory_store_does_not_grow_when_one_session_is_saved_again_and_again() -> None:
    clock = Clock()
    store = ReadableStore(clock=clock)
    store.create("k", b"x", clock.now + 100)
    for _ in range(5000):
        record = store.load("k")
        assert record is not None
        clock.advance(1)
        store.replace("k", b"x", record.version, clock.now + 100)
    assert len(store._queue) < 10


def test_the_memory_store_does_not_grow_when_people_sign_in_and_out() -> None:
    clock = Clock()
    store = ReadableStore(clock=clock)
    for number in range(5000):
        store.create(f"{number}", b"x", clock.now + 86400)
        store.delete(f"{number}")
    assert len(store._queue) < 200


def test_the_memory_store_never_throws_out_a_live_record() -> None:
    clock = Clock()
    store = MemoryStore(clock=clock)
    for number in range(5000):
        store.create(f"{number}", b"x", clock.now + 10 + number % 7)
    assert all(store.load(f"{number}") for number in range(5000))


def test_the_memory_stores_repr_names_no_key() -> None:
    store = MemoryStore()
    store.create("session-key", b"x", 9e9)
    assert repr(store) == "<MemoryStore: 1 records>"


# --- sealed


def test_the_store_below_sees_neither_key_nor_value() -> None:
    below = ReadableStore()
    store = SealedStore(below, sealer("one"))
    store.create("session-key", b"refresh-token", 9e9)
    ((key, value),) = below.content.items()
    assert "session-key" not in key
    assert b"refresh-token" not in value


def test_a_key_as_the_store_below_has_it_opens_no_session() -> None:
    below = ReadableStore()
    store = SealedStore(below, sealer("one"))
    store.create("session-key", b"x", 9e9)
    assert store.load(next(iter(below.content))) is None


def test_records_that_were_swapped_are_misses() -> None:
    below = ReadableStore()
    store = SealedStore(below, sealer("one"))
    store.create("ada", b"ada's tokens", 9e9)
    store.create("bob", b"bob's tokens", 9e9)
    (first, one), (second, other) = below.content.items()
    below.put(first, other)
    below.put(second, one)
    assert store.load("ada") is None
    assert store.load("bob") is None
    assert store.unreadable_records == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda value: b"",
        lambda value: value[:-1],
        lambda value: value[:10],
        lambda value: value + b"x",
        lambda value: bytes([value[0] ^ 3]) + value[1:],
        lambda value: value[:-1] + bytes([value[-1] ^ 1]),
        lambda value: b'{"AccessToken": {}}',
        lambda value: b"\x00" * 5000,
    ],
)
def test_an_unreadable_record_is_a_miss_that_is_removed_and_counted(
    damage, caplog: pytest.LogCaptureFixture
) -> None:
    below = ReadableStore()
    store = SealedStore(below, sealer("one"))
    store.create("session-key", b"refresh-token", 9e9)
    ((hashed, value),) = below.content.items()
    below.put(hashed, damage(value))
    with caplog.at_level(logging.WARNING, logger="keyfob.store"):
        assert store.load("session-key") is None
    assert store.unreadable_records == 1
    assert below.load(hashed) is None
    assert store.create("session-key", b"new", 9e9) is True
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "session-key" not in record.getMessage()
    assert hashed not in record.getMessage()
    assert "refresh" not in record.getMessage()


def test_removing_an_unreadable_record_spares_one_that_was_written_meanwhile() -> None:
    class Busy(ReadableStore):
        def load(self, key: str) -> Record | None:
            record = super().load(key)
            if record and record.value == b"rubbish":
                good.replace("k", b"good", record.version, 9e9)
            return record

    below = Busy()
    good = SealedStore(below, sealer("one"))
    good.create("k", b"x", 9e9)
    below.put(next(iter(below.content)), b"rubbish")
    assert good.load("k") is None
    record = good.load("k")
    assert record is not None
    assert record.value == b"good"


def test_a_store_that_fails_while_an_unreadable_record_is_removed_is_still_a_miss() -> None:
    class Failing(ReadableStore):
        def replace(self, key: str, value: bytes, version: int, expires_at: float) -> bool:
            raise StoreUnavailable("down")

    below = Failing()
    store = SealedStore(below, sealer("one"))
    store.create("k", b"x", 9e9)
    below.put(next(iter(below.content)), b"rubbish")
    assert store.load("k") is None


def test_records_stay_readable_while_keys_are_rotated() -> None:
    below = ReadableStore()
    SealedStore(below, sealer("old")).create("k", b"x", 9e9)
    rotated = SealedStore(below, sealer("old", "new"))
    record = rotated.load("k")
    assert record is not None
    rotated.replace("k", b"y", record.version, 9e9)
    only_new = SealedStore(below, sealer("new"))
    record = only_new.load("k")
    assert record is not None
    assert record.value == b"y"


def test_a_foreign_key_reads_nothing() -> None:
    below = ReadableStore()
    SealedStore(below, sealer("one")).create("k", b"x", 9e9)
    assert SealedStore(below, sealer("other")).load("k") is None


def test_a_value_of_one_mebibyte_is_stored_and_a_larger_one_refused() -> None:
    store = SealedStore(MemoryStore(), sealer("one"))
    assert store.create("k", b"x" * MAX_VALUE_SIZE, 9e9)
    with pytest.raises(StoreError, match="1048577 bytes") as caught:
        store.create("other", b"x" * (MAX_VALUE_SIZE + 1), 9e9)
    assert caught.value.code == "record_too_large"
    record = store.load("k")
    assert record is not None
    with pytest.raises(StoreError):
        store.replace("k", b"x" * (MAX_VALUE_SIZE + 1), record.version, 9e9)


def test_a_key_may_be_any_text() -> None:
    store = SealedStore(MemoryStore(), sealer("one"))
    for key in ("", "ä" * 1000, "\ud800", "a\0b"):
        assert store.create(key, b"x", 9e9)
        assert store.load(key)


def test_a_sealed_stores_repr_shows_no_key() -> None:
    assert "one-very-secret" not in repr(SealedStore(MemoryStore(), sealer("one-very-secret")))
