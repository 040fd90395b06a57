"""One request per need, however many coroutines need it, and whoever of them is cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from keyfob.errors import ProviderUnavailable
from keyfob.transport.async_flights import AsyncFlights

Function = Callable[[], Awaitable[Any]]


class Work:
    """A function that waits until it is told how to end."""

    def __init__(self) -> None:
        self.calls = 0
        self.cancelled = 0
        self.begun = asyncio.Event()
        self.end: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def __call__(self) -> Any:
        self.calls += 1
        self.begun.set()
        try:
            return await asyncio.shield(self.end)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


class Crowd:
    """Tasks that all need the same of one `Work`."""

    def __init__(self, size: int = 8) -> None:
        self.flights = AsyncFlights()
        self.work = Work()
        self.tasks = [
            asyncio.ensure_future(self.flights.run("key", self.work)) for _ in range(size)
        ]

    async def waiting(self) -> None:
        await self.work.begun.wait()
        while len(self.flights._waiting) < sum(not task.done() for task in self.tasks):
            await asyncio.sleep(0)

    async def outcomes(self) -> list[Any]:
        found = await asyncio.gather(*self.tasks, return_exceptions=True)
        assert nothing_is_held(self.flights)
        return found


def nothing_is_held(flights: AsyncFlights) -> bool:
    return not flights._flights and not flights._waiting


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """An asynchronous test as a synchronous one, bounded in time; it leaves no task."""

    def run() -> None:
        async def main() -> None:
            await asyncio.wait_for(test(), 30)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(main())

    run.__name__ = test.__name__
    return run


@in_loop
async def test_many_tasks_cause_one_call_and_each_has_its_own_result() -> None:
    crowd = Crowd()
    await crowd.waiting()
    crowd.work.end.set_result({"nested": {}})
    found = await crowd.outcomes()
    assert crowd.work.calls == 1
    found[0]["nested"]["mine"] = 1
    assert found[1:] == [{"nested": {}}] * 7


@in_loop
async def test_all_get_the_error_each_an_own_one() -> None:
    crowd = Crowd()
    await crowd.waiting()
    crowd.work.end.set_exception(ProviderUnavailable("busy", status=503, retry_after=7))
    found = await crowd.outcomes()
    assert crowd.work.calls == 1
    assert len({id(error) for error in found}) == 8
    assert {(type(e), str(e), e.status, e.retry_after) for e in found} == {
        (ProviderUnavailable, "busy", 503, 7)
    }


@in_loop
async def test_nothing_is_remembered() -> None:
    flights = AsyncFlights()
    results = iter([{"a": 1}, {"a": 2}])

    async def function() -> Any:
        return next(results)

    assert await flights.run("key", function) == {"a": 1}
    assert await flights.run("key", function) == {"a": 2}
    assert nothing_is_held(flights)


@in_loop
async def test_an_error_of_somebody_alone_is_raised_itself() -> None:
    flights = AsyncFlights()
    error = KeyError("x")

    async def function() -> None:
        raise error

    with pytest.raises(KeyError) as caught:
        await flights.run("key", function)
    assert caught.value is error
    assert nothing_is_held(flights)


@in_loop
async def test_cancelling_the_first_fails_nobody_else() -> None:
    """The request goes on: the provider may have spent the refresh token already."""
    crowd = Crowd()
    await crowd.waiting()
    crowd.tasks[0].cancel()
    await asyncio.wait({crowd.tasks[0]})
    crowd.work.end.set_result(1)
    found = await crowd.outcomes()
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [1] * 7
    assert (crowd.work.calls, crowd.work.cancelled) == (1, 0)


@in_loop
async def test_cancelling_one_who_waits_harms_nobody() -> None:
    crowd = Crowd()
    await crowd.waiting()
    crowd.tasks[3].cancel()
    await asyncio.wait({crowd.tasks[3]})
    crowd.work.end.set_result(1)
    found = await crowd.outcomes()
    assert found.count(1) == 7
    assert crowd.work.cancelled == 0


@in_loop
async def test_when_all_are_cancelled_the_work_is_too() -> None:
    crowd = Crowd()
    await crowd.waiting()
    for task in crowd.tasks:
        task.cancel()
    found = await crowd.outcomes()
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in found)
    assert crowd.work.cancelled == 1


@in_loop
async def test_whoever_is_cancelled_alone_ends_after_its_work_ended() -> None:
    flights = AsyncFlights()
    begun, cleaned = asyncio.Event(), asyncio.Event()

    async def function() -> None:
        begun.set()
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    task = asyncio.ensure_future(flights.run("key", function))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned.is_set()
    assert nothing_is_held(flights)


@in_loop
async def test_whoever_comes_while_the_work_is_being_cancelled_begins_anew() -> None:
    flights = AsyncFlights()
    begun, ending = asyncio.Event(), asyncio.Event()

    async def slow_to_end() -> int:
        begun.set()
        try:
            await asyncio.sleep(1000)
        finally:
            ending.set()
            await asyncio.sleep(0.01)
        return 0

    async def quick() -> int:
        return 2

    first = asyncio.ensure_future(flights.run("key", slow_to_end))
    await begun.wait()
    first.cancel()
    await ending.wait()
    assert await flights.run("key", quick) == 2
    with pytest.raises(asyncio.CancelledError):
        await first
    assert nothing_is_held(flights)


@in_loop
async def test_where_the_work_cancels_itself_another_begins_anew() -> None:
    crowd = Crowd()
    await crowd.waiting()
    first, crowd.work.end = crowd.work.end, asyncio.get_running_loop().create_future()
    first.cancel()
    while crowd.work.calls < 2:
        await asyncio.sleep(0)
    crowd.work.end.set_result(1)
    found = await crowd.outcomes()
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [1] * 7
    assert crowd.work.calls == 2


@in_loop
async def test_a_timeout_around_it_leaves_nothing() -> None:
    flights = AsyncFlights()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(flights.run("key", lambda: asyncio.sleep(1000)), 0.01)
    assert nothing_is_held(flights)


@in_loop
async def test_a_function_may_need_something_else_or_the_same() -> None:
    flights = AsyncFlights()

    async def one() -> int:
        return 1

    async def other() -> int:
        return await flights.run("b", one) + await flights.run("a", one)

    assert await flights.run("a", other) == 2
    assert nothing_is_held(flights)


@in_loop
async def test_two_tasks_that_need_what_the_other_is_at_do_not_wait_for_ever() -> None:
    flights = AsyncFlights()
    begun = {"a": asyncio.Event(), "b": asyncio.Event()}

    async def last() -> str:
        return "!"

    def need(mine: str, others: str) -> Function:
        async def function() -> str:
            begun[mine].set()
            await begun[others].wait()
            return mine + await flights.run(others, last)

        return function

    found = await asyncio.gather(flights.run("a", need("a", "b")), flights.run("b", need("b", "a")))
    assert sorted(text[0] for text in found) == ["a", "b"]
    assert nothing_is_held(flights)


def test_several_loops_in_several_threads_share_it() -> None:
    flights = AsyncFlights()
    together = threading.Barrier(4)
    found: list[Any] = []

    def work() -> None:
        async def function() -> int:
            await asyncio.sleep(0)
            return 1

        async def main() -> list[int]:
            return await asyncio.gather(*(flights.run("key", function) for _ in range(20)))

        together.wait(30)
        found.extend(asyncio.run(main()))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [1] * 80
    assert nothing_is_held(flights)


def test_a_loop_that_ends_in_the_middle_leaves_nothing() -> None:
    flights = AsyncFlights()

    async def main() -> None:
        asyncio.ensure_future(flights.run("key", lambda: asyncio.sleep(1000)))  # noqa: RUF006
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert nothing_is_held(flights)
