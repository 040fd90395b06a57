"""What a flow may ask of its driver: an exchange, a pause, a call of others' code, or to be the
only one that does something at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from keyfob.protocol.http import HttpRequest, HttpResponse

T = TypeVar("T")


@dataclass(frozen=True)
class Pause:
    """Wait for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Call:
    """Call a function that may block: it reads a file, or is the application's own.

    The asynchronous driver calls it in a thread, and awaits what it returns where that is an
    awaitable; so an application may give a coroutine function there.
    """

    function: Callable[[], Any]


@dataclass(frozen=True)
class Once:
    """Run a flow, unless one with an equal key is under way: then wait for that one's outcome.

    Nothing is remembered: what comes later begins anew.
    """

    key: Hashable = field(repr=False)
    begin: Callable[[], Generator[Any, Any, Any]]


Effect = HttpRequest | Pause | Call | Once

#: A flow yields effects, receives what came of each (or has the error raised at the yield), and
#: returns its result.
Flow = Generator[Effect, Any, T]


def send(request: HttpRequest) -> Flow[HttpResponse]:
    """The answer to a request.

    :raises TransportError: there is none.
    """
    answer: HttpResponse = yield request
    return answer


def pause(seconds: float) -> Flow[None]:
    """Wait for so many seconds."""
    yield Pause(seconds)


def call(function: Callable[[], T | Awaitable[T]]) -> Flow[T]:
    """What a function returns that may block. Whatever it raises is raised here."""
    result: T = yield Call(function)
    return result


def once(key: Hashable, begin: Callable[[], Flow[T]]) -> Flow[T]:
    """What a flow returns, or raises, that runs at most once at a time for all with this key."""
    result: T = yield Once(key, begin)
    return result
