"""Runs the same flows in an event loop."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

from keyfob.flows import Call, Effect, Flow, Once, Pause
from keyfob.protocol.http import HttpRequest, HttpResponse
from keyfob.transport.async_flights import AsyncFlights
from keyfob.transport.driver import Transport
from keyfob.transport.options import with_options

T = TypeVar("T")


class AsyncTransport(Protocol):
    """Whatever can send one request without blocking. Safe to share between tasks and loops."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send `request` and read its answer, following no redirect.

        :raises TransportError: there is no answer.
        """
        ...

    async def aclose(self) -> None: ...


async def run_async(
    flow: Flow[T],
    transport: AsyncTransport,
    *,
    flights: AsyncFlights | None = None,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> T:
    """The flow's result. What goes wrong is raised inside the flow, where it may be handled.

    Where the task is cancelled, the exchange on its way is broken off and the flow closed; the
    transport serves on.

    :param flights: shared with whoever may have the same need; by default with nobody.
    :param sleep: waits for so many seconds; injected by tests.
    """
    try:
        effect = next(flow)
        while True:
            try:
                outcome = await _perform(effect, transport, flights, sleep)
            except Exception as error:  # noqa: BLE001 - the flow decides about it
                effect = flow.throw(error)
            else:
                effect = flow.send(outcome)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        flow.close()


async def _perform(
    effect: Effect,
    transport: AsyncTransport,
    flights: AsyncFlights | None,
    sleep: Callable[[float], Awaitable[object]],
) -> Any:
    if isinstance(effect, HttpRequest):
        return await transport.send(effect)
    if isinstance(effect, Pause):
        return await sleep(effect.seconds)
    if isinstance(effect, Once):
        begin = effect.begin

        async def work() -> Any:
            return await run_async(begin(), transport, flights=flights, sleep=sleep)

        return await (work() if flights is None else flights.run(effect.key, work))
    return await _call(effect)


async def _call(effect: Call) -> Any:
    if _is_coroutine_function(effect.function):
        result = effect.function()
    else:
        failure, result = await asyncio.to_thread(_outcome, effect.function)
        if failure is not None:
            raise failure
    return await result if inspect.isawaitable(result) else result


def _is_coroutine_function(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - of an object, it is the coroutine function
    )


def _outcome(function: Callable[[], Any]) -> tuple[Exception | None, Any]:
    """Errors come back as values: a future takes no StopIteration, and would wait for ever."""
    try:
        return None, function()
    except Exception as error:  # noqa: BLE001 - the flow decides about it
        return error, None


class ThreadedTransport:
    """A synchronous transport for coroutines: each exchange takes a thread of the loop's executor.

    A task that is cancelled ends at once; its exchange goes on in its thread until the transport's
    own time is over.

    :param transport: safe to share between threads, as all of Keyfob's are.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __repr__(self) -> str:
        return f"<ThreadedTransport {self._transport!r}>"

    async def send(self, request: HttpRequest) -> HttpResponse:
        return await asyncio.to_thread(self._transport.send, request)

    def with_options(self, options: Mapping[str, Any]) -> ThreadedTransport:
        """The same connections with options for one call."""
        return ThreadedTransport(with_options(self._transport, options))

    async def aclose(self) -> None:
        await asyncio.to_thread(self._transport.close)
