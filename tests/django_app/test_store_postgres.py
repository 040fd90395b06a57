"""Django's stores on PostgreSQL: a database of several machines, which also goes away and comes
back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections, transaction
from django.test import override_settings

from django_app.closing_store import ClosingStore
from django_app.test_cache_store import NeverCleared, sealer
from django_keyfob.cache_store import CacheStore
from django_keyfob.models import TokenRecord
from django_keyfob.store import DatabaseStore
from keyfob.errors import StoreUnavailable
from keyfob.web.stores import SealedStore, TokenStore
from support.postgres import PostgresServer, postgres_server
from support.store_contract import Clock, StoreContract

__all__ = ["postgres_server"]

ALIAS = "postgres"


class ToPostgres:
    """A router that sends everything there."""

    def db_for_read(self, _model: Any, **_: Any) -> str:
        return ALIAS

    def db_for_write(self, _model: Any, **_: Any) -> str:
        return ALIAS


@pytest.fixture(scope="session")
def database_there(postgres_server: PostgresServer) -> Iterator[None]:
    pytest.importorskip("psycopg")
    connections.databases[ALIAS] = {
        **connections.databases["default"],
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "HOST": postgres_server.host,
        "USER": postgres_server.user,
        "OPTIONS": {},
    }
    call_command("migrate", database=ALIAS, verbosity=0, interactive=False)
    yield
    connections[ALIAS].close()
    del connections[ALIAS]
    del connections.databases[ALIAS]


@pytest.fixture(autouse=True)
def on_postgres(database_there: None) -> Iterator[None]:
    with override_settings(DATABASE_ROUTERS=[ToPostgres()]):
        yield
        TokenRecord.objects.using(ALIAS).all().delete()
    connections[ALIAS].close()


class TestDatabaseStoreOnPostgres(StoreContract):
    @pytest.fixture
    def store(self, clock: Clock) -> TokenStore:
        return ClosingStore(DatabaseStore(clock=clock))


class TestDatabaseCacheOnPostgres(NeverCleared):
    @pytest.fixture
    def store(self, clock: Clock) -> Iterator[TokenStore]:
        backend = "django.core.cache.backends.db.DatabaseCache"
        caches = {
            "tokens": {
                "BACKEND": backend,
                "LOCATION": "a_cache_table",
                "OPTIONS": {"MAX_ENTRIES": 10_000},
            }
        }
        with override_settings(CACHES=caches):
            call_command("createcachetable", database=ALIAS, verbosity=0)
            yield ClosingStore(SealedStore(CacheStore("tokens", clock=clock), sealer()))
            with connections[ALIAS].cursor() as cursor:
                cursor.execute("DELETE FROM a_cache_table")


def test_a_database_that_was_restarted_is_found_again(postgres_server: PostgresServer) -> None:
    store = DatabaseStore()
    store.create("k", b"kept", 9e9)
    postgres_server.stop()
    try:
        # As at the start of a request: Django looks whether the connection still works.
        for _ in range(2):
            with pytest.raises(StoreUnavailable) as caught:
                store.load("k")
            assert "kept" not in str(caught.value)
            connections[ALIAS].close_if_unusable_or_obsolete()
    finally:
        postgres_server.start()
    record = store.load("k")
    assert record is not None
    assert record.value == b"kept"


def test_a_taken_key_does_not_spoil_the_views_transaction() -> None:
    store = DatabaseStore()
    with transaction.atomic(using=ALIAS):
        assert store.create("k", b"one", 9e9)
        assert not store.create("k", b"two", 9e9)
        record = store.load("k")
    assert record is not None
    assert record.value == b"one"
