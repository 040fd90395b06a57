"""The application that Azure knows by the machine it runs on, in an event loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, MutableMapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from keyfob.aio.transports import choose_transport
from keyfob.applications.managed_identity import MachineApplication
from keyfob.cache import TokenCache
from keyfob.transport.async_driver import AsyncTransport, run_async
from keyfob.transport.async_flights import AsyncFlights

if TYPE_CHECKING:
    from typing_extensions import Self


class ManagedIdentityClient(MachineApplication):
    """`keyfob.ManagedIdentityClient`, with its verb as a coroutine. Safe to share between tasks,
    event loops and threads.

    Its arguments are those of the synchronous one, and:

    :param http_client: a synchronous client; its exchanges run in threads.
    :param async_http_client: an `httpx.AsyncClient`, or an object whose `get` and `post` are
        coroutine functions, in its place. Service Fabric needs the former, or none.
    """

    _transport: AsyncTransport

    def __init__(
        self,
        managed_identity: Mapping[str, Any],
        *,
        http_client: Any = None,
        async_http_client: Any = None,
        token_cache: TokenCache | None = None,
        http_cache: MutableMapping[str, Any] | None = None,
        client_capabilities: Collection[str] | None = None,
        timeout: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._async_http_client = async_http_client
        super().__init__(
            managed_identity,
            http_client=http_client,
            token_cache=token_cache,
            http_cache=http_cache,
            client_capabilities=client_capabilities,
            timeout=timeout,
            clock=clock,
        )

    def _open(self, http_client: Any, timeout: float | None) -> None:
        self._transport = choose_transport(http_client, self._async_http_client, timeout=timeout)
        self._flights = AsyncFlights()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close this event loop's connections. The client may be used again."""
        await self._transport.aclose()

    async def acquire_token_for_client(
        self, *, resource: str, claims_challenge: str | None = None
    ) -> dict[str, Any]:
        """As `keyfob.ManagedIdentityClient.acquire_token_for_client`."""
        flow = self._token(resource, claims_challenge)
        return await run_async(flow, self._transport, flights=self._flights)
