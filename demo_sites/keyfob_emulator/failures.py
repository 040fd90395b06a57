"""Weather: failures of the provider that a test, or a person on the page ``/weather``, asks for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

ENDPOINTS: Final = (
    "authorize",
    "compute",
    "devicecode",
    "graph",
    "groups",
    "instance",
    "keys",
    "logout",
    "managed_identity",
    "me",
    "metadata",
    "mex",
    "photo",
    "token",
    "userinfo",
    "userrealm",
    "wstrust",
)
"""What can be made to fail; ``graph`` is everything that Graph answers."""


@dataclass(frozen=True)
class Failure:
    """A prepared failure of one endpoint: of one request, or of all until a time.

    With ``hang_up`` the connection is closed without an answer.
    """

    endpoint: str
    status: int
    body: str
    retry_after: int | None = None
    hang_up: bool = False
    until: float | None = None


class Failures:
    """The failures that are still to come."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: list[Failure] = []
        self._lock = threading.Lock()

    def prepare(self, failure: Failure, times: int = 1) -> None:
        """Have it happen; :class:`ValueError` for an endpoint there is not."""
        if failure.endpoint not in ENDPOINTS:
            raise ValueError(f"no endpoint {failure.endpoint!r}: there are {', '.join(ENDPOINTS)}")
        with self._lock:
            self._waiting.extend([failure] * (times if failure.until is None else 1))

    def take(self, endpoint: str) -> Failure | None:
        """The failure of this request. One without an end in time is used up by asking."""
        now = self._clock()
        with self._lock:
            self._forget_past(now)
            found = next((each for each in self._waiting if each.endpoint == endpoint), None)
            if found is not None and found.until is None:
                self._waiting.remove(found)
            return found

    def waiting(self) -> list[tuple[Failure, int]]:
        """What is still to come, in order, and how often."""
        now = self._clock()
        with self._lock:
            self._forget_past(now)
            counted: dict[Failure, int] = {}
            for failure in self._waiting:
                counted[failure] = counted.get(failure, 0) + 1
            return list(counted.items())

    def clear(self) -> None:
        """Nothing fails any more."""
        with self._lock:
            self._waiting.clear()

    def _forget_past(self, now: float) -> None:
        self._waiting = [f for f in self._waiting if f.until is None or now < f.until]
