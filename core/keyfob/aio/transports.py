"""Which transport an asynchronous application has: docs/decisions/async.md says why."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from keyfob.errors import ConfigurationError
from keyfob.protocol.http import HttpRequest, HttpResponse
from keyfob.transport import DEFAULT_TIMEOUT, HttpClientTransport, RequestsTransport, with_options
from keyfob.transport.async_driver import AsyncTransport, ThreadedTransport
from keyfob.transport.async_http_client import AsyncHttpClientTransport
from keyfob.transport.http_client import is_a
from keyfob.transport.httpx_transport import HttpxTransport


def choose_transport(
    http_client: Any,
    async_http_client: Any,
    *,
    verify: bool | str = True,
    proxies: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> AsyncTransport:
    """The transport of an application's parameters. Nothing is connected yet.

    :raises ConfigurationError: both clients are given, or one in the other's place; or the rest
        cannot be.
    """
    if async_http_client is not None:
        return _of_async_client(http_client, async_http_client)
    if http_client is not None:
        if inspect.iscoroutinefunction(getattr(http_client, "post", None)):
            raise ConfigurationError(
                "http_client is asynchronous: give it as async_http_client", setting="http_client"
            )
        return ThreadedTransport(HttpClientTransport(http_client))
    seconds = DEFAULT_TIMEOUT if timeout is None else timeout
    blocking = RequestsTransport(verify=verify, proxies=proxies, timeout=seconds)
    if find_spec("httpx") is None:
        return ThreadedTransport(blocking)
    return PinningTransport(
        HttpxTransport(verify=verify, proxies=proxies, timeout=seconds), blocking
    )


def _of_async_client(http_client: Any, async_http_client: Any) -> AsyncTransport:
    if http_client is not None:
        raise ConfigurationError(
            "http_client and async_http_client exclude each other", setting="async_http_client"
        )
    if is_a("requests", "Session", async_http_client) or is_a("httpx", "Client", async_http_client):
        raise ConfigurationError(
            "async_http_client is synchronous: give it as http_client", setting="async_http_client"
        )
    transport = AsyncHttpClientTransport(async_http_client)
    if is_a("httpx", "AsyncClient", async_http_client):
        return PinningTransport(transport, RequestsTransport())
    return transport


class PinningTransport:
    """Sends what needs a connection held to one certificate in a thread, for httpx cannot hold one.

    :param inner: sends everything else.
    :param blocking: holds connections to a certificate.
    """

    def __init__(self, inner: AsyncTransport, blocking: RequestsTransport) -> None:
        self._inner = inner
        self._blocking = blocking
        self._pinned = ThreadedTransport(blocking)

    def __repr__(self) -> str:
        return repr(self._inner)

    async def send(self, request: HttpRequest) -> HttpResponse:
        transport = self._inner if request.fingerprint is None else self._pinned
        return await transport.send(request)

    def with_options(self, options: Mapping[str, Any]) -> PinningTransport:
        """The same connections with options for one call, for what needs no certificate."""
        return PinningTransport(with_options(self._inner, options), self._blocking)

    async def aclose(self) -> None:
        await self._pinned.aclose()
        await self._inner.aclose()
