"""So much at once, and one more each so many seconds."""

from __future__ import annotations

import threading
from collections import OrderedDict


class Allowance:
    """Bounds what strangers can make this process do or write. Safe to share between threads.

    :param burst: so many at once.
    :param interval: seconds until there is one more.
    """

    def __init__(self, burst: int, interval: float) -> None:
        self._burst = float(burst)
        self._interval = interval
        self._left = float(burst)
        self._counted_at = 0.0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Allowance of {self._burst:.0f}, and one more each {self._interval:g} s>"

    def take(self, now: float) -> bool:
        """Take one, where there is one left.

        :param now: seconds, of any origin.
        """
        with self._lock:
            gained = max(0.0, now - self._counted_at) / self._interval
            self._left = min(self._burst, self._left + gained)
            self._counted_at = now
            if self._left < 1:
                return False
            self._left -= 1
            return True


class Allowances:
    """One for each of many, such as people. Safe to share between threads.

    :param burst: see `Allowance`; likewise `interval`.
    :param limit: how many of them are remembered: who was not seen for longest begins anew.
    """

    def __init__(self, burst: int, interval: float, *, limit: int = 1000) -> None:
        self._burst, self._interval, self._limit = burst, interval, limit
        self._of: OrderedDict[str, Allowance] = OrderedDict()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Allowances of {self._burst}, and one more each {self._interval:g} s>"

    def take(self, whose: str, now: float) -> bool:
        """As `Allowance.take`.

        :param whose: the key of whoever takes it.
        """
        with self._lock:
            found = self._of.setdefault(whose, Allowance(self._burst, self._interval))
            self._of.move_to_end(whose)
            while len(self._of) > self._limit:
                self._of.popitem(last=False)
        return found.take(now)
