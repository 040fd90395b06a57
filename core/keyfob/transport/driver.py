"""Runs a flow to its end, sending each request it yields."""

from __future__ import annotations

from typing import Protocol, TypeVar

from keyfob.errors import TransportError
from keyfob.flows import Flow
from keyfob.protocol.http import HttpRequest, HttpResponse

T = TypeVar("T")


class Transport(Protocol):
    """Whatever can send one request. Safe to share between threads."""

    def send(self, request: HttpRequest) -> HttpResponse:
        """Send `request` and read its answer, following no redirect.

        :raises TransportError: there is no answer.
        """
        ...

    def close(self) -> None: ...


def run(flow: Flow[T], transport: Transport) -> T:
    """The flow's result. Transport errors are raised inside the flow, where it may handle them."""
    try:
        request = next(flow)
        while True:
            try:
                response = transport.send(request)
            except TransportError as error:
                request = flow.throw(error)
            else:
                request = flow.send(response)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        flow.close()
