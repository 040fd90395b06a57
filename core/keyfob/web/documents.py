"""Sessions' documents, read from the token store, and those of them that this process remembers.

To remember one saves its round trip, its decryption and its parsing. What is remembered may be old:
another machine may have signed the person out, or refreshed their token. A local store is asked for
the version each time, which costs next to nothing; any other once in so many seconds.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from keyfob.errors import StoreUnavailable
from keyfob.web.document import (
    Document,
    create_document,
    delete_document,
    document_version,
    extend_document,
    load_document,
    replace_document,
)
from keyfob.web.stores import SealedStore

#: Seconds in which what another machine did is seen, at the latest.
DEFAULT_MEMORY = 30.0
#: What is remembered at the most: so many sessions, and so many bytes of their records.
MAX_DOCUMENTS = 1000
MAX_BYTES = 32 * 1024 * 1024


@dataclass
class _Remembered:
    document: Document
    checked_at: float
    #: Until when its record is to live, where it could not be written yet; None where it was.
    owed_until: float | None = None


class Documents:
    """Program life: shared by all threads.

    :param store: where the documents are.
    :param seconds: how long a remembered document serves before the store is asked again, where
        asking costs network; 0 remembers none, for any store.
    :param clock: seconds, of any origin, that only ever go on.
    """

    def __init__(
        self,
        store: SealedStore,
        *,
        seconds: float = DEFAULT_MEMORY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()
        self._bytes = 0

    def __repr__(self) -> str:
        return f"<Documents: {len(self._remembered)} remembered>"

    def read(self, key: str) -> Document | None:
        """A session's document, to look into: it may be shared, and must not be changed.

        :raises StoreUnavailable: the store had to be asked, and cannot be reached.
        """
        remembered = self._recall(key)
        if remembered is not None:
            if not self._is_due(remembered):
                return remembered.document
            current = document_version(self._store, key) == remembered.document.version
            if current and self._is_settled(remembered):
                remembered.checked_at = self._clock()
                return remembered.document
        document = self.fresh(key)
        if document is None:
            self.overlook(key)
        else:
            self._remember(document)
        return document

    def fresh(self, key: str) -> Document | None:
        """A session's document as the store has it now, the caller's own.

        :raises StoreUnavailable: the store cannot be reached.
        """
        return load_document(self._store, key)

    def holds(self, key: str) -> bool:
        """Whether the session's record is there: a sign-out, on any machine, removes it.

        :raises StoreUnavailable: the store had to be asked, and cannot be reached.
        """
        if self._seconds <= 0:
            return document_version(self._store, key) is not None
        # Most who ask this ask for the document next, and then it is remembered.
        return self.read(key) is not None

    def create(self, document: Document, expires_at: float) -> bool:
        """Save a new session's document; False where its key is taken."""
        return create_document(self._store, document, expires_at)

    def replace(self, document: Document, expires_at: float) -> bool:
        """Save what a request changed; from then on the document is shared, and must not be changed
        again. False where the session was signed out, or changed, meanwhile: then what the store
        has stays.

        :raises StoreUnavailable: the store cannot be reached. The document is remembered, and
            saved by one of the next reads: it may have the only refresh token that still serves.
        """
        self.overlook(document.key)
        try:
            if not replace_document(self._store, document, expires_at):
                return False
        except StoreUnavailable:
            self._remember(document, owed_until=expires_at)
            raise
        self._remember(document)
        return True

    def extend(self, key: str, expires_at: float) -> bool:
        """Let the record live on with a browser's session that slides along."""
        return extend_document(self._store, key, expires_at)

    def delete(self, key: str) -> None:
        """Remove a session's record, here and in the store."""
        self.overlook(key)
        delete_document(self._store, key)

    def overlook(self, key: str) -> None:
        """Remember this session no longer; the store keeps it."""
        with self._lock:
            self._drop(key)

    def _recall(self, key: str) -> _Remembered | None:
        with self._lock:
            remembered = self._remembered.get(key)
            if remembered is not None:
                self._remembered.move_to_end(key)
            return remembered

    def _is_due(self, remembered: _Remembered) -> bool:
        if self._store.is_local or remembered.owed_until is not None:
            return True
        return not (0 <= self._clock() - remembered.checked_at < self._seconds)

    def _is_settled(self, remembered: _Remembered) -> bool:
        """Save what is owed, if anything is; False where somebody else was quicker."""
        if remembered.owed_until is None:
            return True
        try:
            return self.replace(remembered.document, remembered.owed_until)
        except StoreUnavailable:
            return True  # not yet; it serves all the same

    def _remember(self, document: Document, owed_until: float | None = None) -> None:
        if self._seconds <= 0:
            return
        with self._lock:
            self._drop(document.key)
            self._remembered[document.key] = _Remembered(document, self._clock(), owed_until)
            self._bytes += document.size
            while len(self._remembered) > MAX_DOCUMENTS or self._bytes > MAX_BYTES:
                self._drop(next(iter(self._remembered)))

    def _drop(self, key: str) -> None:
        found = self._remembered.pop(key, None)
        if found is not None:
            self._bytes -= found.document.size
