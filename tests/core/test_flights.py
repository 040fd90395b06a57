"""One request per need, however many threads need it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from keyfob.errors import ProviderUnavailable, TokenCacheError
from keyfob.transport import Flights
from keyfob.transport.flights import afresh

PATIENCE = 30


class Crowd:
    """Threads that all need the same, and a leader that ends when all others wait."""

    def __init__(self, flights: Flights, size: int = 8) -> None:
        self.flights = flights
        self.size = size
        self.calls = 0
        self.outcomes: list[Any] = []
        self._lock = threading.Lock()

    def function(self, end: Callable[[], Any]) -> Any:
        with self._lock:
            self.calls += 1
            first = self.calls == 1
        if first:
            self.wait_for_waiters(self.size - 1)
        return end()

    def wait_for_waiters(self, number: int) -> None:
        deadline = threading.Event()
        for _ in range(PATIENCE * 100):
            if len(self.flights._waiting) >= number:
                return
            deadline.wait(0.01)
        raise AssertionError("the others do not come")

    def go(self, end: Callable[[], Any]) -> None:
        def work() -> None:
            try:
                outcome = self.flights.run("key", lambda: self.function(end))
            except BaseException as error:
                outcome = error
            with self._lock:
                self.outcomes.append(outcome)

        threads = [threading.Thread(target=work) for _ in range(self.size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in threads)
        assert nothing_is_held(self.flights)


def nothing_is_held(flights: Flights) -> bool:
    return not flights._flights and not flights._waiting and not flights._lock.locked()


@pytest.fixture
def flights() -> Flights:
    return Flights()


class TestResults:
    def test_fifty_threads_cause_one_call_and_share_its_result(self, flights: Flights) -> None:
        crowd = Crowd(flights, 50)
        crowd.go(lambda: {"access_token": "t", "nested": {"a": [1]}})
        assert crowd.calls == 1
        assert crowd.outcomes == [{"access_token": "t", "nested": {"a": [1]}}] * 50

    def test_each_may_change_what_it_got(self, flights: Flights) -> None:
        crowd = Crowd(flights)
        crowd.go(lambda: {"nested": {}})
        crowd.outcomes[0]["nested"]["mine"] = 1
        assert crowd.outcomes[1:] == [{"nested": {}}] * 7

    def test_none_is_a_result(self, flights: Flights) -> None:
        crowd = Crowd(flights)
        crowd.go(lambda: None)
        assert (crowd.calls, crowd.outcomes) == (1, [None] * 8)

    def test_whoever_is_alone_gets_the_very_result(self, flights: Flights) -> None:
        result = object()
        assert flights.run("key", lambda: result) is result

    def test_nothing_is_remembered(self, flights: Flights) -> None:
        results = iter([1, 2])
        assert flights.run("key", lambda: next(results)) == 1
        assert flights.run("key", lambda: next(results)) == 2
        assert nothing_is_held(flights)

    def test_other_needs_do_not_wait(self, flights: Flights) -> None:
        def other() -> int:
            thread_result: list[int] = []
            thread = threading.Thread(
                target=lambda: thread_result.append(flights.run("other", lambda: 2))
            )
            thread.start()
            thread.join(PATIENCE)
            return thread_result[0]

        assert flights.run("key", other) == 2


class TestErrors:
    def test_all_get_the_error_each_an_own_one(self, flights: Flights) -> None:
        error = ProviderUnavailable("busy", status=503, retry_after=7, url="https://x")
        error.__cause__ = KeyError("what was behind it")

        def fail() -> None:
            raise error

        crowd = Crowd(flights)
        crowd.go(fail)
        assert crowd.calls == 1
        assert len({id(outcome) for outcome in crowd.outcomes}) == 8
        for outcome in crowd.outcomes:
            assert type(outcome) is ProviderUnavailable
            assert str(outcome) == "busy"
            facts = (outcome.status, outcome.retry_after, outcome.url, outcome.code)
            assert facts == (503, 7, "https://x", "provider_unavailable")
            if outcome is not error:
                assert outcome.__cause__ is None
                assert outcome.__context__ is None

    def test_nothing_is_remembered_of_it(self, flights: Flights) -> None:
        with pytest.raises(KeyError):
            flights.run("key", lambda: {}["absent"])
        assert flights.run("key", lambda: 1) == 1
        assert nothing_is_held(flights)

    @pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, GeneratorExit])
    def test_an_interrupted_leader_interrupts_nobody_else(
        self, flights: Flights, interruption: type[BaseException]
    ) -> None:
        crowd = Crowd(flights)
        ends = iter([interruption])

        def end() -> int:
            for kind in ends:
                raise kind
            return 1

        crowd.go(end)
        assert crowd.outcomes.count(1) == 7
        assert [type(outcome) for outcome in crowd.outcomes if outcome != 1] == [interruption]
        # One of the seven took over; others may have come after it had ended.
        assert crowd.calls >= 2

    def test_an_error_that_cannot_be_copied_comes_all_the_same(self, flights: Flights) -> None:
        class Odd(Exception):
            def __init__(self, *, needed: int) -> None:
                super().__init__("odd")
                self.needed = needed

            def __copy__(self) -> Odd:
                raise TypeError("no")

            def __reduce__(self) -> Any:
                raise TypeError("no")

            @property
            def args(self) -> Any:  # type: ignore[override]  # what rebuilding it would want
                raise TypeError("no")

        def fail() -> None:
            raise Odd(needed=3)

        crowd = Crowd(flights)
        crowd.go(fail)
        assert [(type(outcome), outcome.needed) for outcome in crowd.outcomes] == [(Odd, 3)] * 8


class TestWithin:
    def test_a_function_may_need_something_else(self, flights: Flights) -> None:
        assert flights.run("a", lambda: flights.run("b", lambda: 1) + 1) == 2

    def test_a_function_that_needs_the_same_runs_it(self, flights: Flights) -> None:
        assert flights.run("a", lambda: flights.run("a", lambda: 1) + 1) == 2
        inner = flights.run("a", lambda: flights.run("b", lambda: flights.run("a", lambda: 3)))
        assert inner == 3
        assert nothing_is_held(flights)

    def test_two_threads_that_need_what_the_other_is_at_do_not_wait_for_ever(
        self, flights: Flights
    ) -> None:
        both = threading.Barrier(2)
        results: list[str] = []

        def work(mine: str, others: str) -> None:
            def function() -> str:
                both.wait(PATIENCE)
                return mine + flights.run(others, lambda: "!")

            results.append(flights.run(mine, function))

        threads = [threading.Thread(target=work, args=keys) for keys in (("a", "b"), ("b", "a"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert len(results) == 2
        assert nothing_is_held(flights)


class TestAfresh:
    @pytest.mark.parametrize(
        "error",
        [
            ProviderUnavailable("busy", status=503, retry_after=7),
            TokenCacheError("broken", pos=3),
            OSError(2, "absent", "name"),
            json.JSONDecodeError("bad", "[", 1),
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
            KeyError("x"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_type_and_attributes_stay(self, error: Exception) -> None:
        twin = afresh(error)
        assert twin is not error
        assert (type(twin), str(twin), twin.args) == (type(error), str(error), error.args)
        assert twin.__dict__ == error.__dict__

    def test_an_error_whose_constructor_wants_more_is_rebuilt(self) -> None:
        class Wants(Exception):
            def __init__(self, *, needed: int) -> None:
                super().__init__("text")
                self.needed = needed

        twin = afresh(Wants(needed=3))
        assert (str(twin), getattr(twin, "needed", None)) == ("text", 3)

    def test_frames_and_history_do_not_come_along(self) -> None:
        try:
            try:
                {}["first"]
            except KeyError as first:
                raise ValueError("second") from first
        except ValueError as error:
            twin = afresh(error)
            frames = error.__traceback__
        assert frames is not None
        assert twin.__traceback__ is None
        assert twin.__cause__ is None
        assert twin.__context__ is None
