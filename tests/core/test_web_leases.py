"""Leases: one at a time, among all that share a store; who dies with one holds nobody up long."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyfob.errors import StoreUnavailable
from keyfob.web.leases import LEASE_SECONDS, PATIENCE, Leases
from keyfob.web.sealing import KeyRing, Sealer
from keyfob.web.stores import MemoryStore, SealedStore, SQLiteStore, TokenStore
from support.failing_store import FailingStore
from support.store_contract import Clock, at_once


def sealed(store: TokenStore) -> SealedStore:
    return SealedStore(store, Sealer(KeyRing(["a key that is long enough to be one"])))


class Time:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def store(time: Time) -> FailingStore:
    return FailingStore(clock=time.clock)


def leases(store: TokenStore, time: Time) -> Leases:
    return Leases(sealed(store), clock=time.clock, sleep=time.sleep)


def test_a_free_lease_is_had_at_once_and_given_back(store: FailingStore, time: Time) -> None:
    with leases(store, time).hold("x"):
        assert len(store._entries) == 1
    assert store._entries == {}
    assert time.slept == []


def test_an_error_in_the_block_gives_it_back(store: FailingStore, time: Time) -> None:
    with pytest.raises(ZeroDivisionError), leases(store, time).hold("x"):
        raise ZeroDivisionError
    assert store._entries == {}


def test_another_name_is_another_lease(store: FailingStore, time: Time) -> None:
    with leases(store, time).hold("x"), leases(store, time).hold("y"):
        assert time.slept == []


def test_who_dies_with_it_is_followed_when_its_time_is_over(
    store: FailingStore, time: Time
) -> None:
    dead = leases(store, time).hold("x")
    dead.__enter__()
    with leases(store, time).hold("x"):
        assert LEASE_SECONDS <= sum(time.slept) < LEASE_SECONDS + 1
        assert max(time.slept) <= 0.25


def test_who_comes_late_does_not_give_back_anothers_lease(store: FailingStore, time: Time) -> None:
    with leases(store, time).hold("x"):
        time.clock.advance(LEASE_SECONDS + 1)
        second = leases(store, time).hold("x")
        second.__enter__()
    assert len(store._entries) == 1, "the second one's"
    second.__exit__(None, None, None)
    assert store._entries == {}


def test_patience_ends(time: Time) -> None:
    class Taken(MemoryStore):
        def create(self, key: str, value: bytes, expires_at: float) -> bool:
            return False

    with pytest.raises(StoreUnavailable) as caught, leases(Taken(clock=time.clock), time).hold("x"):
        pass
    assert caught.value.code == "lease_timeout"
    assert PATIENCE <= sum(time.slept) < PATIENCE + 1


def test_a_store_that_is_away_is_said_when_it_is_taken_and_passed_over_after(
    store: FailingStore, time: Time
) -> None:
    with leases(store, time).hold("x"):
        store.down = "all"
    with pytest.raises(StoreUnavailable), leases(store, time).hold("y"):
        pass


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "leases.sqlite3")
    yield store
    store.close()


def test_of_many_threads_one_is_inside_at_a_time(shared: SQLiteStore) -> None:
    held = Leases(sealed(shared))
    inside, most, guard = [0], [0], threading.Lock()

    def work(_: int) -> None:
        with held.hold("x"):
            with guard:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            with guard:
                inside[0] -= 1

    at_once(8, work)
    assert most == [1]
