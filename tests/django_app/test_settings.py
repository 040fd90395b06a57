"""Settings: read late, in one place, and anew when a test changes them."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from django.conf import settings
from django.test import override_settings

from django_keyfob.backends import KeyfobBackend, is_keyfob_backend
from django_keyfob.cache_store import CacheStore
from django_keyfob.conf import DjangoSite, build_site, current_site
from django_keyfob.store import DatabaseStore
from keyfob.web import WebApplication
from keyfob.web.stores import CircuitStore, RedisStore, TokenStore


def test_the_site_is_made_once_for_all_threads() -> None:
    with override_settings(SECRET_KEY="another key of more than thirty characters in all"):
        sites: list[DjangoSite] = []
        threads = [threading.Thread(target=lambda: sites.append(current_site())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(site) for site in sites}) == 1


def test_a_changed_setting_makes_another_site_and_closes_the_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed: list[object] = []

    def close(self: DjangoSite) -> None:
        closed.append(self)

    monkeypatch.setattr(DjangoSite, "close", close)
    before = current_site()
    with override_settings(KEYFOB={**settings.KEYFOB, "CLIENT_ID": "another"}):
        assert closed == [before]
        assert current_site().settings.client_id == "another"
    assert current_site().settings.client_id == "a-client"
    with override_settings(LOGIN_URL="/elsewhere"):
        assert len(closed) == 2


def test_what_a_backend_is_is_found_out_once_and_anew_when_a_test_changes_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def import_string(path: str) -> object:
        asked.append(path)
        return KeyfobBackend

    with override_settings(AUTHENTICATION_BACKENDS=[]):
        monkeypatch.setattr("django_keyfob.backends.import_string", import_string)
        assert is_keyfob_backend("a.path")
        assert is_keyfob_backend("a.path")
        assert asked == ["a.path"]
    assert is_keyfob_backend("a.path")
    assert asked == ["a.path", "a.path"]
    is_keyfob_backend.cache_clear()


def test_the_environment_speaks_where_the_settings_are_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KEYFOB_CLIENT_ID", "from-the-environment")
    quiet = {name: value for name, value in settings.KEYFOB.items() if name != "CLIENT_ID"}
    with override_settings(KEYFOB=quiet):
        assert current_site().settings.client_id == "from-the-environment"


def test_what_an_older_secret_key_sealed_can_still_be_read() -> None:
    old, new = (
        "an old key of more than thirty characters",
        "a new key of more than thirty characters",
    )
    with override_settings(SECRET_KEY=old):
        sealed = current_site().sealer.seal_text(b"x", context="test", now=0)
    with override_settings(SECRET_KEY=new, SECRET_KEY_FALLBACKS=[old]):
        site = current_site()
        assert site.sealer.unseal_text(sealed, context="test", max_age=10, now=0) == b"x"
        newer = site.sealer.seal_text(b"x", context="test", now=0)
    with override_settings(SECRET_KEY=new):
        unsealed = current_site().sealer.unseal_text(newer, context="test", max_age=10, now=0)
        assert unsealed == b"x"


def test_the_database_is_the_default_store() -> None:
    assert isinstance(store_of(current_site()), DatabaseStore)


def store_of(site: WebApplication) -> TokenStore:
    """The one that there is behind the seal and, as neither is local, the circuit."""
    circuit = site.store._store
    assert isinstance(circuit, CircuitStore)
    return circuit._store


def test_records_last_as_long_as_sessions() -> None:
    with override_settings(SESSION_COOKIE_AGE=100):
        site = current_site()
        assert 99 <= site.document_expiry() - site.clock() <= 101


@pytest.mark.parametrize(
    ("name", "kind"),
    [("django-cache:default", CacheStore), ("redis://cache.example/1", RedisStore)],
)
def test_a_store_is_chosen_by_its_name(name: str, kind: type) -> None:
    with override_settings(KEYFOB={**settings.KEYFOB, "TOKEN_STORE": name}):
        assert isinstance(store_of(build_site()), kind)


def test_importing_needs_no_settings() -> None:
    names = "apps, conf, checks, middleware, decorators, mixins, exchange, session, receivers"
    code = f"from django_keyfob import {names}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
