"""The Django app. It has the one thing that lives as long as the program: the site."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig

if TYPE_CHECKING:
    from django_keyfob.conf import DjangoSite

#: When one of these changes (in a test: `override_settings`), the site is built anew.
_OURS = frozenset({"KEYFOB", "SECRET_KEY", "SECRET_KEY_FALLBACKS", "CACHES"})


class KeyfobConfig(AppConfig):
    """Keyfob as Django knows it: system checks, receivers, and the site behind all requests."""

    name = "django_keyfob"
    verbose_name = "Keyfob"
    default_auto_field = "django.db.models.BigAutoField"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._building = threading.Lock()
        self._site: DjangoSite | None = None

    def ready(self) -> None:
        from django.contrib.auth.signals import user_logged_in, user_logged_out
        from django.core.checks import Tags, register
        from django.core.signals import setting_changed

        from django_keyfob import checks, receivers

        register(checks.check_settings, Tags.security)
        register(checks.check_wiring, Tags.security)
        register(checks.check_other_backends, Tags.security)
        register(checks.check_urls, Tags.urls)
        register(checks.check_store, Tags.security)
        register(checks.check_deployment, Tags.security, deploy=True)
        user_logged_in.connect(receivers.forget_other_sign_ins, dispatch_uid="keyfob")
        user_logged_out.connect(receivers.forget_tokens, dispatch_uid="keyfob")
        setting_changed.connect(self._setting_changed)

    @property
    def site(self) -> DjangoSite:
        """The site, built when it is first needed.

        :raises ConfigurationError: a setting is missing or wrong.
        """
        site = self._site
        if site is None:
            from django_keyfob.conf import build_site

            with self._building:
                site = self._site
                if site is None:
                    site = self._site = build_site()
                    self._warn_of_private_store(site)
        return site

    @staticmethod
    def _warn_of_private_store(site: DjangoSite) -> None:
        """No server runs the system checks, so this is said in its log as well."""
        from django_keyfob.conf import private_store
        from keyfob.web.processes import warn_of_private_store, worker_count

        store = private_store(site.settings.token_store)
        if store and worker_count() > 1:
            warn_of_private_store(store, "Leave TOKEN_STORE out to use the site's database.")

    def _setting_changed(self, *, setting: str, **_: Any) -> None:
        from django_keyfob.backends import is_keyfob_backend

        is_keyfob_backend.cache_clear()
        if setting in _OURS:
            with self._building:
                site, self._site = self._site, None
            if site is not None:
                site.close()
