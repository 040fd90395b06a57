"""The removal of expired records as a command: says how long it takes, and how many there were."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from keyfob.web.stores import SealedStore

#: Seconds after which a person wants to see that something is still going on; and again.
PATIENCE = 2.0


def clear_expired(
    store: SealedStore, say: Callable[[str], object], *, patience: float = PATIENCE
) -> int:
    """Remove what has expired.

    :param store: the site's.
    :param say: shows a line to whoever waits, from another thread.
    :param patience: seconds between two lines that only say that it goes on.
    :returns: how many records were removed.
    :raises StoreError: the store could not do it.
    """
    with _ticking(say, patience):
        return store.clear_expired()


def counted(removed: int) -> str:
    """The line that is shown at the end."""
    return f"Removed {removed} expired {'record' if removed == 1 else 'records'}."


@contextmanager
def _ticking(say: Callable[[str], object], patience: float) -> Iterator[None]:
    done, began = threading.Event(), time.monotonic()

    def tick() -> None:
        while not done.wait(patience):
            say(f"Removing expired records ... {time.monotonic() - began:.0f} s")

    thread = threading.Thread(target=tick, name="keyfob-clearing", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
