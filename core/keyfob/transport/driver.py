"""Runs a flow to its end, doing each thing it asks for."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from keyfob.errors import ConfigurationError
from keyfob.flows import Call, Effect, Flow, Once, Pause
from keyfob.protocol.http import HttpRequest, HttpResponse
from keyfob.transport.flights import Flights

T = TypeVar("T")


class Transport(Protocol):
    """Whatever can send one request. Safe to share between threads."""

    def send(self, request: HttpRequest) -> HttpResponse:
        """Send `request` and read its answer, following no redirect.

        :raises TransportError: there is no answer.
        """
        ...

    def close(self) -> None: ...


def run(
    flow: Flow[T],
    transport: Transport,
    *,
    flights: Flights | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """The flow's result. What goes wrong is raised inside the flow, where it may be handled.

    :param flights: shared with whoever may have the same need; by default with nobody.
    :param sleep: waits for so many seconds; injected by tests.
    """
    try:
        effect = next(flow)
        while True:
            try:
                outcome = _perform(effect, transport, flights, sleep)
            except Exception as error:  # noqa: BLE001 - the flow decides about it
                effect = flow.throw(error)
            else:
                effect = flow.send(outcome)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        flow.close()


def _perform(
    effect: Effect,
    transport: Transport,
    flights: Flights | None,
    sleep: Callable[[float], None],
) -> Any:
    if isinstance(effect, HttpRequest):
        return transport.send(effect)
    if isinstance(effect, Pause):
        return sleep(effect.seconds)
    if isinstance(effect, Once):
        begin = effect.begin

        def work() -> Any:
            return run(begin(), transport, flights=flights, sleep=sleep)

        return work() if flights is None else flights.run(effect.key, work)
    return _call(effect)


def _call(effect: Call) -> Any:
    result = effect.function()
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise ConfigurationError(
            "The function returned an awaitable, which only keyfob.aio's applications can await"
        )
    return result
