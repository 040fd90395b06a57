"""The transport's connections: kept ones, and those over TLS."""

from __future__ import annotations

import http.server
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from keyfob.errors import ProviderUnreachable
from keyfob.protocol.http import HttpRequest
from keyfob.transport import Transport
from support.loops import BOTH_TRANSPORTS
from support.tls import self_signed


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    connections: set[Any]

    def do_GET(self) -> None:
        self.connections.add(self.client_address)
        body = b" " * 60 + b"{}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for byte in body:
            self.wfile.write(bytes([byte]))
            if self.path == "/slow":
                self.wfile.flush()
                time.sleep(0.05)

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def listening(wrap: Callable[[Any], Any] = lambda sock: sock) -> Iterator[tuple[str, set[Any]]]:
    connections: set[Any] = set()
    handler = type("Counting", (Handler,), {"connections": connections})
    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    listener.daemon_threads = True
    listener.handle_error = lambda *_: None  # type: ignore[method-assign]
    listener.socket = wrap(listener.socket)
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,))
    thread.start()
    yield f"127.0.0.1:{listener.server_address[1]}", connections
    listener.shutdown()
    listener.server_close()
    thread.join()


def get(transport: Transport, url: str) -> bytes:
    return transport.send(HttpRequest("GET", url, "the metadata")).body.strip()


@pytest.mark.parametrize("make", BOTH_TRANSPORTS)
def test_a_kept_connection_has_the_whole_time_each_time(make: Any) -> None:
    with listening() as (host, connections):
        transport = make(timeout=0.7)
        for _ in range(4):
            assert get(transport, f"http://{host}/") == b"{}"
            time.sleep(0.2)
        assert len(connections) == 1
        with pytest.raises(ProviderUnreachable):
            get(transport, f"http://{host}/slow")
        # What was broken off is not used again.
        assert get(transport, f"http://{host}/") == b"{}"
        assert len(connections) == 2
        transport.close()


@pytest.mark.parametrize("make", BOTH_TRANSPORTS)
def test_answers_over_tls_are_bounded_too(make: Any, tmp_path: Path) -> None:
    files = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    with listening(lambda sock: context.wrap_socket(sock, server_side=True)) as (host, _):
        transport = make(verify=str(files[0]), timeout=0.7)
        assert get(transport, f"https://{host}/") == b"{}"
        started = time.monotonic()
        with pytest.raises(ProviderUnreachable) as caught:
            get(transport, f"https://{host}/slow")
        assert caught.value.code == "timeout"
        assert time.monotonic() - started < 1.5
        transport.close()


@pytest.mark.parametrize("make", BOTH_TRANSPORTS)
def test_a_certificate_nobody_vouches_for_is_refused_and_named(make: Any, tmp_path: Path) -> None:
    files = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    with listening(lambda sock: context.wrap_socket(sock, server_side=True)) as (host, _):
        transport = make(timeout=2)
        with pytest.raises(ProviderUnreachable) as caught:
            get(transport, f"https://{host}/")
        assert caught.value.code == "certificate"
        transport.close()
