"""So much at once, and one more each so many seconds."""

from __future__ import annotations

import threading


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
