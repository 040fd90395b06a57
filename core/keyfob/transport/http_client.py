"""Lets an application bring its own HTTP client, with MSAL's duck type."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from keyfob.errors import AnswerRefused, ConfigurationError, ProviderUnreachable
from keyfob.protocol.http import MAX_ANSWER_BYTES, HttpRequest, HttpResponse
from keyfob.protocol.urls import without_query
from keyfob.transport.requests_transport import NO_PROXIES, RequestHeaders, RequestsTransport


class HttpClientTransport:
    """Sends through an object with `get(url, params=, headers=)`, `post(url, params=, data=,
    headers=)` and `close()`, whose answers have `status_code`, `text` and perhaps `headers`.

    Timeouts, proxies and certificates are then the object's own affair. It should not follow
    redirects: with them the client's secret would go where any answer says. A `requests.Session`
    and an `httpx.Client` are told so; an answer of another object that came by a redirect is
    refused.

    A request with a `fingerprint` needs connections that hold to a certificate, which the duck
    type cannot promise. With a `requests.Session` it goes over one of our own; with any other
    object it is refused.

    :param options: further arguments for `post`, as MSAL gives them.
    :raises ConfigurationError: (a ValueError) it has no such methods.
    """

    def __init__(self, http_client: Any, options: Mapping[str, Any] | None = None) -> None:
        judge_http_client(http_client, "http_client")
        self._http_client = http_client
        self._options = dict(options or {})
        self._pinned = RequestsTransport()

    def __repr__(self) -> str:
        return f"<HttpClientTransport {type(self._http_client).__name__}>"

    def send(self, request: HttpRequest) -> HttpResponse:
        if request.fingerprint is not None:
            return self._send_pinned(request)
        # What is raised is raised out here, so that the client's own error, which holds the whole
        # request, is no context of it.
        outcome = self._exchange(request)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def with_options(self, options: Mapping[str, Any]) -> HttpClientTransport:
        """The same client with further arguments for its `post`, whatever they are."""
        return HttpClientTransport(self._http_client, {**self._options, **options})

    def close(self) -> None:
        self._pinned.close()
        # MSAL never calls it, so that objects made for MSAL may lack it.
        close = getattr(self._http_client, "close", None)
        if close is not None:
            close()

    def _send_pinned(self, request: HttpRequest) -> HttpResponse:
        if not is_a("requests", "Session", self._http_client):
            raise ConfigurationError(
                "http_client cannot hold a connection to one certificate: leave it out, or give a "
                "requests.Session",
                setting="http_client",
                code="cannot_pin",
            )
        return self._pinned.send(request)

    def _exchange(self, request: HttpRequest) -> HttpResponse | Exception:
        url, arguments = call_of(self._http_client, request, self._options)
        try:
            if request.method == "POST":
                answer = self._http_client.post(url, **arguments)
            else:
                answer = self._http_client.get(url, **arguments)
            if inspect.iscoroutine(answer):
                answer.close()
                return ConfigurationError(
                    "http_client is asynchronous, and this application is not: give it to one of "
                    "keyfob.aio's, as async_http_client"
                )
            return answer_of(answer, request)
        except AnswerRefused as refused:
            return refused.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - every library has errors of its own
            return unreachable(request, error)


def judge_http_client(http_client: object, setting: str) -> None:
    """
    :raises ConfigurationError: (a ValueError) it can send nothing. Some only ever need one of two.
    """
    if not any(callable(getattr(http_client, name, None)) for name in ("get", "post")):
        raise ConfigurationError(
            f"{setting} has no get() and no post(): give an object like requests.Session, or leave "
            "it out",
            setting=setting,
        )


def call_of(
    http_client: object, request: HttpRequest, options: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """The address and the named arguments with which this client is asked."""
    arguments: dict[str, Any] = {"params": dict(request.params), "headers": dict(request.headers)}
    if request.method == "POST":
        arguments |= {"data": posted(request)["data"], **options}
    url = request.url
    if is_a("requests", "Session", http_client):
        del arguments["headers"]
        arguments |= {"auth": RequestHeaders(request.headers), "allow_redirects": False}
        if request.direct:
            arguments["proxies"] = dict(NO_PROXIES)
        if request.timeout is not None:
            arguments["timeout"] = request.timeout
    elif is_a("httpx", "Client", http_client) or is_a("httpx", "AsyncClient", http_client):
        # Its params= would take the place of the address's own query, even if they are empty; and
        # its data= is for forms.
        del arguments["params"]
        url = with_params(url, request.params)
        arguments["follow_redirects"] = False
        if request.content is not None:
            arguments["content"] = arguments.pop("data")
    return url, arguments


def posted(request: HttpRequest) -> dict[str, Any]:
    """The named arguments of `post`. MSAL's duck type takes a dict or a text, and no bytes."""
    return {
        "params": dict(request.params),
        "headers": dict(request.headers),
        "data": dict(request.form or {}) if request.content is None else request.content,
    }


def answer_of(answer: Any, request: HttpRequest) -> HttpResponse:
    """An HTTP client's answer as ours.

    :raises AnswerRefused: it came by a redirect, or is larger than anything sensible.
    """
    url = without_query(request.url)
    history = getattr(answer, "history", None)
    if isinstance(history, (list, tuple)) and history:
        raise AnswerRefused(
            f"{request.what.capitalize()} at {url} answered with a redirect, and http_client "
            "followed it; it must not",
            url=url,
            code="redirect_refused",
        )
    body = answer.text.encode("utf-8", "replace")
    if len(body) > MAX_ANSWER_BYTES:
        raise AnswerRefused(
            f"{request.what.capitalize()} sent more than {MAX_ANSWER_BYTES:,} bytes",
            url=url,
            code="too_large",
        )
    return HttpResponse(int(answer.status_code), _headers(answer), body, request.url)


def unreachable(request: HttpRequest, error: Exception) -> ProviderUnreachable:
    """Of a foreign error only its kind is told: its text and attributes hold addresses and bodies.

    The caller raises it outside the `except`.
    """
    return ProviderUnreachable(
        f"{request.what.capitalize()} could not be reached ({type(error).__name__})",
        url=without_query(request.url),
    )


def with_params(url: str, params: Mapping[str, str]) -> str:
    """The address with `params` behind its own query."""
    if not params:
        return url
    address, hash_mark, fragment = url.partition("#")
    query = urlencode(dict(params))
    return f"{address}{'&' if '?' in address else '?'}{query}{hash_mark}{fragment}"


def _headers(answer: Any) -> dict[str, str]:
    """They may be missing; and where an attribute is made up on demand, as a Mock's, they are."""
    headers = getattr(answer, "headers", None)
    if not isinstance(headers, Mapping):
        return {}
    return {str(name).lower(): str(value) for name, value in headers.items()}


def is_a(library: str, name: str, http_client: object) -> bool:
    module = sys.modules.get(library)
    return module is not None and isinstance(http_client, getattr(module, name))
