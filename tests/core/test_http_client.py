"""An application's own HTTP client, with MSAL's duck type."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from keyfob.errors import (
    AnswerRefused,
    ConfigurationError,
    ProviderUnreachable,
    TokenResponseError,
)
from keyfob.protocol.http import MAX_ANSWER_BYTES, HttpRequest
from keyfob.transport import HttpClientTransport
from support.provider import Provider
from support.provider_http import redirect
from support.sign_in import application, sign_in

POST = HttpRequest(
    "POST",
    "https://idp.example/token?x=s3cret",
    "the token endpoint",
    headers={"Authorization": "Basic s3cret"},
    form={"code": "s3cret"},
)


class Answer:
    def __init__(self, text: Any = "{}", status_code: Any = 200, **more: Any) -> None:
        self.text, self.status_code = text, status_code
        self.__dict__.update(more)


class OddError(Exception):
    """Of a library whose errors are no OSErrors, such as httpx."""


class Client:
    """MSAL's least: get, post and close."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.calls: list[tuple[Any, ...]] = []
        self.closed = False

    def get(self, url: str, *, params: Any, headers: Any) -> Any:
        return self._call("GET", url, params, headers, None)

    def post(self, url: str, *, params: Any, data: Any, headers: Any) -> Any:
        return self._call("POST", url, params, headers, data)

    def _call(self, *call: Any) -> Any:
        self.calls.append(call)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as started:
        yield started


def test_it_is_called_as_msal_calls_it() -> None:
    client = Client(Answer('{"a": "é"}', headers={"Retry-After": 3}))
    found = HttpClientTransport(client).send(POST)
    assert client.calls == [("POST", POST.url, {}, {"Authorization": "Basic s3cret"}, POST.form)]
    assert json.loads(found.body) == {"a": "é"}
    assert (found.status, found.headers) == (200, {"retry-after": "3"})
    HttpClientTransport(client).send(HttpRequest("GET", "https://x.example", "x"))
    assert client.calls[1] == ("GET", "https://x.example", {}, {}, None)


@pytest.mark.parametrize("more", [{}, {"headers": None}, {"headers": {}}, {"history": []}])
def test_headers_may_be_missing(more: Any) -> None:
    assert HttpClientTransport(Client(Answer(**more))).send(POST).headers == {}


def test_it_is_closed_with_the_application(provider: Provider) -> None:
    client = Client(Answer())
    application(provider, http_client=client).close()
    assert client.closed


@pytest.mark.parametrize(
    "failure",
    [
        requests.ConnectionError("https://idp.example/?x=s3cret"),
        OddError("s3cret"),
        OSError("s3cret"),
        TimeoutError(),
        TypeError("s3cret"),
        Answer(text=None),
        Answer(status_code="s3cret"),
        Answer(status_code=None),
        None,
    ],
    ids=["requests", "other", "os", "time", "type", "no text", "odd status", "no status", "none"],
)
def test_whatever_it_raises_is_unreachable_and_tells_no_secret(failure: Any) -> None:
    with pytest.raises(ProviderUnreachable) as caught:
        HttpClientTransport(Client(failure)).send(POST)
    error = caught.value
    assert "s3cret" not in str(error) + repr(error) + repr(error.__dict__)
    assert error.url == "https://idp.example/token"
    assert error.__context__ is None


def test_an_asynchronous_client_is_told_where_it_belongs() -> None:
    class Asynchronous:
        async def post(self, url: str, **_: Any) -> Answer:
            return Answer()

    with pytest.raises(ConfigurationError, match=r"keyfob\.aio"):
        HttpClientTransport(Asynchronous()).send(POST)


def test_an_answer_that_is_too_large_is_refused() -> None:
    with pytest.raises(AnswerRefused) as caught:
        HttpClientTransport(Client(Answer("é" * MAX_ANSWER_BYTES))).send(POST)
    assert caught.value.code == "too_large"


def test_an_answer_that_came_by_a_redirect_is_refused() -> None:
    with pytest.raises(AnswerRefused) as caught:
        HttpClientTransport(Client(Answer(history=[Answer(status_code=307)]))).send(POST)
    assert caught.value.code == "redirect_refused"


def test_a_requests_session_signs_people_in(provider: Provider) -> None:
    app = application(provider, http_client=requests.Session())
    assert sign_in(app)["id_token_claims"]["sub"] == provider.person.sub
    app.close()


def test_a_requests_session_is_told_to_follow_no_redirect(provider: Provider) -> None:
    """It would send the secret and the code wherever a 307 says."""
    provider.raw["token"] = lambda _: redirect(307, f"{provider.attacker.base}/token")
    app = application(provider, http_client=requests.Session())
    with pytest.raises(AnswerRefused):
        sign_in(app)
    assert provider.attacker_requests == []
    app.close()


def test_a_requests_session_is_told_of_a_requests_own_time() -> None:
    class Session(requests.Session):
        told: Any = None

        def get(self, url: Any, **options: Any) -> Any:
            self.told = options.get("timeout")
            return Answer()

    session = Session()
    HttpClientTransport(session).send(HttpRequest("GET", "https://x.example", "x", timeout=2))
    assert session.told == 2
    session.close()
    # MSAL's duck type has no such parameter.
    client = Client(Answer())
    HttpClientTransport(client).send(HttpRequest("GET", "https://x.example", "x", timeout=2))
    assert len(client.calls) == 1


def test_netrc_does_not_replace_our_authorization(
    provider: Provider, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login evil password evil\n")
    monkeypatch.setenv("NETRC", str(netrc))
    app = application(provider, http_client=requests.Session())
    assert "access_token" in sign_in(app)
    app.close()


def test_garbage_is_judged_as_from_anywhere(provider: Provider) -> None:
    session = requests.Session()
    app = application(provider, http_client=session)
    provider.raw["token"] = lambda _: provider.page("hello")
    with pytest.raises(TokenResponseError):
        sign_in(app)
    app.close()
