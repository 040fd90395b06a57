"""What is made by a function, and serves until it is too old."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from keyfob.errors import ConfigurationError

T = TypeVar("T")


class AutoRefresher(Generic[T]):
    """Called, gives what `factory` made; and has it make a new one when that is too old.

    Made for `client_credential={"client_assertion": AutoRefresher(make_assertion)}`. Safe to share
    between threads: while one has the factory called, the others wait for what it makes.

    :param factory: takes nothing, and makes the value. What it raises is raised, and nothing is
        remembered of it. It is no coroutine function: such a one serves as `client_assertion`
        itself, and keeps what it made.
    :param expires_in: seconds for which one value serves.
    :param clock: seconds since 1970; injected by tests.
    :raises ConfigurationError: (a ValueError) these are no such things.
    """

    def __init__(
        self,
        factory: Callable[[], T],
        expires_in: float = 540,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        from inspect import iscoroutinefunction

        given: Any = factory
        if not callable(given) or iscoroutinefunction(given):
            raise ConfigurationError("AutoRefresher's factory is an ordinary function")
        if isinstance(expires_in, bool) or not isinstance(expires_in, (int, float)):
            raise ConfigurationError("AutoRefresher's expires_in is a number of seconds")
        self._factory = factory
        self._expires_in = expires_in
        self._clock = clock
        self._lock = threading.Lock()
        self._made: tuple[float, T] | None = None

    def __repr__(self) -> str:
        return f"<AutoRefresher every {self._expires_in} s>"

    def __call__(self) -> T:
        made = self._fresh()
        if made is None:
            with self._lock:
                made = self._fresh()
                if made is None:
                    now = self._clock()
                    made = self._made = now, self._factory()
        return made[1]

    def _fresh(self) -> tuple[float, T] | None:
        made = self._made
        if made is None or not 0 <= self._clock() - made[0] < self._expires_in:
            return None  # or it is from before the clock was set back
        return made
