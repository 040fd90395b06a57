"""The token store that the web layer sees: whoever reads what is below it learns nothing."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading

from keyfob.errors import StoreError
from keyfob.web.metrics import UNREADABLE_RECORDS
from keyfob.web.observe import Observer
from keyfob.web.sealing import Sealer
from keyfob.web.stores.base import Record, TokenStore

#: The largest value a record may have, in bytes. A session with two hundred groups and ten
#: tokens stays far below it.
MAX_VALUE_SIZE = 1024 * 1024

_logger = logging.getLogger("keyfob.store")


class SealedStore:
    """Any token store, with hashed keys and sealed values. Itself a token store.

    * A key is replaced by its SHA-256 before it reaches the store, so that a reader of the store
      cannot use it as a session's key. Keys must be random (128 bits or more), or they could be
      guessed back.
    * A value is sealed for that hash, so that a record put in the place of another is unreadable.
    * A record that cannot be read is a miss. It is removed, counted in `unreadable_records`, and
      logged without its key or value: after a lost key, people sign in again, and that is all.

    :param store: where the records go.
    :param sealer: what seals them.
    :param observer: is told of records that cannot be read.
    """

    def __init__(
        self, store: TokenStore, sealer: Sealer, *, observer: Observer | None = None
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._observer = observer or Observer()
        self._counting = threading.Lock()
        #: How many records could not be read since this process started.
        self.unreadable_records = 0

    def __repr__(self) -> str:
        return f"<SealedStore over {self._store!r}>"

    @property
    def is_local(self) -> bool:
        return self._store.is_local

    def load(self, key: str) -> Record | None:
        hashed = hashed_key(key)
        record = self._store.load(hashed)
        if record is None:
            return None
        value = self._sealer.unseal(record.value, context=_context(hashed))
        if value is None:
            self._discard(hashed, record)
            return None
        return Record(value, record.version)

    def version(self, key: str) -> int | None:
        """As every store's; the record may yet prove unreadable."""
        return self._store.version(hashed_key(key))

    def create(self, key: str, value: bytes, expires_at: float) -> bool:
        """As every store's; raises `StoreError` for a value of more than 1 MiB."""
        hashed = hashed_key(key)
        return self._store.create(hashed, self._sealed(hashed, value), expires_at)

    def replace(self, key: str, value: bytes, version: int, expires_at: float) -> bool:
        """As every store's; raises `StoreError` for a value of more than 1 MiB."""
        hashed = hashed_key(key)
        return self._store.replace(hashed, self._sealed(hashed, value), version, expires_at)

    def extend(self, key: str, expires_at: float) -> bool:
        return self._store.extend(hashed_key(key), expires_at)

    def delete(self, key: str, version: int | None = None) -> bool:
        return self._store.delete(hashed_key(key), version)

    def delete_hashed(self, hashed: str) -> bool:
        """As `delete`, for whoever knows of a record's key only the hash (see `hashed_key`): it is
        enough to end a record, and not to use it."""
        return self._store.delete(hashed)

    def clear_expired(self) -> int:
        return self._store.clear_expired()

    def close(self) -> None:
        self._store.close()

    def _sealed(self, hashed: str, value: bytes) -> bytes:
        if len(value) > MAX_VALUE_SIZE:
            raise StoreError(
                f"a session's record would have {len(value)} bytes, and {MAX_VALUE_SIZE} is the "
                "most that is stored; look at which claims and how many APIs' tokens it keeps",
                code="record_too_large",
            )
        return self._sealer.seal(value, context=_context(hashed))

    def discard(self, key: str, record: Record) -> None:
        """Remove a record that was unsealed, and that its reader can make nothing of."""
        self._discard(hashed_key(key), record)

    def _discard(self, hashed: str, record: Record) -> None:
        with self._counting:
            self.unreadable_records += 1
        self._observer.count(UNREADABLE_RECORDS)
        _logger.warning(
            "A token store's record could not be read and was removed; whose it was must sign in "
            "again. Usual reasons: a key was taken out of TOKEN_STORE_KEYS, or the site's secret "
            "key changed. (%d bytes; number %d in this process)",
            len(record.value),
            self.unreadable_records,
        )
        # Not `delete`: meanwhile somebody may have put a good record there. Ending this very
        # version leaves theirs alone. If the store fails now, the record is still only a miss.
        with contextlib.suppress(StoreError):
            self._store.replace(hashed, b"", record.version, 0.0)


def hashed_key(key: str) -> str:
    """What a record's key is in the store: nobody gets back from there."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def _context(hashed: str) -> str:
    return f"record {hashed}"
