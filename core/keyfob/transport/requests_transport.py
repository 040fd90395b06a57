"""The default transport, on requests: pooled, bounded in time and size, following no redirect."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from keyfob.errors import AnswerRefused, ProviderUnreachable
from keyfob.protocol.http import MAX_ANSWER_BYTES, HttpRequest, HttpResponse
from keyfob.protocol.urls import without_query

if TYPE_CHECKING:
    import requests

logger = logging.getLogger(__name__)

#: Seconds for a whole exchange, from connecting to the last byte.
DEFAULT_TIMEOUT = 10.0
_CHUNK = 16_384


class RequestsTransport:
    """Sends requests through one pooled `requests.Session`, made when first needed.

    :param timeout: seconds for one whole exchange.
    :param verify: as requests has it: False, or a CA bundle's path.
    :param proxies: as requests has it; the environment's are used as well.
    """

    def __init__(
        self,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        verify: bool | str = True,
        proxies: Mapping[str, str] | None = None,
    ) -> None:
        self._timeout = timeout
        self._verify = verify
        self._proxies = dict(proxies or {})
        self._session: requests.Session | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<RequestsTransport timeout={self._timeout}>"

    def send(self, request: HttpRequest) -> HttpResponse:
        import requests
        import urllib3

        url = without_query(request.url)
        started = time.monotonic()
        try:
            with self._open().request(
                request.method,
                request.url,
                params=dict(request.params),
                data=request.form,
                # By auth= and not headers=: a netrc entry would replace a bare header.
                auth=_Headers(request.headers),
                timeout=self._timeout,
                verify=self._verify,
                proxies=self._proxies,
                allow_redirects=False,
                stream=True,
            ) as answer:
                body = self._read(answer, request, started + self._timeout)
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            raise _unreachable(request, error) from None
        logger.debug(
            "%s %s: HTTP %d, %d bytes, %.0f ms",
            request.method,
            url,
            answer.status_code,
            len(body),
            (time.monotonic() - started) * 1000,
        )
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return HttpResponse(answer.status_code, headers, body, request.url)

    def close(self) -> None:
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def _open(self) -> requests.Session:
        if self._session is None:
            with self._lock:
                if self._session is None:
                    self._session = _new_session()
        return self._session

    def _read(self, answer: requests.Response, request: HttpRequest, deadline: float) -> bytes:
        """The body as it arrives, so that neither a flood nor a trickle holds us.

        `read1` returns what is there; `iter_content` would wait until a chunk is full.
        """
        body = bytearray()
        while chunk := answer.raw.read1(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise AnswerRefused(
                    f"{request.what.capitalize()} sent more than {MAX_ANSWER_BYTES:,} bytes",
                    url=without_query(request.url),
                    code="too_large",
                )
            if time.monotonic() > deadline:
                raise ProviderUnreachable(
                    f"{request.what.capitalize()} took longer than {self._timeout:g} seconds "
                    "to answer",
                    url=without_query(request.url),
                    code="timeout",
                )
        return bytes(body)


def _new_session() -> requests.Session:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    session = requests.Session()
    # One more try when no connection came about; nothing that may have been sent is sent again.
    adapter = HTTPAdapter(
        max_retries=Retry(total=1, connect=1, read=0, status=0, other=0, redirect=0)
    )
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class _Headers:
    """Sets a request's headers as its authentication, which requests keeps from other hosts."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def __call__(self, prepared: Any) -> Any:
        prepared.headers.update(self._headers)
        return prepared


def _unreachable(request: HttpRequest, error: Exception) -> ProviderUnreachable:
    """What went wrong, in words that hold neither query nor credentials."""
    import requests
    import urllib3

    what, url = request.what.capitalize(), without_query(request.url)
    if isinstance(error, (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError)):
        return ProviderUnreachable(
            f"{what} at {url} did not answer in time", url=url, code="timeout"
        )
    if isinstance(error, requests.exceptions.SSLError):
        return ProviderUnreachable(
            f"{what} at {url} has a certificate that this machine does not trust",
            url=url,
            code="certificate",
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return ProviderUnreachable(f"The proxy before {url} failed", url=url, code="proxy")
    return ProviderUnreachable(
        f"{what} at {url} could not be reached ({type(error).__name__})", url=url
    )
