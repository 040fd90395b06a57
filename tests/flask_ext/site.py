"""A small Flask site on a real socket, for the adapter contract and for Flask's own tests.

with running_site(provider.settings()) as site:
    browser.open(site.url + "/private")
    assert not site.errors
"""

from __future__ import annotations

import logging
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from flask import Flask, g, got_request_exception, jsonify, render_template_string, request, session
from flask.typing import ResponseReturnValue
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.serving import WSGIRequestHandler, make_server

from flask_keyfob import Keyfob, current_user, downstream_api, login_required, login_url

HOME = """<!doctype html>
<title>Site</title>
<p id="who">{% if current_user %}Hello {{ current_user.name }}{% else %}Nobody{% endif %}</p>
<p><a href="{{ keyfob_login_url() }}">Sign in</a></p>
{{ keyfob_logout_form() }}
"""


@dataclass
class RunningSite:
    """`errors`: exceptions that became a 500. `log`: what Keyfob and the app logged."""

    url: str
    app: Flask
    errors: list[BaseException] = field(default_factory=list)
    log: list[str] = field(default_factory=list)


def make_app(
    settings: Mapping[str, object],
    *,
    config: Mapping[str, object] | None = None,
    init: Callable[[Flask], object] = Keyfob,
    before_init: Callable[[Flask], None] | None = None,
    instance_path: str | None = None,
) -> Flask:
    """The site's app. `settings` are Keyfob's, without their prefix."""
    app = Flask(__name__, instance_path=instance_path)
    app.config["SECRET_KEY"] = secrets.token_hex(32)
    app.config.update({f"KEYFOB_{key}": value for key, value in settings.items()})
    app.config.setdefault("KEYFOB_TOKEN_STORE", "memory://")
    app.config.update(config or {})
    if before_init:
        before_init(app)
    init(app)
    _add_views(app)
    return app


def _add_views(app: Flask) -> None:
    @app.get("/")
    def home() -> str:
        return render_template_string(HOME)

    @app.get("/private")
    @login_required
    def private() -> str:
        return render_template_string(HOME)

    @app.post("/private")
    @login_required
    def post_private() -> str:
        return "posted"

    @app.get("/me")
    @login_required(api="api")
    def me() -> ResponseReturnValue:
        return jsonify(downstream_api("api").get("/me").json())

    @app.get("/call")
    def call() -> ResponseReturnValue:
        return jsonify(downstream_api("api").get("/me").json())

    @app.get("/claims")
    @login_required
    def claims() -> ResponseReturnValue:
        return jsonify(dict(current_user.claims))

    @app.get("/user")
    def user() -> ResponseReturnValue:
        who = g.keyfob.user
        return jsonify(
            name=who.name,
            username=who.username,
            key=who.key,
            is_authenticated=who.is_authenticated,
        )

    @app.get("/session")
    def whole_session() -> ResponseReturnValue:
        return jsonify(dict(session))

    @app.get("/shop")
    @login_required(authority="customers")
    def shop() -> str:
        return render_template_string(HOME)

    @app.get("/ways-in")
    def ways_in() -> ResponseReturnValue:
        named = login_url("/x", authority="customers")
        return jsonify([login_url("/x"), named, g.keyfob.authority])

    @app.get("/cart")
    def cart() -> ResponseReturnValue:
        if "add" in request.args:
            session["cart"] = [*session.get("cart", []), request.args["add"]]
        return jsonify(session.get("cart", []))


class _Handler(WSGIRequestHandler):
    """Without an access log, and without connections that outlive the site."""

    protocol_version = "HTTP/1.0"
    timeout = 30

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Write nothing."""


class _Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextmanager
def running_site(
    settings: Mapping[str, object],
    *,
    host: str = "127.0.0.1",
    script_name: str = "",
    behind_proxy: bool = False,
    config: Mapping[str, object] | None = None,
    init: Callable[[Flask], object] = Keyfob,
    before_init: Callable[[Flask], None] | None = None,
    make: Callable[..., Flask] = make_app,
) -> Iterator[RunningSite]:
    """The site on a free port of `host`.

    :param settings: Keyfob's, without their prefix. TOKEN_STORE is `memory://` where they have
        none; `sqlite://` is a file in a folder that goes away with the site.
    :param script_name: the path it is mounted under.
    :param behind_proxy: trust one proxy's X-Forwarded-* headers (ProxyFix).
    :param config: more of Flask's own settings.
    :param init: makes a Keyfob for the app.
    :param before_init: what else to do with the app first.
    :param make: makes the app, in the place of this module's own.
    """
    with tempfile.TemporaryDirectory() as folder:
        app = make(
            settings, config=config, init=init, before_init=before_init, instance_path=folder
        )
        wsgi: Any = app.wsgi_app
        if behind_proxy:
            wsgi = ProxyFix(wsgi, x_for=1, x_proto=1, x_host=1, x_prefix=1)
        app.wsgi_app = _mounted(wsgi, script_name)  # type: ignore[method-assign]
        server = make_server(host, 0, app, threaded=True, request_handler=_Handler)
        site = RunningSite(f"http://{host}:{server.server_port}{quote(script_name)}", app)
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        with _observed(site):
            thread.start()
            try:
                yield site
            finally:
                server.shutdown()
                thread.join()
                server.server_close()
                app.extensions["keyfob"].close()


@contextmanager
def _observed(site: RunningSite) -> Iterator[None]:
    def remember(_app: Flask, exception: BaseException, **_: object) -> None:
        site.errors.append(exception)

    lines, loggers = _Lines(site.log), [logging.getLogger("keyfob"), site.app.logger]
    before = [logger.level for logger in loggers]
    got_request_exception.connect(remember, site.app)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.addHandler(lines)
    try:
        yield
    finally:
        got_request_exception.disconnect(remember, site.app)
        for logger, level in zip(loggers, before, strict=True):
            logger.removeHandler(lines)
            logger.setLevel(level)


def _mounted(wsgi: Any, script_name: str) -> Any:
    """What a server does that is told of a mount point."""
    if not script_name:
        return wsgi
    script_name = script_name.encode().decode("latin-1")  # PEP 3333

    def mounted(environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        if path != script_name and not path.startswith(f"{script_name}/"):
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"not mounted here"]
        environ = {
            **environ,
            "SCRIPT_NAME": script_name,
            "PATH_INFO": path.removeprefix(script_name),
        }
        return wsgi(environ, start_response)

    return mounted
