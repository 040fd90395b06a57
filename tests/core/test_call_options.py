"""What a verb is given beyond its parameters reaches the HTTP client, as with MSAL."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import httpx
import pytest

from keyfob.errors import ProviderUnreachable
from keyfob.protocol.http import HttpRequest, HttpResponse
from keyfob.transport import (
    HttpClientTransport,
    RequestsTransport,
    ThrottledTransport,
    Transport,
    for_one_call,
    with_options,
)
from support.provider_http import HttpServer, Reply, Request, Trouble, hang, redirect

POST = HttpRequest("POST", "https://x/token", "the token endpoint", form={"grant_type": "code"})
GET = HttpRequest("GET", "https://x/metadata", "the metadata")


class Server:
    def __init__(self) -> None:
        self.reply: Reply | Trouble = Reply(200, {}, b"{}")
        self.requests: list[Request] = []
        self._http = HttpServer(self._respond)
        self.url = f"http://127.0.0.1:{self._http.port}"

    def _respond(self, request: Request) -> Reply | Trouble:
        self.requests.append(request)
        return self.reply

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.close()


class Client:
    """MSAL's duck type, with whatever arguments."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.status = 200

    def get(self, url: str, **arguments: Any) -> Any:
        return self._call("GET", url, arguments)

    def post(self, url: str, **arguments: Any) -> Any:
        return self._call("POST", url, arguments)

    def _call(self, method: str, url: str, arguments: dict[str, Any]) -> Any:
        self.calls.append((method, url, arguments))
        return Mock(status_code=self.status, text="{}", headers={})

    def close(self) -> None: ...


class TestOurOwnTransport:
    def test_a_call_has_its_own_time(self, server: Server) -> None:
        server.reply = hang(30)
        transport = RequestsTransport(timeout=25)
        started = time.monotonic()
        with pytest.raises(ProviderUnreachable):
            with_options(transport, {"timeout": 0.2}).send(HttpRequest("GET", server.url, "x"))
        assert time.monotonic() - started < 10
        transport.close()

    def test_a_call_has_its_own_proxies(self, server: Server) -> None:
        transport = RequestsTransport()
        proxies = {"http": server.url}
        request = HttpRequest("GET", "http://idp.example/", "x")
        assert with_options(transport, {"proxies": proxies}).send(request).status == 200
        assert server.requests[0].target == "http://idp.example/"
        transport.close()

    def test_none_stands_for_what_the_transport_has(self) -> None:
        transport = RequestsTransport(timeout=3, verify=False)
        derived = with_options(transport, {"timeout": None, "verify": None, "proxies": None})
        assert repr(derived) == "<RequestsTransport timeout=3>"

    @pytest.mark.parametrize("name", ["cert", "stream", "allow_redirects", "auth", "max_age"])
    def test_what_is_unknown_is_named(self, name: str) -> None:
        transport = ThrottledTransport(RequestsTransport())
        with pytest.raises(TypeError, match=f"'{name}'.*timeout, verify, proxies"):
            with_options(transport, {name: 1})

    @pytest.mark.parametrize("value", [0, -1, "3", True, (1, 2)])
    def test_a_time_that_is_none_is_refused(self, value: Any) -> None:
        with pytest.raises(ValueError, match="timeout"):
            with_options(RequestsTransport(), {"timeout": value})

    def test_connections_are_shared_between_threads_and_calls(self, server: Server) -> None:
        transport = RequestsTransport()
        request = HttpRequest("GET", server.url, "x")
        found: list[int] = []

        def work(seconds: float) -> None:
            found.append(with_options(transport, {"timeout": seconds}).send(request).status)

        threads = [threading.Thread(target=work, args=(20 + number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [200] * 4
        transport.close()


class TestAnyTransport:
    def test_no_options_change_nothing(self) -> None:
        transport = RequestsTransport()
        assert with_options(transport, {}) is transport
        assert for_one_call(transport, {"post": None}) is transport

    @pytest.mark.parametrize("name", ["headers", "data", "params", "url", "json"])
    @pytest.mark.parametrize("client", [None, Client()], ids=["ours", "http_client"])
    def test_what_the_call_itself_says_is_no_option(self, client: Any, name: str) -> None:
        transport: Transport = HttpClientTransport(client) if client else RequestsTransport()
        with pytest.raises(TypeError, match=f"'{name}'"):
            with_options(transport, {name: {}})

    def test_a_transport_without_options_says_so(self) -> None:
        class Plain:
            def send(self, request: HttpRequest) -> HttpResponse:
                raise NotImplementedError

            def close(self) -> None: ...

        with pytest.raises(TypeError, match="'timeout'"):
            with_options(Plain(), {"timeout": 1})


class TestHttpClients:
    def test_whatever_is_given_reaches_post_and_only_post(self) -> None:
        client = Client()
        call = with_options(HttpClientTransport(client), {"timeout": (1, 2), "trace": object})
        call.send(POST)
        call.send(GET)
        [(_, _, posted), (_, _, got)] = client.calls
        assert (posted["timeout"], posted["trace"]) == ((1, 2), object)
        assert got == {"params": {}, "headers": {}}

    def test_a_whole_body_is_given_as_text(self) -> None:
        client = Client()
        HttpClientTransport(client).send(HttpRequest("POST", "https://x", "x", content="<é/>"))
        assert client.calls[0][2]["data"] == "<é/>"

    def test_a_mock_without_headers_and_history_is_an_answer(self) -> None:
        client = Mock()
        client.post.return_value = Mock(status_code=200, text='{"a": 1}')
        found = HttpClientTransport(client).send(POST)
        assert (found.status, found.body, found.headers) == (200, b'{"a": 1}', {})

    def test_an_httpx_client_keeps_the_addresses_own_query(self, server: Server) -> None:
        """Its params=, even if empty, would take the query's place: B2C's policy, for one."""
        server.reply = redirect(307, f"{server.url}/elsewhere")
        with httpx.Client(follow_redirects=True) as client:
            transport = HttpClientTransport(client)
            url = f"{server.url}/token?p=policy"
            request = HttpRequest("POST", url, "x", params={"a": "b"}, form={"c": "d"})
            assert transport.send(request).status == 307
            transport.send(HttpRequest("GET", url, "x"))
            transport.send(HttpRequest("POST", url, "x", content="<a/>"))
        queries = [request.query for request in server.requests]
        assert queries == [{"p": "policy", "a": "b"}, {"p": "policy"}, {"p": "policy"}]
        assert server.requests[0].form == {"c": "d"}
        assert server.requests[2].body == b"<a/>"


class TestPostHook:
    class Answer:
        """As MSAL's own tests have it."""

        def __init__(self, status_code: int = 200, text: str = "{}") -> None:
            self.status_code, self.text = status_code, text

    def test_it_takes_the_place_of_post_and_nothing_else(self) -> None:
        client, calls = Client(), list[Any]()

        def post(url: str, headers: Any, params: Any, data: Any, **more: Any) -> Any:
            calls.append((url, headers, params, data, more))
            return self.Answer(400, '{"error": "invalid_grant"}')

        call = for_one_call(HttpClientTransport(client), {"post": post, "timeout": 3})
        answer = call.send(POST)
        assert (answer.status, answer.headers) == (400, {})
        assert calls == [(POST.url, {}, {}, {"grant_type": "code"}, {"timeout": 3})]
        assert call.send(GET).status == 200
        assert [method for method, _, _ in client.calls] == ["GET"]

    def test_it_is_called_each_time_whatever_it_answered(self) -> None:
        """It stands for the HTTP client, so no memory of answers is before it."""
        calls: list[str] = []

        def post(url: str, **_: Any) -> Any:
            calls.append(url)
            return self.Answer(429)

        transport = ThrottledTransport(HttpClientTransport(Client()))
        for _ in range(2):
            assert not for_one_call(transport, {"post": post}).send(POST).throttled
        assert len(calls) == 2
        assert not transport.send(POST).throttled

    def test_its_network_errors_are_ours_and_its_others_its_own(self) -> None:
        def unreachable(url: str, **_: Any) -> Any:
            raise ConnectionError("s3cret")

        def wrong(url: str, **_: Any) -> Any:
            raise AssertionError("must not be called")

        transport = HttpClientTransport(Client())
        with pytest.raises(ProviderUnreachable) as caught:
            for_one_call(transport, {"post": unreachable}).send(POST)
        assert "s3cret" not in str(caught.value)
        assert caught.value.__context__ is None
        with pytest.raises(AssertionError, match="must not be called"):
            for_one_call(transport, {"post": wrong}).send(POST)

    def test_what_cannot_be_called_is_refused(self) -> None:
        with pytest.raises(TypeError, match="post"):
            for_one_call(HttpClientTransport(Client()), {"post": "POST"})
