"""A provider that asks for a pause gets one: its answer serves again until the time is over.

The decision is made once, in `Throttle`; the two transports ask it before and after an exchange.
docs/decisions/throttling.md says what is kept, for how long, and for whom.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import secrets
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from keyfob.protocol.http import HttpRequest, HttpResponse, retry_after_seconds, strict_json
from keyfob.protocol.urls import without_query
from keyfob.transport.driver import Transport
from keyfob.transport.http_cache import HttpCache, Remembered
from keyfob.transport.options import with_options
from keyfob.transport.throttle_keys import document_key, exact_key, need_key, quotes_a_secret

if TYPE_CHECKING:
    from keyfob.transport.async_driver import AsyncTransport

logger = logging.getLogger(__name__)

#: Seconds, whatever the provider asks for.
LONGEST_PAUSE = 3600
#: Seconds for a token endpoint that does not say how long: to a public client, and to a
#: confidential one.
PUBLIC_PAUSE = 60.0
CONFIDENTIAL_PAUSE = 5.0
#: Seconds in which a refused grant is not tried again, word for word.
REFUSAL_PAUSE = 60.0
#: Seconds that a discovery document serves.
DOCUMENT_AGE = 24 * 3600

DEVICE_GRANTS = frozenset({"urn:ietf:params:oauth:grant-type:device_code", "device_code"})
#: Refusals that pass, or that a person cures elsewhere, while the request stays the same.
_PASSING = frozenset(
    {
        "additional_action",
        "authorization_pending",
        "basic_action",
        "consent_required",
        "interaction_required",
        "login_required",
        "message_only",
        "server_error",
        "slow_down",
        "temporarily_unavailable",
        "user_password_expired",
    }
)


class Throttle:
    """Decides which requests are answered from memory, and which answers are kept there.

    :param http_cache: a mapping, or an `HttpCache`, that may be shared and outlive the process;
        discovery documents are kept only where there is one. None for a memory of its own.
    :param pause: seconds for a provider that asks for a pause and does not say how long a one.
    :param clock: seconds since 1970.
    """

    def __init__(
        self,
        http_cache: MutableMapping[str, Any] | HttpCache | None = None,
        *,
        pause: float = CONFIDENTIAL_PAUSE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keeps_documents = http_cache is not None
        if not isinstance(http_cache, HttpCache):
            http_cache = HttpCache(http_cache, clock=clock)
        self._cache = http_cache
        self._pause = pause
        self._clock = clock
        self._pepper = secrets.token_bytes(32)

    def recall(self, request: HttpRequest) -> HttpResponse | None:
        """The answer to `request` from memory, or None where the provider is to be asked."""
        if self._is_document(request):
            document = self._cache.get(document_key(request), DOCUMENT_AGE)
            if document is not None and _is_judged_good(request, document.response):
                return document.response
        if not _is_throttled(request):
            return None
        found = self._cache.get(need_key(request), LONGEST_PAUSE)
        if found is None and _is_grant(request):
            found = self._cache.get(exact_key(request, self._pepper), REFUSAL_PAUSE)
        if found is None:
            return None
        logger.debug(
            "%s %s: HTTP %d again; it is not asked for %.0f s",
            request.method,
            without_query(request.url),
            found.response.status,
            found.seconds,
        )
        return _replayed(request, found)

    def note(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Keep an answer where it is to serve again.

        :returns: the answer, with the time of receipt where it is needed and does not say when it
            was sent (RFC 9110 §6.6.1).
        """
        if "retry-after" in response.headers and "date" not in response.headers:
            response = _dated(response, self._clock())
        if response.status < 300:
            if self._is_document(request) and _is_judged_good(request, response):
                self._cache.put(document_key(request), response, DOCUMENT_AGE)
        elif _is_throttled(request):
            self._note_failure(request, response)
        return response

    def _note_failure(self, request: HttpRequest, response: HttpResponse) -> None:
        busy = response.status == 429 or response.status >= 500
        if busy or "retry-after" in response.headers:
            asked = retry_after_seconds(response)
            seconds = float(self._pause if asked is None else asked)
            if busy and _is_grant(request):
                # Nothing reads it, and it may be anything.
                response = dataclasses.replace(response, body=b"")
            key = need_key(request)
        elif _is_final_refusal(request, response):
            seconds, key = REFUSAL_PAUSE, exact_key(request, self._pepper)
        else:
            return
        if seconds > 0 and not quotes_a_secret(request, response.body):
            self._cache.put(key, response, min(seconds, LONGEST_PAUSE))

    def _is_document(self, request: HttpRequest) -> bool:
        return self._keeps_documents and request.document_judge is not None


class ThrottledTransport:
    """Another transport behind a `Throttle`.

    :param inner: does the exchanges that are needed.
    :param http_cache: and further parameters as `Throttle` has them.
    """

    def __init__(
        self,
        inner: Transport,
        http_cache: MutableMapping[str, Any] | HttpCache | None = None,
        *,
        pause: float = CONFIDENTIAL_PAUSE,
        clock: Callable[[], float] = time.time,
        throttle: Throttle | None = None,
    ) -> None:
        self._inner = inner
        self._throttle = throttle or Throttle(http_cache, pause=pause, clock=clock)

    def __repr__(self) -> str:
        return f"<ThrottledTransport {self._inner!r}>"

    def send(self, request: HttpRequest) -> HttpResponse:
        remembered = self._throttle.recall(request)
        if remembered is not None:
            return remembered
        return self._throttle.note(request, self._inner.send(request))

    def with_options(self, options: Mapping[str, Any]) -> ThrottledTransport:
        """The same memory over a transport with these options."""
        return ThrottledTransport(with_options(self._inner, options), throttle=self._throttle)

    def close(self) -> None:
        self._inner.close()


class AsyncThrottledTransport:
    """`ThrottledTransport`, for coroutines. A mapping that blocks, blocks the loop."""

    def __init__(
        self,
        inner: AsyncTransport,
        http_cache: MutableMapping[str, Any] | HttpCache | None = None,
        *,
        pause: float = CONFIDENTIAL_PAUSE,
        clock: Callable[[], float] = time.time,
        throttle: Throttle | None = None,
    ) -> None:
        self._inner = inner
        self._throttle = throttle or Throttle(http_cache, pause=pause, clock=clock)

    def __repr__(self) -> str:
        return f"<AsyncThrottledTransport {self._inner!r}>"

    async def send(self, request: HttpRequest) -> HttpResponse:
        remembered = self._throttle.recall(request)
        if remembered is not None:
            return remembered
        return self._throttle.note(request, await self._inner.send(request))

    def with_options(self, options: Mapping[str, Any]) -> AsyncThrottledTransport:
        """The same memory over a transport with these options."""
        return AsyncThrottledTransport(with_options(self._inner, options), throttle=self._throttle)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _is_throttled(request: HttpRequest) -> bool:
    """A whole body says who it is for in a way that is not read here (WS-Trust): no two are one.
    And to read is cheap, while somebody waits for the page that needs it."""
    return request.method == "POST" and request.content is None


def _is_grant(request: HttpRequest) -> bool:
    return request.method == "POST" and bool((request.form or {}).get("grant_type"))


def _is_final_refusal(request: HttpRequest, response: HttpResponse) -> bool:
    """Whether the same request can only be refused again (RFC 6749 §5.2)."""
    grant = (request.form or {}).get("grant_type")
    if response.status != 400 or not _is_grant(request) or grant in DEVICE_GRANTS:
        return False
    try:
        answer = strict_json(response.body)
    except ValueError:
        return False
    if not isinstance(answer, dict) or not isinstance(answer.get("error"), str):
        return False
    return answer["error"] not in _PASSING and answer.get("suberror") not in _PASSING


def _dated(response: HttpResponse, now: float) -> HttpResponse:
    from email.utils import formatdate

    headers = {**response.headers, "date": formatdate(now, usegmt=True)}
    return dataclasses.replace(response, headers=headers)


def _is_judged_good(request: HttpRequest, response: HttpResponse) -> bool:
    if request.document_judge is None or response.status >= 300:
        return False
    try:
        request.document_judge(response)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it does not serve again
        return False
    return True


def _replayed(request: HttpRequest, found: Remembered) -> HttpResponse:
    headers = dict(found.response.headers)
    headers["retry-after"] = str(math.ceil(found.seconds))
    return dataclasses.replace(found.response, headers=headers, url=request.url, throttled=True)
