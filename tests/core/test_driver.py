"""The synchronous driver: it does what a flow asks for, and raises inside it what goes wrong."""

from __future__ import annotations

from typing import Any

import pytest

from keyfob.errors import ConfigurationError, ProviderUnreachable
from keyfob.flows import Flow, call, pause, send
from keyfob.protocol.http import HttpRequest, HttpResponse
from keyfob.transport import run

REQUEST = HttpRequest("GET", "https://provider.example/x", "something")


class Sent:
    """A transport that answers each request, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def send(self, request: HttpRequest) -> HttpResponse:
        if self.error is not None:
            raise self.error
        return HttpResponse(200, {}, b"body", request.url)

    def close(self) -> None: ...


def test_a_request_is_sent_and_its_answer_received() -> None:
    assert run(send(REQUEST), Sent()).body == b"body"


def test_a_pause_is_slept() -> None:
    slept: list[float] = []
    run(pause(5), Sent(), sleep=slept.append)
    assert slept == [5]


def test_a_call_gives_what_the_function_returns() -> None:
    assert run(call(lambda: 42), Sent()) == 42


def test_what_goes_wrong_is_raised_where_the_flow_asked() -> None:
    def flow() -> Flow[list[str]]:
        caught = []
        try:
            yield from send(REQUEST)
        except ProviderUnreachable:
            caught.append("request")
        try:
            yield from call(lambda: 1 // 0)
        except ZeroDivisionError:
            caught.append("call")
        return caught

    assert run(flow(), Sent(ProviderUnreachable("gone"))) == ["request", "call"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_a_flow_that_ends_early_is_closed(error: type[BaseException]) -> None:
    closed = []

    def flow() -> Flow[None]:
        try:
            yield from call(stop)
        finally:
            closed.append(True)

    def stop() -> None:
        raise error

    with pytest.raises(error):
        run(flow(), Sent())
    assert closed == [True]


def test_a_coroutine_function_needs_the_asynchronous_driver() -> None:
    async def later() -> Any:
        return 1

    with pytest.raises(ConfigurationError, match=r"keyfob\.aio"):
        run(call(later), Sent())
