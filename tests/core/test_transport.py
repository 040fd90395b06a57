"""The transport on real sockets: bounded in time and size, and silent about secrets."""

from __future__ import annotations

import gzip
import logging
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keyfob.errors import AnswerRefused, ConfigurationError, ProviderUnreachable
from keyfob.protocol.http import MAX_ANSWER_BYTES, HttpRequest, HttpResponse
from keyfob.transport import RequestsTransport, Transport
from support.loops import BOTH_TRANSPORTS
from support.provider_http import (
    HttpServer,
    Reply,
    Request,
    Trouble,
    Wire,
    drip,
    drop,
    endless,
    hang,
    hang_in_body,
    raw_bytes,
    redirect,
    reset,
)

SECRETS = ["s3cret", "c0de", "t0ken", "Basic"]
HEADERS = {"Authorization": "Basic s3cret"}
FORM = {"code": "c0de", "client_secret": "s3cret"}

GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


class Server:
    """Answers as it is told, and keeps what it was asked."""

    def __init__(self) -> None:
        self.reply: Reply | Trouble = Reply(200, {"Content-Type": "application/json"}, b"{}")
        self.requests: list[Request] = []
        self._http = HttpServer(self._respond)

    def _respond(self, request: Request) -> Reply | Trouble:
        self.requests.append(request)
        return self.reply

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.port}"

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.close()


@pytest.fixture(params=BOTH_TRANSPORTS)
def make(request: pytest.FixtureRequest) -> Callable[..., Transport]:
    """Both transports make the same promises."""
    kind: Callable[..., Transport] = request.param
    return kind


@pytest.fixture
def send(server: Server, make: Callable[..., Transport]) -> Iterator[Callable[..., HttpResponse]]:
    made: list[Transport] = []

    def call(path: str = "/token?x=t0ken", method: Any = "POST", **options: Any) -> HttpResponse:
        transport = make(**{"timeout": 0.6, **options})
        made.append(transport)
        form = FORM if method == "POST" else None
        url = path if path.startswith("http") else server.url + path
        return transport.send(
            HttpRequest(method, url, "the token endpoint", headers=HEADERS, form=form)
        )

    yield call
    for transport in made:
        transport.close()


def unreachable(send: Callable[..., HttpResponse], **options: Any) -> ProviderUnreachable:
    with pytest.raises(ProviderUnreachable) as caught:
        send(**options)
    return caught.value


def test_what_is_asked_arrives_and_what_is_answered_comes_back(server: Server, send: Any) -> None:
    server.reply = Reply(401, {"X-Ms-Request-Id": GUID}, b'{"error":"x"}')
    found = send()
    assert (found.status, found.body) == (401, b'{"error":"x"}')
    assert found.correlation_id == GUID
    [request] = server.requests
    assert (request.method, request.form, request.query) == ("POST", FORM, {"x": "t0ken"})
    assert request.headers["authorization"] == "Basic s3cret"


@pytest.mark.parametrize("status", [413, 429, 503])
def test_an_answer_that_asks_for_a_pause_comes_back(server: Server, send: Any, status: int) -> None:
    server.reply = Reply(status, {"Retry-After": "7"}, b"{}")
    for method in ("GET", "POST"):
        found = send(method=method)
        assert (found.status, found.headers["retry-after"]) == (status, "7")
    assert len(server.requests) == 2


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_answer_in_time_is_called_that(server: Server, send: Any, method: str) -> None:
    server.reply = hang(30)
    assert unreachable(send, method=method, timeout=0.3).code == "timeout"
    assert len(server.requests) == 1


class TestTime:
    @pytest.mark.parametrize(
        "trouble",
        [
            hang(30),
            hang_in_body(Reply(200, {}, b"{}" * 20), 30),
            drip(Reply(200, {}, b" " * 200 + b"{}"), 30),
        ],
        ids=["hang", "hang in body", "drip"],
    )
    def test_an_exchange_ends_in_time(self, server: Server, send: Any, trouble: Trouble) -> None:
        server.reply = trouble
        self._ends_in_time(send)

    @pytest.mark.parametrize("prefix", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: "])
    def test_a_head_that_trickles_ends_in_time(
        self, server: Server, send: Any, prefix: bytes
    ) -> None:
        def trickle(wire: Wire) -> None:
            wire.send(prefix)
            for byte in b"HTTP/1.1 200 OK\r\n" + b"X" * 5000:
                wire.send(bytes([byte]))
                if wire.wait(0.05):
                    return

        server.reply = trickle
        self._ends_in_time(send)

    def test_interim_answers_without_end_end_in_time(self, server: Server, send: Any) -> None:
        def interim(wire: Wire) -> None:
            while not wire.wait(0.02):
                wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")

        server.reply = interim
        self._ends_in_time(send)

    def test_a_compressed_answer_that_says_nothing_ends_in_time(
        self, server: Server, send: Any
    ) -> None:
        def nothing(wire: Wire) -> None:
            """An endless comment in gzip's head decodes to no byte at all."""
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n")
            wire.send(b"\x1f\x8b\x08\x10\x00\x00\x00\x00\x00\x03")
            while not wire.wait(0.02):
                wire.send(b"a")

        server.reply = nothing
        self._ends_in_time(send)

    def test_a_request_may_have_less_time_than_others(self, server: Server) -> None:
        server.reply = hang(30)
        transport = RequestsTransport(timeout=30)
        started = time.monotonic()
        with pytest.raises(ProviderUnreachable):
            transport.send(HttpRequest("GET", server.url, "x", timeout=0.2))
        transport.close()
        assert time.monotonic() - started < 10

    def test_no_request_has_more_time_than_others(self, server: Server) -> None:
        server.reply = hang(30)
        transport = RequestsTransport(timeout=0.2)
        started = time.monotonic()
        with pytest.raises(ProviderUnreachable):
            transport.send(HttpRequest("GET", server.url, "x", timeout=30))
        transport.close()
        assert time.monotonic() - started < 10

    @staticmethod
    def _ends_in_time(send: Any) -> None:
        started = time.monotonic()
        error = unreachable(send)
        assert error.code == "timeout"
        assert error.retryable
        assert 0.5 < time.monotonic() - started < 1.5

    @pytest.mark.parametrize("timeout", [0, -1, None, "10", True, float("nan"), (1, 2)])
    def test_a_timeout_that_is_none_is_refused(self, make: Any, timeout: Any) -> None:
        with pytest.raises(ConfigurationError, match="timeout"):
            make(timeout=timeout)


class TestSize:
    def test_an_answer_may_be_as_large_as_is_sensible(self, server: Server, send: Any) -> None:
        server.reply = Reply(200, {}, b" " * MAX_ANSWER_BYTES)
        assert len(send(timeout=5).body) == MAX_ANSWER_BYTES
        server.reply = Reply(200, {}, b" " * (MAX_ANSWER_BYTES + 1))
        self._is_too_large(send)

    def test_an_endless_answer_is_not_read_to_its_end(self, server: Server, send: Any) -> None:
        server.reply = endless
        self._is_too_large(send)

    @pytest.mark.parametrize("encoding", ["gzip", "deflate"])
    def test_a_compressed_bomb_is_not_unpacked(
        self, server: Server, send: Any, encoding: str
    ) -> None:
        pack = gzip.compress if encoding == "gzip" else zlib.compress
        server.reply = Reply(200, {"Content-Encoding": encoding}, pack(bytes(50_000_000)))
        self._is_too_large(send)

    @pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd", "gzip,identity", "compress"])
    def test_an_encoding_that_was_not_asked_for_is_refused_undecoded(
        self, server: Server, send: Any, encoding: str
    ) -> None:
        body = gzip.compress(gzip.compress(b"{}"))
        server.reply = Reply(200, {"Content-Encoding": encoding}, body)
        with pytest.raises(AnswerRefused) as caught:
            send(timeout=5)
        assert caught.value.code == "encoding"

    @pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "identity", ""])
    def test_the_usual_encodings_are_understood(
        self, server: Server, send: Any, encoding: str
    ) -> None:
        pack = {"gzip": gzip.compress, "deflate": zlib.compress}.get(encoding.lower(), bytes)
        server.reply = Reply(200, {"Content-Encoding": encoding}, pack(b'{"a":1}'))
        assert send(timeout=5).body == b'{"a":1}'
        assert server.requests[0].headers["accept-encoding"] == "gzip, deflate"

    def test_a_broken_encoding_is_no_answer(self, server: Server, send: Any) -> None:
        server.reply = Reply(200, {"Content-Encoding": "gzip"}, b"not gzip")
        unreachable(send)

    @staticmethod
    def _is_too_large(send: Any) -> None:
        with pytest.raises(AnswerRefused) as caught:
            send(timeout=5)
        assert caught.value.code == "too_large"


class TestWhereItGoes:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_redirects_are_not_followed(
        self, server: Server, send: Any, status: int, method: str
    ) -> None:
        server.reply = redirect(status, f"{server.url}/elsewhere")
        assert send(method=method).status == status
        assert len(server.requests) == 1

    def test_netrc_does_not_replace_our_authorization(
        self, server: Server, send: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login evil password evil\ndefault login e password e\n")
        monkeypatch.setenv("NETRC", str(netrc))
        send()
        assert server.requests[0].headers["authorization"] == "Basic s3cret"

    def test_cookies_of_one_persons_exchange_do_not_go_out_with_anothers(
        self, server: Server, make: Any
    ) -> None:
        server.reply = Reply(200, {"Set-Cookie": "who=ada; Path=/"}, b"{}")
        transport = make()
        for _ in range(2):
            transport.send(HttpRequest("GET", server.url, "the metadata"))
        transport.close()
        assert "cookie" not in server.requests[1].headers

    @pytest.mark.parametrize("by", ["environment", "parameter"])
    def test_proxies_are_used(
        self, server: Server, send: Any, by: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        options: dict[str, Any] = {}
        if by == "environment":
            monkeypatch.setenv("http_proxy", server.url)
        else:
            options = {"proxies": {"http": server.url}}
        assert send(path="http://idp.example/token", **options).status == 200
        assert server.requests[0].target == "http://idp.example/token"

    def test_a_proxy_that_trickles_ends_in_time(self, server: Server, send: Any) -> None:
        def trickle(wire: Wire) -> None:
            while not wire.wait(0.05):
                wire.send(b"H")

        server.reply = trickle
        error = unreachable(send, path="http://idp.example/", proxies={"http": server.url})
        assert error.code == "timeout"

    def test_a_ca_bundle_that_is_not_there_is_said_at_once(self, make: Any, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"nowhere\.pem"):
            make(verify=str(tmp_path / "nowhere.pem"))

    def test_a_ca_bundle_of_the_environment_that_is_not_there_is_named(
        self, send: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
        error = unreachable(send, path="https://127.0.0.1:1/")
        assert error.code == "certificate"
        assert "REQUESTS_CA_BUNDLE" in str(error)


class TestFailure:
    @pytest.mark.parametrize(
        "trouble",
        [
            drop,
            reset,
            raw_bytes(b"nonsense\r\n\r\n"),
            raw_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"),
            raw_bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"),
            raw_bytes(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 70_000),
            raw_bytes(b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 200_000 + b"\r\n"),
            raw_bytes(b"\x00" * 99),
        ],
        ids=[
            "drop",
            "reset",
            "nonsense",
            "cut off",
            "bad chunk",
            "long line",
            "many lines",
            "nulls",
        ],
    )
    @pytest.mark.filterwarnings("default")
    def test_whatever_goes_wrong_is_unreachable(
        self, server: Server, send: Any, trouble: Trouble
    ) -> None:
        server.reply = trouble
        error = unreachable(send)
        assert error.retryable
        assert isinstance(error, OSError)

    def test_a_port_nobody_listens_on_is_tried_and_said(self, send: Any) -> None:
        error = unreachable(send, path="http://127.0.0.1:1/token?x=t0ken")
        assert error.url == "http://127.0.0.1:1/token"

    @pytest.mark.parametrize("url", ["http://nowhere.invalid/", "http://a..b/", "http://[::1]:1/"])
    def test_a_host_that_is_none_is_unreachable(self, send: Any, url: str) -> None:
        unreachable(send, path=url)

    def test_what_was_sent_is_not_sent_again(self, server: Server, send: Any) -> None:
        server.reply = drop
        unreachable(send)
        assert len(server.requests) == 1

    @pytest.mark.parametrize("trouble", [drop, hang(30), endless, redirect(302, "http://x/")])
    def test_no_secret_is_told(
        self, server: Server, send: Any, trouble: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        server.reply = trouble
        error: Exception | None = None
        try:
            send(path="/token")
        except (ProviderUnreachable, AnswerRefused) as caught:
            error = caught
        if error is not None:
            told = [str(error), repr(error), repr(error.__dict__), repr(error.args)]
            assert not any(secret in text for secret in SECRETS for text in told)
            # What requests raised holds the whole request.
            assert error.__context__ is None
            assert error.__cause__ is None
        assert not any(secret in caplog.text for secret in SECRETS)


def test_the_transport_serves_many_threads(server: Server) -> None:
    transport = RequestsTransport()
    found: list[int] = []

    def work() -> None:
        found.extend(
            transport.send(HttpRequest("GET", server.url, "the metadata")).status for _ in range(5)
        )

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [200] * 20
    transport.close()
    assert transport.send(HttpRequest("GET", server.url, "the metadata")).status == 200
    transport.close()
