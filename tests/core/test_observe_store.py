"""A token store seen from outside: what was done, how it ended, how long it took."""

from __future__ import annotations

import pytest

from keyfob.errors import StoreUnavailable
from keyfob.web.metrics import (
    STORE_CIRCUIT,
    STORE_DURATION,
    STORE_REJECTIONS,
    UNREADABLE_RECORDS,
)
from keyfob.web.observe import Observer
from keyfob.web.sealing import KeyRing, Sealer
from keyfob.web.stores import (
    CircuitStore,
    MemoryStore,
    ObservedStore,
    RedisStore,
    SealedStore,
    SQLiteStore,
    TokenStore,
)
from support.failing_store import FailingStore
from support.measurements import measured
from support.store_contract import Clock, StoreContract

FAR = 9e9


class TestObservedStore(StoreContract):
    @pytest.fixture
    def store(self, clock: Clock) -> TokenStore:
        return ObservedStore(MemoryStore(clock=clock), Observer())


class TestObservedStoreWithListeners(StoreContract):
    @pytest.fixture
    def store(self, clock: Clock):
        with measured():
            yield ObservedStore(MemoryStore(clock=clock), Observer())


def test_each_operation_tells_whether_there_was_something() -> None:
    store = ObservedStore(MemoryStore(), Observer())
    with measured() as seen:
        assert store.load("k") is None
        assert store.version("k") is None
        assert store.create("k", b"1", FAR)
        assert not store.create("k", b"2", FAR)
        record = store.load("k")
        assert record is not None
        assert store.version("k") == record.version
        assert store.replace("k", b"3", record.version, FAR)
        assert not store.replace("k", b"4", record.version, FAR)
        assert store.extend("k", FAR)
        assert store.delete("k")
        assert not store.delete("k")
        assert not store.extend("k", FAR)
        assert store.clear_expired() == 0

    told = [(one["operation"], one["outcome"]) for one in seen.told(STORE_DURATION)]
    assert told == [
        ("load", "absent"),
        ("version", "absent"),
        ("create", "done"),
        ("create", "refused"),
        ("load", "found"),
        ("version", "found"),
        ("replace", "done"),
        ("replace", "refused"),
        ("extend", "done"),
        ("delete", "done"),
        ("delete", "absent"),
        ("extend", "absent"),
        ("clear_expired", "done"),
    ]
    assert {one["store"] for one in seen.told(STORE_DURATION)} == {"memory"}
    assert all(0 <= one.value < 60 for one in seen.of(STORE_DURATION))


def test_an_error_is_told_by_its_kind_and_raised_on() -> None:
    below = FailingStore()
    below.down = "all"
    with measured() as seen, pytest.raises(StoreUnavailable):
        ObservedStore(below, Observer()).load("k")
    assert seen.told(STORE_DURATION) == [
        {
            "store": "memory",
            "operation": "load",
            "outcome": "failed",
            "type": "store_unavailable",
        }
    ]


@pytest.mark.parametrize(
    ("store", "kind"),
    [
        (MemoryStore, "memory"),
        (lambda: SQLiteStore("never-opened.sqlite3"), "sqlite"),
        (lambda: RedisStore("redis://cache.example"), "redis"),
    ],
    ids=["memory", "sqlite", "redis"],
)
def test_a_store_is_shown_by_its_kind_and_is_as_local_as_it_is(store, kind: str) -> None:
    below = store()
    observed = ObservedStore(below, Observer())
    assert observed._kind == kind
    assert observed.is_local == below.is_local


def test_a_store_of_the_sites_own_has_no_name() -> None:
    class Own(MemoryStore):
        kind = "the store of Ada's site"

    with measured() as seen:
        ObservedStore(Own(), Observer()).load("k")
    assert seen.told(STORE_DURATION)[0]["store"] == "_OTHER"


def test_the_circuit_tells_that_it_opens_what_it_refuses_and_that_it_closes() -> None:
    below, clock = FailingStore(), Clock(0.0)
    store = CircuitStore(below, failures=2, pause=5, clock=clock, observer=Observer())
    with measured() as seen:
        below.down = "all"
        for _ in range(5):
            with pytest.raises(StoreUnavailable):
                store.load("k")
        assert len(seen.of(STORE_REJECTIONS)) == 3
        assert seen.told(STORE_CIRCUIT) == [{"state": "open"}]
        below.down = ""
        clock.advance(5)
        store.load("k")
    assert seen.told(STORE_CIRCUIT) == [{"state": "open"}, {"state": "closed"}]


def test_a_record_that_cannot_be_read_is_counted() -> None:
    below = MemoryStore()
    store = SealedStore(below, Sealer(KeyRing(["one"], purpose="x")), observer=Observer())
    store.create("k", b"value", FAR)
    [(key, entry)] = below._entries.items()
    below.replace(key, b"junk", entry.record.version, FAR)
    with measured() as seen:
        assert store.load("k") is None
        assert store.load("k") is None
    assert len(seen.of(UNREADABLE_RECORDS)) == 1
