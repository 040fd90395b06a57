"""The token store in a cache of Django's, on each kind of backend."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.management import call_command
from django.test import override_settings

from django_app.closing_store import ClosingStore
from django_keyfob import cache_locks
from django_keyfob.cache_store import CacheStore
from keyfob.errors import ConfigurationError, StoreUnavailable
from keyfob.web.sealing import KeyRing, Sealer
from keyfob.web.stores import SealedStore, TokenStore
from support.redis_server import RedisServer
from support.store_contract import Clock, StoreContract

BACKENDS = "django.core.cache.backends"
MANY = {"OPTIONS": {"MAX_ENTRIES": 10_000}}


def sealer() -> Sealer:
    return Sealer(KeyRing(["one"], purpose="token store"))


@contextmanager
def cache(backend: str, **more: Any) -> Iterator[Any]:
    configured = {"BACKEND": backend if ":" in backend else f"{BACKENDS}.{backend}", **more}
    configured["BACKEND"] = configured["BACKEND"].removeprefix("own:")
    with override_settings(CACHES={"tokens": configured}):
        yield caches["tokens"]
        caches["tokens"].clear()
        caches.close_all()


class NeverCleared(StoreContract):
    """A cache removes what has expired by itself; nobody can list what is in it."""

    test_clearing_removes_exactly_the_expired_and_counts_them = None  # type: ignore[assignment]
    test_clearing_takes_a_record_whose_life_was_cut_short = None  # type: ignore[assignment]

    def test_clearing_spares_a_record_whose_life_was_extended(
        self, store: TokenStore, clock: Clock
    ) -> None:
        store.create("k", b"x", clock.now + 10)
        version = store.version("k")
        assert version is not None
        store.replace("k", b"y", version, clock.now + 1000)
        clock.advance(500)
        assert store.clear_expired() == 0
        assert store.load("k") is not None


class TestInMemory(NeverCleared):
    @pytest.fixture
    def store(self, clock: Clock) -> Iterator[TokenStore]:
        with cache("locmem.LocMemCache", **MANY):
            yield SealedStore(CacheStore("tokens", clock=clock), sealer())


class TestInFiles(NeverCleared):
    @pytest.fixture
    def store(self, clock: Clock, tmp_path: Path) -> Iterator[TokenStore]:
        with cache("filebased.FileBasedCache", LOCATION=str(tmp_path / "c"), **MANY):
            yield SealedStore(CacheStore("tokens", clock=clock), sealer())


class TestInTheDatabase(NeverCleared):
    @pytest.fixture
    def store(self, clock: Clock) -> Iterator[TokenStore]:
        with cache("db.DatabaseCache", LOCATION="a_cache_table", **MANY):
            call_command("createcachetable", verbosity=0)
            yield ClosingStore(SealedStore(CacheStore("tokens", clock=clock), sealer()))


class TestInRedis(NeverCleared):
    @pytest.fixture
    def store(self, clock: Clock, redis_server: RedisServer) -> Iterator[TokenStore]:
        url = f"redis://{redis_server.address}/9"
        with cache("redis.RedisCache", LOCATION=url):
            yield ClosingStore(SealedStore(CacheStore("tokens", clock=clock), sealer()))


@pytest.fixture
def tokens() -> Iterator[Any]:
    with cache("locmem.LocMemCache", LOCATION="of this test", **MANY) as found:
        yield found


def test_an_unsuitable_cache_is_refused_when_the_store_is_made() -> None:
    with cache("locmem.LocMemCache"):
        with pytest.raises(ConfigurationError, match="did you mean 'tokens'") as caught:
            CacheStore("token")
        assert caught.value.setting == "TOKEN_STORE"
        with pytest.raises(ConfigurationError, match="it has tokens"):
            CacheStore("elsewhere")
    with (
        cache("dummy.DummyCache"),
        pytest.raises(ConfigurationError, match="DummyCache: it keeps nothing"),
    ):
        CacheStore("tokens")
    with (
        override_settings(CACHES={"tokens": {"BACKEND": "not.there"}}),
        pytest.raises(ConfigurationError, match=r"'not\.there' cannot be imported"),
    ):
        CacheStore("tokens")


@pytest.mark.parametrize(
    "value",
    [None, 7, "text", b"", b"short", b"x" * 20, b"x" * 1000, {"a": "dict"}, b"kfc1", ("t", 1)],
)
def test_what_is_no_record_is_a_miss_and_makes_room(tokens: Any, value: object) -> None:
    store = CacheStore("tokens")
    tokens.set("keyfob:record:k", value)
    assert store.load("k") is None
    assert store.version("k") is None
    assert store.replace("k", b"", 1, 9e9) is False
    assert store.delete("k", 1) is False
    assert store.create("k", b"good", 9e9) is True
    record = store.load("k")
    assert record is not None
    assert record.value == b"good"


@pytest.mark.parametrize("damage", [lambda data: data[:30], lambda data: data[:-3], lambda _: b""])
def test_a_file_that_was_cut_off_is_a_miss(tmp_path: Path, damage: Any) -> None:
    with cache("filebased.FileBasedCache", LOCATION=str(tmp_path), **MANY):
        store = CacheStore("tokens")
        store.create("k", b"x" * 100, 9e9)
        (file,) = tmp_path.glob("*.djcache")
        file.write_bytes(damage(file.read_bytes()))
        assert store.load("k") is None
        assert store.create("k", b"good", 9e9)


class Forgetful(LocMemCache):
    """Keeps no large values, and says nothing of it: as memcached does."""

    def set(self, key: Any, value: Any, *arguments: Any, **more: Any) -> None:
        if isinstance(value, str) or len(value) < 100:
            super().set(key, value, *arguments, **more)


def test_a_value_that_the_cache_drops_without_a_word_is_an_error() -> None:
    with cache(f"own:{__name__}.Forgetful"):
        store = CacheStore("tokens")
        assert store.create("k", b"x", 9e9)
        version = store.version("k")
        assert version is not None
        with pytest.raises(StoreUnavailable, match="did not keep a record of"):
            store.create("large", b"x" * 100, 9e9)
        with pytest.raises(StoreUnavailable, match="did not keep"):
            store.replace("k", b"x" * 100, version, 9e9)


def test_a_cache_that_cannot_be_reached_is_a_store_that_cannot(redis_server: RedisServer) -> None:
    with (
        RedisServer() as server,
        override_settings(
            CACHES={
                "tokens": {
                    "BACKEND": f"{BACKENDS}.redis.RedisCache",
                    "LOCATION": f"redis://{server.address}/0",
                    "OPTIONS": {"retry": None, "socket_timeout": 5},
                }
            }
        ),
    ):
        store = CacheStore("tokens")
        assert store.create("session-key", b"refresh-token", 9e9)
        server.stop()
        for ask in (
            lambda: store.load("session-key"),
            lambda: store.create("session-key", b"refresh-token", 9e9),
            lambda: store.delete("session-key"),
        ):
            with pytest.raises(StoreUnavailable, match="'tokens' failed") as caught:
                ask()
            assert "session-key" not in str(caught.value)
        server.start()
        assert store.create("session-key", b"refresh-token", 9e9)
        caches.close_all()


def test_a_missing_table_is_cured_by_createcachetable() -> None:
    with (
        override_settings(
            CACHES={"tokens": {"BACKEND": f"{BACKENDS}.db.DatabaseCache", "LOCATION": "not_there"}}
        ),
        pytest.raises(StoreUnavailable, match=r"manage\.py createcachetable"),
    ):
        CacheStore("tokens").load("k")


# --- locks


def test_a_lock_that_somebody_died_with_ends_by_itself(
    tokens: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CacheStore("tokens")
    tokens.add("keyfob:lock:k", "somebody's", 0.5)
    assert store.create("k", b"x", 9e9)
    monkeypatch.setattr(cache_locks, "WAIT_SECONDS", 0.05)
    tokens.add("keyfob:lock:k", "somebody's", 60)
    with pytest.raises(StoreUnavailable, match="locked by others"):
        store.replace("k", b"y", 1, 9e9)
    assert tokens.get("keyfob:lock:k") == "somebody's"
    assert store.load("k"), "reading needs no lock"


def test_who_was_too_slow_changes_nothing_and_leaves_the_next_ones_lock_alone(
    tokens: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CacheStore("tokens")
    store.create("k", b"one", 9e9)
    version = store.version("k")
    assert version is not None
    now = time.monotonic()
    moments = iter([now, now])  # to wait until, and when it was acquired; afterwards it is late

    class Late:
        monotonic = staticmethod(lambda: next(moments, now + cache_locks.LOCK_SECONDS))

    monkeypatch.setattr(cache_locks, "time", Late)
    with pytest.raises(StoreUnavailable, match="too slow"):
        store.replace("k", b"two", version, 9e9)
    assert store.version("k") == version
    assert tokens.get("keyfob:lock:k"), "it may be the next one's by now"


def test_a_lock_is_let_go_of_after_an_error(tokens: Any) -> None:
    store = CacheStore("tokens")
    with pytest.raises(TypeError):
        store.create("k", None, 9e9)  # type: ignore[arg-type]
    assert tokens.get("keyfob:lock:k") is None
    assert store.create("k", b"x", 9e9)


CHILD = """
import sys, django
from django.conf import settings
settings.configure(CACHES={"tokens": {
    "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
    "LOCATION": sys.argv[1], "OPTIONS": {"MAX_ENTRIES": 10000}}})
django.setup()
from django_keyfob.cache_store import CacheStore
store = CacheStore("tokens")
for _ in range(25):
    while True:
        record = store.load("k")
        if store.replace("k", b"%d" % (int(record.value) + 1), record.version, 9e9):
            break
"""


def test_processes_that_share_files_lose_no_change(tmp_path: Path) -> None:
    with cache("filebased.FileBasedCache", LOCATION=str(tmp_path), **MANY):
        store = CacheStore("tokens")
        store.create("k", b"0", 9e9)
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        children = [
            subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(CHILD), str(tmp_path)], env=environ
            )
            for _ in range(3)
        ]
        assert [child.wait(120) for child in children] == [0, 0, 0]
        record = store.load("k")
        assert record is not None
        assert record.value == b"75"


def test_nothing_is_touched_when_the_store_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    with override_settings(
        CACHES={
            "tokens": {"BACKEND": f"{BACKENDS}.filebased.FileBasedCache", "LOCATION": str(folder)}
        }
    ):
        assert "tokens" in repr(CacheStore("tokens"))
    assert not folder.exists()
