"""The extension: reads an app's settings once, and hangs sign-in on it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from flask import Flask, Response, current_app, request

from flask_keyfob.attach import attach_tokens
from flask_keyfob.bearer import protected_resource
from flask_keyfob.commands import make_commands
from flask_keyfob.links import login_url, logout_form, script_tag
from flask_keyfob.proxies import current_site, current_user, renew_web_session
from flask_keyfob.translate import response_for, web_request
from flask_keyfob.views import make_blueprint
from keyfob.errors import ConfigurationError, KeyfobError
from keyfob.web import Identity, User, WebApplication, load_settings
from keyfob.web.bearer_answers import WELL_KNOWN
from keyfob.web.processes import warn_of_private_store, worker_count
from keyfob.web.stores import open_store, parse_store_url

_PREFIX = "KEYFOB_"
_STORE = "keyfob.sqlite3"
_SHARED_STORE = (
    "Leave TOKEN_STORE out for a SQLite file that the processes of one machine share, or name a "
    "Redis server."
)
_NEW_KEY = 'python -c "import secrets; print(secrets.token_hex(32))"'


class Keyfob:
    """Microsoft sign-in for a Flask app, or for several: it keeps nothing of an app itself.

    :param app: the app; or none, and `init_app` later.
    :param url_prefix: where the routes are. `<url_prefix>/callback` is the redirect URI to
        register.
    """

    def __init__(self, app: Flask | None = None, *, url_prefix: str = "/auth") -> None:
        self._url_prefix = url_prefix
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Read `app.config["KEYFOB_..."]` and register everything. No I/O happens here.

        `app.extensions["keyfob"]` is then the `keyfob.web.WebApplication` behind it.

        :raises ConfigurationError: a setting is missing, unknown or contradictory.
        :raises RuntimeError: the app has a Keyfob already.
        """
        if "keyfob" in app.extensions:
            raise RuntimeError(
                f"The app {app.name!r} has a Keyfob already: Keyfob(app) calls init_app by "
                "itself. Do it once; for several apps in one process call init_app on each."
            )
        site, is_private = _web_application(app)
        app.register_blueprint(make_blueprint(self._url_prefix))
        app.add_url_rule(WELL_KNOWN, "keyfob.protected_resource", protected_resource)
        app.extensions["keyfob"] = site
        app.before_request(_begin_request)
        if site.members.attached:
            app.before_request(partial(attach_tokens, site.members.attached))
        app.cli.add_command(make_commands())
        if is_private:
            _warn_of_several_processes(app)
        app.context_processor(_template_names)
        app.register_error_handler(KeyfobError, _handle)
        _exempt_from_flask_wtf(app)

    @staticmethod
    def sign_out_everywhere(account: str | User | Identity) -> int:
        """End all sessions of a person at the current app, in every browser and on every machine.

        Their sessions at the provider stay: whoever is still signed in there may sign in here
        again. Needs an application context, and no request.

        :param account: `current_user.key`, as it was kept; or the user, or the identity.
        :returns: how many sessions were ended.
        :raises ValueError: the user is nobody.
        :raises StoreUnavailable: the token store cannot be reached; some may not have ended.
        """
        key = account if isinstance(account, str) else account.key
        if not key:
            raise ValueError("sign_out_everywhere needs a person; nobody is signed in")
        return current_site().sign_out_everywhere(key)


def _web_application(app: Flask) -> tuple[WebApplication, bool]:
    """The site, and whether its store is one that each process has for itself."""
    explicit = {
        key[len(_PREFIX) :]: value for key, value in app.config.items() if key.startswith(_PREFIX)
    }
    settings = load_settings(explicit, os.environ, source="flask")
    url = settings.token_store or "sqlite://"

    def session_lifetime() -> float:
        return app.permanent_session_lifetime.total_seconds()

    site = WebApplication(
        settings,
        store=open_store(url, base_dir=app.instance_path, default_path=_STORE),
        secrets=_secret_keys(app.config),
        session_lifetime=session_lifetime,
    )
    return site, parse_store_url(url).kind == "memory"


def _warn_of_several_processes(app: Flask) -> None:
    """Once: at the start where the server's command line shows it, or else with the first request,
    which has the server's own word (PEP 3333, `wsgi.multiprocess`)."""
    if worker_count() > 1:
        warn_of_private_store("memory://", _SHARED_STORE)
        return
    asked = itertools.count()

    @app.before_request
    def look_at_the_first_request() -> None:
        if next(asked) == 0 and request.environ.get("wsgi.multiprocess"):
            warn_of_private_store("memory://", _SHARED_STORE)


def _secret_keys(config: Mapping[str, Any]) -> list[str | bytes]:
    """Flask's keys, oldest to newest; the last one is what Flask itself signs with."""
    fallbacks, key = config.get("SECRET_KEY_FALLBACKS") or [], config.get("SECRET_KEY")
    if not key:
        raise ConfigurationError(
            'app.config["SECRET_KEY"] is missing: Flask needs it for sessions, and Keyfob to '
            "protect sign-ins. Set it before Keyfob(app), to the same value in every process "
            f"(FLASK_SECRET_KEY, with from_prefixed_env). Make one with: {_NEW_KEY}",
            setting="SECRET_KEY",
        )
    if not isinstance(fallbacks, (list, tuple)):
        raise ConfigurationError(
            'app.config["SECRET_KEY_FALLBACKS"] must be a list of keys '
            '(in an environment variable a JSON list: ["..."])',
            setting="SECRET_KEY_FALLBACKS",
        )
    keys = [*fallbacks, key]
    if not all(isinstance(each, (str, bytes)) for each in keys):
        raise ConfigurationError(
            'app.config["SECRET_KEY"] and its fallbacks must be texts or bytes; from_prefixed_env '
            "reads JSON, so that a key of digits alone arrives as a number. "
            f"Make a better one with: {_NEW_KEY}",
            setting="SECRET_KEY",
        )
    return keys


def _begin_request() -> None:
    renew_web_session()
    if request.blueprint == "keyfob":
        _exempt_from_flask_wtf(current_app)


def _template_names() -> dict[str, object]:
    return {
        "current_user": current_user,
        "keyfob_login_url": login_url,
        "keyfob_logout_form": logout_form,
        "keyfob_script": script_tag,
    }


def _handle(error: KeyfobError) -> Response:
    """A view met something that a person can do something about, or should be told of.

    A ConfigurationError is the developer's, and stays what it is: loud in the log, a traceback
    in debug mode, the site's own 500 page for people.
    """
    if isinstance(error, ConfigurationError):
        raise error
    return response_for(current_site().handle(web_request(), error))


def _exempt_from_flask_wtf(app: Flask) -> None:
    """The provider's posts cannot carry Flask-WTF's token, and our own forms have one of ours.
    Asked for again with each request to us, as CSRFProtect may come after Keyfob.
    """
    protection = app.extensions.get("csrf")
    exempt = getattr(protection, "exempt", None)
    if callable(exempt):
        exempt(app.blueprints["keyfob"])
