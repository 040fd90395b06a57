"""The web layer's errors in the place of the database's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import Error, IntegrityError, ProgrammingError
from django.db.transaction import TransactionManagementError

from keyfob.errors import StoreError, StoreUnavailable


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn what the database raises into errors that have a page.

    Their texts say no more than the kind: the database's own may hold what was to be stored.

    :raises StoreError: a table is missing, or not as it should be.
    :raises StoreUnavailable: anything else, such as a database that cannot be reached.
    """
    try:
        yield
    except (TransactionManagementError, IntegrityError):
        # The caller's own transaction was broken before; or a value that the caller must mend.
        raise
    except Error as error:
        kind = type(error.__cause__ or error).__name__
        if isinstance(error, ProgrammingError) or "no such table" in str(error):
            raise StoreError(
                "A table that Keyfob needs is missing, or older than this version of Keyfob, or "
                f"closed to the site's database user ({kind}). Run: manage.py migrate",
                code="no_table",
            ) from error
        raise StoreUnavailable(f"The site's database failed ({kind})") from error
