"""Lets an asynchronous application bring its own HTTP client, as MSAL's duck type with `async`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from keyfob.errors import AnswerRefused, ConfigurationError, ProviderUnreachable
from keyfob.protocol.http import HttpRequest, HttpResponse
from keyfob.transport.async_driver import AsyncTransport
from keyfob.transport.http_client import answer_of, call_of, judge_http_client, posted, unreachable
from keyfob.transport.options import with_options


class AsyncHttpClientTransport:
    """Sends through an `httpx.AsyncClient`, or another object whose `get(url, params=, headers=)`
    and `post(url, params=, data=, headers=)` are coroutine functions, and whose answers have
    `status_code`, `text` and perhaps `headers`, all read.

    Timeouts, proxies and certificates are then the object's own affair, and it must belong to the
    event loop it is used in. It must not follow redirects; an httpx client is told so.

    A request with a `fingerprint` needs connections that hold to a certificate, and is refused.

    :param options: further arguments for `post`, as MSAL gives them.
    """

    def __init__(self, http_client: Any, options: Mapping[str, Any] | None = None) -> None:
        judge_http_client(http_client, "async_http_client")
        self._http_client = http_client
        self._options = dict(options or {})

    def __repr__(self) -> str:
        return f"<AsyncHttpClientTransport {type(self._http_client).__name__}>"

    async def send(self, request: HttpRequest) -> HttpResponse:
        if request.fingerprint is not None:
            raise ConfigurationError(
                "async_http_client cannot hold a connection to one certificate: leave it out, or "
                "give an httpx.AsyncClient",
                setting="async_http_client",
                code="cannot_pin",
            )
        # What is raised is raised out here, so that the client's own error, which holds the whole
        # request, is no context of it.
        outcome = await self._exchange(request)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def with_options(self, options: Mapping[str, Any]) -> AsyncHttpClientTransport:
        """The same client with further arguments for its `post`, whatever they are."""
        return AsyncHttpClientTransport(self._http_client, {**self._options, **options})

    async def aclose(self) -> None:
        close = getattr(self._http_client, "aclose", None)
        close = close or getattr(self._http_client, "close", None)
        if close is not None:
            await _awaited(close())

    async def _exchange(
        self, request: HttpRequest
    ) -> HttpResponse | ProviderUnreachable | AnswerRefused | ConfigurationError:
        url, arguments = call_of(self._http_client, request, self._options)
        client = self._http_client
        try:
            coming = (client.post if request.method == "POST" else client.get)(url, **arguments)
            if not inspect.isawaitable(coming):
                return ConfigurationError(
                    "async_http_client is synchronous: give it as http_client",
                    setting="async_http_client",
                )
            return answer_of(await coming, request)
        except AnswerRefused as refused:
            return refused.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - every library has errors of its own
            return unreachable(request, error)


class AsyncPostHook:
    """`PostHook` for coroutines: the function in the place of each POST may be one, or not.

    :param inner: does everything else.
    """

    def __init__(
        self, inner: AsyncTransport, post: Callable[..., Any], more: Mapping[str, Any] | None = None
    ) -> None:
        if not callable(post):
            raise TypeError("post is a function that is called in the place of the HTTP POST")
        self._inner = inner
        self._post = post
        self._more = dict(more or {})

    def __repr__(self) -> str:
        return f"<AsyncPostHook before {self._inner!r}>"

    async def send(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return await self._inner.send(request)
        try:
            answer = await _awaited(self._post(request.url, **posted(request), **self._more))
        except OSError as error:  # what the function means to raise beyond it, it may
            failure = unreachable(request, error)
        else:
            return answer_of(answer, request)
        raise failure

    async def aclose(self) -> None:
        await self._inner.aclose()


def for_one_async_call(transport: AsyncTransport, options: Mapping[str, Any]) -> AsyncTransport:
    """As `with_options`; `post` among the options is called in the place of each POST."""
    rest = {name: value for name, value in options.items() if name != "post"}
    if options.get("post") is None:
        return with_options(transport, rest)
    return AsyncPostHook(transport, options["post"], rest)


async def _awaited(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result
