"""The one place that reads Django's settings, and what is made of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, cast

from django.apps import apps
from django.conf import settings

from keyfob.errors import ConfigurationError
from keyfob.web import Settings, WebApplication, WebSession, load_settings
from keyfob.web.easy_auth import BoundSession
from keyfob.web.stores import TokenStore, open_store, parse_store_url

if TYPE_CHECKING:
    from django_keyfob.apps import KeyfobConfig


class DjangoSite(WebApplication):
    """A site in which each request has one `WebSession`, which also knows of Django's sign-in."""

    def session(self, session: MutableMapping[str, Any]) -> WebSession:
        from django_keyfob.session import BrowserSession

        inner = session.inner if isinstance(session, BoundSession) else session
        if isinstance(inner, BrowserSession):
            return inner.keyfob
        return super().session(session)


def current_site() -> DjangoSite:
    """The site that the settings describe.

    :raises ConfigurationError: a setting is missing or wrong.
    """
    return cast("KeyfobConfig", apps.get_app_config("django_keyfob")).site


def read_settings() -> Settings:
    """The settings in `KEYFOB` and, where it is silent, in the environment.

    :raises ConfigurationError: one line for each that is missing or wrong.
    """
    explicit = getattr(settings, "KEYFOB", None) or {}
    if not isinstance(explicit, Mapping):
        raise ConfigurationError(
            "KEYFOB must be a dict, such as "
            'KEYFOB = {"TENANT_ID": "...", "CLIENT_ID": "...", "CLIENT_SECRET": "..."}',
            setting="KEYFOB",
        )
    return load_settings(explicit, os.environ, source="django")


def build_site() -> DjangoSite:
    """A new site. Neither the network nor the database is touched."""
    found = read_settings()
    return DjangoSite(
        found,
        store=_token_store(found.token_store or "django-db"),
        secrets=[*reversed(settings.SECRET_KEY_FALLBACKS), settings.SECRET_KEY],
        session_lifetime=lambda: settings.SESSION_COOKIE_AGE,
    )


def private_store(store: str | None) -> str:
    """How a TOKEN_STORE that each process has for itself is called, or "" for any other.

    :param store: the setting's value.
    """
    from django.core.cache.backends.locmem import LocMemCache

    from django_keyfob.cache_store import cache_class

    kind, rest = parse_store_url(store or "django-db", django=True)
    if kind == "memory":
        return "memory://"
    if kind == "django-cache" and issubclass(cache_class(rest), LocMemCache):
        return f"the cache {rest!r} (LocMemCache)"
    return ""


def _token_store(url: str) -> TokenStore:
    kind, rest = parse_store_url(url, django=True)
    if kind == "django-cache":
        from django_keyfob.cache_store import CacheStore

        return CacheStore(rest)
    if kind == "django-db":
        from django_keyfob.store import DatabaseStore

        return DatabaseStore()
    base_dir = getattr(settings, "BASE_DIR", None)
    return open_store(url, base_dir=base_dir, default_path="keyfob.sqlite3")
