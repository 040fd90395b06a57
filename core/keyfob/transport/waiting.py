"""One wait for an answer that another thread brings: at once, and with what is due meanwhile."""

from __future__ import annotations

import heapq
import itertools
import math
import queue
import time
from collections.abc import Callable, Sequence

from keyfob.errors import ConfigurationError

Answer = dict[str, str]
Action = Callable[[], object]
#: Pairs of a number of seconds since the wait began, and what is to be done then.
ScheduledActions = Sequence[tuple[float, Action]]

#: Seconds. An answer ends a wait at once; this is how soon Windows heeds Ctrl-C.
_SLICE = 0.5


class Wait:
    """Made and waited in by one thread; the other methods are for any thread.

    :param timeout: seconds from now; None for as long as it takes.
    :raises ConfigurationError: (a ValueError) the timeout is no time.
    """

    def __init__(self, timeout: float | None, scheduled: ScheduledActions = ()) -> None:
        self._started = time.monotonic()
        self._end = math.inf
        if timeout is not None:
            if not _is_seconds(timeout):
                raise ConfigurationError("timeout is a number of seconds, or None")
            self._end = self._started + timeout
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._order = itertools.count()
        self._due: list[tuple[float, int, Action]] = []
        self._is_over = False
        self._answer: Answer | None = None
        for seconds, action in scheduled:
            self.schedule(seconds, action)

    def schedule(self, seconds: float, action: Action) -> None:
        """Have something done in the waiting thread, so many seconds after the wait began."""
        heapq.heappush(self._due, (self._started + seconds, next(self._order), action))

    def call_soon(self, action: Action) -> None:
        """Have something done in the waiting thread, now."""
        self._events.put(lambda: self.schedule(0, action))

    def answer(self, parameters: Answer) -> None:
        """Bring the answer. Only the first one counts."""
        self._events.put(lambda: self._finish(parameters))

    def end(self) -> None:
        """End the wait without an answer."""
        self._events.put(lambda: self._finish(None))

    def fail(self, error: BaseException) -> None:
        """End the wait with an error."""

        def fail() -> None:
            raise error

        self._events.put(fail)

    def result(self) -> Answer | None:
        """The answer, or None where the time is over or the wait was ended."""
        while not self._is_over:
            now = time.monotonic()
            try:
                self._events.get(timeout=max(0.0, min(self._next(), now + _SLICE) - now))()
                continue
            except queue.Empty:
                pass
            if time.monotonic() >= self._end:
                break
            self._act()
        return self._answer

    def _next(self) -> float:
        return min(self._end, self._due[0][0]) if self._due else self._end

    def _act(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()

    def _finish(self, answer: Answer | None) -> None:
        self._is_over, self._answer = True, answer


def _is_seconds(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return value >= 0
