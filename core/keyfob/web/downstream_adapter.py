"""The connections to one API: pooled, and calls that are repeated where that is safe."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

from keyfob.protocol.urls import origin
from keyfob.web import repeating
from keyfob.web.downstream_auth import can_repeat, rewind

logger = logging.getLogger(__name__)

#: Idle connections to an API that are kept, for as many threads.
POOL_SIZE = 20
#: Bytes of an answer that is not used, which are read so that its connection can serve again.
_WORTH_READING = 65_536
_DIGITS = len(str(_WORTH_READING))


class ApiAdapter(HTTPAdapter):
    """An adapter of requests that repeats calls: `repeating` says which, and when.

    :param retries: how often at most.
    :param sleep: waits so many seconds; injected by tests, as `clock` is.
    :param clock: seconds that only grow.
    """

    def __init__(
        self,
        retries: int = repeating.DEFAULT_RETRIES,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(pool_maxsize=POOL_SIZE)
        self._retries = retries
        self._sleep = sleep
        self._clock = clock

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """As `HTTPAdapter.send`; the last answer, or error, is the caller's.

        Those before it are in no `history`: that is for redirects, and for a token renewed.
        """
        began, made = self._clock(), 0
        while True:
            made += 1
            try:
                response = super().send(request, *args, **kwargs)
            except (requests.ConnectionError, requests.Timeout) as error:
                wait = self._after_error(request, error, made, began)
                if wait is None:
                    raise
                what = type(error).__name__
            else:
                wait = self._after_answer(request, response, made, began)
                if wait is None:
                    return response
                what = f"HTTP {response.status_code}"
                _discard(response)
            where = origin(request.url or "")  # what comes after it may say who it is about
            logger.info("%s: %s; the call is repeated in %.1f s", where, what, wait)
            self._sleep(wait)
            rewind(request)

    def send_once(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """As `send`, and the first answer, or error, is the caller's."""
        return super().send(request, *args, **kwargs)

    def _after_answer(
        self,
        request: requests.PreparedRequest,
        response: requests.Response,
        made: int,
        began: float,
    ) -> float | None:
        """Seconds after which the call is repeated; None where the answer is the caller's."""
        if not repeating.may_pass(response.status_code) or not _is_repeatable(request):
            return None
        headers = {name.lower(): value for name, value in response.headers.items()}
        return self._pause(made, began, headers)

    def _after_error(
        self, request: requests.PreparedRequest, error: Exception, made: int, began: float
    ) -> float | None:
        """Seconds after which the call is repeated; None where the error is the caller's."""
        if isinstance(error, requests.exceptions.SSLError):
            return None
        if not _was_unsent(error) and not _is_repeatable(request):
            return None
        return self._pause(made, began, {})

    def _pause(self, made: int, began: float, headers: Mapping[str, str]) -> float | None:
        if made > self._retries:
            return None
        elapsed = self._clock() - began
        return repeating.pause(made, elapsed, headers, now=time.time(), random=random.random)


class OnceAdapter(BaseAdapter):
    """The same connections, for a caller who has a patience of their own."""

    def __init__(self, adapter: ApiAdapter) -> None:
        super().__init__()
        self._adapter = adapter

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """As `ApiAdapter.send_once`."""
        return self._adapter.send_once(request, *args, **kwargs)

    def close(self) -> None:
        """Nothing: the connections are the program's."""


def _is_repeatable(request: requests.PreparedRequest) -> bool:
    return repeating.is_idempotent(request.method or "") and can_repeat(request)


def _was_unsent(error: Exception) -> bool:
    """Whether there never was a connection: nothing of the call, and of its body, was used up."""
    reason = error.args[0] if error.args else None
    never_connected = (ConnectTimeoutError, NewConnectionError)
    return isinstance(reason, MaxRetryError) and isinstance(reason.reason, never_connected)


def _discard(response: requests.Response) -> None:
    """Let the connection serve again, where that costs little."""
    length = response.headers.get("Content-Length", "")
    # A number of thousands of digits is none to Python.
    if length.isdecimal() and len(length) <= _DIGITS and int(length) <= _WORTH_READING:
        response.raw.drain_conn()
    response.close()
