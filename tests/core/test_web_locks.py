"""A lock for each key."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from keyfob.errors import ProviderUnreachable, StoreUnavailable
from keyfob.web.locks import KeyedLocks


def test_one_key_is_held_by_one_thread_at_a_time() -> None:
    locks = KeyedLocks()
    inside, most = [0], [0]

    def work() -> None:
        for _ in range(200):
            with locks.hold("one"):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == [1]
    assert len(locks) == 0


def test_who_holds_one_key_keeps_nobody_from_any_other() -> None:
    locks = KeyedLocks()
    done = threading.Event()

    def others() -> None:
        for number in range(1000):
            with locks.hold(f"key {number}"):
                pass
        done.set()

    with locks.hold("mine"):
        thread = threading.Thread(target=others)
        thread.start()
        assert done.wait(5)
    thread.join()
    assert len(locks) == 0


def test_an_error_inside_leaves_no_lock_held() -> None:
    locks = KeyedLocks()
    with pytest.raises(KeyError), locks.hold("one"):
        raise KeyError

    with locks.hold("one"):
        assert len(locks) == 1
    assert len(locks) == 0


def test_nobody_waits_for_ever() -> None:
    locks = KeyedLocks(patience=0.01)
    with locks.hold("one"):
        with pytest.raises(StoreUnavailable) as caught, locks.hold("one"):
            pass
        assert caught.value.code == "lease_timeout"
    with locks.hold("one"):
        pass
    assert len(locks) == 0


def test_who_queued_while_the_provider_was_away_does_not_wait_for_it_too() -> None:
    locks = KeyedLocks()
    outcomes: list[str] = []

    def work() -> None:
        try:
            with locks.hold("one"):
                outcomes.append("asked")
        except ProviderUnreachable as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(3)]
    with contextlib.suppress(ProviderUnreachable), locks.hold("one"):
        for thread in threads:
            thread.start()
        while locks._held["one"].users < 4:
            time.sleep(0.001)
        raise ProviderUnreachable("away")
    for thread in threads:
        thread.join()
    assert outcomes == ["away"] * 3

    work()
    assert outcomes[3:] == ["asked"], "who comes later asks anew"
