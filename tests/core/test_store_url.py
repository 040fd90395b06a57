"""TOKEN_STORE: which store a value names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import ConfigurationError
from keyfob.web.stores import (
    MemoryStore,
    SQLiteStore,
    StoreName,
    TokenStore,
    open_store,
    parse_store_url,
)


def path_of(store: TokenStore) -> Path:
    assert isinstance(store, SQLiteStore)
    return store._path


def refused(url: object, *, django: bool = False) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_store_url(url, django=django)
    assert caught.value.setting == "TOKEN_STORE"
    message = str(caught.value)
    assert message.startswith("TOKEN_STORE ")
    assert "hunter2" not in message
    return message


def test_memory_is_opened() -> None:
    assert isinstance(open_store("memory://"), MemoryStore)


def test_three_slashes_are_relative_to_the_given_folder(tmp_path: Path) -> None:
    assert path_of(open_store("sqlite:///a/b.db", base_dir=tmp_path)) == tmp_path / "a" / "b.db"


def test_three_slashes_are_relative_to_the_working_directory_without_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert path_of(open_store("sqlite:///b.db")) == tmp_path / "b.db"


def test_four_slashes_are_absolute(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/b.db"
    assert url.startswith("sqlite:////")
    assert path_of(open_store(url, base_dir="/elsewhere")) == tmp_path / "b.db"


def test_no_path_is_the_default_path(tmp_path: Path) -> None:
    store = open_store("sqlite://", base_dir=tmp_path, default_path="keyfob.db")
    assert path_of(store) == tmp_path / "keyfob.db"
    with pytest.raises(ConfigurationError, match="names no file"):
        open_store("sqlite://")


def test_opening_a_store_touches_nothing(tmp_path: Path) -> None:
    open_store("sqlite:///x/y.db", base_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_clock_is_passed_on() -> None:
    store = open_store("memory://", clock=lambda: 10.0)
    assert store.create("k", b"x", 11.0)
    assert store.load("k")
    store.create("gone", b"x", 10.0)
    assert store.load("gone") is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite://file.db", "three slashes"),
        ("sqlite:/file.db", "three slashes"),
        ("sqlite:file.db", "three slashes"),
        ("sqlite", "is written 'sqlite:///keyfob.sqlite3'"),
        ("sqlite:", "is written 'sqlite:///keyfob.sqlite3'"),
        ("sqlite:///", "file, not a folder"),
        ("sqlite:///folder/", "file, not a folder"),
        ("sqlite:///:memory:", "memory://"),
        ("sqlite:///x.db?mode=ro", "no options"),
        ("sqlite:///x\0.db", "must be a text"),
        ("memory", "is written 'memory://'"),
        ("memory:", "is written 'memory://'"),
        ("memory://x", "is written 'memory://'"),
        ("sqlit:///x.db", "did you mean 'sqlite:///keyfob.sqlite3'?"),
        ("postgres://ada:hunter2@db/x", "there are memory://, sqlite:///keyfob.sqlite3"),
        ("hunter2", "there are memory://"),
        ("://", "there are memory://"),
        ("redis", "is written 'redis://...'"),
        ("redis:cache", "is written 'redis://...'"),
        ("redis:/cache", "is written 'redis://...'"),
        ("reddis://:hunter2@cache", "did you mean 'redis"),
        ("redis+sentinal://:hunter2@cache", "did you mean 'redis+sentinel://...'?"),
        ("django-db", "only Django sites"),
        ("django-cache:default", "only Django sites"),
        ("", "must be a text"),
        (None, "must be a text"),
        (7, "must be a text"),
    ],
)
def test_what_names_no_store_is_told_what_there_is(url: object, said: str) -> None:
    assert said in refused(url)
    if isinstance(url, str):
        with pytest.raises(ConfigurationError):
            open_store(url, default_path="x")


def test_django_has_stores_of_its_own() -> None:
    assert parse_store_url("django-db", django=True) == StoreName("django-db", "")


@pytest.mark.parametrize("url", ["django-db:x", "django-db:", "django-db://", "Django-DB"])
def test_djangos_store_has_its_own_spelling(url: str) -> None:
    assert "is written 'django-db'" in refused(url, django=True)


def test_a_cache_of_djangos_is_named_by_its_alias() -> None:
    name = StoreName("django-cache", "default")
    assert parse_store_url("django-cache:default", django=True) == name
    assert parse_store_url("django-cache:a-b.c_1", django=True).rest == "a-b.c_1"


@pytest.mark.parametrize(
    "url",
    ["django-cache", "django-cache:", "django-cache://x", "django-cache:a b", "DJANGO-CACHE:x"],
)
def test_djangos_cache_has_its_own_spelling(url: str) -> None:
    assert "is written 'django-cache:default'" in refused(url, django=True)


def test_djangos_stores_are_among_those_that_there_are_in_django() -> None:
    assert "django-db" in refused("nonsense://", django=True)
    assert "did you mean 'django-db'?" in refused("djangodb", django=True)
    assert "django" not in refused("nonsense://")


STARTS = st.sampled_from(["", "sqlite:", "sqlite:///", "memory:", "redis://", "django-"])


def outcome(url: str) -> StoreName | ConfigurationError:
    try:
        return parse_store_url(url)
    except ConfigurationError as error:
        return error


@given(STARTS, st.text())
def test_any_text_names_a_store_or_gives_an_error_that_names_the_setting(start, rest) -> None:
    found = outcome(start + rest)
    if isinstance(found, ConfigurationError):
        assert found.setting == "TOKEN_STORE"
    else:
        assert found.kind in ("memory", "sqlite", "redis")
