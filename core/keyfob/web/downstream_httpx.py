"""A token for httpx: `HttpxAuth`, for its clients of both kinds. Only this module needs httpx."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import TypeVar

import httpx

from keyfob.protocol.urls import origin
from keyfob.web.awaiting import in_thread as in_any_thread
from keyfob.web.bound_token import AttachedToken, GiveToken
from keyfob.web.repeating import is_idempotent

T = TypeVar("T")

_HEADER = "Authorization"


class HttpxAuth(httpx.Auth):
    """Attaches the token of one API to the calls to it, with any client of httpx.

        async with httpx.AsyncClient(auth=request.keyfob.httpx_auth("orders")) as client:
            answer = await client.get("https://orders.example/v1/orders")

    It goes to the API's own origin: a call to another is refused before anything is sent, and httpx
    drops it on a redirect to another. An API that answers 401 is called once more with a new token,
    for the claims that it asks for (OpenID Connect Core §5.5), where the body can be sent again.

    :param token: gives the access token; it may block.
    :param base_url: an address of the API; its origin counts.
    :param in_thread: what a coroutine awaits for a call that blocks.
    :raises DownstreamError: (a ValueError; at a call) the address is not the API's, or the caller
        has set the header; nothing was sent.
    :raises InteractionRequired: (at a call) only the person can get the token.
    """

    def __init__(
        self,
        token: GiveToken,
        base_url: str,
        *,
        in_thread: Callable[[Callable[[], str | None]], Awaitable[str | None]] = in_any_thread,
    ) -> None:
        self._attached = AttachedToken(token, origin(base_url))
        self._in_thread = in_thread

    def __repr__(self) -> str:
        return f"<HttpxAuth {self._attached!r}>"

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """One call, and one more where the token was refused."""
        header = self._first(request)
        request.headers[_HEADER] = header
        response = yield request
        if _was_refused(response, header):
            again = self._attached.after_refusal(header, _challenges(response))
            if again is not None and _can_repeat(request, response):
                request.headers[_HEADER] = again
                yield request

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """As `sync_auth_flow`."""
        header = await self._in_thread(lambda: self._first(request)) or ""
        request.headers[_HEADER] = header
        response = yield request
        if _was_refused(response, header):
            challenges = _challenges(response)
            again = await self._in_thread(lambda: self._attached.after_refusal(header, challenges))
            if again is not None and _can_repeat(request, response):
                request.headers[_HEADER] = again
                yield request

    def _first(self, request: httpx.Request) -> str:
        return self._attached.header(str(request.url), request.headers.get(_HEADER))


def _was_refused(response: httpx.Response, header: str) -> bool:
    """Whether the API itself refused the token, and not somebody whom it redirected to."""
    return response.status_code == 401 and response.request.headers.get(_HEADER) == header


def _challenges(response: httpx.Response) -> list[str]:
    return response.headers.get_list("WWW-Authenticate")


def _can_repeat(request: httpx.Request, response: httpx.Response) -> bool:
    """Whether the call can be made again from its beginning, which is all that httpx offers."""
    is_whole = isinstance(request.stream, httpx.ByteStream)
    return is_whole and (not response.history or is_idempotent(request.method))
