"""Short locks around a change of one record: made in the cache itself, or with a file."""

from __future__ import annotations

import random
import secrets
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from django.core.files import locks

from keyfob.errors import StoreUnavailable

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

#: Seconds after which the lock of somebody who died is free again.
LOCK_SECONDS = 10.0
#: Seconds that somebody waits for others.
WAIT_SECONDS = 5.0

_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.002, 0.05, 1.5
#: So many files hold all keys apart well enough.
_LOCK_FILES = 64


class CacheLock(ABC):
    """Held for the time of a `with` block.

    :raises StoreUnavailable: others had it for too long.
    """

    def __enter__(self) -> Self:
        deadline, pause = time.monotonic() + WAIT_SECONDS, _FIRST_PAUSE
        while not self._acquire():
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    f"A record in Django's cache was locked by others for {WAIT_SECONDS:g} s"
                )
            # Not all at the same moment: they would meet again and again.
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause = min(_LONGEST_PAUSE, pause * _GROWTH)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._release()

    @abstractmethod
    def confirm(self) -> None:
        """To be called just before the change: the lock is still ours.

        :raises StoreUnavailable: it may be somebody else's by now.
        """

    @abstractmethod
    def _acquire(self) -> bool: ...

    @abstractmethod
    def _release(self) -> None: ...


class AddLock(CacheLock):
    """An entry that only one can `add`. It ends by itself, should its owner die.

    :param ask: calls the cache: a method's name, and its arguments.
    :param name: the entry's key.
    """

    def __init__(self, ask: Callable[..., Any], name: str) -> None:
        self._ask = ask
        self._name = name
        self._acquired = 0.0

    def confirm(self) -> None:
        if not self._is_surely_ours():
            raise StoreUnavailable("Django's cache was too slow for a record to be changed safely")

    def _acquire(self) -> bool:
        # Before, for the cache counts from some moment during the call.
        self._acquired = time.monotonic()
        return bool(self._ask("add", self._name, secrets.token_hex(8), LOCK_SECONDS))

    def _release(self) -> None:
        # Else it ends by itself, and nobody else's is removed.
        if self._is_surely_ours():
            self._ask("delete", self._name)

    def _is_surely_ours(self) -> bool:
        return time.monotonic() - self._acquired < LOCK_SECONDS / 2


class FileLock(CacheLock):
    """A lock of the operating system's, which ends with its process.

    :param folder: where all who share the cache find it.
    :param key: what is locked.
    """

    def __init__(self, folder: Path, key: str) -> None:
        number = zlib.crc32(key.encode(errors="surrogatepass")) % _LOCK_FILES
        self._path = folder / f"keyfob-{number}.lock"
        self._file: IO[bytes] | None = None

    def confirm(self) -> None:
        """It is: the operating system sees to that."""

    def _acquire(self) -> bool:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = self._path.open("ab")
        except OSError as error:
            raise StoreUnavailable(
                f"The folder of a cache of Django's cannot be used ({type(error).__name__})"
            ) from error
        try:
            if locks.lock(file, locks.LOCK_EX | locks.LOCK_NB):
                self._file = file
        finally:
            if self._file is None:
                file.close()
        return self._file is not None

    def _release(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()
