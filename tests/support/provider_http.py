"""The test provider's wire: a small HTTP server that can also misbehave on purpose.

An endpoint's answer is a `Reply`, or a `Trouble`: a function that is handed the open connection.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """One request that the provider got, as it came."""

    method: str
    path: str
    target: str
    query_list: list[tuple[str, str]]
    form_list: list[tuple[str, str]]
    headers: dict[str, str]  # names in lower case
    body: bytes = field(repr=False)
    endpoint: str = ""

    @property
    def query(self) -> dict[str, str]:
        return dict(self.query_list)

    @property
    def form(self) -> dict[str, str]:
        return dict(self.form_list)


class Reply(NamedTuple):
    """One answer. `Content-Length` and `Connection: close` are added where they are not given;
    with `Connection: keep-alive` the connection serves again."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """The open connection, for an endpoint that misbehaves below HTTP."""

    def __init__(self, connection: socket.socket, closing: threading.Event) -> None:
        self._connection = connection
        self._closing = closing

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def wait(self, seconds: float) -> bool:
        """Do nothing for a while; True when the provider is closing meanwhile."""
        return self._closing.wait(seconds)

    def reset(self) -> None:
        """Let the coming close be a TCP reset."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Trouble = Callable[[Wire], None]
Answer = Reply | Trouble
Override = Callable[[Request], Answer]


def serialise(reply: Reply, **headers: str | None) -> bytes:
    """The reply's bytes; `headers` replace (or with None drop) what would be sent by itself."""
    fields: dict[str, str | None] = {
        "Content-Length": str(len(reply.body)),
        "Connection": "close",
        **reply.headers,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    try:
        phrase = HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {reply.status} {phrase}"]
    lines += [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + reply.body


def hang(seconds: float) -> Trouble:
    """Accept, read the request, and then say nothing."""

    def trouble(wire: Wire) -> None:
        wire.wait(seconds)

    return trouble


def hang_in_body(reply: Reply, seconds: float) -> Trouble:
    """Send the head and half of the body, and then no more."""

    def trouble(wire: Wire) -> None:
        data = serialise(reply)
        wire.send(data[: len(data) - len(reply.body) // 2])
        wire.wait(seconds)

    return trouble


def drip(reply: Reply, seconds: float, *, every: float = 0.05) -> Trouble:
    """Send the right head, and spread the body over more seconds than anybody should wait."""

    def trouble(wire: Wire) -> None:
        wire.send(serialise(reply)[: -len(reply.body)])
        step = max(1, int(len(reply.body) * every / seconds))
        for start in range(0, len(reply.body), step):
            wire.send(reply.body[start : start + step])
            if wire.wait(every):
                return

    return trouble


def drop(wire: Wire) -> None:
    """Close the connection without an answer."""


def reset(wire: Wire) -> None:
    """Reset the connection without an answer."""
    wire.reset()


def raw_bytes(data: bytes) -> Trouble:
    """Send these bytes, whatever they are."""

    def trouble(wire: Wire) -> None:
        wire.send(data)

    return trouble


def endless(wire: Wire) -> None:
    """A JSON answer whose body never ends."""
    wire.send(
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{"a":"'
    )
    while not wire.wait(0):
        wire.send(b"a" * 65536)


def content_length(reply: Reply, claimed: int | str) -> Trouble:
    """The right answer under a wrong Content-Length."""
    return raw_bytes(serialise(reply, Content_Length=str(claimed)))


def redirect(status: int, location: str) -> Reply:
    return Reply(status, {"Location": location}, b"")


class HttpServer:
    """Listens on a free port of 127.0.0.1 and asks `respond` for every answer.

    :param tls: speaks TLS, with this context's certificate.
    :param port: in the place of a free one.
    """

    def __init__(
        self,
        respond: Callable[[Request], Answer],
        tls: ssl.SSLContext | None = None,
        *,
        port: int = 0,
    ) -> None:
        self._closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        #: Connections that were opened so far.
        self.connections = 0
        self._server = _Server(("127.0.0.1", port), _handler(respond, self))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def closing(self) -> threading.Event:
        return self._closing

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()  # waits for the threads of the requests
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 64

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer's asks the DNS for a name

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away in the middle is part of the game."""


def _handler(
    respond: Callable[[Request], Answer], owner: HttpServer
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30
        connection: socket.socket

        def setup(self) -> None:
            super().setup()
            owner.opened(self.connection)

        def finish(self) -> None:
            owner.closed(self.connection)
            super().finish()

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)

        def answer(self) -> None:
            self.close_connection = True
            body = self.body()
            parts = urlsplit(self.path)
            is_form = self.headers.get_content_type() == "application/x-www-form-urlencoded"
            form = body.decode("utf-8", "replace") if is_form else ""
            answer = respond(
                Request(
                    method=self.command,
                    path=parts.path,
                    target=self.path,
                    query_list=parse_qsl(parts.query, keep_blank_values=True),
                    form_list=parse_qsl(form, keep_blank_values=True),
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=body,
                )
            )
            with contextlib.suppress(OSError):
                if isinstance(answer, tuple):
                    data = serialise(answer)
                    if self.command == "HEAD":
                        data = data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
                    self.connection.sendall(data)
                    self.close_connection = answer.headers.get("Connection") != "keep-alive"
                else:
                    answer(Wire(self.connection, owner.closing))

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Be quiet."""

    return Handler
