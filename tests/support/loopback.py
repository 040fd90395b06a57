"""A browser's requests to a loopback receiver, over real sockets."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from keyfob.transport.loopback import AuthCodeReceiver

STATE = "the-state-of-this-attempt"
ANSWER = {"code": "the-code", "state": STATE}
PATIENCE = 30

Response = dict[str, str] | None


@contextmanager
def waiting(receiver: AuthCodeReceiver, **options: Any) -> Iterator[Future[Response]]:
    """A wait in another thread, which is over when the block ends, whatever happened in it."""
    options = {"state": STATE, "timeout": PATIENCE, **options}
    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(receiver.get_auth_response, **options)
        finally:
            receiver.close()


class Page:
    """What the receiver answered."""

    def __init__(self, status: int, headers: Mapping[str, str], text: str) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.text = text


def ask(
    port: int,
    target: str = "/",
    form: Mapping[str, str] | None = None,
    *,
    host: str = "127.0.0.1",
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Page:
    """One request, a POST where there is a form."""
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    try:
        given = {"Host": f"localhost:{port}", **(headers or {})}
        body = None
        if form is not None:
            given = {"Content-Type": "application/x-www-form-urlencoded", **given}
            body = urlencode(form)
        connection.request(method or ("GET" if form is None else "POST"), target, body, given)
        answer = connection.getresponse()
        return Page(answer.status, dict(answer.headers), answer.read().decode())
    finally:
        connection.close()


def send_raw(port: int, data: bytes, *, host: str = "127.0.0.1") -> bytes:
    """Send these bytes, end the sending, and read what comes back."""
    with socket.create_connection((host, port), timeout=PATIENCE) as sock:
        received = b""
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while chunk := sock.recv(65536):
                received += chunk
        except ConnectionError:
            pass
        return received
