"""Redirects: the token stays at the API's own origin, whichever session carries it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from traceback import TracebackException
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from requests.adapters import BaseAdapter
from urllib3.util import parse_url

from keyfob.errors import DownstreamError
from keyfob.web.downstream import ApiSession
from keyfob.web.downstream_auth import ApiAuth
from support.downstream_api import Api, Tokens, calling, running_api
from support.provider_http import Reply, Request

BASE = "https://api.example/v1"


@pytest.fixture
def api() -> Iterator[Api]:
    with running_api() as api:
        yield api


@pytest.fixture
def elsewhere() -> Iterator[Api]:
    with running_api() as api:
        yield api


@pytest.fixture(params=["our session", "any session"])
def session(request: pytest.FixtureRequest, api: Api) -> Iterator[requests.Session]:
    if request.param == "our session":
        with calling(api.base) as session:
            yield session
        return
    with requests.Session() as plain:
        plain.auth = ApiAuth(Tokens(), api.base)
        yield plain


def to(location: str, status: int = 302) -> Reply:
    return Reply(status, {"Location": location}, b"")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_another_host_gets_no_token(
    session: requests.Session, api: Api, elsewhere: Api, status: int
) -> None:
    api.replies["/a"] = to(f"{elsewhere.base}/b", status)
    assert session.post(f"{api.base}/a", json={"a": 1}).ok
    assert api.tokens == ["Bearer token-1"]
    assert elsewhere.tokens == [None]


def test_the_apis_own_origin_gets_it_at_every_step(session: requests.Session, api: Api) -> None:
    for number in range(5):
        api.replies[f"/{number}"] = to(
            f"/{number + 1}" if number % 2 else f"{api.base}/{number + 1}"
        )
    answer = session.get(f"{api.base}/0")
    assert answer.ok
    assert len(answer.history) == 5
    assert api.tokens == ["Bearer token-1"] * 6


def test_a_way_back_from_elsewhere_gets_none(
    session: requests.Session, api: Api, elsewhere: Api
) -> None:
    """Whoever redirects would choose what is done in the person's name."""
    api.replies["/a"] = to(f"{elsewhere.base}/b")
    elsewhere.replies["/b"] = to(f"{api.base}/delete-everything")
    assert session.get(f"{api.base}/a").ok
    assert api.tokens == ["Bearer token-1", None]


def test_a_refusal_on_the_way_back_gets_none_either(
    session: requests.Session, api: Api, elsewhere: Api
) -> None:
    api.replies["/a"] = to(f"{elsewhere.base}/b")
    elsewhere.replies["/b"] = to(f"{api.base}/c")
    api.replies["/c"] = Reply(401, {}, b"")
    assert session.get(f"{api.base}/a").status_code == 401
    assert api.tokens == ["Bearer token-1", None]
    assert elsewhere.tokens == [None]


def test_a_refusal_elsewhere_is_answered_with_nothing(
    session: requests.Session, api: Api, elsewhere: Api
) -> None:
    api.replies["/a"] = to(f"{elsewhere.base}/b")
    elsewhere.replies["/b"] = Reply(401, {"WWW-Authenticate": "Bearer"}, b"")
    assert session.get(f"{api.base}/a").status_code == 401
    assert elsewhere.tokens == [None]


def test_a_renewed_token_goes_along_and_no_further(
    session: requests.Session, api: Api, elsewhere: Api
) -> None:
    def respond(request: Request) -> Any:
        api.requests.append(request)
        if request.headers["authorization"] == "Bearer token-1":
            return Reply(401, {}, b"")
        return to("/b" if request.path == "/a" else f"{elsewhere.base}/c")

    api.answer = respond
    assert session.get(f"{api.base}/a").ok
    assert api.tokens == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]
    assert elsewhere.tokens == [None]


def test_a_refusal_after_a_redirect_is_answered_there(session: requests.Session, api: Api) -> None:
    def respond(request: Request) -> Any:
        api.requests.append(request)
        if request.path == "/a":
            return to("/b")
        return Reply(200 if request.headers["authorization"].endswith("2") else 401, {}, b"")

    api.answer = respond
    assert session.get(f"{api.base}/a").ok
    assert [request.path for request in api.requests] == ["/a", "/b", "/b"]


def test_a_circle_ends(session: requests.Session, api: Api) -> None:
    api.replies["/a"] = to("/a")
    with pytest.raises(requests.TooManyRedirects):
        session.get(f"{api.base}/a")


def test_the_error_of_a_circle_shows_no_token(api: Api) -> None:
    api.replies["/a"] = to("/a")
    with calling(api.base) as session, pytest.raises(requests.TooManyRedirects) as caught:
        session.get("/a")
    shown = TracebackException.from_exception(caught.value, capture_locals=True)
    assert "token-1" not in "".join(shown.format())
    assert caught.value.response is None


def test_redirects_need_not_be_followed(session: requests.Session, api: Api) -> None:
    api.replies["/a"] = to("/b")
    assert session.get(f"{api.base}/a", allow_redirects=False).status_code == 302
    assert len(api.requests) == 1


def test_netrc_does_not_replace_the_token_on_the_way(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login mallory password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    api.replies["/a"] = to("/b")
    with calling(api.base) as session:
        assert session.get("/a").ok
    assert api.tokens == ["Bearer token-1"] * 2


def test_proxies_of_the_environment_are_used(
    api: Api, elsewhere: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", elsewhere.base)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with calling("http://api.localhost") as session:
        assert session.get("/a").ok
    assert [request.target for request in elsewhere.requests] == ["http://api.localhost/a"]
    assert elsewhere.tokens == ["Bearer token-1"]


# What the caller sends


def test_a_header_by_hand_is_a_mistake(session: requests.Session, api: Api) -> None:
    with pytest.raises(DownstreamError, match="Authorization is set by hand") as raised:
        session.get(f"{api.base}/a", headers={"authorization": "Basic abc"})
    session.headers["Authorization"] = "Bearer mine"
    with pytest.raises(DownstreamError):
        session.get(f"{api.base}/a")
    assert raised.value.code == "authorization"
    assert "abc" not in str(raised.value)
    assert api.requests == []


def test_another_way_to_prove_oneself_can_be_named(api: Api, elsewhere: Api) -> None:
    """And goes no further than the token would."""
    api.replies["/a"] = to(f"{elsewhere.base}/b")
    with calling(api.base) as session:
        assert session.get("/a", auth=("ada", "secret")).ok
    assert api.tokens == ["Basic YWRhOnNlY3JldA=="]
    assert elsewhere.tokens == [None]


def test_the_token_of_one_api_does_not_serve_another(api: Api, elsewhere: Api) -> None:
    auth = ApiAuth(Tokens(), api.base)
    with pytest.raises(DownstreamError) as raised:
        requests.get(f"{elsewhere.base}/a", auth=auth, timeout=5)
    assert raised.value.code == "foreign_origin"
    assert elsewhere.requests == []
    assert "token-1" not in repr(auth) + str(raised.value)


# Addresses of every kind

SCHEMES = st.sampled_from(["https", "http", "HTTPS", "ftp", "", "https ", "javascript"])
HOSTS = st.sampled_from(
    [
        "api.example", "API.EXAMPLE", "api.example.", "sub.api.example", "example", "evil.example",
        "api.example.evil.example", "xn--api-example", "api。example", "\uff41pi.example",
        "127.0.0.1", "[::1]", "", "api.example%2eevil.example", "api.example%00.evil.example",
        "api.exam\tple",
    ]
)  # fmt: skip
USERS = st.sampled_from(["", "api.example@", "a:b@", "api.example:443@", "api.example\\@"])
PORTS = st.sampled_from(["", ":", ":443", ":80", ":8443", ":0443", ":x", ":99999"])
TAILS = st.sampled_from(["", "/", "/v1", "\\@api.example/", "#@api.example", "?@api.example/"])
PREFIXES = st.sampled_from(["", " ", "\t", "/", "//", "\\\\", "/\\", "///"])


@st.composite
def addresses(draw: st.DrawFn) -> str:
    scheme = draw(SCHEMES)
    middle = f"{draw(USERS)}{draw(HOSTS)}{draw(PORTS)}{draw(TAILS)}"
    slashes = draw(st.sampled_from(["://", ":/", ":", ":\\\\", "://\\"])) if scheme else ""
    return f"{draw(PREFIXES)}{scheme}{slashes}{middle}"


class Scripted(BaseAdapter):
    """Answers the first request with a redirect, and remembers where each one would go."""

    def __init__(self, location: str) -> None:
        self.location = location
        self.seen: list[tuple[str, str | None]] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        self.seen.append((request.url or "", request.headers.get("Authorization")))
        response = requests.Response()
        response.status_code = 302 if len(self.seen) == 1 else 200
        response.headers["Location"] = self.location
        response.url = request.url or ""
        response.request = request
        response._content = b""
        return response

    def close(self) -> None:
        """Nothing is open."""


def goes_to_api(url: str) -> bool:
    """Where urllib3, which makes the connections, would go."""
    parts = parse_url(url)
    return (parts.scheme, parts.host, parts.port or 443) == ("https", "api.example", 443)


@settings(max_examples=400, deadline=None)
@given(addresses() | st.text(max_size=30), st.booleans())
def test_wherever_a_redirect_leads_the_token_is_only_seen_by_the_api(
    location: str, is_ours: bool
) -> None:
    adapter = Scripted(location.encode("utf-8").decode("latin-1"))
    session = requests.Session()
    if is_ours:
        session = ApiSession(BASE, Tokens(), adapter)  # type: ignore[arg-type]
    else:
        session.auth = ApiAuth(Tokens(), BASE)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
    with suppress(requests.RequestException, ValueError):  # where it is no address at all
        session.get(f"{BASE}/a")
    for url, token in adapter.seen:
        assert token is None or goes_to_api(url), url
    assert adapter.seen[0] == (f"{BASE}/a", "Bearer token-1")


@settings(max_examples=400, deadline=None)
@given(addresses() | st.text(max_size=30))
def test_whatever_is_called_the_token_is_only_seen_by_the_api(address: str) -> None:
    adapter = Scripted("/end")
    session = ApiSession(BASE, Tokens(), adapter)  # type: ignore[arg-type]
    try:
        session.get(address)
    except (requests.RequestException, ValueError):
        assert adapter.seen == []
    for url, _ in adapter.seen:
        assert goes_to_api(url), url


@pytest.mark.parametrize(
    ("base", "location", "keeps"),
    [
        (BASE, "https://api.example:443/b", True),
        (BASE, "HTTPS://API.example/b", True),
        (BASE, "/b", True),
        (BASE, "b", True),
        (BASE, "//api.example/b", True),
        (BASE, "https://api.example:8443/b", False),
        (BASE, "http://api.example/b", False),
        (BASE, "https://sub.api.example/b", False),
        (BASE, "https://example/b", False),
        (BASE, "//evil.example/b", False),
        (BASE, "/\\evil.example/b", True),  # a path, for requests and urllib3
        ("http://localhost", "https://localhost/b", False),
        ("http://localhost:80", "https://localhost:443/b", False),
    ],
)
@pytest.mark.parametrize("is_ours", [True, False])
def test_an_origin_is_scheme_host_and_port(
    base: str, location: str, keeps: bool, is_ours: bool
) -> None:
    """requests alone would let http become https with the token in hand."""
    adapter = Scripted(location)
    session = requests.Session()
    if is_ours:
        session = ApiSession(base, Tokens(), adapter)  # type: ignore[arg-type]
    else:
        session.auth = ApiAuth(Tokens(), base)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
    session.get(f"{base}/a")
    assert [token for _, token in adapter.seen] == [
        "Bearer token-1",
        "Bearer token-1" if keeps else None,
    ]
