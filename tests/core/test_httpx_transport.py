"""What only the asynchronous transport can get wrong: loops, cancellation, a missing package.

What both transports promise is in test_transport.py and test_transport_connections.py.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import AnswerRefused, ConfigurationError, ProviderUnreachable
from keyfob.protocol.http import HttpRequest, HttpResponse
from keyfob.transport import with_options
from keyfob.transport.async_http_client import AsyncHttpClientTransport, for_one_async_call
from keyfob.transport.httpx_transport import HttpxTransport
from keyfob.transport.inflating import BrokenEncoding, Inflating
from support.provider_http import HttpServer, Reply, Request, Trouble, Wire, hang, redirect


class Server:
    def __init__(self) -> None:
        self.reply: Reply | Trouble = Reply(200, {}, b'{"a":1}')
        self.requests: list[Request] = []
        self._http = HttpServer(self._respond)
        self.url = f"http://127.0.0.1:{self._http.port}"

    def _respond(self, request: Request) -> Reply | Trouble:
        self.requests.append(request)
        return self.reply

    def get(self) -> HttpRequest:
        return HttpRequest("GET", self.url, "the metadata")

    def post(self) -> HttpRequest:
        return HttpRequest(
            "POST",
            f"{self.url}/token?p=policy",
            "the token endpoint",
            params={"slice": "a b"},
            headers={"Authorization": "Basic s3cret"},
            form={"code": "é&=+", "scope": "a b"},
        )

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.close()


def with_transport(test: Callable[[HttpxTransport], Any], **options: Any) -> Any:
    """What an asynchronous function brings in a new loop, its transport closed afterwards."""

    async def main() -> Any:
        transport = HttpxTransport(**options)
        try:
            return await test(transport)
        finally:
            await transport.aclose()

    return asyncio.run(main())


def test_forms_and_queries_arrive_as_they_are(server: Server) -> None:
    with_transport(lambda transport: transport.send(server.post()))
    [request] = server.requests
    assert request.query == {"p": "policy", "slice": "a b"}
    assert request.form == {"code": "é&=+", "scope": "a b"}
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"


def test_a_whole_body_arrives_with_its_own_type(server: Server) -> None:
    headers = {"Content-Type": "application/soap+xml"}
    request = HttpRequest("POST", server.url, "WS-Trust", headers=headers, content="<é/>")
    with_transport(lambda transport: transport.send(request))
    [found] = server.requests
    assert (found.body, found.headers["content-type"]) == ("<é/>".encode(), "application/soap+xml")


def test_one_transport_serves_many_tasks(server: Server) -> None:
    async def many(transport: HttpxTransport) -> list[int]:
        sent = [transport.send(server.get()) for _ in range(20)]
        return [answer.status for answer in await asyncio.gather(*sent)]

    assert with_transport(many) == [200] * 20


def test_one_transport_serves_one_loop_after_another(server: Server) -> None:
    transport = HttpxTransport()

    async def once() -> int:
        status = (await transport.send(server.get())).status
        await transport.aclose()
        return status

    assert [asyncio.run(once()) for _ in range(3)] == [200] * 3


def test_one_transport_serves_several_loops_at_a_time(server: Server) -> None:
    transport = HttpxTransport()
    together = threading.Barrier(3)
    found: list[int] = []

    def work() -> None:
        async def main() -> None:
            together.wait(30)
            for _ in range(5):
                found.append((await transport.send(server.get())).status)  # noqa: PERF401
            await transport.aclose()

        asyncio.run(main())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [200] * 15


def test_a_cancelled_exchange_leaves_the_transport_usable(server: Server) -> None:
    async def cancelled(transport: HttpxTransport) -> int:
        server.reply = hang(30)
        task = asyncio.ensure_future(transport.send(server.get()))
        while not server.requests:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        server.reply = Reply(200, {}, b"{}")
        return (await transport.send(server.get())).status

    assert with_transport(cancelled) == 200


def test_the_loop_goes_on_meanwhile(server: Server) -> None:
    async def beside(transport: HttpxTransport) -> int:
        server.reply = hang(30)
        ticks = 0
        task = asyncio.ensure_future(transport.send(server.get()))
        while not task.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert isinstance(task.exception(), ProviderUnreachable)
        return ticks

    assert with_transport(beside, timeout=0.5) > 3


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ConfigurationError, match=r"pip install keyfob\[aio\]") as caught:
        HttpxTransport()
    assert caught.value.code == "httpx_missing"


@pytest.mark.parametrize("proxy", ["ftp://ada:s3cret@proxy", "s3cret"])
def test_a_proxy_that_is_none_is_refused_without_its_password(server: Server, proxy: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        with_transport(lambda transport: transport.send(server.get()), proxies={"http": proxy})
    assert "s3cret" not in str(caught.value)
    assert caught.value.__context__ is None


def test_hosts_without_a_proxy_are_asked_directly(server: Server) -> None:
    proxies = {"http": "http://127.0.0.1:1", "no_proxy": "127.0.0.1, other.example"}
    answer = with_transport(lambda transport: transport.send(server.get()), proxies=proxies)
    assert answer.status == 200


class TestOptions:
    def test_a_call_has_its_own_time(self, server: Server) -> None:
        async def impatient(transport: HttpxTransport) -> float:
            server.reply = hang(30)
            started = time.monotonic()
            with pytest.raises(ProviderUnreachable) as caught:
                await with_options(transport, {"timeout": 0.2, "verify": None}).send(server.get())
            assert caught.value.code == "timeout"
            return time.monotonic() - started

        assert with_transport(impatient, timeout=25) < 10

    def test_what_is_unknown_is_named(self) -> None:
        with pytest.raises(TypeError, match="'cert'"):
            with_options(HttpxTransport(), {"cert": "x"})

    def test_closing_the_transport_closes_the_calls_connections(self, server: Server) -> None:
        """Warnings of what stays open are errors here."""

        async def several(transport: HttpxTransport) -> None:
            for options in ({"verify": False}, {"proxies": {"https": "http://127.0.0.1:1"}}):
                assert (await with_options(transport, options).send(server.get())).status == 200

        with_transport(several)


class TestClientsOfTheApplication:
    def test_an_httpx_client(self, server: Server) -> None:
        async def main() -> HttpResponse:
            transport = AsyncHttpClientTransport(httpx.AsyncClient())
            answer = await transport.send(server.post())
            await transport.send(server.get())
            await transport.send(HttpRequest("POST", server.url, "WS-Trust", content="<a/>"))
            await transport.aclose()
            return answer

        assert asyncio.run(main()).body == b'{"a":1}'
        first, _, third = server.requests
        assert first.query == {"p": "policy", "slice": "a b"}
        assert first.form == {"code": "é&=+", "scope": "a b"}
        assert first.headers["authorization"] == "Basic s3cret"
        assert third.body == b"<a/>"

    def test_an_httpx_client_that_follows_redirects_is_told_not_to(self, server: Server) -> None:
        server.reply = redirect(307, f"{server.url}/elsewhere")

        async def main() -> int:
            async with httpx.AsyncClient(follow_redirects=True) as client:
                return (await AsyncHttpClientTransport(client).send(server.post())).status

        assert asyncio.run(main()) == 307
        assert len(server.requests) == 1

    def test_any_object_with_coroutine_functions(self) -> None:
        calls: list[Any] = []

        class Answer:
            status_code, text = 200, "{}"

        class Client:
            async def get(self, url: str, **arguments: Any) -> Answer:
                calls.append((url, arguments))
                return Answer()

            post = get

            def close(self) -> None:
                calls.append("closed")

        async def main() -> None:
            transport = AsyncHttpClientTransport(Client())
            await transport.send(HttpRequest("GET", "https://x", "x"))
            call = with_options(transport, {"trace": 7})
            await call.send(HttpRequest("POST", "https://x", "x", form={"a": "b"}))
            await call.send(HttpRequest("GET", "https://x", "x"))
            await transport.aclose()

        asyncio.run(main())
        plain = {"params": {}, "headers": {}}
        assert calls == [
            ("https://x", plain),
            ("https://x", {**plain, "data": {"a": "b"}, "trace": 7}),
            ("https://x", plain),
            "closed",
        ]

    @pytest.mark.parametrize("history", [[], [1]])
    def test_errors_tell_no_secret_and_redirects_are_refused(self, history: list[int]) -> None:
        class Answer:
            status_code, text = 200, "{}"

        class Client:
            async def post(self, url: str, **_: Any) -> Answer:
                if not history:
                    raise RuntimeError(f"{url} s3cret")
                answer = Answer()
                answer.history = history  # type: ignore[attr-defined]
                return answer

        request = HttpRequest("POST", "https://x/?s3cret", "the token endpoint")
        with pytest.raises((ProviderUnreachable, AnswerRefused)) as caught:
            asyncio.run(AsyncHttpClientTransport(Client()).send(request))
        assert isinstance(caught.value, AnswerRefused) == bool(history)
        assert "s3cret" not in str(caught.value) + repr(caught.value.__dict__)
        assert caught.value.__context__ is None

    @pytest.mark.parametrize("asynchronous", [True, False])
    def test_post_takes_the_place_of_each_post(self, server: Server, asynchronous: bool) -> None:
        class Answer:
            status_code, text = 418, "{}"

        def post(url: str, **arguments: Any) -> Any:
            assert arguments["data"] == {"code": "é&=+", "scope": "a b"}
            assert arguments["trace"] == 7

            async def later() -> Answer:
                return Answer()

            return later() if asynchronous else Answer()

        async def both(transport: HttpxTransport) -> list[int]:
            call = for_one_async_call(transport, {"post": post, "trace": 7})
            return [(await call.send(request)).status for request in (server.post(), server.get())]

        assert with_transport(both) == [418, 200]


class TestInflating:
    @given(st.binary(max_size=2000), st.integers(1, 60), st.sampled_from([31, 15, -15]))
    def test_whatever_is_packed_comes_out_however_it_is_cut(
        self, body: bytes, size: int, window: int
    ) -> None:
        packer = zlib.compressobj(wbits=window)
        packed = packer.compress(body) + packer.flush()
        inflating = Inflating.of("gzip" if window == 31 else "deflate")
        assert inflating is not None
        chunks = [packed[start : start + size] for start in range(0, len(packed), size)]
        assert b"".join(inflating.feed(chunk, 10_000) for chunk in chunks) == body
        inflating.end()

    @given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate"]))
    def test_noise_is_broken_or_bounded(self, noise: bytes, encoding: str) -> None:
        inflating = Inflating.of(encoding)
        assert inflating is not None
        try:
            assert len(inflating.feed(noise, 100)) <= 100
            inflating.end()
        except BrokenEncoding:
            pass

    def test_never_more_than_is_wanted_is_unpacked(self) -> None:
        inflating = Inflating.of("deflate")
        assert inflating is not None
        assert len(inflating.feed(zlib.compress(bytes(1_000_000)), 1000)) == 1000

    def test_a_body_that_breaks_off_is_broken(self) -> None:
        inflating = Inflating.of("gzip")
        assert inflating is not None
        inflating.feed(b"\x1f\x8b\x08\x00", 100)
        with pytest.raises(BrokenEncoding):
            inflating.end()

    def test_no_body_at_all_is_none(self) -> None:
        inflating = Inflating.of("gzip")
        assert inflating is not None
        inflating.end()


def test_an_interim_answer_is_passed_over(server: Server) -> None:
    def interim(wire: Wire) -> None:
        wire.send(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n")
        wire.send(b"Content-Length: 2\r\nConnection: close\r\n\r\n{}")

    server.reply = interim
    assert with_transport(lambda transport: transport.send(server.get())).body == b"{}"
