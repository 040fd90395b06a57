"""Asynchronous transports in synchronous tests: in an event loop of their own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from keyfob.protocol.http import HttpRequest, HttpResponse
from keyfob.transport import RequestsTransport
from keyfob.transport.httpx_transport import HttpxTransport


class HttpxInALoop:
    """An `HttpxTransport` that is called as a synchronous one."""

    def __init__(self, **options: Any) -> None:
        self.transport = HttpxTransport(**options)
        self._loop: asyncio.AbstractEventLoop | None = None

    def send(self, request: HttpRequest) -> HttpResponse:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop.run_until_complete(self.transport.send(request))

    def close(self) -> None:
        if self._loop is not None:
            self._loop.run_until_complete(self._end())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()
            self._loop = None

    async def _end(self) -> None:
        """As `asyncio.run` ends: with no task left.

        httpx's generators that an answer was refused in the middle of are closed in tasks.
        """
        await self.transport.aclose()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))


#: Keyfob's own transports, which make the same promises: for tests with the parameter `make`.
BOTH_TRANSPORTS = [
    pytest.param(RequestsTransport, id="requests"),
    pytest.param(HttpxInALoop, id="httpx"),
]
