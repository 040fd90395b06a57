"""What every token store must do. Subclass `StoreContract` and supply a `store` fixture:

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self, clock):
            store = MyStore(clock=clock)
            yield store
            store.close()

The store must take its time from `clock`, and be empty.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from keyfob.web.stores import TokenStore


class Clock:
    """A clock that only moves when told to."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def at_once(count: int, work: Callable[[int], object]) -> list[object]:
    """Run `work(number)` in so many threads, all let go at the same moment."""
    gate = threading.Barrier(count)

    def one(number: int) -> object:
        gate.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


class StoreContract:
    THREADS = 8

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def in_an_hour(self, clock: Clock) -> float:
        return clock.now + 3600

    def test_is_a_token_store(self, store: TokenStore) -> None:
        assert isinstance(store, TokenStore)

    def test_an_unknown_key_is_a_miss(self, store: TokenStore) -> None:
        assert store.load("nobody") is None

    @pytest.mark.parametrize("value", [b"", b"x", b"\x00\xff\x00", bytes(range(256)) * 400])
    def test_what_was_created_is_loaded(
        self, store: TokenStore, in_an_hour: float, value: bytes
    ) -> None:
        assert store.create("k", value, in_an_hour) is True
        record = store.load("k")
        assert record is not None
        assert record.value == value
        assert type(record.value) is bytes
        assert type(record.version) is int

    def test_a_version_is_had_without_the_value(
        self, store: TokenStore, clock: Clock, in_an_hour: float
    ) -> None:
        assert store.version("k") is None
        store.create("k", b"one", in_an_hour)
        record = store.load("k")
        assert record is not None
        assert store.version("k") == record.version
        store.replace("k", b"two", record.version, in_an_hour)
        assert store.version("k") not in (None, record.version)
        clock.advance(3600)
        assert store.version("k") is None

    def test_a_deletion_tells_whether_there_was_anything(
        self, store: TokenStore, clock: Clock, in_an_hour: float
    ) -> None:
        assert store.delete("k") is False
        store.create("k", b"one", in_an_hour)
        assert store.delete("k") is True
        assert store.load("k") is None
        store.create("k", b"two", in_an_hour)
        clock.advance(3600)
        assert store.delete("k") is False, "it had expired"

    def test_a_deletion_of_a_version_leaves_every_other_alone(
        self, store: TokenStore, in_an_hour: float
    ) -> None:
        store.create("k", b"one", in_an_hour)
        old = store.version("k")
        assert old is not None
        store.replace("k", b"two", old, in_an_hour)
        assert store.delete("k", old) is False
        assert store.load("k") is not None
        assert store.delete("k", store.version("k")) is True
        assert store.load("k") is None

    def test_of_many_that_delete_one_version_one_has_done_it(
        self, store: TokenStore, in_an_hour: float
    ) -> None:
        store.create("k", b"one", in_an_hour)
        version = store.version("k")
        assert sum(map(bool, at_once(self.THREADS, lambda _: store.delete("k", version)))) == 1

    def test_a_live_record_is_not_created_over(self, store: TokenStore, in_an_hour: float) -> None:
        store.create("k", b"first", in_an_hour)
        assert store.create("k", b"second", in_an_hour) is False
        record = store.load("k")
        assert record is not None
        assert record.value == b"first"

    def test_a_replacement_changes_value_version_and_expiry(
        self, store: TokenStore, clock: Clock
    ) -> None:
        store.create("k", b"one", clock.now + 10)
        first = store.load("k")
        assert first is not None
        assert store.replace("k", b"two", first.version, clock.now + 100) is True
        clock.advance(50)
        second = store.load("k")
        assert second is not None
        assert second.value == b"two"
        assert second.version == first.version + 1

    def test_an_outdated_version_replaces_nothing(
        self, store: TokenStore, in_an_hour: float
    ) -> None:
        store.create("k", b"one", in_an_hour)
        first = store.load("k")
        assert first is not None
        store.replace("k", b"two", first.version, in_an_hour)
        assert store.replace("k", b"three", first.version, in_an_hour) is False
        record = store.load("k")
        assert record is not None
        assert record.value == b"two"

    def test_an_extended_record_lives_longer_and_stays_as_it_is(
        self, store: TokenStore, clock: Clock
    ) -> None:
        store.create("k", b"one", clock.now + 10)
        before = store.load("k")
        assert store.extend("k", clock.now + 100) is True
        clock.advance(50)
        assert store.load("k") == before

    def test_extending_never_shortens(self, store: TokenStore, clock: Clock) -> None:
        store.create("k", b"one", clock.now + 100)
        assert store.extend("k", clock.now + 10) is True
        clock.advance(50)
        assert store.load("k") is not None

    def test_a_missing_or_an_expired_record_is_not_extended(
        self, store: TokenStore, clock: Clock
    ) -> None:
        assert store.extend("k", clock.now + 10) is False
        store.create("k", b"one", clock.now + 10)
        clock.advance(10)
        assert store.extend("k", clock.now + 100) is False
        assert store.load("k") is None

    def test_a_missing_record_is_not_replaced(self, store: TokenStore, in_an_hour: float) -> None:
        assert store.replace("k", b"x", 1, in_an_hour) is False
        assert store.load("k") is None

    def test_a_deleted_record_is_not_brought_back_by_a_replacement(
        self, store: TokenStore, in_an_hour: float
    ) -> None:
        store.create("k", b"one", in_an_hour)
        record = store.load("k")
        assert record is not None
        store.delete("k")
        assert store.replace("k", b"two", record.version, in_an_hour) is False
        assert store.load("k") is None

    def test_a_version_from_before_a_deletion_does_not_fit_the_record_that_came_after(
        self, store: TokenStore, in_an_hour: float
    ) -> None:
        store.create("k", b"old session", in_an_hour)
        old = store.load("k")
        assert old is not None
        store.delete("k")
        store.create("k", b"new session", in_an_hour)
        assert store.replace("k", b"stale", old.version, in_an_hour) is False
        record = store.load("k")
        assert record is not None
        assert record.value == b"new session"

    def test_deleting_what_is_not_there_is_fine(self, store: TokenStore) -> None:
        store.delete("nobody")
        store.delete("nobody")

    def test_records_do_not_touch_each_other(self, store: TokenStore, in_an_hour: float) -> None:
        store.create("a", b"A", in_an_hour)
        store.create("b", b"B", in_an_hour)
        store.delete("a")
        record = store.load("b")
        assert record is not None
        assert record.value == b"B"

    def test_a_record_is_gone_at_the_very_moment_it_expires(
        self, store: TokenStore, clock: Clock
    ) -> None:
        store.create("k", b"x", clock.now + 10)
        clock.advance(9.5)
        assert store.load("k") is not None
        clock.advance(0.5)
        assert store.load("k") is None

    def test_an_expired_record_is_not_replaced(self, store: TokenStore, clock: Clock) -> None:
        store.create("k", b"x", clock.now + 10)
        record = store.load("k")
        assert record is not None
        clock.advance(10)
        assert store.replace("k", b"y", record.version, clock.now + 10) is False
        assert store.load("k") is None

    def test_an_expired_record_makes_room_for_a_new_one(
        self, store: TokenStore, clock: Clock
    ) -> None:
        store.create("k", b"old", clock.now + 10)
        clock.advance(10)
        assert store.create("k", b"new", clock.now + 10) is True
        record = store.load("k")
        assert record is not None
        assert record.value == b"new"

    def test_a_record_can_be_ended_by_replacing_it_with_an_expired_one(
        self, store: TokenStore, in_an_hour: float
    ) -> None:
        store.create("k", b"x", in_an_hour)
        record = store.load("k")
        assert record is not None
        assert store.replace("k", b"", record.version, 0.0) is True
        assert store.load("k") is None

    def test_clearing_removes_exactly_the_expired_and_counts_them(
        self, store: TokenStore, clock: Clock
    ) -> None:
        for number in range(250):
            store.create(f"short {number}", b"x", clock.now + 10)
        store.create("long", b"y", clock.now + 1000)
        clock.advance(10)
        assert store.clear_expired() == 250
        assert store.clear_expired() == 0
        assert store.load("long") is not None

    def test_clearing_spares_a_record_whose_life_was_extended(
        self, store: TokenStore, clock: Clock
    ) -> None:
        store.create("k", b"x", clock.now + 10)
        record = store.load("k")
        assert record is not None
        store.replace("k", b"y", record.version, clock.now + 1000)
        clock.advance(500)
        assert store.clear_expired() == 0
        assert store.load("k") is not None
        clock.advance(500)
        assert store.clear_expired() == 1

    def test_clearing_takes_a_record_whose_life_was_cut_short(
        self, store: TokenStore, clock: Clock
    ) -> None:
        store.create("k", b"x", clock.now + 1000)
        record = store.load("k")
        assert record is not None
        store.replace("k", b"y", record.version, clock.now + 10)
        clock.advance(10)
        assert store.clear_expired() == 1

    def test_closing_twice_is_fine_and_the_store_can_be_used_again(
        self, store: TokenStore, in_an_hour: float
    ) -> None:
        store.create("k", b"x", in_an_hour)
        store.close()
        store.close()
        assert store.create("after", b"x", in_an_hour) is True

    def test_of_threads_that_create_at_once_one_succeeds(
        self, store: TokenStore, in_an_hour: float
    ) -> None:
        for attempt in range(5):
            key = f"k{attempt}"
            done = at_once(
                self.THREADS, lambda number, key=key: store.create(key, b"%d" % number, in_an_hour)
            )
            assert done.count(True) == 1
            record = store.load(key)
            assert record is not None
            assert record.value == b"%d" % done.index(True)

    def test_of_threads_that_replace_one_version_at_once_one_succeeds(
        self, store: TokenStore, in_an_hour: float
    ) -> None:
        store.create("k", b"start", in_an_hour)
        for _ in range(5):
            before = store.load("k")
            assert before is not None
            version = before.version
            done = at_once(
                self.THREADS,
                lambda number, version=version: store.replace(
                    "k", b"%d" % number, version, in_an_hour
                ),
            )
            assert done.count(True) == 1
            record = store.load("k")
            assert record is not None
            assert record.value == b"%d" % done.index(True)

    def test_no_change_is_lost_when_threads_load_and_replace_until_it_works(
        self, store: TokenStore, in_an_hour: float
    ) -> None:
        store.create("k", b"0", in_an_hour)

        def count_up(_: int) -> None:
            for _ in range(5):
                while True:
                    record = store.load("k")
                    assert record is not None
                    value = b"%d" % (int(record.value) + 1)
                    if store.replace("k", value, record.version, in_an_hour):
                        break

        at_once(self.THREADS, count_up)
        record = store.load("k")
        assert record is not None
        assert record.value == b"%d" % (self.THREADS * 5)
