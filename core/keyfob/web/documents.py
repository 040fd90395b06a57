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

from keyfob.web.document import (
    Document,
    create_document,
    delete_document,
    document_version,
    extend_document,
    load_document,
    replace_document,
)
from keyfob.web.metrics import DOCUMENT_READS, DOCUMENT_SIZE
from keyfob.web.observe import Observer
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


class Documents:
    """Program life: shared by all threads.

    :param store: where the documents are.
    :param seconds: how long a remembered document serves before the store is asked again, where
        asking costs network; 0 remembers none, for any store.
    :param clock: seconds, of any origin, that only ever go on.
    :param observer: is told what each read cost, and how large documents are.
    """

    def __init__(
        self,
        store: SealedStore,
        *,
        seconds: float = DEFAULT_MEMORY,
        clock: Callable[[], float] = time.monotonic,
        observer: Observer | None = None,
    ) -> None:
        self._store = store
        self._seconds = seconds
        self._clock = clock
        self._observer = observer or Observer()
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
                self._observer.count(DOCUMENT_READS, outcome="hit")
                return remembered.document
            if document_version(self._store, key) == remembered.document.version:
                remembered.checked_at = self._clock()
                self._observer.count(DOCUMENT_READS, outcome="revalidated")
                return remembered.document
        self._observer.count(DOCUMENT_READS, outcome="stale" if remembered else "miss")
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
        document = load_document(self._store, key)
        if document is not None:
            self._observer.record(DOCUMENT_SIZE, document.size, operation="load")
        return document

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
        is_new = create_document(self._store, document, expires_at)
        self._observer.record(DOCUMENT_SIZE, document.size, operation="create")
        return is_new

    def replace(self, document: Document, expires_at: float) -> bool:
        """Save what a request changed; from then on the document is shared, and must not be changed
        again. False where the session was signed out, or changed, meanwhile: then what the store
        has stays."""
        self.overlook(document.key)
        if not replace_document(self._store, document, expires_at):
            return False
        self._observer.record(DOCUMENT_SIZE, document.size, operation="replace")
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
        return self._store.is_local or not (
            0 <= self._clock() - remembered.checked_at < self._seconds
        )

    def _remember(self, document: Document) -> None:
        if self._seconds <= 0:
            return
        with self._lock:
            self._drop(document.key)
            self._remembered[document.key] = _Remembered(document, self._clock())
            self._bytes += document.size
            while len(self._remembered) > MAX_DOCUMENTS or self._bytes > MAX_BYTES:
                self._drop(next(iter(self._remembered)))

    def _drop(self, key: str) -> None:
        found = self._remembered.pop(key, None)
        if found is not None:
            self._bytes -= found.document.size
