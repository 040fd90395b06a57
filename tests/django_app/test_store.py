"""The token store in the site's database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import IntegrityError, OperationalError, ProgrammingError, transaction

from django_app.closing_store import ClosingStore
from django_keyfob.models import TokenRecord
from django_keyfob.store import DatabaseStore
from keyfob.errors import StoreError, StoreUnavailable
from keyfob.web.stores import TokenStore
from support.store_contract import Clock, StoreContract


class TestDatabaseStore(StoreContract):
    @pytest.fixture
    def store(self, clock: Clock) -> Iterator[TokenStore]:
        store = ClosingStore(DatabaseStore(clock=clock))
        yield store
        store.close()


class TestDatabaseStoreInATransaction(StoreContract):
    """As in a view under ATOMIC_REQUESTS."""

    @pytest.fixture
    def store(self, clock: Clock) -> Iterator[TokenStore]:
        with transaction.atomic():
            yield DatabaseStore(clock=clock)

    # Other threads have other connections, and wait for this transaction.
    test_of_many_that_delete_one_version_one_has_done_it = None  # type: ignore[assignment]
    test_of_threads_that_create_at_once_one_succeeds = None  # type: ignore[assignment]
    test_of_threads_that_replace_one_version_at_once_one_succeeds = None  # type: ignore[assignment]
    test_no_change_is_lost_when_threads_load_and_replace_until_it_works = None  # type: ignore[assignment]


def test_a_taken_key_does_not_spoil_the_views_transaction() -> None:
    store = DatabaseStore()
    with transaction.atomic():
        assert store.create("k", b"one", 9e9)
        assert not store.create("k", b"two", 9e9)
        assert TokenRecord.objects.count() == 1


def test_a_write_removes_some_of_what_has_expired_at_most_once_a_minute() -> None:
    clock = Clock()
    store = DatabaseStore(clock=clock)
    store.create("first", b"x", clock.now + 1)
    clock.advance(10)
    store.create("second", b"x", clock.now + 1)
    assert TokenRecord.objects.count() == 2
    store._next_cleaning = 0
    TokenRecord.objects.bulk_create(
        TokenRecord(key=f"old {n}", value=b"", version=1, expires_at=1.0) for n in range(300)
    )
    store.create("third", b"x", clock.now + 100)
    assert TokenRecord.objects.count() == 103


def test_a_missing_table_is_cured_by_migrate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TokenRecord._meta, "db_table", "not_there")
    with pytest.raises(StoreError, match=r"manage\.py migrate") as caught:
        DatabaseStore().load("k")
    assert not isinstance(caught.value, StoreUnavailable)
    with pytest.raises(StoreError, match=r"manage\.py migrate"):
        DatabaseStore().create("k", b"", 9e9)


@pytest.mark.parametrize(
    ("error", "kind"),
    [(OperationalError("secret"), StoreUnavailable), (ProgrammingError("secret"), StoreError)],
)
def test_a_database_that_fails_is_a_store_that_fails(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[StoreError]
) -> None:
    def fail(*_: object) -> None:
        raise error

    store = DatabaseStore()
    monkeypatch.setattr(store, "_all", fail)
    for use in (
        lambda: store.load("k"),
        lambda: store.replace("k", b"", 1, 9e9),
        lambda: store.delete("k"),
        store.clear_expired,
    ):
        with pytest.raises(kind) as caught:
            use()
        assert type(caught.value) is kind
        assert "secret" not in str(caught.value)


def test_cleaning_that_fails_keeps_no_write_from_being_done(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> int:
        raise OperationalError("locked")

    monkeypatch.setattr(DatabaseStore, "_clear_batch", fail)
    assert DatabaseStore().create("k", b"x", 9e9)
    assert "could not be removed" in caplog.text


def test_an_integrity_error_is_nobodys_but_ours() -> None:
    from django_keyfob.database_errors import database_errors

    with pytest.raises(IntegrityError), database_errors():
        raise IntegrityError
