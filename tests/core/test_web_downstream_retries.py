"""Calls that are repeated: which, how often, and after how long."""

from __future__ import annotations

import io
import logging
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import ApiUnreachable
from keyfob.web import repeating
from keyfob.web.downstream import ApiConnections, ApiSession
from keyfob.web.settings_apis import DownstreamApi
from support.bare_site import BareSite
from support.downstream_api import Api, Pauses, Tokens, calling, running_api
from support.provider import Provider
from support.provider_http import HttpServer, Reply, Request, drop, raw_bytes, reset
from support.tls import self_signed

BUSY = Reply(503, {}, b"busy")


@pytest.fixture
def api() -> Iterator[Api]:
    with running_api() as api:
        yield api


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def session(api: Api, pauses: Pauses) -> Iterator[ApiSession]:
    with calling(api.base, pauses=pauses) as session:
        yield session


# Which


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
def test_what_may_arrive_twice_is_repeated_after_a_passing_failure(
    session: ApiSession, api: Api, method: str, status: int
) -> None:
    api.first = [Reply(status, {}, b"busy")] * 2
    body = {"data": b"all of it"} if method == "PUT" else {}
    answer = session.request(method, "/a", **body)  # type: ignore[arg-type]

    assert answer.status_code == 200
    assert answer.history == []
    assert [request.method for request in api.requests] == [method] * 3
    assert {request.body for request in api.requests} == {body.get("data", b"")}
    assert api.tokens == ["Bearer token-1"] * 3


@pytest.mark.parametrize("trouble", [BUSY, Reply(429, {"Retry-After": "1"}, b""), drop, reset])
def test_what_may_not_arrive_twice_is_never_repeated(
    session: ApiSession, api: Api, trouble: Reply
) -> None:
    api.first = [trouble]
    if isinstance(trouble, tuple):
        assert session.post("/orders", json={"a": 1}).status_code == trouble.status
    else:
        with pytest.raises(ApiUnreachable):
            session.post("/orders", json={"a": 1})
    assert len(api.requests) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 408, 409, 500, 501])
def test_other_failures_are_the_callers(session: ApiSession, api: Api, status: int) -> None:
    api.first = [Reply(status, {"Retry-After": "1"}, b"")]
    assert session.get("/a").status_code == status
    assert len(api.requests) == 1


@pytest.mark.parametrize("trouble", [drop, reset, raw_bytes(b"nonsense\r\n\r\n")])
def test_a_connection_that_dies_is_tried_again(
    session: ApiSession, api: Api, pauses: Pauses, trouble: object
) -> None:
    api.first = [trouble, trouble]  # type: ignore[list-item]
    assert session.get("/a").ok
    assert len(api.requests) == 3
    assert len(pauses.made) == 2


def test_in_the_end_the_last_answer_is_the_callers(session: ApiSession, api: Api) -> None:
    api.first = [Reply(503, {}, b"1"), Reply(502, {}, b"2"), Reply(429, {}, b"3")]
    answer = session.get("/a")
    assert (answer.status_code, answer.content, answer.history) == (429, b"3", [])
    assert len(api.requests) == 3


def test_no_length_keeps_a_call_from_being_repeated(session: ApiSession, api: Api) -> None:
    api.first = [raw_bytes(b"HTTP/1.1 503 x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n")]
    assert session.get("/a").ok
    assert len(api.requests) == 2


def test_in_the_end_the_error_shows_no_token(session: ApiSession, api: Api) -> None:
    from traceback import TracebackException

    api.first = [drop, drop, drop]
    with pytest.raises(ApiUnreachable) as caught:
        session.get("/a?who=ada")
    shown = "".join(TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "token-1" not in shown
    assert len(api.requests) == 3


def test_a_call_that_never_left_is_tried_again_whatever_it_is(pauses: Pauses) -> None:
    """Nobody listens yet: a server that is just being started."""
    with running_api() as gone:
        pass
    with calling(gone.base, pauses=pauses) as session, pytest.raises(ApiUnreachable):
        session.post("/orders", data=iter([b"not", b"touched"]))
    assert len(pauses.made) == 2


def test_a_post_arrives_at_a_server_that_comes_back(pauses: Pauses) -> None:
    with running_api() as gone:
        pass
    arrived: list[bytes] = []
    started: list[HttpServer] = []

    def take(request: Request) -> Reply:
        arrived.append(request.body)
        return Reply(201, {}, b"")

    class Restart(Pauses):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            started.append(HttpServer(take, port=gone.server.port))

    try:
        with calling(gone.base, pauses=Restart()) as session:
            answer = session.post("/orders", data=io.BytesIO(b"once"))
    finally:
        for server in started:
            server.close()
    assert answer.status_code == 201
    assert arrived == [b"once"]


def test_retries_can_be_turned_off(api: Api, pauses: Pauses) -> None:
    api.first = [BUSY, drop]
    with calling(api.base, retries=0, pauses=pauses) as session:
        assert session.get("/a").status_code == 503
        with pytest.raises(ApiUnreachable):
            session.get("/a")
    assert pauses.made == []
    assert len(api.requests) == 2


def test_a_caller_with_a_patience_of_their_own_turns_them_off_for_themselves(
    api: Api, pauses: Pauses
) -> None:
    api.first = [BUSY, BUSY]
    with calling(api.base, pauses=pauses) as session:
        assert session.without_retries().get("/a").status_code == 503
        assert session.without_retries().get("/a").status_code == 503
        assert session.get("/a").ok
    assert pauses.made == []
    assert len(api.requests) == 3


def test_no_certificate_gets_better_by_waiting(pauses: Pauses, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed(tmp_path))
    server = HttpServer(lambda request: BUSY, context)
    try:
        base = f"https://127.0.0.1:{server.port}"
        with calling(base, pauses=pauses) as session, pytest.raises(ApiUnreachable):
            session.get("/a")
    finally:
        server.close()
    assert pauses.made == []


# Bodies


def test_a_body_that_is_used_up_is_not_sent_again(session: ApiSession, api: Api) -> None:
    api.first = [BUSY]
    assert session.put("/a", data=iter([b"a", b"b"])).status_code == 503
    assert len(api.requests) == 1


def test_a_file_is_sent_again_from_where_it_was(
    session: ApiSession, api: Api, tmp_path: Path
) -> None:
    path = tmp_path / "upload"
    path.write_bytes(b"head" + b"x" * 100_000)
    api.first = [BUSY, BUSY]
    with path.open("rb") as file:
        file.seek(4)
        assert session.put("/a", data=file).ok
    assert [request.body for request in api.requests] == [b"x" * 100_000] * 3


def test_an_answer_that_is_streamed_comes_whole(session: ApiSession, api: Api) -> None:
    api.first = [BUSY]
    with session.get("/a", stream=True) as answer:
        assert b"".join(answer.iter_content(3)) == b'{"ok": true}'


# When


def test_pauses_grow_and_differ(api: Api) -> None:
    seen = set()
    for _ in range(5):
        pauses = Pauses()
        api.first = [BUSY] * 4
        with calling(api.base, retries=4, pauses=pauses) as session:
            assert session.get("/a").ok
        for number, made in enumerate(pauses.made):
            assert 0.1 * 2**number <= made <= 0.2 * 2**number
        seen.add(tuple(pauses.made))
    assert len(seen) == 5


def test_what_the_api_asks_for_is_waited_for(session: ApiSession, api: Api, pauses: Pauses) -> None:
    api.first = [Reply(429, {"Retry-After": "2"}, b"")]
    assert session.get("/a").ok
    assert pauses.made == [2]


def test_a_date_counts_from_the_answers_own_clock(
    session: ApiSession, api: Api, pauses: Pauses
) -> None:
    then = 1_600_000_000
    headers = {
        "Date": formatdate(then, usegmt=True),
        "Retry-After": formatdate(then + 3, usegmt=True),
    }
    api.first = [Reply(503, headers, b"")]
    assert session.get("/a").ok
    assert pauses.made == [3]


def test_a_date_without_a_clock_counts_from_ours(
    session: ApiSession, api: Api, pauses: Pauses
) -> None:
    api.first = [Reply(503, {"Retry-After": formatdate(time.time() + 3, usegmt=True)}, b"")]
    assert session.get("/a").ok
    assert 1 < pauses.made[0] <= 4


@pytest.mark.parametrize(
    "asked",
    ["6", "3600", "999999999", "Thu, 01 Jan 2099 00:00:00 GMT"],
    ids=["a little more", "an hour", "years", "a date"],
)
def test_nobody_waits_longer_than_a_person_does(
    session: ApiSession, api: Api, pauses: Pauses, asked: str
) -> None:
    api.first = [Reply(429, {"Retry-After": asked}, b"later")]
    answer = session.get("/a")
    assert (answer.status_code, answer.content) == (429, b"later")
    assert answer.headers["Retry-After"] == asked
    assert pauses.made == []
    assert len(api.requests) == 1


def test_pauses_together_are_no_longer_either(
    session: ApiSession, api: Api, pauses: Pauses
) -> None:
    api.first = [Reply(429, {"Retry-After": "3"}, b"")] * 3
    assert session.get("/a").status_code == 429
    assert pauses.made == [3]


def test_an_attempt_that_took_long_was_the_last(api: Api) -> None:
    class Slow(Pauses):
        def clock(self) -> float:
            self.now += 4.0
            return self.now

    api.first = [BUSY] * 3
    pauses = Slow()
    with calling(api.base, retries=10, pauses=pauses) as session:
        assert session.get("/a").status_code == 503
    assert len(api.requests) == 2


@pytest.mark.parametrize("asked", ["", "soon", "-5", "1.5", "0x10", "٣", "1" * 5000, "Thu, 99"])
def test_what_cannot_be_read_is_not_asked_for(
    session: ApiSession, api: Api, pauses: Pauses, asked: str
) -> None:
    text = asked.encode().decode("latin-1")
    api.first = [Reply(503, {"Retry-After": text}, b"")]
    assert session.get("/a").ok
    assert pauses.made[0] <= 0.2


@given(
    st.integers(1, 12),
    st.floats(0, 100),
    st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text(max_size=50)),
    st.floats(0, 1),
)
def test_whatever_is_asked_no_pause_is_too_long(
    made: int, elapsed: float, headers: dict[str, str], chance: float
) -> None:
    found = repeating.pause(made, elapsed, headers, now=1.7e9, random=lambda: chance)
    assert found is None or 0 < found <= repeating.PATIENCE - elapsed + 1e-9


# What is left behind


def test_the_log_tells_no_address(
    session: ApiSession, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    api.first = [BUSY, drop]
    with caplog.at_level(logging.DEBUG, "keyfob"):
        assert session.get("/people/lovelace?secret=1").ok
    lines = [record.getMessage() for record in caplog.records if "repeated" in record.getMessage()]
    assert len(lines) == 2
    assert lines[0].startswith(f"{api.base}: HTTP 503; the call is repeated in 0.")
    assert "ConnectionError" in lines[1]
    assert "lovelace" not in caplog.text
    assert "secret" not in caplog.text
    assert "token-1" not in caplog.text


def test_a_redirects_target_is_repeated_too(session: ApiSession, api: Api) -> None:
    api.first = [Reply(302, {"Location": "/b"}, b""), BUSY]
    answer = session.get("/a")
    assert answer.ok
    assert [request.path for request in api.requests] == ["/a", "/b", "/b"]
    assert [each.status_code for each in answer.history] == [302]


def test_a_renewed_call_is_repeated_too(session: ApiSession, api: Api) -> None:
    api.first = [Reply(401, {}, b""), BUSY]
    answer = session.get("/a")
    assert answer.ok
    assert api.tokens == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]
    assert [each.status_code for each in answer.history] == [401]


def test_a_refused_answers_connection_serves_again(session: ApiSession, api: Api) -> None:
    alive = {"Connection": "keep-alive"}
    api.first = [Reply(503, alive, b"x" * 1000), Reply(401, alive, b"y" * 1000)]
    api.replies["/a"] = Reply(200, alive, b"yes")
    assert session.get("/a").text == "yes"
    assert len(api.requests) == 3
    assert api.server.connections == 1


def test_a_long_answer_that_nobody_wants_is_not_read(session: ApiSession, api: Api) -> None:
    head = b"HTTP/1.1 503 Busy\r\nContent-Length: 9999999999\r\n\r\n"
    api.first = [raw_bytes(head + b"x" * 1000)]
    assert session.get("/a").ok
    assert api.server.connections == 2


# Connections


def test_requests_of_a_site_share_connections(api: Api) -> None:
    """Each request has its own session, with its own cookies; the connections are the site's."""
    settings = DownstreamApi("orders", api.base, ("a",))
    api.replies["/a"] = Reply(200, {"Connection": "keep-alive", "Set-Cookie": "who=ada"}, b"yes")
    connections = ApiConnections()
    try:
        for _ in range(50):
            with connections.session(settings, api.base, Tokens()) as session:
                assert session.get("/a").ok
                assert session.cookies.get("who") == "ada"
        assert api.server.connections == 1
        assert all("cookie" not in request.headers for request in api.requests)

        barrier = threading.Barrier(4)

        def visit(number: int) -> None:
            barrier.wait(5)
            for _ in range(25):
                assert connections.session(settings, api.base, Tokens()).get("/a").ok

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(visit, range(4)))
        assert api.server.connections <= 4
        assert len(api.requests) == 150
    finally:
        connections.close()


def test_sessions_of_two_requests_share_nothing_that_changes(api: Api) -> None:
    """Whatever a future requests adds to its sessions, too."""
    settings = DownstreamApi("orders", api.base, ("a",))
    connections = ApiConnections()
    one, two = (connections.session(settings, api.base, Tokens()) for _ in range(2))
    ours = {"_environ_proxies", "_timeout"}  # never changed, and tested beside requests' own below
    assert vars(one).keys() == vars(two).keys() >= vars(requests.Session()).keys()
    for name, value in vars(one).items():
        fixed = value is None or isinstance(value, (str, int, bool))
        assert fixed or name in ours or value is not vars(two)[name], name
    one.headers["X-Who"] = "ada"
    one.params["who"] = "ada"  # type: ignore[index]
    one.hooks["response"].append(lambda *_, **__: None)  # type: ignore[union-attr]
    assert connections.session(settings, api.base, Tokens()).get("/a").ok
    assert "x-who" not in api.requests[0].headers
    assert api.requests[0].query == {}
    connections.close()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"https_proxy": "http://p:1", "no_proxy": "b.example"},
        {"https_proxy": "http://p:1", "no_proxy": "api.example"},
        {"REQUESTS_CA_BUNDLE": "/ca"},
        {"all_proxy": "http://q:2", "CURL_CA_BUNDLE": "/curl"},
    ],
)
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"proxies": {"https": "http://r:3"}},
        {"verify": False},
        {"verify": "/mine", "stream": True},
        {"cert": "/me"},
        {"stream": False},
    ],
)
@pytest.mark.parametrize(
    "own",
    [
        {},
        {"trust_env": False},
        {"proxies": {"http": "http://s:4"}},
        {"verify": False, "stream": True, "cert": "/own"},
    ],
)
def test_the_environment_means_what_it_means_to_requests(
    environment: dict[str, str],
    given: dict[str, Any],
    own: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (
        "https_proxy",
        "http_proxy",
        "all_proxy",
        "no_proxy",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
    ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    base = "https://api.example/v1"
    connections = ApiConnections()
    ours = connections.session(DownstreamApi("a", base, ()), base, Tokens())
    plain = requests.Session()
    found = []
    for session in (ours, plain):
        for name, value in own.items():
            setattr(session, name, value)
        more = {"proxies": {}, "stream": None, "verify": None, "cert": None, **given}
        more["proxies"] = dict(more["proxies"])
        found.append(session.merge_environment_settings(f"{base}/x", **more))
    connections.close()
    assert found[0] == found[1]


def test_settings_reach_the_calls(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.replies["/a"] = BUSY
    limits: list[object] = []
    send = requests.Session.send

    def remember(
        self: requests.Session, request: requests.PreparedRequest, **kwargs: object
    ) -> object:
        limits.append(kwargs["timeout"])
        return send(self, request, **kwargs)

    monkeypatch.setattr(requests.Session, "send", remember)
    with Provider() as provider:
        orders = {"base_url": api.base, "scopes": ["orders.read"], "retries": 1, "timeout": [1, 9]}
        with BareSite({**provider.settings(), "DOWNSTREAM_APIS": {"orders": orders}}) as site:
            site.sign_in("api=orders")
            limits.clear()
            assert site.keyfob.api("orders").get("/a").status_code == 503
            assert site.keyfob.api("orders").get("/a", timeout=3).status_code == 503
    assert limits == [(1.0, 9.0), 3]
    assert len(api.requests) == 4
