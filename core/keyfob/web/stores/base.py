"""What every token store does, whatever it keeps its records in."""

from __future__ import annotations

import secrets
from typing import NamedTuple, Protocol, runtime_checkable


class Record(NamedTuple):
    """A stored value and the version under which it may be replaced."""

    value: bytes
    version: int

    def __repr__(self) -> str:
        # Whoever logs a record must not thereby log what is in it.
        return f"Record(<{len(self.value)} bytes>, version={self.version})"


@runtime_checkable
class TokenStore(Protocol):
    """Records with an end, shared by the threads of a site, and by its processes where it can.

    Every method may be called from any thread. Each raises `StoreUnavailable` when the store
    cannot be reached now, and never puts a key or a value into the message.

    A record whose `expires_at` (seconds since 1970) has come is as good as absent: it is not
    loaded, does not hinder `create`, and cannot be replaced.
    """

    #: Whether to read costs no network: then nothing is gained by not reading.
    is_local: bool

    def load(self, key: str) -> Record | None:
        """The live record of `key`, or None."""
        ...

    def version(self, key: str) -> int | None:
        """The live record's version, or None; cheaper than `load`, for the value stays there."""
        ...

    def create(self, key: str, value: bytes, expires_at: float) -> bool:
        """Put a record where none is. Atomic: of several callers at once one gets True."""
        ...

    def replace(self, key: str, value: bytes, version: int, expires_at: float) -> bool:
        """Put `value` in the place of that `version`, in one atomic step; its version is one more.

        False, and nothing done, when the record is gone or has meanwhile another version: the
        caller read something that is no longer true, and should load again.
        """
        ...

    def extend(self, key: str, expires_at: float) -> bool:
        """Let the record live until then, whatever its version, which stays. False where there is
        no live one. A record that lives longer already keeps its end."""
        ...

    def delete(self, key: str, version: int | None = None) -> bool:
        """Remove the record, in one atomic step: whatever its version or, where one is named, only
        while it has that one. False where there was nothing to remove."""
        ...

    def clear_expired(self) -> int:
        """Remove what has expired, and say how many records that were."""
        ...

    def close(self) -> None:
        """Let go of files and connections. May be called twice; the next use opens them again."""
        ...


def first_version() -> int:
    """The version of a new record; each replacement adds one.

    It starts somewhere random, so that a request still running from before a sign-out cannot
    mistake the record of the next sign-in for the one it read. Fits a signed 64-bit column.
    """
    return secrets.randbits(53) + 1
