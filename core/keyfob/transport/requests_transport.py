"""The default transport, on requests: pooled, bounded in time and size, following no redirect."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keyfob.errors import AnswerRefused, ConfigurationError, ProviderUnreachable
from keyfob.protocol.http import MAX_ANSWER_BYTES, HttpRequest, HttpResponse
from keyfob.protocol.urls import without_query

if TYPE_CHECKING:
    import requests

logger = logging.getLogger(__name__)

#: Seconds for a whole exchange, from connecting to the last byte.
DEFAULT_TIMEOUT = 10.0
_CHUNK = 16_384
#: Each at most makes a thousand bytes of one, so that a chunk stays a bearable size. Others, and
#: one inside another, make millions.
_ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})
#: In requests' form: nor those of the environment.
NO_PROXIES: Mapping[str, Any] = {"http": None, "https": None, "all": None}


class RequestsTransport:
    """Sends requests through one pooled `requests.Session`, made when first needed.

    :param timeout: seconds for one whole exchange; a connection gets half of them, so that a
        second try to connect is in time too.
    :param verify: as requests has it: False, or a CA bundle's path.
    :param proxies: as requests has it; the environment's are used as well. Requests that are
        `direct` go past them.
    :raises ConfigurationError: the timeout is no time, there is no such CA bundle, or the proxies
        are none.
    """

    def __init__(
        self,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        verify: bool | str = True,
        proxies: Mapping[str, str] | None = None,
    ) -> None:
        judge_limits(timeout, verify, proxies)
        self._timeout = timeout
        self._verify = verify
        self._proxies = dict(proxies or {})
        self._connections = _Connections()

    def with_options(self, options: Mapping[str, Any]) -> RequestsTransport:
        """The same connections with other limits; what is None stays as it is.

        :param options: `timeout`, `verify` and `proxies`, as the constructor has them.
        :raises TypeError: there is another among them.
        """
        twin = RequestsTransport(
            **chosen_limits(
                options, timeout=self._timeout, verify=self._verify, proxies=self._proxies
            )
        )
        twin._connections = self._connections
        return twin

    def __repr__(self) -> str:
        return f"<RequestsTransport timeout={self._timeout}>"

    def send(self, request: HttpRequest) -> HttpResponse:
        started = time.monotonic()
        outcome = self._exchange(request)
        if isinstance(outcome, ProviderUnreachable):
            # Raised only here, it has no context: requests' own error holds the whole request.
            raise outcome
        logger.debug(
            "%s %s: HTTP %d, %d bytes, %.0f ms",
            request.method,
            without_query(request.url),
            outcome.status,
            len(outcome.body),
            (time.monotonic() - started) * 1000,
        )
        return outcome

    def close(self) -> None:
        self._connections.close()

    def _exchange(self, request: HttpRequest) -> HttpResponse | ProviderUnreachable:
        import urllib3

        # For requests' types it is a number, or two; urllib3's own has the total as well.
        seconds = min(self._timeout, request.timeout or self._timeout)
        timeout: Any = urllib3.Timeout(total=seconds, connect=seconds / 2)
        try:
            with self._connections.session(request.fingerprint).request(
                request.method,
                request.url,
                params=dict(request.params),
                data=request.body,
                # By auth= and not headers=: a netrc entry would replace a bare header.
                auth=RequestHeaders(request.headers),
                timeout=timeout,
                verify=self._verify if request.fingerprint is None else False,
                proxies=dict(NO_PROXIES) if request.direct else self._proxies,
                allow_redirects=False,
                stream=True,
            ) as answer:
                body = _read(answer, request)
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return HttpResponse(answer.status_code, headers, body, request.url)
        except AnswerRefused:
            raise
        except (OSError, urllib3.exceptions.HTTPError) as error:
            # requests' errors are OSErrors, and so is what it says of a missing CA bundle.
            return _unreachable(request, error)


class _Connections:
    """Sessions, each made when first needed. Transports that differ in their limits share them."""

    def __init__(self) -> None:
        #: By the fingerprint that its connections hold to; None for those that hold to none.
        self._sessions: dict[str | None, requests.Session] = {}
        self._lock = threading.Lock()

    def session(self, fingerprint: str | None) -> requests.Session:
        with self._lock:
            session = self._sessions.get(fingerprint)
            if session is None:
                session = self._sessions[fingerprint] = _new_session(fingerprint)
            return session

    def close(self) -> None:
        with self._lock:
            sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            session.close()


def judge_limits(timeout: object, verify: object, proxies: object) -> None:
    """Raise a ConfigurationError where the timeout is no time, there is no such CA bundle, or the
    proxies are none."""
    if not _is_time(timeout):
        raise ConfigurationError("timeout is a number of seconds, more than 0")
    if isinstance(verify, str) and not Path(verify).exists():
        raise ConfigurationError(f"verify names a CA bundle that is not there: {verify}")
    if not isinstance(verify, (bool, str)):
        raise ConfigurationError("verify is True, False, or the path of a CA bundle, as a text")
    if proxies is not None and not _are_proxies(proxies):
        raise ConfigurationError(
            'proxies is a dict such as {"https": "http://proxy.example:3128"}, or None'
        )


def _are_proxies(proxies: object) -> bool:
    return isinstance(proxies, Mapping) and all(
        isinstance(name, str) and (address is None or isinstance(address, str))
        for name, address in proxies.items()
    )


def chosen_limits(options: Mapping[str, Any], **limits: Any) -> dict[str, Any]:
    """`limits`, with those of `options` that are not None in their places.

    :raises TypeError: there is an option that is none of them.
    """
    for name in options:
        if name not in limits:
            raise TypeError(
                f"{name!r} is no parameter of this call. Keyfob's own transport takes "
                f"{', '.join(limits)}; an http_client of yours would be given any other"
            )
    return limits | {name: value for name, value in options.items() if value is not None}


def _is_time(timeout: object) -> bool:
    return isinstance(timeout, (int, float)) and not isinstance(timeout, bool) and timeout > 0


def _read(answer: requests.Response, request: HttpRequest) -> bytes:
    """The body as it arrives, so that a flood ends early. The connection bounds the time.

    `read1` returns what is there; `iter_content` would wait until a chunk is full.
    """
    what, url = request.what.capitalize(), without_query(request.url)
    if answer.headers.get("Content-Encoding", "").strip().lower() not in _ENCODINGS:
        raise AnswerRefused(
            f"{what} answered in an encoding that was not asked for", url=url, code="encoding"
        )
    body = bytearray()
    while chunk := answer.raw.read1(_CHUNK, decode_content=True):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise AnswerRefused(
                f"{what} sent more than {MAX_ANSWER_BYTES:,} bytes", url=url, code="too_large"
            )
    return bytes(body)


def _new_session(fingerprint: str | None) -> requests.Session:
    from http.cookiejar import DefaultCookiePolicy

    import requests
    from urllib3.util import Retry

    from keyfob.transport.punctual import PinnedAdapter, PunctualAdapter

    session = requests.Session()
    session.headers["Accept-Encoding"] = "gzip, deflate"
    # One session serves everybody: what a provider would have us remember of one person's
    # exchange must not go out with another's.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # One more try when no connection came about; nothing that may have been sent is sent again.
    # An answer that asks for a pause is an answer: by itself, urllib3 would make it a failure.
    # And with `read=0` a GET that is not answered in time would be a failure without that reason.
    retries = Retry(
        total=1,
        connect=1,
        read=False,
        status=0,
        other=0,
        redirect=0,
        respect_retry_after_header=False,
    )
    if fingerprint is None:
        adapter = PunctualAdapter(max_retries=retries)
        session.mount("http://", adapter)
    else:
        adapter = PinnedAdapter(fingerprint, max_retries=retries)
        # Plain http has no certificate to hold to, so nothing goes there.
        del session.adapters["http://"]
    session.mount("https://", adapter)
    return session


class RequestHeaders:
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
        other = "is not the one that was expected here"
        untrusted = "this machine does not trust"
        return ProviderUnreachable(
            f"{what} at {url} has a certificate that {other if request.fingerprint else untrusted}",
            url=url,
            code="certificate",
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return ProviderUnreachable(f"The proxy before {url} failed", url=url, code="proxy")
    if type(error) is OSError:
        return ProviderUnreachable(
            f"{what} at {url} cannot be trusted: there is no CA bundle where REQUESTS_CA_BUNDLE "
            "or CURL_CA_BUNDLE says",
            url=url,
            code="certificate",
        )
    return ProviderUnreachable(
        f"{what} at {url} could not be reached ({type(error).__name__})", url=url
    )
