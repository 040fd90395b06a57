"""An API on a real socket for the tests of calls, and a site that calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from keyfob.protocol.www_authenticate import encode_claims
from keyfob.web.bound_token import GiveToken
from keyfob.web.downstream import ApiSession
from keyfob.web.downstream_adapter import ApiAdapter
from keyfob.web.repeating import DEFAULT_RETRIES
from support.provider_http import HttpServer, Reply, Request, Trouble

#: What an API challenges with, as JSON text.
CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}'


def challenge(claims: str = CLAIMS) -> Reply:
    """A refusal as Microsoft Graph writes it."""
    header = f'Bearer realm="", error="insufficient_claims", claims="{encode_claims(claims)}"'
    return Reply(401, {"WWW-Authenticate": header, "Connection": "keep-alive"}, b"no")


class Api:
    """It answers with what it was told to, and remembers what it got."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        #: By path.
        self.replies: dict[str, Reply] = {}
        #: What comes first, whatever is asked; then the replies.
        self.first: list[Reply | Trouble] = []
        self.answer: Callable[[Request], Any] = self.respond
        self.server = HttpServer(lambda request: self.answer(request))  # noqa: PLW0108 - may change
        self.base = f"http://127.0.0.1:{self.server.port}"

    def respond(self, request: Request) -> Reply | Trouble:
        self.requests.append(request)
        if self.first:
            return self.first.pop(0)
        return self.replies.get(request.path, Reply(200, {}, b'{"ok": true}'))

    @property
    def tokens(self) -> list[str | None]:
        """What each request had for `Authorization`."""
        return [request.headers.get("authorization") for request in self.requests]


@contextmanager
def running_api() -> Iterator[Api]:
    api = Api()
    try:
        yield api
    finally:
        api.server.close()


class Tokens:
    """Gives `token-1`, and the next one where a new one is asked for."""

    def __init__(self) -> None:
        self.number = 1
        #: What each new one was asked for with.
        self.claims: list[str] = []

    def __call__(self, *, new: bool, claims: str = "") -> str:
        if new:
            self.number += 1
            self.claims.append(claims)
        return f"token-{self.number}"


class Pauses:
    """A clock that goes on only while somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.made: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.made.append(seconds)
        self.now += seconds

    def clock(self) -> float:
        return self.now


@contextmanager
def calling(
    base_url: str,
    token: GiveToken | None = None,
    *,
    retries: int = DEFAULT_RETRIES,
    pauses: Pauses | None = None,
) -> Iterator[ApiSession]:
    """A session for an API.

    :param pauses: waits in the place of the real clock.
    """
    pauses = pauses or Pauses()
    adapter = ApiAdapter(retries, sleep=pauses.sleep, clock=pauses.clock)
    try:
        yield ApiSession(base_url, token or Tokens(), adapter)
    finally:
        adapter.close()
