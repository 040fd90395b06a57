"""Each system check: its id, what it says, and the cure that it names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.core.checks import run_checks
from django.test import override_settings
from django.urls import path

from django_keyfob.backends import KeyfobBackend
from django_keyfob.conf import current_site
from keyfob.web import processes

STOCK = "django.contrib.auth.middleware.AuthenticationMiddleware"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
OURS = "django_keyfob.middleware.KeyfobMiddleware"

urlpatterns = [path("nothing", lambda _: None)]  # type: ignore[arg-type,return-value]


def found(*, deploy: bool = False) -> dict[str, Any]:
    messages = run_checks(include_deployment_checks=deploy)
    return {str(each.id): each for each in messages if str(each.id).startswith("keyfob.")}


def chain(*, without: str = "", last: str = "") -> list[str]:
    kept = [name for name in settings.MIDDLEWARE if name not in (without, last)]
    return [*kept, last] if last else kept


def test_the_quick_start_has_nothing_to_complain_about() -> None:
    assert found(deploy=True) == {}


def test_settings_that_cannot_be_used() -> None:
    with override_settings(KEYFOB={"TENANT": "x"}):
        error = found()["keyfob.E001"]
    assert "TENANT_ID" in error.msg
    assert "CLIENT_ID" in error.msg
    assert error.hint


@pytest.mark.parametrize("value", ["text", ["list"], 7])
def test_settings_that_are_no_dict(value: object) -> None:
    with override_settings(KEYFOB=value):
        assert "must be a dict" in found()["keyfob.E001"].msg


@contextmanager
def stored_in(store: str, **caches: dict[str, object]) -> Iterator[None]:
    keyfob = {**settings.KEYFOB, "TOKEN_STORE": store}
    with override_settings(KEYFOB=keyfob, CACHES={"default": LOCMEM, **caches}):
        yield


LOCMEM: dict[str, object] = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
FILES: dict[str, object] = {
    "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
    "LOCATION": "/nowhere",
}


def test_a_cache_that_there_is_not() -> None:
    with stored_in("django-cache:defualt"):
        message = found()["keyfob.E001"].msg
    assert "'defualt', which is not in CACHES; did you mean 'default'?" in message


def test_a_cache_that_keeps_nothing() -> None:
    dummy: dict[str, object] = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    with stored_in("django-cache:nothing", nothing=dummy):
        assert "keeps nothing" in found()["keyfob.E001"].msg


def test_a_cache_that_throws_out_entries_at_300() -> None:
    with stored_in("django-cache:files", files=FILES):
        warning = found()["keyfob.W005"]
    assert "keeps 300 entries" in warning.msg
    assert "MAX_ENTRIES" in warning.hint
    enough = {**FILES, "OPTIONS": {"MAX_ENTRIES": 100_000}}
    with stored_in("django-cache:files", files=enough):
        assert found() == {}


def test_a_missing_middleware() -> None:
    with override_settings(MIDDLEWARE=chain(without=OURS)):
        error = found()["keyfob.E002"]
    assert OURS in error.msg
    assert "after" in error.hint


@pytest.mark.parametrize("needed", [STOCK, SESSIONS])
def test_a_middleware_that_comes_too_early(needed: str) -> None:
    with override_settings(MIDDLEWARE=chain(last=needed)):
        assert needed in found()["keyfob.E003"].msg


@pytest.mark.parametrize("needed", [STOCK, SESSIONS])
def test_a_stock_middleware_that_is_missing(needed: str) -> None:
    with override_settings(MIDDLEWARE=chain(without=needed)):
        assert needed in found()["keyfob.E004"].msg


def test_a_missing_backend() -> None:
    with override_settings(
        AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.ModelBackend", "not.there"]
    ):
        error = found()["keyfob.E005"]
    assert "django_keyfob.backends.KeyfobBackend" in error.hint


def test_missing_addresses() -> None:
    with override_settings(ROOT_URLCONF=__name__):
        error = found()["keyfob.E006"]
    assert 'include("django_keyfob.urls")' in error.hint


@pytest.mark.parametrize("url", ["/accounts/login/", "no:such"])
def test_a_login_url_that_leads_elsewhere(url: str) -> None:
    with override_settings(LOGIN_URL=url):
        assert found()["keyfob.W001"].hint == 'LOGIN_URL = "keyfob:login"'


@pytest.mark.parametrize("store", ["memory://", "django-cache:default"])
def test_a_store_of_one_process_on_a_public_site(store: str) -> None:
    with stored_in(store):
        assert "database" in found()["keyfob.W002"].hint
        with override_settings(DEBUG=True):
            assert found() == {}


@pytest.mark.parametrize("store", ["memory://", "django-cache:default"])
def test_a_store_of_one_process_under_a_server_with_several(
    store: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(processes, "worker_count", lambda: 4)
    with stored_in(store):
        current_site()
        current_site()
    (record,) = caplog.records
    assert "the site's database" in record.getMessage()


def test_a_store_of_one_process_under_a_server_with_one(caplog: pytest.LogCaptureFixture) -> None:
    with stored_in("memory://"):
        current_site()
    assert caplog.records == []


def test_a_session_cookie_that_does_not_come_back_from_the_provider() -> None:
    with override_settings(SESSION_COOKIE_SAMESITE="Strict"):
        assert "Lax" in found(deploy=True)["keyfob.W003"].hint


OURS_AND_PASSWORDS = [
    "django_keyfob.backends.KeyfobBackend",
    "django_app.test_checks.Subclass",
    "django.contrib.auth.backends.ModelBackend",
]


class Subclass(KeyfobBackend):
    """As a site may have it."""


class ByName(ModelBackend):
    """Finds users by a name, as LDAP does."""


@pytest.mark.parametrize(
    "other",
    [
        "django.contrib.auth.backends.RemoteUserBackend",
        "django_app.test_checks.ByName",
        "not.there",
    ],
)
def test_a_backend_that_may_find_our_users_by_name(other: str) -> None:
    with override_settings(AUTHENTICATION_BACKENDS=[*OURS_AND_PASSWORDS, other]):
        warning = found()["keyfob.W004"]
    assert repr(other) in warning.msg
    assert "ModelBackend'" not in warning.msg
    assert "create_user()" in warning.hint
    with override_settings(AUTHENTICATION_BACKENDS=OURS_AND_PASSWORDS):
        assert found() == {}
