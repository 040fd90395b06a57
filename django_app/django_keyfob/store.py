"""The token store `django-db`: the site's own database, shared by all its processes and machines.

It uses the connection that the request uses. In a view under ATOMIC_REQUESTS that raises, a token
that was refreshed on the way is rolled back with everything else; see docs/django.md.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django.db import IntegrityError, router, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Greatest

from django_keyfob.database_errors import database_errors
from django_keyfob.models import TokenRecord
from keyfob.errors import StoreError
from keyfob.web.stores import Record, first_version

# Expired records are removed by one write a minute, so many at once.
_CLEANING_INTERVAL = 60.0
_CLEANING_BATCH = 200

_logger = logging.getLogger("keyfob.store")


class DatabaseStore:
    """Keeps records in the table of `TokenRecord`, in the database that the routers name for it.

    :param clock: gives the time in seconds since 1970.
    """

    #: It is in the next room or on the next continent: nobody knows.
    is_local = False
    kind = "django-db"

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._cleaning = threading.Lock()
        self._next_cleaning = 0.0

    def __repr__(self) -> str:
        return "<DatabaseStore>"

    def load(self, key: str) -> Record | None:
        with database_errors():
            live = self._records(key).filter(expires_at__gt=self._clock())
            row = live.values_list("value", "version").first()
        return Record(bytes(row[0]), row[1]) if row else None

    def version(self, key: str) -> int | None:
        with database_errors():
            live = self._records(key).filter(expires_at__gt=self._clock())
            version: int | None = live.values_list("version", flat=True).first()
        return version

    def create(self, key: str, value: bytes, expires_at: float) -> bool:
        new = TokenRecord(
            key=key, value=value, version=first_version(), expires_at=float(expires_at)
        )
        with database_errors():
            done = self._insert(new) or self._take_over(new)
        self._clean_now_and_then()
        return done

    def replace(self, key: str, value: bytes, version: int, expires_at: float) -> bool:
        # One statement, which the database lets only one of several callers do.
        with database_errors():
            current = self._records(key).filter(version=version, expires_at__gt=self._clock())
            done = current.update(
                value=value, version=F("version") + 1, expires_at=float(expires_at)
            )
        return bool(done == 1)

    def extend(self, key: str, expires_at: float) -> bool:
        with database_errors():
            live = self._records(key).filter(expires_at__gt=self._clock())
            done = live.update(expires_at=Greatest(F("expires_at"), float(expires_at)))
        return bool(done == 1)

    def delete(self, key: str, version: int | None = None) -> bool:
        with database_errors():
            live = self._records(key).filter(expires_at__gt=self._clock())
            if version is not None:
                live = live.filter(version=version)
            removed: int = live.delete()[0]
        return removed == 1

    def clear_expired(self) -> int:
        removed = 0
        with database_errors():
            while batch := self._clear_batch():
                removed += batch
        return removed

    def close(self) -> None:
        """Nothing: Django opens and closes the connections."""

    def _all(self) -> QuerySet[TokenRecord]:
        # Also to read: a replica may not have what was written a moment ago.
        records: QuerySet[TokenRecord] = TokenRecord.objects.using(router.db_for_write(TokenRecord))
        return records

    def _records(self, key: str) -> QuerySet[TokenRecord]:
        records: QuerySet[TokenRecord] = self._all().filter(pk=key)
        return records

    def _insert(self, new: TokenRecord) -> bool:
        database = router.db_for_write(TokenRecord)
        try:
            # The savepoint keeps a refused insert from spoiling the request's own transaction.
            with transaction.atomic(using=database):
                new.save(force_insert=True, using=database)
        except IntegrityError:
            return False
        return True

    def _take_over(self, new: TokenRecord) -> bool:
        """Put the record in the place of one that has expired."""
        expired = self._records(new.key).filter(expires_at__lte=self._clock())
        done = expired.update(value=new.value, version=new.version, expires_at=new.expires_at)
        return bool(done == 1)

    def _clean_now_and_then(self) -> None:
        now = time.monotonic()
        with self._cleaning:
            if now < self._next_cleaning:
                return
            self._next_cleaning = now + _CLEANING_INTERVAL
        try:
            with (
                database_errors(),
                transaction.atomic(using=router.db_for_write(TokenRecord)),
            ):
                self._clear_batch()
        except StoreError as error:
            # What was to be written is written; the next minute's write tries again.
            _logger.warning("Expired records could not be removed: %s", error)

    def _clear_batch(self) -> int:
        now = self._clock()
        expired = self._all().filter(expires_at__lte=now).order_by("expires_at")
        # Two statements: MySQL does not delete with a limit in a subquery. The second looks again,
        # for a record may have been taken over meanwhile.
        keys = list(expired.values_list("pk", flat=True)[:_CLEANING_BATCH])
        if not keys:
            return 0
        removed: int = self._all().filter(pk__in=keys, expires_at__lte=now).delete()[0]
        return removed
