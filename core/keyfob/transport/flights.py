"""One request per need: who needs what is being fetched already waits for it.

docs/decisions/one-request-per-need.md says what is shared, and what happens when it fails.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


def own_copy(result: T) -> T:
    """A copy of what a caller may change: a verb's result. Metadata and keys are nobody's own."""
    return copy.deepcopy(result) if isinstance(result, (dict, list)) else result


class _Flight:
    """One run of a function on its way, and what came of it."""

    def __init__(self, leader: int) -> None:
        self.leader = leader
        self.ended = threading.Event()
        self.waiters = 0
        #: Set before `ended`; both are None where the leader was interrupted.
        self.result: tuple[Any] | None = None
        self.error: Exception | None = None


class Flights:
    """Runs one function per key at a time, however many threads ask. Share it between threads.

    :param duplicate: copies a result for each who waited, since callers may change what they get.
    """

    def __init__(self, *, duplicate: Callable[[Any], Any] = own_copy) -> None:
        self._duplicate = duplicate
        self._lock = threading.Lock()
        self._flights: dict[Hashable, _Flight] = {}
        #: Which thread waits for what.
        self._waiting: dict[int, _Flight] = {}

    def run(self, key: Hashable, function: Callable[[], T]) -> T:
        """What `function` returns or raises; or, where a call for the same key is on its way, what
        comes of that.

        A result is a copy, an error a new one of the same type and attributes. Where the leader is
        interrupted (by what is no `Exception`, such as KeyboardInterrupt), one of those who wait
        runs its own function. Nothing is remembered afterwards.

        :param key: what is needed; it must name the person, for whoever waits gets what it names.
        :param function: is called without any lock held. It may call `run` itself: for a key that
            its own thread is running, or that another thread runs which waits for this one, the
            function is called directly.
        """
        me = threading.get_ident()
        while True:
            with self._lock:
                flight = self._flights.get(key)
                leads = flight is None
                if flight is None:
                    flight = self._flights[key] = _Flight(me)
                elif self._waits_for(flight, me):
                    break
                else:
                    flight.waiters += 1
                    self._waiting[me] = flight
            if leads:
                return self._lead(key, flight, function)
            try:
                flight.ended.wait()
            finally:
                with self._lock:
                    del self._waiting[me]
            if flight.error is not None:
                raise afresh(flight.error)
            if flight.result is not None:
                result: T = self._duplicate(flight.result[0])
                return result
        return function()

    def _waits_for(self, flight: _Flight | None, thread: int) -> bool:
        """Whether `flight` ends only after `thread` went on."""
        while flight is not None:
            if flight.leader == thread:
                return True
            flight = self._waiting.get(flight.leader)
        return False

    def _lead(self, key: Hashable, flight: _Flight, function: Callable[[], T]) -> T:
        try:
            result = function()
            if self._land(key, flight):
                # The leader may change its result as soon as it has it.
                flight.result = (self._duplicate(result),)
            return result
        except Exception as error:
            if self._land(key, flight):
                flight.error = afresh(error)
            raise
        finally:
            self._land(key, flight)
            flight.ended.set()

    def _land(self, key: Hashable, flight: _Flight) -> bool:
        """Let nobody join any more; whether anybody has."""
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
            return flight.waiters > 0


def afresh(error: Exception) -> Exception:
    """An error of the same type and attributes, without the other's frames and history.

    One that cannot be copied is returned itself.
    """
    for duplicate in (copy.copy, _rebuilt):
        try:
            twin = duplicate(error)
        except Exception:  # noqa: BLE001, S112 - its constructor wants what it did not keep
            continue
        if type(twin) is type(error) and twin is not error:
            if "__notes__" in twin.__dict__:
                twin.__dict__["__notes__"] = list(twin.__dict__["__notes__"])
            twin.__cause__ = twin.__context__ = None
            return twin.with_traceback(None)
    return error


def _rebuilt(error: Exception) -> Exception:
    twin: Exception = type(error).__new__(type(error), *error.args)
    twin.args = error.args
    twin.__dict__.update(error.__dict__)
    return twin
