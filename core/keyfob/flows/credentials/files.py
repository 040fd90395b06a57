"""What is made of files once, and made anew when they change."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from keyfob.errors import CredentialError, CredentialFileError

_log = logging.getLogger(__name__)
T = TypeVar("T")

#: No key, chain or token is larger; what is, is something else.
MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class NamedFile:
    """A file, and what it is called in messages. Both methods block."""

    path: Path
    name: str

    @property
    def shown(self) -> str:
        return f"{self.name} ({self.path})"

    def state(self) -> tuple[int, int, int]:
        """What is another when the file was written or replaced.

        :raises CredentialFileError: (an OSError) it is not there, or not for us to see.
        """
        try:
            found = self.path.stat()
        except OSError as error:
            raise self._unreadable(error) from None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def read(self) -> bytes:
        """
        :raises CredentialFileError: (an OSError) it cannot be read, or is too large.
        """
        try:
            with self.path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise self._unreadable(error) from None
        if len(content) > MAX_BYTES:
            raise CredentialFileError(f"{self.shown} has more than {MAX_BYTES} bytes")
        return content

    def _unreadable(self, error: OSError) -> CredentialFileError:
        if isinstance(error, FileNotFoundError):
            return CredentialFileError(f"{self.shown} is not there; a path that is not absolute "
                                       "begins where the program was started")  # fmt: skip
        if isinstance(error, PermissionError):
            return CredentialFileError(f"{self.shown} may not be read by this program's user")
        return CredentialFileError(f"{self.shown} cannot be read ({type(error).__name__})")


class Watched(Generic[T]):
    """Something that is made of files, or of what is at hand where there are none.

    :param make: makes it of the files' contents.
    """

    def __init__(
        self, make: Callable[[Sequence[bytes]], T], files: Sequence[NamedFile] = ()
    ) -> None:
        self._make = make
        self.files = tuple(files)
        self._held: tuple[tuple[tuple[int, int, int], ...], T] | None = None

    def __repr__(self) -> str:
        return f"<Watched {', '.join(file.shown for file in self.files) or 'value'}>"

    def current(self) -> T:
        """As the files are now. It blocks; whoever calls it holds a lock.

        While they cannot be read, or make no sense, as when they are just being written, what was
        made before stays.

        :raises CredentialError: nothing was made before.
        """
        try:
            # Before they are read: what is written meanwhile is another state the next time.
            state = tuple(file.state() for file in self.files)
            if self._held is not None and state == self._held[0]:
                return self._held[1]
            made = self._make([file.read() for file in self.files])
        except CredentialError as reason:
            if self._held is None:
                raise
            _log.warning("%s. What was read before stays in use", reason)
            return self._held[1]
        self._held = state, made
        return made
