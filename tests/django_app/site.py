"""A small Django site on a real socket, for the adapter contract and for Django's own tests.

with running_site(provider.settings()) as site:
    browser.open(site.url + "/private")
    assert not site.errors
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import django
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.signals import got_request_exception
from django.db import connections
from django.test import override_settings

django.setup()

from django_app.database import make_database  # noqa: E402
from django_keyfob.conf import current_site  # noqa: E402


@dataclass
class RunningSite:
    """`errors`: exceptions that became a 500. `log`: what Keyfob and Django logged."""

    url: str
    errors: list[BaseException] = field(default_factory=list)
    log: list[str] = field(default_factory=list)


class _Server(ThreadedWSGIServer):
    daemon_threads = False  # so that closing waits for them


class _Handler(WSGIRequestHandler):
    """Without an access log, and without connections that outlive the site."""

    timeout = 30

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
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
) -> Iterator[RunningSite]:
    """The site on a free port of `host`. One at a time in a process: settings are Django's own.

    :param settings: Keyfob's. TOKEN_STORE is the database where they have none.
    :param script_name: the path it is mounted under.
    :param behind_proxy: trust one proxy's X-Forwarded-* headers.
    :param config: more of Django's own settings.
    """
    make_database()
    changed: dict[str, Any] = {"KEYFOB": dict(settings), "ROOT_URLCONF": "django_app.urls"}
    if behind_proxy:
        changed["SECURE_PROXY_SSL_HEADER"] = ("HTTP_X_FORWARDED_PROTO", "https")
        changed["USE_X_FORWARDED_HOST"] = True
    changed.update(config or {})
    with override_settings(**changed):
        server = _Server((host, 0), _Handler)
        server.set_app(_mounted(WSGIHandler(), script_name))
        site = RunningSite(f"http://{host}:{server.server_port}{quote(script_name)}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        with _observed(site):
            thread.start()
            try:
                yield site
            finally:
                server.shutdown()
                thread.join()
                server.server_close()
                current_site().close()
                connections.close_all()


@contextmanager
def _observed(site: RunningSite) -> Iterator[None]:
    def remember(**_: object) -> None:
        import sys

        if error := sys.exc_info()[1]:
            site.errors.append(error)

    lines, loggers = _Lines(site.log), [logging.getLogger("keyfob"), logging.getLogger("django")]
    before = [logger.level for logger in loggers]
    got_request_exception.connect(remember)
    for logger in loggers:
        logger.setLevel(logging.INFO if logger.name == "django" else logging.DEBUG)
        logger.addHandler(lines)
    try:
        yield
    finally:
        got_request_exception.disconnect(remember)
        for logger, level in zip(loggers, before, strict=True):
            logger.removeHandler(lines)
            logger.setLevel(level)


def _mounted(wsgi: Any, script_name: str) -> Any:
    """What a server does that is told of a mount point; and each connection serves one request."""

    def mounted(environ: dict[str, Any], start_response: Any) -> Any:
        start_response.__self__.request_handler.close_connection = True
        start_response.__self__.http_version = "1.0"
        path = environ["PATH_INFO"]
        if path != script_name and not path.startswith(f"{script_name}/"):
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"not mounted here"]
        rest = path.removeprefix(script_name)
        return wsgi({**environ, "SCRIPT_NAME": script_name, "PATH_INFO": rest}, start_response)

    return mounted
