"""Sessions' documents, read from the token store, and those of them that this process remembers.

To remember one saves its round trip, its decryption and its parsing. What is remembered may be old:
another machine may have signed the person out, or refreshed their token. A local store is asked for
the version each time, which costs next to nothing; any other once in so many seconds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from keyfob.errors import SignInRefused, StoreError
from keyfob.web.document import (
    Document,
    create_document,
    delete_document,
    document_version,
    extend_document,
    hashed_record_key,
    load_document,
    replace_document,
)
from keyfob.web.metrics import DOCUMENT_READS, DOCUMENT_SIZE
from keyfob.web.observe import Observer
from keyfob.web.session_index import SessionIndex
from keyfob.web.stores import SealedStore

logger = logging.getLogger(__name__)

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
    :param observer: is told what each read cost, and how large documents are.
    :param index: where each session is filed while it lasts, for sign-outs from elsewhere.
    :param expiry: until when a session's record lives that is used now, in seconds since 1970.
    """

    def __init__(
        self,
        store: SealedStore,
        *,
        seconds: float = DEFAULT_MEMORY,
        clock: Callable[[], float] = time.monotonic,
        observer: Observer | None = None,
        index: SessionIndex | None = None,
        expiry: Callable[[], float] | None = None,
    ) -> None:
        self._store = store
        self._index = index
        if index is not None:
            index.overlook = self.overlook_hashed
        self._seconds = seconds
        self._clock = clock
        self._observer = observer or Observer()
        self._expiry = expiry
        self._lock = threading.Lock()
        #: By hashed key: whoever ends another browser's session knows no other.
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()
        self._bytes = 0
        #: Grows with each session that is overlooked: what was read before is not remembered.
        self._generation = 0

    def __repr__(self) -> str:
        return f"<Documents: {len(self._remembered)} remembered>"

    def read(self, key: str) -> Document | None:
        """A session's document, to look into: it may be shared, and must not be changed.

        :raises StoreUnavailable: the store had to be asked, and cannot be reached.
        """
        generation = self._generation
        remembered = self._recall(key)
        if remembered is not None:
            if not self._is_due(remembered):
                if self._observer.listens:
                    self._observer.count(DOCUMENT_READS, outcome="hit")
                return remembered.document
            current = document_version(self._store, key) == remembered.document.version
            if current and self._is_settled(remembered):
                remembered.checked_at = self._clock()
                if self._observer.listens:
                    self._observer.count(DOCUMENT_READS, outcome="revalidated")
                return remembered.document
            self._forget(remembered)
        self._observer.count(DOCUMENT_READS, outcome="stale" if remembered else "miss")
        document = self._load(key)
        if document is None:
            self.overlook(key)
            return None
        return self._remember(document, generation)

    def fresh(self, key: str) -> Document | None:
        """A session's document as the store has it now, the caller's own.

        What could not be saved before is saved first: the refresh token that the store has then
        was used already, and must not be used again.

        :raises StoreUnavailable: the store cannot be reached.
        """
        remembered = self._recall(key)
        if remembered is not None and remembered.owed_until is not None:
            self._settle(remembered.document, remembered.owed_until)
        return self._load(key)

    def holds(self, key: str) -> bool:
        """Whether the session's record is there: a sign-out, on any machine, removes it.

        :raises StoreUnavailable: the store had to be asked, and cannot be reached.
        """
        if self._seconds <= 0:
            return document_version(self._store, key) is not None
        # Most who ask this ask for the document next, and then it is remembered.
        return self.read(key) is not None

    def create(self, document: Document, expires_at: float) -> bool:
        """Save a new session's document, and file it; False where its key is taken.

        :raises SignInRefused: a sign-out from elsewhere ended it already.
        :raises StoreUnavailable: the session could not be filed, and does not begin: no sign-out
            would reach it.
        """
        hashed = hashed_record_key(document.key)
        # Filed first: a record that nothing lists would outlive a process that ends in between.
        if self._index is not None:
            self._index.add(hashed, document.claims, expires_at, document.kind)
        if not create_document(self._store, document, expires_at):
            return False
        self._observer.record(DOCUMENT_SIZE, document.size, operation="create")
        if self._index is not None and not self._index.lists(
            hashed, document.claims, document.kind
        ):
            delete_document(self._store, document.key)
            raise SignInRefused("You were signed out while you were signing in. Sign in again.")
        return True

    def replace(self, document: Document, expires_at: float) -> bool:
        """Save what a request changed; from then on the document is shared, and must not be changed
        again. False where the session was signed out, or changed, meanwhile: then what the store
        has stays.

        :raises StoreError: the store cannot be reached, or does not take it. The document is
            remembered, even where nothing else is, and saved by one of the next reads: it may have
            the only refresh token that still serves.
        """
        generation = self._generation
        try:
            if not replace_document(self._store, document, expires_at):
                self.overlook(document.key)
                return False
        except StoreError:
            self._remember(document, generation, owed_until=expires_at)
            raise
        self._observer.record(DOCUMENT_SIZE, document.size, operation="replace")
        self._remember(document, generation)
        return True

    def extend(self, key: str, expires_at: float) -> bool:
        """Let the record live on with a browser's session that slides along."""
        extended = extend_document(self._store, key, expires_at)
        document = self.read(key) if extended and self._index is not None else None
        if document is not None and self._index is not None:
            self._index.add(hashed_record_key(key), document.claims, expires_at, document.kind)
        return extended

    def delete(self, key: str) -> None:
        """Remove a session's record, here and in the store."""
        try:
            document = self.read(key) if self._index is not None else None
        finally:
            self.overlook(key)
        try:
            delete_document(self._store, key)
        finally:
            # Somebody may have read it in between.
            self.overlook(key)
        if document is not None and self._index is not None:
            try:
                self._index.remove(hashed_record_key(key), document.claims, document.kind)
            except StoreError as error:
                logger.info("A session that has ended is listed until its time: %s", error)

    def overlook(self, key: str) -> None:
        """Remember this session no longer; the store keeps it."""
        self.overlook_hashed(hashed_record_key(key))

    def overlook_hashed(self, hashed: str) -> None:
        """As `overlook`, by the record's hashed key."""
        with self._lock:
            self._generation += 1
            self._drop(hashed)

    def _load(self, key: str) -> Document | None:
        document = load_document(self._store, key)
        if document is not None:
            self._observer.record(DOCUMENT_SIZE, document.size, operation="load")
        return document

    def _recall(self, key: str) -> _Remembered | None:
        hashed = hashed_record_key(key)
        with self._lock:
            remembered = self._remembered.get(hashed)
            if remembered is not None:
                self._remembered.move_to_end(hashed)
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
            return self._settle(remembered.document, remembered.owed_until)
        except StoreError:
            return True  # not yet; it serves all the same

    def _settle(self, document: Document, owed_until: float) -> bool:
        """Save what is owed; its record may have been given a later end meanwhile."""
        if document.ends_at is not None:
            return self.replace(document, document.ends_at)
        now = owed_until if self._expiry is None else self._expiry()
        return self.replace(document, max(owed_until, now))

    def _remember(
        self, document: Document, generation: int, owed_until: float | None = None
    ) -> Document:
        """Remember a document, unless what is remembered is as new; the one to go by.

        :param generation: as it was before the store was asked. A session that has ended since
            is not remembered, unless it is owed: then the store is asked each time.
        """
        hashed = hashed_record_key(document.key)
        is_owed = owed_until is not None
        with self._lock:
            found = self._remembered.get(hashed)
            # Threads that read at once are to share one.
            if (
                found is not None
                and found.document is not document
                and found.document.version >= document.version
                and not is_owed
            ):
                return found.document
            self._drop(hashed)
            if not is_owed and (self._seconds <= 0 or generation != self._generation):
                return document
            self._remembered[hashed] = _Remembered(document, self._clock(), owed_until)
            self._bytes += document.size
            while len(self._remembered) > MAX_DOCUMENTS or self._bytes > MAX_BYTES:
                self._drop(next(iter(self._remembered)))
            return document

    def _forget(self, remembered: _Remembered) -> None:
        """Drop what has proved old, unless somebody has put something else there since."""
        hashed = hashed_record_key(remembered.document.key)
        with self._lock:
            if self._remembered.get(hashed) is remembered:
                self._drop(hashed)

    def _drop(self, hashed: str) -> None:
        found = self._remembered.pop(hashed, None)
        if found is not None:
            self._bytes -= found.document.size
