"""Calls to other APIs: a `requests.Session` whose token goes to one origin and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from traceback import TracebackException
from typing import Any

import pytest
import requests

from keyfob.errors import ApiUnreachable, ConfigurationError, DownstreamError, InteractionRequired
from keyfob.web.downstream import DEFAULT_TIMEOUT, ApiSession
from support.bare_site import BareSite, with_apis
from support.downstream_api import Api, Tokens, calling, running_api
from support.provider import Person, Provider
from support.provider_http import Reply, Request, hang, raw_bytes

BASE = "https://api.example/v1"


@pytest.fixture
def api() -> Iterator[Api]:
    with running_api() as api:
        yield api


@pytest.fixture
def elsewhere() -> Iterator[Api]:
    with running_api() as api:
        yield api


@pytest.fixture
def session(api: Api) -> Iterator[ApiSession]:
    with calling(f"{api.base}/v1") as session:
        yield session


def sends(base: str = BASE) -> tuple[ApiSession, list[requests.PreparedRequest]]:
    """A session that sends nothing; what it would have sent."""
    sent: list[requests.PreparedRequest] = []

    class Nowhere(requests.adapters.HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
            sent.append(request)
            response = requests.Response()
            response.status_code = 200
            response.url = request.url or ""
            response.request = request
            return response

    return ApiSession(
        base, lambda *, new, claims="": "token-2" if new else "token-1", Nowhere()
    ), sent


# Addresses


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("/me", f"{BASE}/me"),
        ("me", f"{BASE}/me"),
        ("", BASE),
        ("/", f"{BASE}/"),
        ("/me?$select=a,b", f"{BASE}/me?$select=a,b"),
        ("?x=1", f"{BASE}/?x=1"),
        ("users/ada@contoso.example", f"{BASE}/users/ada@contoso.example"),
        ("/search?u=https://evil.example", f"{BASE}/search?u=https://evil.example"),
        ("/a/../../b?x=..", None),
        ("orders:batchGet", f"{BASE}/orders:batchGet"),
        ("mailto:ada", f"{BASE}/mailto:ada"),
        ("@evil.example", f"{BASE}/@evil.example"),
        ("https://api.example/v2/me", "https://api.example/v2/me"),
        ("HTTPS://API.example:443/v1/me", "https://api.example/v1/me"),
        (b"/me", f"{BASE}/me"),
    ],
)
def test_an_address_is_the_apis(given: str | bytes, meant: str | None) -> None:
    session, sent = sends()
    if meant is None:
        with pytest.raises(DownstreamError):
            session.get(given)
        assert sent == []
        return
    session.get(given)
    assert (sent[0].url or "").replace(":443", "").lower() == meant.lower()
    assert sent[0].headers["Authorization"] == "Bearer token-1"


@pytest.mark.parametrize(
    "given",
    [
        "https://evil.example/",
        "http://api.example/v1/me",
        "https://api.example:8443/",
        "https://api.example.evil.example/",
        "https://api.example@evil.example/",
        "https://evil.example\\@api.example/",
        "https://api.example\\@evil.example/",
        "https://evil.example#@api.example/",
        "https://evil.example?@api.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example/",
        "\\/evil.example",
        "http://evil.example\t/",
        " https://evil.example/",
        "\thttps://evil.example/",
        "https:evil.example",
        "https:/evil.example",
        "https:///evil.example",
        "file:///etc/passwd",
        "ftp://api.example/",
        "https://[::1",
        "https://api.example:99999/",
        "https://api.example:x/",
        b"https://evil.example/",
        b"\xff\xfe",
    ],
)
def test_no_other_address_gets_a_request(given: str | bytes) -> None:
    session, sent = sends()
    with pytest.raises(DownstreamError) as raised:
        session.get(given)

    assert isinstance(raised.value, ValueError)
    assert "token-1" not in str(raised.value)
    assert sent == []


@pytest.mark.parametrize(
    "given",
    [
        "../admin",
        "/../admin",
        "/users/../../admin",
        "/users/..",
        "/users/%2e%2e/%2E%2e/admin",
        "/users/.%2e/../admin",
        "/users/..%2f..%2fadmin",
        "/users/..\\..\\admin",
        "/users/%5c..%5cadmin",
        "/./me",
        "/users/..;/admin",
        "/users/..;x=1/admin",
        "/users/..;x",
        "/users/%2e%2e%3bx/admin",
        "/.;/me",
    ],
)
def test_no_path_leads_out_of_the_base_address(given: str) -> None:
    """As when a site puts what a visitor typed into a path."""
    session, sent = sends()
    with pytest.raises(DownstreamError) as raised:
        session.get(given)
    assert raised.value.code == "path"
    assert sent == []


@pytest.mark.parametrize(
    "given",
    ["/a..b", "/...", "/.well-known/x", "/v1.0/x", "/a?q=../..", "/%2525", "/a;x=../b", "/;x"],
)
def test_dots_that_lead_nowhere_are_fine(given: str) -> None:
    session, sent = sends()
    session.get(given)
    assert sent


def test_a_prepared_request_for_elsewhere_gets_no_token() -> None:
    session, sent = sends()
    with pytest.raises(DownstreamError):
        session.prepare_request(requests.Request("GET", "https://evil.example/"))
    assert sent == []


# Real calls


def test_it_is_a_session_of_requests(session: ApiSession, api: Api) -> None:
    assert isinstance(session, requests.Session)
    with session:
        assert session.post("/orders", json={"a": 1}, params={"x": "1"}).json() == {"ok": True}
        with session.get("/stream", stream=True) as answer:
            assert b"".join(answer.iter_content(4)) == b'{"ok": true}'
        assert session.put("/x", data=b"raw", headers={"X-A": "b"}).ok
        assert session.request("PUT", "/x").ok
        assert session.head("/x").ok

    post = api.requests[0]
    assert (post.method, post.path, post.body) == ("POST", "/v1/orders", b'{"a": 1}')
    assert post.query == {"x": "1"}
    assert {request.headers["authorization"] for request in api.requests} == {"Bearer token-1"}


def test_a_redirect_to_another_host_drops_the_token(
    session: ApiSession, api: Api, elsewhere: Api
) -> None:
    api.replies["/v1/moved"] = Reply(302, {"Location": f"{elsewhere.base}/v1/x"}, b"")
    assert session.get("/moved").ok
    assert "authorization" not in elsewhere.requests[0].headers


def test_a_redirect_within_the_api_keeps_it(session: ApiSession, api: Api) -> None:
    api.replies["/v1/moved"] = Reply(302, {"Location": "/v1/x"}, b"")
    assert session.get("/moved").ok
    assert api.requests[1].headers["authorization"] == "Bearer token-1"


def test_netrc_does_not_replace_the_token(
    session: ApiSession, api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login mallory password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    session.get("/me")
    assert api.requests[0].headers["authorization"] == "Bearer token-1"


def test_every_call_has_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    session, _ = sends()
    limits: list[object] = []
    send = requests.Session.send

    def remember(self: requests.Session, request: Any, **kwargs: Any) -> Any:
        limits.append(kwargs["timeout"])
        return send(self, request, **kwargs)

    monkeypatch.setattr(requests.Session, "send", remember)
    session.get("/me")
    session.get("/me", timeout=3)
    session.get("/me", timeout=None)
    session.send(session.prepare_request(requests.Request("GET", f"{BASE}/me")))
    assert limits == [DEFAULT_TIMEOUT, 3, None, DEFAULT_TIMEOUT]


def test_cookies_of_one_person_do_not_reach_the_next(provider: Provider, api: Api) -> None:
    api.replies["/v1/me"] = Reply(200, {"Set-Cookie": "who=ada"}, b"{}")
    settings = {
        **provider.settings(),
        "DOWNSTREAM_APIS": {"api": {"base_url": f"{api.base}/v1/", "scopes": ["orders.read"]}},
    }
    with BareSite(settings) as site:
        for _ in range(2):
            site.sign_in("api=api")
            assert site.keyfob.api("api").get("/me").ok
    assert all("cookie" not in request.headers for request in api.requests)


# With a site


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


def test_the_persons_token_is_had_when_a_call_is_made(provider: Provider) -> None:
    with BareSite(with_apis(provider)) as site:
        site.sign_in("api=api")
        api = site.keyfob.api("api")
        assert api.get("/me").json()["sub"] == provider.person.sub
        first = provider.requests_to("api")[-1].headers["authorization"]
        site.clock_offset = 3500
        assert api.get("/me").ok
        assert provider.requests_to("api")[-1].headers["authorization"] != first
        assert "token" not in repr(api)


def test_without_the_token_nothing_is_sent(provider: Provider) -> None:
    with BareSite(with_apis(provider)) as site:
        with pytest.raises(InteractionRequired):
            site.keyfob.api("api").get("/me")
        site.sign_in()
        with pytest.raises(InteractionRequired) as raised:
            site.keyfob.api("api").get("/me")
    assert raised.value.api == "api"
    assert provider.requests_to("api") == []


def test_an_unknown_api_is_the_developers_mistake(provider: Provider) -> None:
    with BareSite(with_apis(provider)) as site:
        site.sign_in()
        with pytest.raises(ConfigurationError, match=r"'apu'.*api, mail"):
            site.keyfob.api("apu")
        with pytest.raises(ConfigurationError):
            site.keyfob.api("graph")  # not there outside Microsoft's


def test_graphs_address_comes_from_the_metadata() -> None:
    with Provider(entra=True) as provider, BareSite(provider.settings()) as site:
        site.sign_in("api=graph")
        assert site.keyfob.api("graph").get("/me").json()["id"] == Person().oid
        assert provider.requests_to("api")[-1].path == "/v1.0/me"


def test_without_such_an_address_the_message_says_so() -> None:
    with (
        Provider(entra=True, omit_metadata=("msgraph_host",)) as provider,
        BareSite(provider.settings()) as site,
    ):
        site.sign_in()
        with pytest.raises(ConfigurationError, match="graph"):
            site.keyfob.api("graph")


def test_two_peoples_calls_at_once_have_their_own_tokens(provider: Provider) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with BareSite(with_apis(provider)) as site:
        browsers = []
        for number in range(4):
            provider.person = Person(sub=f"person-{number}")
            browser = site.another_browser()
            browser.sign_in("api=api")
            browsers.append(browser)

        def call(number: int) -> str:
            answer = browsers[number % 4].keyfob.api("api").get("/me").json()
            return str(answer["sub"])

        with ThreadPoolExecutor(8) as pool:
            subjects = list(pool.map(call, range(40)))
    assert subjects == [f"person-{number % 4}" for number in range(40)]


def test_an_api_that_is_away_is_an_error_of_both_kinds_that_shows_no_token(
    session: ApiSession, api: Api
) -> None:
    api.server.close()
    with pytest.raises(ApiUnreachable) as caught:
        session.get("/orders")

    assert isinstance(caught.value, requests.ConnectionError)
    assert caught.value.retryable
    shown = TracebackException.from_exception(caught.value, capture_locals=True)
    assert "token-1" not in "".join(shown.format())


def test_an_api_that_is_slow_is_a_timeout(session: ApiSession, api: Api) -> None:
    api.answer = lambda request: hang(60)
    with pytest.raises(requests.Timeout) as caught:
        session.post("/orders", timeout=0.2)
    assert isinstance(caught.value, ApiUnreachable)


def test_a_refused_token_is_renewed_once(provider: Provider) -> None:
    """The provider may have ended it before its time."""
    with BareSite(with_apis(provider)) as site:
        site.sign_in("api=api")
        first = site.keyfob.token(api="api")
        provider._access.clear()

        answer = site.keyfob.api("api").get("/me")

        assert answer.status_code == 200
        assert [each.status_code for each in answer.history] == [401]
        assert site.keyfob.token(api="api") != first


def test_an_api_that_refuses_every_token_is_asked_twice_and_no_more(api: Api) -> None:
    """And the provider for one new token, not for one each call."""
    api.replies["/v1/orders"] = Reply(401, {}, b"no")
    tokens = Tokens()
    with calling(f"{api.base}/v1", tokens) as session:
        assert session.post("/orders", json={"a": 1}).status_code == 401
        assert session.post("/orders", json={"a": 1}).status_code == 401

    assert tokens.claims == [""]
    assert [request.body for request in api.requests] == [b'{"a": 1}'] * 3


def test_what_cannot_be_sent_twice_is_not(session: ApiSession, api: Api) -> None:
    api.replies["/v1/orders"] = Reply(401, {}, b"no")
    assert session.post("/orders", data=iter([b"a", b"b"])).status_code == 401
    assert len(api.requests) == 1


def test_a_redirect_after_a_renewal_carries_the_new_token(session: ApiSession, api: Api) -> None:
    def respond(request: Request) -> Reply:
        api.requests.append(request)
        if request.headers["authorization"] != "Bearer token-2":
            return Reply(401, {}, b"")
        if request.path == "/v1/a":
            return Reply(307, {"Location": "/v1/b"}, b"")
        return Reply(200, {}, b"yes")

    api.answer = respond
    assert session.get("/a").text == "yes"


def test_an_answer_that_breaks_off_is_no_answer(session: ApiSession, api: Api) -> None:
    api.answer = lambda request: raw_bytes(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nhalf"
    )
    with pytest.raises(ApiUnreachable):
        session.get("/a")
