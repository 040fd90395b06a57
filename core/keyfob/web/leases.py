"""The right to do something alone, among all threads, processes and machines that share a store.

A lease is a record that ends by itself, so that whoever dies with it in hand holds up the others
for LEASE_SECONDS and no longer. It keeps nobody from working on who was only slow: what such a one
wants to save then carries a version that is no longer current, and is refused (see
`TokenStore.replace`). That is the fence.
"""

from __future__ import annotations

import contextlib
import logging
import random
import secrets
import time
from collections.abc import Callable, Iterator

from keyfob.errors import StoreError, StoreUnavailable
from keyfob.web.metrics import REFRESH_WAIT
from keyfob.web.observe import Observer
from keyfob.web.stores import SealedStore

#: Seconds. Longer than any refresh takes that ends at all: it is one exchange, perhaps three, of
#: at most ten seconds each.
LEASE_SECONDS = 30.0
#: Seconds that somebody waits for others; one who dies is waited for, and one more.
PATIENCE = 2 * LEASE_SECONDS

_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.01, 0.25, 1.5

logger = logging.getLogger(__name__)


class Leases:
    """Leases kept in a token store.

    :param store: shared with whoever is to be kept out.
    :param clock: seconds since 1970.
    :param sleep: waits for so many seconds.
    :param observer: is told how long each wait took.
    """

    def __init__(
        self,
        store: SealedStore,
        *,
        clock: Callable[[], float] = time.time,
        seconds: float = LEASE_SECONDS,
        patience: float = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
        observer: Observer | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._seconds = seconds
        self._patience = patience
        self._sleep = sleep
        self._observer = observer or Observer()

    def __repr__(self) -> str:
        return f"<Leases of {self._seconds:.0f} s>"

    @contextlib.contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Be the only one for the time of the block; wait for whoever is before.

        :raises StoreUnavailable: the store cannot be reached, or it took too long.
        """
        key = f"lease {name}"
        mark = secrets.token_bytes(16)
        with self._observer.timing(REFRESH_WAIT, scope="store", outcome="acquired"):
            self._wait_for(key, mark)
        try:
            yield
        finally:
            self._release(key, mark)

    def _wait_for(self, key: str, mark: bytes) -> None:
        waited, pause = 0.0, _FIRST_PAUSE
        while not self._store.create(key, mark, self._clock() + self._seconds):
            if waited >= self._patience:
                raise StoreUnavailable(
                    "Others have been refreshing this session's tokens for too long",
                    code="lease_timeout",
                )
            # Not all at the same moment: they would meet again and again.
            seconds = pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
            self._sleep(seconds)
            waited += seconds
            pause = min(_LONGEST_PAUSE, pause * _GROWTH)

    def _release(self, key: str, mark: bytes) -> None:
        """Give the lease back, if it is still ours and nobody else's by now."""
        try:
            record = self._store.load(key)
            if record is not None and record.value == mark:
                self._store.delete(key, record.version)
        except StoreError as error:
            # It ends by itself.
            logger.info("A lease could not be given back: %s", error)
