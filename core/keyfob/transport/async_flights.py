"""One request per need, for coroutines.

docs/decisions/one-request-per-need.md says what is shared, and what cancellation does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Generic, TypeVar

from keyfob.transport.flights import afresh, own_copy

T = TypeVar("T")

_Place = tuple[asyncio.AbstractEventLoop, Hashable]


class _Flight(Generic[T]):
    """A task that does the work, and how many wait for it."""

    def __init__(self, task: asyncio.Task[T]) -> None:
        self.task = task
        self.callers = 0
        self.shared = False


class AsyncFlights:
    """Runs one coroutine per key at a time in each event loop. Share it between loops and threads.

    :param duplicate: copies a result for each caller, where there are several.
    """

    def __init__(self, *, duplicate: Callable[[Any], Any] = own_copy) -> None:
        self._duplicate = duplicate
        # Each loop has its own keys, and touches no other's; so no lock is needed.
        self._flights: dict[_Place, _Flight[Any]] = {}
        self._waiting: dict[asyncio.Task[Any], _Flight[Any]] = {}

    async def run(self, key: Hashable, function: Callable[[], Awaitable[T]]) -> T:
        """What `function` brings or raises; or, where a call for the same key is on its way in this
        loop, what comes of that.

        The work is a task of its own. A caller that is cancelled leaves it to the others; when the
        last one is cancelled, so is the work, and the caller ends after it has ended. If the work
        itself is cancelled, one of those who wait begins anew.

        :param key: what is needed; it must name the person, for whoever waits gets what it names.
        :param function: is called once. It may call `run` itself: for a key that its own task is
            running, or that waits for it, the function is called directly.
        """
        me = asyncio.current_task()
        place = (asyncio.get_running_loop(), key)
        while True:
            flight = self._flights.get(place)
            began = flight is None or flight.task.done()
            if flight is None or flight.task.done():
                flight = self._begin(place, function)
            elif me is None or self._waits_for(flight, me):
                return await function()
            else:
                flight.shared = True
            await self._wait(place, flight, me)
            outcome: asyncio.Task[T] = flight.task
            error = None if outcome.cancelled() else outcome.exception()
            if outcome.cancelled() or (error is not None and not isinstance(error, Exception)):
                if began:
                    return outcome.result()
                continue
            if error is not None and not began:
                raise afresh(error)
            result = outcome.result()
            return self._duplicate(result) if flight.shared else result

    def _begin(self, place: _Place, function: Callable[[], Awaitable[T]]) -> _Flight[T]:
        async def work() -> T:
            try:
                return await function()
            finally:
                self._forget(place, flight)

        flight = _Flight(asyncio.ensure_future(work()))
        self._flights[place] = flight
        flight.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return flight

    async def _wait(
        self, place: _Place, flight: _Flight[Any], me: asyncio.Task[Any] | None
    ) -> None:
        flight.callers += 1
        if me is not None:
            self._waiting[me] = flight
        try:
            await asyncio.wait({flight.task})
        except asyncio.CancelledError:
            if flight.callers == 1 and not flight.task.done():
                # Whoever comes now begins anew, and does not join what is ending.
                self._forget(place, flight)
                flight.task.cancel()
                await asyncio.wait({flight.task})
            raise
        finally:
            flight.callers -= 1
            if me is not None:
                self._waiting.pop(me, None)

    def _forget(self, place: _Place, flight: _Flight[Any]) -> None:
        if self._flights.get(place) is flight:
            del self._flights[place]

    def _waits_for(self, flight: _Flight[Any] | None, task: asyncio.Task[Any]) -> bool:
        """Whether `flight` ends only after `task` went on."""
        while flight is not None:
            if flight.task is task:
                return True
            flight = self._waiting.get(flight.task)
        return False
