"""The token for httpx: the same rules, in both of its clients."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from keyfob.errors import ConfigurationError, DownstreamError, InteractionRequired
from keyfob.web.downstream_httpx import HttpxAuth
from support.bare_site import BareSite
from support.downstream_api import CLAIMS, Api, Tokens, challenge, running_api
from support.provider import Provider
from support.provider_http import Reply

Call = Callable[..., httpx.Response]


@pytest.fixture
def api() -> Iterator[Api]:
    with running_api() as api:
        yield api


@pytest.fixture
def elsewhere() -> Iterator[Api]:
    with running_api() as api:
        yield api


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


def plain_call(method: str, url: str, auth: httpx.Auth, **more: Any) -> httpx.Response:
    with httpx.Client(auth=auth, follow_redirects=True) as client:
        return client.request(method, url, **more)


def awaited_call(method: str, url: str, auth: httpx.Auth, **more: Any) -> httpx.Response:
    async def call() -> httpx.Response:
        async with httpx.AsyncClient(auth=auth, follow_redirects=True) as client:
            return await client.request(method, url, **more)

    return asyncio.run(call())


@pytest.fixture(params=[plain_call, awaited_call])
def call(request: pytest.FixtureRequest) -> Call:
    found: Call = request.param
    return found


def test_the_token_goes_along(call: Call, api: Api, tokens: Tokens) -> None:
    assert call("GET", f"{api.base}/a", HttpxAuth(tokens, api.base)).json() == {"ok": True}
    assert api.tokens == ["Bearer token-1"]


@pytest.mark.parametrize("path", ["/a", "/a?x=http://127.0.0.1:1/"])
def test_another_address_is_refused_before_anything_is_sent(
    call: Call, api: Api, elsewhere: Api, tokens: Tokens, path: str
) -> None:
    with pytest.raises(DownstreamError) as raised:
        call("GET", f"{elsewhere.base}{path}", HttpxAuth(tokens, api.base))
    assert raised.value.code == "foreign_origin"
    assert elsewhere.requests == []


def test_a_header_by_hand_is_a_mistake(call: Call, api: Api, tokens: Tokens) -> None:
    with pytest.raises(DownstreamError) as raised:
        call("GET", f"{api.base}/a", HttpxAuth(tokens, api.base), headers={"Authorization": "x"})
    assert raised.value.code == "authorization"
    assert api.requests == []


def test_a_challenge_is_answered_once(call: Call, api: Api, tokens: Tokens) -> None:
    api.first = [challenge()]
    answer = call("POST", f"{api.base}/a", HttpxAuth(tokens, api.base), json={"a": 1})
    assert answer.status_code == 200
    assert [each.status_code for each in answer.history] == [401]
    assert tokens.claims == [CLAIMS]
    assert [request.body for request in api.requests] == [b'{"a":1}'] * 2
    assert api.tokens == ["Bearer token-1", "Bearer token-2"]


def test_an_api_that_is_never_content_is_asked_twice(call: Call, api: Api, tokens: Tokens) -> None:
    api.replies["/a"] = challenge()
    auth = HttpxAuth(tokens, api.base)
    assert call("GET", f"{api.base}/a", auth).status_code == 401
    assert call("GET", f"{api.base}/a", auth).status_code == 401
    assert tokens.claims == [CLAIMS]
    assert len(api.requests) == 3


def test_what_cannot_be_sent_again_is_not(api: Api, tokens: Tokens) -> None:
    api.first = [challenge()]
    auth = HttpxAuth(tokens, api.base)
    assert plain_call("POST", f"{api.base}/a", auth, content=iter([b"a"])).status_code == 401
    assert plain_call("POST", f"{api.base}/a", auth, content=iter([b"a"])).status_code == 200
    assert api.tokens == ["Bearer token-1", "Bearer token-2"]


def test_a_redirect_elsewhere_goes_without_it(
    call: Call, api: Api, elsewhere: Api, tokens: Tokens
) -> None:
    api.replies["/a"] = Reply(302, {"Location": f"{elsewhere.base}/b"}, b"")
    elsewhere.replies["/b"] = Reply(302, {"Location": f"{api.base}/c"}, b"")
    api.replies["/c"] = Reply(401, {}, b"")
    assert call("GET", f"{api.base}/a", HttpxAuth(tokens, api.base)).status_code == 401
    assert api.tokens == ["Bearer token-1", None]
    assert elsewhere.tokens == [None]
    assert tokens.claims == []


def test_a_post_that_was_redirected_is_not_begun_again(
    call: Call, api: Api, tokens: Tokens
) -> None:
    api.replies["/a"] = Reply(307, {"Location": "/b"}, b"")
    api.replies["/b"] = challenge()
    auth = HttpxAuth(tokens, api.base)
    assert call("POST", f"{api.base}/a", auth, json={}).status_code == 401
    assert [request.path for request in api.requests] == ["/a", "/b"]
    assert tokens.claims == [CLAIMS]


def test_netrc_does_not_replace_the_token(
    call: Call, api: Api, tokens: Tokens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login mallory password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    call("GET", f"{api.base}/a", HttpxAuth(tokens, api.base))
    assert api.tokens == ["Bearer token-1"]


def test_what_the_person_must_do_passes_through(call: Call, api: Api) -> None:
    api.first = [challenge()]

    def token(*, new: bool, claims: str = "") -> str:
        if new:
            raise InteractionRequired("The person must sign in", claims=claims)
        return "token-1"

    with pytest.raises(InteractionRequired) as caught:
        call("GET", f"{api.base}/a", HttpxAuth(token, api.base))
    assert caught.value.claims == CLAIMS


def test_a_session_gives_it(call: Call, api: Api) -> None:
    with Provider(entra=True) as provider:
        orders = {"base_url": api.base, "scopes": ["api://one/orders.read"]}
        with BareSite({**provider.settings(), "DOWNSTREAM_APIS": {"orders": orders}}) as site:
            site.sign_in("api=orders")
            api.first = [challenge()]
            auth = site.keyfob.httpx_auth("orders")
            assert call("GET", f"{api.base}/a", auth).status_code == 200
            assert site.keyfob.token(api="orders") not in repr(auth)
    assert "nbf" in provider.requests_to("token")[-1].form["claims"]


def test_without_httpx_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    monkeypatch.delitem(sys.modules, "keyfob.web.downstream_httpx")
    with (
        Provider(entra=True) as provider,
        BareSite(provider.settings()) as site,
        pytest.raises(ConfigurationError, match=r"pip install keyfob\[aio\]"),
    ):
        site.keyfob.httpx_auth("graph")
