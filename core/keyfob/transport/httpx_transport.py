"""The asynchronous transport, on httpx: with the promises of the synchronous one."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import threading
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keyfob.errors import AnswerRefused, ConfigurationError, ProviderUnreachable
from keyfob.protocol.http import MAX_ANSWER_BYTES, HttpRequest, HttpResponse
from keyfob.protocol.urls import without_query
from keyfob.transport.http_client import with_params
from keyfob.transport.inflating import BrokenEncoding, Inflating
from keyfob.transport.requests_transport import (
    DEFAULT_TIMEOUT,
    NO_PROXIES,
    chosen_limits,
    judge_limits,
)

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)

#: Where requests looks for a CA bundle, too.
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_FORM = "application/x-www-form-urlencoded"


class HttpxTransport:
    """Sends requests through pooled `httpx.AsyncClient`s, made when first needed: one for each
    event loop, since connections belong to the loop they were opened in.

    :param timeout: seconds for one whole exchange; a connection gets half of them, so that a
        second try to connect is in time too.
    :param verify: False, or a CA bundle's path; without it, that of the environment's
        `REQUESTS_CA_BUNDLE` or `CURL_CA_BUNDLE`, as the synchronous transport has it.
    :param proxies: as requests has it, such as `{"https": "http://proxy.example:3128"}`; the
        environment's are used as well.
    :raises ConfigurationError: httpx is not installed; the timeout is no time; there is no such CA
        bundle.
    """

    def __init__(
        self,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        verify: bool | str = True,
        proxies: Mapping[str, str] | None = None,
    ) -> None:
        if find_spec("httpx") is None:
            raise ConfigurationError(
                "The asynchronous transport needs httpx: pip install keyfob[aio]",
                code="httpx_missing",
            )
        judge_limits(timeout, verify, proxies)
        self._timeout = timeout
        self._verify = verify
        self._proxies = dict(proxies or {})
        self._clients = _Clients()

    def __repr__(self) -> str:
        return f"<HttpxTransport timeout={self._timeout}>"

    def with_options(self, options: Mapping[str, Any]) -> HttpxTransport:
        """The same connections with other limits; what is None stays as it is.

        :param options: `timeout`, `verify` and `proxies`, as the constructor has them.
        :raises TypeError: there is another among them.
        """
        twin = HttpxTransport(
            **chosen_limits(
                options, timeout=self._timeout, verify=self._verify, proxies=self._proxies
            )
        )
        twin._clients = self._clients
        return twin

    async def send(self, request: HttpRequest) -> HttpResponse:
        if request.fingerprint is not None:
            raise ConfigurationError(
                "The asynchronous transport cannot hold a connection to one certificate",
                code="cannot_pin",
            )
        started = time.monotonic()
        outcome = await self._in_time(request)
        if isinstance(outcome, Exception):
            # Raised only here, it has no context: httpx's own error holds the whole request.
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

    async def aclose(self) -> None:
        """Close this loop's connections. The transport may be used again."""
        await self._clients.aclose()

    async def _in_time(self, request: HttpRequest) -> HttpResponse | Exception:
        # The first time it imports httpx and reads certificates: that is not the provider's time.
        try:
            client = self._clients.client(
                self._verify, NO_PROXIES if request.direct else self._proxies
            )
        except OSError:
            names = " or ".join(("verify", *_BUNDLES))
            why = f"cannot be trusted: the CA bundle that {names} names cannot be read"
            return _failure(request, why, "certificate")
        try:
            return await asyncio.wait_for(self._exchange(client, request), self._seconds(request))
        except (TimeoutError, asyncio.TimeoutError):
            return _failure(request, "did not answer in time", "timeout")

    def _seconds(self, request: HttpRequest) -> float:
        return min(self._timeout, request.timeout or self._timeout)

    async def _exchange(
        self, client: httpx.AsyncClient, request: HttpRequest
    ) -> HttpResponse | Exception:
        import httpx

        try:
            try:
                return await self._once(client, request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if _is_about_trust(error):
                    raise
            # One more try when no connection came about; nothing that may have been sent is sent
            # again.
            return await self._once(client, request)
        except AnswerRefused as refused:
            return refused.with_traceback(None)
        except (httpx.HTTPError, httpx.InvalidURL, BrokenEncoding, OSError, ValueError) as error:
            return _judged(request, error)

    async def _once(self, client: httpx.AsyncClient, request: HttpRequest) -> HttpResponse:
        import httpx

        headers, seconds = dict(request.headers), self._seconds(request)
        if request.form is not None and request.content is None:
            headers.setdefault("Content-Type", _FORM)
        built = client.build_request(
            request.method,
            with_params(request.url, request.params),
            headers=headers,
            content=_body(request),
            timeout=httpx.Timeout(seconds, connect=seconds / 2),
        )
        answer = await client.send(built, stream=True, follow_redirects=False, auth=None)
        try:
            body = await _read(answer, request)
        finally:
            await answer.aclose()
        named = {name.lower(): value for name, value in answer.headers.items()}
        return HttpResponse(answer.status_code, named, body, request.url)


class _Clients:
    """A client for each event loop, and for each pair of certificates and proxies in it."""

    def __init__(self) -> None:
        self._clients: dict[Any, dict[Any, httpx.AsyncClient]] = {}
        self._lock = threading.Lock()

    def client(self, verify: bool | str, proxies: Mapping[str, str]) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        kind = (verify, tuple(sorted(proxies.items())))
        with self._lock:
            # What a closed loop had open can neither be used nor closed any more.
            for gone in [other for other in self._clients if other.is_closed()]:
                del self._clients[gone]
            clients = self._clients.setdefault(loop, {})
            if kind not in clients:
                clients[kind] = _new_client(verify, proxies)
            return clients[kind]

    async def aclose(self) -> None:
        with self._lock:
            clients = self._clients.pop(asyncio.get_running_loop(), {})
        for client in clients.values():
            await client.aclose()


def _new_client(verify: bool | str, proxies: Mapping[str, str]) -> httpx.AsyncClient:
    from http.cookiejar import DefaultCookiePolicy

    import httpx

    trust = _trust(verify)
    try:
        mounts = {
            pattern: None if proxy is None else httpx.AsyncHTTPTransport(verify=trust, proxy=proxy)
            for pattern, proxy in _patterns(proxies)
        }
        client = httpx.AsyncClient(
            verify=trust, mounts=mounts, headers={"Accept-Encoding": "gzip, deflate"}
        )
    except (ValueError, TypeError, ImportError, httpx.InvalidURL):
        # Its own message shows the address, which may hold a password.
        refused = True
    else:
        refused = False
    if refused:
        raise ConfigurationError(
            "A proxy's address cannot be used with httpx; see `proxies`, "
            "or the environment's http_proxy and https_proxy"
        )
    # One client serves everybody: what a provider would have us remember of one person's exchange
    # must not go out with another's.
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


def _trust(verify: bool | str) -> ssl.SSLContext | bool:
    if verify is True:
        verify = next((os.environ[name] for name in _BUNDLES if os.environ.get(name)), True)
    if isinstance(verify, bool):
        return verify
    if Path(verify).is_dir():
        return ssl.create_default_context(capath=verify)
    return ssl.create_default_context(cafile=verify)


def _patterns(proxies: Mapping[str, str]) -> list[tuple[str, str | None]]:
    """requests' names of proxies as httpx's patterns."""
    found: list[tuple[str, str | None]] = []
    for name, proxy in proxies.items():
        if name == "no_proxy":
            found += [(f"all://{host.strip()}", None) for host in proxy.split(",") if host.strip()]
        else:
            found.append((name if "://" in name else f"{name}://", proxy or None))
    return found


def _body(request: HttpRequest) -> bytes | None:
    from urllib.parse import urlencode

    if request.content is not None:
        return request.content.encode()
    return None if request.form is None else urlencode(dict(request.form)).encode()


async def _read(answer: httpx.Response, request: HttpRequest) -> bytes:
    """The body as it arrives, so that a flood ends early."""
    what, url = request.what.capitalize(), without_query(request.url)
    inflating = Inflating.of(answer.headers.get("Content-Encoding", ""))
    if inflating is None:
        raise AnswerRefused(
            f"{what} answered in an encoding that was not asked for", url=url, code="encoding"
        )
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += inflating.feed(chunk, MAX_ANSWER_BYTES + 1 - len(body))
        if len(body) > MAX_ANSWER_BYTES:
            raise AnswerRefused(
                f"{what} sent more than {MAX_ANSWER_BYTES:,} bytes", url=url, code="too_large"
            )
    inflating.end()
    return bytes(body)


def _is_about_trust(error: BaseException | None) -> bool:
    """Whether TLS refused, which httpx tells only by the errors behind its own."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _judged(request: HttpRequest, error: Exception) -> ProviderUnreachable:
    """What went wrong, in words that hold neither query nor credentials."""
    import httpx

    if isinstance(error, httpx.TimeoutException):
        return _failure(request, "did not answer in time", "timeout")
    if _is_about_trust(error):
        return _failure(
            request, "has a certificate that this machine does not trust", "certificate"
        )
    if isinstance(error, httpx.ProxyError):
        url = without_query(request.url)
        return ProviderUnreachable(f"The proxy before {url} failed", url=url, code="proxy")
    return _failure(request, f"could not be reached ({type(error).__name__})", None)


def _failure(request: HttpRequest, what_happened: str, code: str | None) -> ProviderUnreachable:
    url = without_query(request.url)
    return ProviderUnreachable(
        f"{request.what.capitalize()} at {url} {what_happened}", url=url, code=code
    )
