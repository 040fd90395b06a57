"""The circuit: a store that is away is not waited for again and again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

from keyfob.errors import StoreError, StoreUnavailable
from keyfob.web.stores import CircuitStore, MemoryStore, Record, TokenStore
from support.failing_store import FailingStore
from support.store_contract import Clock, StoreContract, at_once

FAILURES, PAUSE = 3, 5.0


class TestClosedCircuit(StoreContract):
    @pytest.fixture
    def store(self, clock: Clock) -> TokenStore:
        return CircuitStore(MemoryStore(clock=clock))


class Counting(FailingStore):
    """Counts how often it was asked."""

    asked = 0

    def load(self, key: str) -> Record | None:
        self.asked += 1
        return super().load(key)


@pytest.fixture
def clock() -> Clock:
    return Clock(0.0)


@pytest.fixture
def below() -> Counting:
    return Counting()


@pytest.fixture
def store(below: Counting, clock: Clock) -> CircuitStore:
    return CircuitStore(below, failures=FAILURES, pause=PAUSE, clock=clock)


def failed(ask: Callable[[], object]) -> StoreUnavailable:
    with pytest.raises(StoreUnavailable) as caught:
        ask()
    return caught.value


def open_circuit(store: CircuitStore, below: Counting) -> None:
    below.down = "all"
    for _ in range(FAILURES):
        failed(lambda: store.load("k"))
    below.asked = 0


def test_before_enough_calls_failed_each_is_made(store: CircuitStore, below: Counting) -> None:
    below.down = "all"
    for _ in range(FAILURES):
        assert failed(lambda: store.load("k")).retry_after is None
    assert below.asked == FAILURES


def test_an_answer_in_between_starts_the_count_anew(store: CircuitStore, below: Counting) -> None:
    for _ in range(4):
        below.down = "all"
        for _ in range(FAILURES - 1):
            failed(lambda: store.load("k"))
        below.down = ""
        assert store.load("k") is None
    assert below.asked == 4 * FAILURES


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.load("k"),
        lambda store: store.version("k"),
        lambda store: store.create("k", b"", 9e9),
        lambda store: store.replace("k", b"", 1, 9e9),
        lambda store: store.extend("k", 9e9),
        lambda store: store.delete("k"),
    ],
)
def test_an_open_circuit_fails_every_call_at_once_and_says_when_to_come_back(
    ask: Callable[[TokenStore], object], store: CircuitStore, below: Counting, clock: Clock
) -> None:
    open_circuit(store, below)
    below.down = ""  # were it asked, it would answer
    assert failed(lambda: ask(store)).retry_after == 5
    clock.advance(3.5)
    assert failed(lambda: ask(store)).retry_after == 2
    clock.advance(1.4999)
    assert failed(lambda: ask(store)).retry_after == 1


def test_after_the_pause_one_call_that_succeeds_closes_it(
    store: CircuitStore, below: Counting, clock: Clock
) -> None:
    open_circuit(store, below)
    below.down = ""
    clock.advance(PAUSE)
    assert store.create("k", b"x", 9e9)
    assert store.load("k")
    below.down = "all"
    failed(lambda: store.load("k"))
    assert below.asked == 2, "the count starts anew"


def test_after_the_pause_one_call_that_fails_costs_one_call(
    store: CircuitStore, below: Counting, clock: Clock
) -> None:
    open_circuit(store, below)
    for number in range(1, 4):
        clock.advance(PAUSE)
        assert failed(lambda: store.load("k")).retry_after is None
        assert failed(lambda: store.load("k")).retry_after == PAUSE
        assert below.asked == number


class Slow(Counting):
    """Answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.go_on = threading.Event()

    def load(self, key: str) -> Record | None:
        if key == "slow":
            self.entered.set()
            assert self.go_on.wait(30)
        return super().load(key)


def test_while_one_finds_out_all_others_are_told_at_once(clock: Clock) -> None:
    below = Slow()
    store = CircuitStore(below, failures=FAILURES, pause=PAUSE, clock=clock)
    open_circuit(store, below)
    below.down = ""
    clock.advance(PAUSE)
    probe = threading.Thread(target=store.load, args=("slow",))
    probe.start()
    assert below.entered.wait(30)
    at_once(8, lambda _: failed(lambda: store.load("k")))
    assert below.asked == 0
    below.go_on.set()
    probe.join()
    assert store.load("k") is None
    assert below.asked == 2


def test_a_probe_that_never_comes_back_holds_up_nobody(clock: Clock) -> None:
    below = Slow()
    store = CircuitStore(below, failures=FAILURES, pause=PAUSE, clock=clock)
    open_circuit(store, below)
    below.down = ""
    clock.advance(PAUSE)
    probe = threading.Thread(target=store.load, args=("slow",))
    probe.start()
    assert below.entered.wait(30)
    clock.advance(PAUSE)
    assert store.load("k") is None
    below.go_on.set()
    probe.join()


def test_an_answer_to_what_was_asked_before_it_opened_does_not_close_it(clock: Clock) -> None:
    below = Slow()
    store = CircuitStore(below, failures=FAILURES, pause=PAUSE, clock=clock)
    early = threading.Thread(target=store.load, args=("slow",))
    early.start()
    assert below.entered.wait(30)
    open_circuit(store, below)
    below.down = ""
    below.go_on.set()
    early.join()
    failed(lambda: store.load("k"))


def test_of_many_threads_one_finds_out(clock: Clock) -> None:
    below = Counting()
    store = CircuitStore(below, failures=FAILURES, pause=PAUSE, clock=clock)
    open_circuit(store, below)
    clock.advance(PAUSE)
    at_once(16, lambda _: failed(lambda: store.load("k")))
    assert below.asked == 1


def test_another_error_is_an_answer(store: CircuitStore, below: Counting, clock: Clock) -> None:
    class Broken(MemoryStore):
        def load(self, key: str) -> Record | None:
            raise StoreError("a table is missing")

    broken = CircuitStore(Broken(), failures=1, pause=PAUSE, clock=clock)
    for _ in range(5):
        with pytest.raises(StoreError, match="table"):
            broken.load("k")


def test_opening_and_closing_are_logged_once_each(
    store: CircuitStore, below: Counting, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "keyfob.store")
    open_circuit(store, below)
    for _ in range(3):
        clock.advance(PAUSE)
        failed(lambda: store.load("k"))
        failed(lambda: store.load("k"))
    (opened,) = caplog.records
    assert opened.levelname == "ERROR"
    assert "3 times" in opened.getMessage()
    below.down = ""
    clock.advance(PAUSE)
    store.load("k")
    store.load("k")
    _, closed = caplog.records
    assert closed.levelname == "WARNING"
    assert "after 20 seconds" in closed.getMessage()


def test_clearing_goes_through_whatever_the_circuit_says(
    store: CircuitStore, below: Counting
) -> None:
    open_circuit(store, below)
    below.down = ""
    assert store.clear_expired() == 0
    assert "open" in repr(store)


def test_a_store_that_takes_no_writes_is_read_all_the_while(clock: Clock) -> None:
    class Full(MemoryStore):
        def create(self, key: str, value: bytes, expires_at: float) -> bool:
            raise StoreUnavailable("it is full", code="store_refused")

    store = CircuitStore(Full(), failures=FAILURES, pause=PAUSE, clock=clock)
    for _ in range(FAILURES + 1):
        assert failed(lambda: store.create("k", b"", 9e9)).code == "store_refused"
        assert store.load("k") is None
