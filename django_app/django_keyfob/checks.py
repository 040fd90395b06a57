"""System checks: what is wrong with a project's settings, by id, and how to mend it."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, reverse

from django_keyfob.conf import build_site, private_store, read_settings
from keyfob.errors import ConfigurationError
from keyfob.web.stores import parse_store_url

_SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
_AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
_OURS = "django_keyfob.middleware.KeyfobMiddleware"
_BACKEND = "django_keyfob.backends.KeyfobBackend"
# Each person who is signed in needs one; each attempt to sign in another, for ten minutes.
_ENOUGH_ENTRIES = 10_000
# They want a password, and users of ours have none.
_PASSWORDS = (
    "django.contrib.auth.backends.ModelBackend",
    "django.contrib.auth.backends.AllowAllUsersModelBackend",
)


def check_settings(**_: Any) -> list[CheckMessage]:
    """E001: KEYFOB, and the environment."""
    try:
        build_site().close()
    except ConfigurationError as error:
        return [
            Error(
                f"Keyfob's settings cannot be used.\n{error}",
                hint="Every setting is described in docs/settings.md.",
                id="keyfob.E001",
            )
        ]
    return []


def check_wiring(**_: Any) -> list[CheckMessage]:
    """E002 to E005: what must be in the project's other settings."""
    found: list[CheckMessage] = []
    chain = list(settings.MIDDLEWARE)
    if _ours(chain) is None:
        found.append(
            _error(2, f"{_OURS!r} is not in MIDDLEWARE.", f"Add it after {_AUTHENTICATION!r}.")
        )
    for needed in (_SESSIONS, _AUTHENTICATION):
        found += _check_before_ours(chain, needed)
    for app in ("django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"):
        if not apps.is_installed(app):
            found.append(_error(4, f"{app!r} is not in INSTALLED_APPS.", "Add it."))
    from django_keyfob.backends import is_keyfob_backend

    if not any(is_keyfob_backend(path) for path in settings.AUTHENTICATION_BACKENDS):
        found.append(
            _error(
                5,
                f"AUTHENTICATION_BACKENDS has neither {_BACKEND!r} nor a subclass of it, so that "
                "nobody could be signed in.",
                f"AUTHENTICATION_BACKENDS = [{_BACKEND!r}], with other backends beside it if "
                "there are other ways to sign in.",
            )
        )
    return found


def check_other_backends(**_: Any) -> list[CheckMessage]:
    """W004: backends that may find, by a name, a user whom ours made of somebody else."""
    from django_keyfob.backends import is_keyfob_backend

    others = [
        path
        for path in settings.AUTHENTICATION_BACKENDS
        if path not in _PASSWORDS and not is_keyfob_backend(path)
    ]
    if not others:
        return []
    return [
        Warning(
            f"AUTHENTICATION_BACKENDS has {', '.join(map(repr, others))}. A backend that finds "
            "users by their name (RemoteUserBackend, LDAP) would give its people a user of that "
            "name who was made by Keyfob for somebody else: at many providers people choose their "
            "user name themselves.",
            hint="If it does, give users of Keyfob names that it never looks for: in create_user() "
            "of a subclass of KeyfobBackend. If it does not, put keyfob.W004 into "
            "SILENCED_SYSTEM_CHECKS.",
            id="keyfob.W004",
        )
    ]


def check_urls(**_: Any) -> list[CheckMessage]:
    """E006, W001: our addresses, and whether LOGIN_URL leads there."""
    try:
        reverse("keyfob:callback")
        login = reverse("keyfob:login")
    except NoReverseMatch:
        return [
            _error(
                6,
                "Keyfob's addresses are not in the URLconf.",
                'Add path("auth/", include("django_keyfob.urls")) to urlpatterns.',
            )
        ]
    try:
        leads_to_us = resolve_url(settings.LOGIN_URL) == login
    except NoReverseMatch:
        leads_to_us = False
    if leads_to_us:
        return []
    return [
        Warning(
            f"LOGIN_URL is {settings.LOGIN_URL!r}: @login_required sends people there, and not to "
            "Keyfob.",
            hint='LOGIN_URL = "keyfob:login"',
            id="keyfob.W001",
        )
    ]


def check_store(**_: Any) -> list[CheckMessage]:
    """W002, W005: stores that lose what they should keep, unless the site is being developed."""
    if settings.DEBUG:
        return []
    try:
        store = read_settings().token_store
        private = private_store(store)
    except ConfigurationError:
        return []  # E001 says so
    if private:
        return [
            Warning(
                f"TOKEN_STORE is {private}: each process of the site knows only the sign-ins that "
                "it saw itself.",
                hint="Leave TOKEN_STORE out to use the site's database.",
                id="keyfob.W002",
            )
        ]
    kind, alias = parse_store_url(store or "django-db", django=True)
    return _check_cache(alias) if kind == "django-cache" else []


def _check_cache(alias: str) -> list[CheckMessage]:
    from django_keyfob.cache_store import cache_class, most_entries

    backend, most = cache_class(alias), most_entries(alias)
    if not issubclass(backend, (DatabaseCache, FileBasedCache)) or most >= _ENOUGH_ENTRIES:
        return []
    return [
        Warning(
            f"TOKEN_STORE is the cache {alias!r}, which keeps {most} entries and then throws "
            "others out at random: each is somebody who is signed out.",
            hint='Give it {"OPTIONS": {"MAX_ENTRIES": 100_000}} in CACHES, or leave TOKEN_STORE '
            "out to use the site's database without a cache in between.",
            id="keyfob.W005",
        )
    ]


def check_deployment(**_: Any) -> list[CheckMessage]:
    """W003: what works on one's own machine only."""
    found: list[CheckMessage] = []
    if settings.SESSION_COOKIE_SAMESITE == "Strict":
        found.append(
            Warning(
                "SESSION_COOKIE_SAMESITE is 'Strict': coming back from the provider, a browser "
                "does not send the session's cookie, so that people seem not to be signed in.",
                hint='SESSION_COOKIE_SAMESITE = "Lax"',
                id="keyfob.W003",
            )
        )
    return found


def _check_before_ours(chain: list[str], needed: str) -> list[CheckMessage]:
    ours = _ours(chain)
    place = _place(chain, needed)
    if place is None:
        return [_error(4, f"{needed!r} is not in MIDDLEWARE.", f"Add it before {_OURS!r}.")]
    if ours is not None and ours < place:
        return [
            _error(
                3,
                f"{chain[ours]!r} comes before {needed!r} in MIDDLEWARE.",
                "Move it behind.",
            )
        ]
    return []


def _ours(chain: list[str]) -> int | None:
    from django_keyfob.middleware import KeyfobMiddleware

    return _place(chain, _OURS, KeyfobMiddleware)


def _place(chain: list[str], path: str, base: type | None = None) -> int | None:
    """Where in MIDDLEWARE a class is, or a subclass of it."""
    from django.utils.module_loading import import_string

    parent: type = base or import_string(path)
    for number, entry in enumerate(chain):
        if entry == path:
            return number
        try:
            found = import_string(entry)
        except ImportError:
            continue  # Django says so itself, when it loads the middleware
        if isinstance(found, type) and issubclass(found, parent):
            return number
    return None


def _error(number: int, message: str, hint: str) -> CheckMessage:
    return Error(message, hint=hint, id=f"keyfob.E{number:03}")
