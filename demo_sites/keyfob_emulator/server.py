"""The provider as a real server on loopback: for a terminal, and for tests."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final

from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from keyfob_emulator.managed_identity import HostEnvironment, Source
from keyfob_emulator.model import Directory
from keyfob_emulator.state import Emulator
from keyfob_emulator.tls import LoopbackCertificate
from keyfob_emulator.web import create_app

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from typing_extensions import Self

LOOPBACK_HOSTS: Final = ("localhost", "127.0.0.1", "::1")
_BACKLOG: Final = 128
_ATTEMPTS: Final = 20


class PortTaken(OSError):
    """Somebody else listens on the port."""

    def __init__(self, port: int) -> None:
        super().__init__(errno.EADDRINUSE, f"port {port} is already in use")
        self.port = port


class _Handler(WSGIRequestHandler):
    """Werkzeug's handler without an access log, which would hold codes and hints."""

    # Browsers open connections ahead of need; a thread must not wait for ever on an idle one.
    timeout = 60

    def log_error(self, format: str, *args: object) -> None:  # noqa: A002
        """Write nothing: only such idle connections and garbage end up here."""
        del format, args

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write nothing."""
        del code, size

    def connection_dropped(
        self, error: BaseException, environ: WSGIEnvironment | None = None
    ) -> None:
        """Wait for nothing more on a connection that ended, or that a test wants to end."""
        del error, environ
        self.close_connection = True


class _TalkingHandler(_Handler):
    """The access log of ``--verbose``: method, path without its query, status."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """One line on standard output."""
        del size
        path = getattr(self, "path", "").partition("?")[0]
        status = getattr(code, "value", code)
        sys.stdout.write(f"{getattr(self, 'command', '-')} {path} {status}\n")
        sys.stdout.flush()


def _bound(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    """A listening socket. Werkzeug would end the whole program when the port is taken."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # On Windows the option lets two programs share a port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address, port))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _bind_once(host: str, port: int) -> list[socket.socket]:
    listeners = []
    if host != "::1":
        listeners.append(_bound(socket.AF_INET, "127.0.0.1", port))
        port = listeners[0].getsockname()[1]
    if host == "127.0.0.1" or not socket.has_ipv6:
        return listeners
    try:
        listeners.append(_bound(socket.AF_INET6, "::1", port))
    except OSError as error:
        # A machine without IPv6 is fine; somebody else on [::1] is not: browsers try it first.
        if error.errno == errno.EADDRINUSE or not listeners:
            for listener in listeners:
                listener.close()
            raise
    return listeners


def _bind(host: str, port: int) -> list[socket.socket]:
    """Listeners on every loopback address the host name stands for, all with the same port."""
    attempts = _ATTEMPTS if port == 0 else 1
    while True:
        attempts -= 1
        try:
            return _bind_once(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            if not attempts:
                raise PortTaken(port) from error


class EmulatorServer:
    """A threaded server on loopback, as a context manager::

        with EmulatorServer() as server:
            authority = server.authority("organizations")
            server.emulator.rotate_keys()

    ``host`` is ``localhost`` (both loopback addresses), ``127.0.0.1`` or ``::1``; port 0 is a free
    one. With ``tls`` it speaks https, with a certificate of its own for these names:
    :attr:`certificate` is what a client has to trust.
    """

    def __init__(
        self,
        emulator: Emulator | None = None,
        *,
        directory: Directory | None = None,
        clock: Callable[[], float] | None = None,
        host: str = "localhost",
        port: int = 0,
        verbose: bool = False,
        tls: bool = False,
    ) -> None:
        if host not in LOOPBACK_HOSTS:
            raise ValueError(f"host must be one of {', '.join(LOOPBACK_HOSTS)}, not {host!r}")
        if emulator is None:
            emulator = Emulator(directory, clock=clock)
        elif directory is not None or clock is not None:
            raise TypeError("give either an Emulator, or a directory and a clock, not both")
        self.emulator = emulator
        self.app: Flask = create_app(emulator)
        self.host = host
        self.port = port
        self._handler = _TalkingHandler if verbose else _Handler
        self._with_tls = tls
        self._tls: LoopbackCertificate | None = None
        self._servers: list[BaseWSGIServer] = []
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        """The server's address, without a slash at the end."""
        name = "[::1]" if self.host == "::1" else self.host
        return f"{'https' if self._with_tls else 'http'}://{name}:{self.port}"

    @property
    def certificate(self) -> str:
        """The running server's certificate as PEM text, "" without TLS."""
        return self._tls.pem if self._tls else ""

    @property
    def thumbprint(self) -> str:
        """The certificate's SHA-1 thumbprint in hexadecimal digits, "" without TLS."""
        return self._tls.thumbprint if self._tls else ""

    def environment(self, source: Source) -> HostEnvironment:
        """What a program with a managed identity finds in its environment at a source."""
        machine = self.emulator.machine
        return machine.environment(source, self.url, thumbprint=self.thumbprint)

    def authority(self, tenant: str = "organizations") -> str:
        """An authority: what goes into ``KEYFOB_AUTHORITY``."""
        return f"{self.url}/{tenant}"

    def start(self) -> Self:
        """Begin to listen; :class:`PortTaken` when somebody else does already."""
        if self._servers:
            raise RuntimeError("this server is running already")
        if self._with_tls and self._tls is None:
            self._tls = LoopbackCertificate()
        for listener in _bind(self.host, self.port):
            with listener:  # Werkzeug works on a duplicate of the descriptor.
                address = listener.getsockname()
                server = make_server(
                    address[0], address[1], self.app, threaded=True,
                    request_handler=self._handler, fd=listener.fileno(),
                )  # fmt: skip
            if self._tls is not None:
                self._tls.protect(server)
            self.port = address[1]
            self._servers.append(server)
            thread = threading.Thread(
                target=server.serve_forever, kwargs={"poll_interval": 0.03}, daemon=True
            )
            thread.start()
            self._threads.append(thread)
        return self

    def stop(self) -> None:
        """Stop listening and close the sockets."""
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()
        self._servers, self._threads = [], []

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
