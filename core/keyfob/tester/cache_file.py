"""A token cache kept in a file that only its owner can read."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from keyfob.cache import SerializableTokenCache
from keyfob.errors import ConfigurationError, TokenCacheError

#: No token cache of one person is sensibly larger.
_LARGEST = 50_000_000


class CacheFile:
    """Loads a cache when the program begins, and saves it whenever it changed.

    :param path: the file. It need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        # A link stays a link: the file behind it is replaced.
        self.path = Path(os.path.realpath(path))

    def load(self, cache: SerializableTokenCache) -> None:
        """Fill the cache from the file; without one it stays empty.

        :raises ConfigurationError: (a ValueError) the file cannot be read, or is no token cache.
        """
        try:
            if self.path.exists() and not self.path.is_file():
                raise ConfigurationError(f"{self.path} is not a file: name another one")
            with self.path.open("rb") as file:
                content = file.read(_LARGEST + 1)
        except FileNotFoundError:
            if not self.path.parent.is_dir():
                raise ConfigurationError(
                    f"There is no folder {self.path.parent} for the cache file: make it first"
                ) from None
            return
        except OSError as error:
            raise ConfigurationError(
                f"The cache file {self.path} cannot be read: {error.strerror}"
            ) from None
        if len(content) > _LARGEST:
            raise ConfigurationError(f"{self.path} is too large for a token cache")
        wrong = _fill(cache, content)
        if wrong:
            raise ConfigurationError(
                f"The cache file {self.path} was not touched. {wrong}. Move it away, or name "
                "another one"
            )

    def is_readable_by_others(self) -> bool:
        """Whether other users of this machine may read the file as it is now."""
        if os.name != "posix":
            return False
        try:
            return bool(stat.S_IMODE(self.path.stat().st_mode) & 0o077)
        except OSError:
            return False

    def save(self, cache: SerializableTokenCache) -> None:
        """Write the cache, if it changed: a whole new file in the old one's place, mode 0600.

        :raises ConfigurationError: (a ValueError) that is not possible. The old file is as it was.
        """
        if not cache.has_state_changed:
            return
        try:
            self._replace(cache.serialize())
        except OSError as error:
            cache.has_state_changed = True
            raise ConfigurationError(
                f"The cache file {self.path} cannot be written: {error.strerror}. Its folder must "
                "be writable, and the disk not full"
            ) from None

    def _replace(self, text: str) -> None:
        # mkstemp makes it readable for its owner only, whatever the umask.
        number, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise


def _fill(cache: SerializableTokenCache, content: bytes) -> str:
    """Load the content; what is wrong with it, or ""."""
    try:
        cache.deserialize(content)
    except TokenCacheError as error:
        return str(error)
    return ""
