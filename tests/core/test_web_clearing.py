"""The removal of expired records, as a person sees it who waits for it."""

from __future__ import annotations

import threading

import pytest

from keyfob.errors import StoreUnavailable
from keyfob.web.clearing import clear_expired, counted
from keyfob.web.sealing import KeyRing, Sealer
from keyfob.web.stores import MemoryStore, SealedStore
from support.store_contract import Clock


def sealed(store: MemoryStore) -> SealedStore:
    return SealedStore(store, Sealer(KeyRing(["one"], purpose="token store")))


def test_what_is_done_at_once_says_nothing_on_the_way() -> None:
    clock, lines = Clock(), list[str]()
    store = sealed(MemoryStore(clock=clock))
    store.create("k", b"", clock.now + 1)
    clock.advance(2)
    assert clear_expired(store, lines.append, patience=3600) == 1
    assert lines == []


def test_what_takes_its_time_says_that_it_goes_on() -> None:
    said = threading.Event()
    lines: list[str] = []

    class Slow(MemoryStore):
        def clear_expired(self) -> int:
            assert said.wait(30)
            return 7

    def say(line: str) -> None:
        lines.append(line)
        if len(lines) == 2:
            said.set()

    assert clear_expired(sealed(Slow()), say, patience=0.01) == 7
    assert lines[0].startswith("Removing expired records ... ")
    assert not [each for each in threading.enumerate() if each.name == "keyfob-clearing"]


def test_a_store_that_fails_is_said_so_and_nothing_goes_on() -> None:
    class Failing(MemoryStore):
        def clear_expired(self) -> int:
            raise StoreUnavailable("The token store is away")

    with pytest.raises(StoreUnavailable):
        clear_expired(sealed(Failing()), print, patience=3600)
    assert not [each for each in threading.enumerate() if each.name == "keyfob-clearing"]


def test_one_record_is_one_record() -> None:
    assert [counted(number) for number in (0, 1, 2)] == [
        "Removed 0 expired records.",
        "Removed 1 expired record.",
        "Removed 2 expired records.",
    ]
