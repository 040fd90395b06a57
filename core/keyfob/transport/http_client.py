"""Lets an application bring its own HTTP client, with MSAL's duck type."""

from __future__ import annotations

import sys
from typing import Any

from keyfob.errors import AnswerRefused, ConfigurationError, ProviderUnreachable
from keyfob.protocol.http import MAX_ANSWER_BYTES, HttpRequest, HttpResponse
from keyfob.protocol.urls import without_query
from keyfob.transport.requests_transport import NO_PROXIES, RequestHeaders, RequestsTransport


class HttpClientTransport:
    """Sends through an object with `get(url, params=, headers=)`, `post(url, params=, data=,
    headers=)` and `close()`, whose answers have `status_code`, `text` and perhaps `headers`.

    Timeouts, proxies and certificates are then the object's own affair. It should not follow
    redirects: with them the client's secret would go where any answer says. A `requests.Session`
    is told so; an answer of another object that came by a redirect is refused.

    A request with a `fingerprint` needs connections that hold to a certificate, which the duck
    type cannot promise. With a `requests.Session` it goes over one of our own; with any other
    object it is refused.
    """

    def __init__(self, http_client: Any) -> None:
        self._http_client = http_client
        self._pinned = RequestsTransport()

    def __repr__(self) -> str:
        return f"<HttpClientTransport {type(self._http_client).__name__}>"

    def send(self, request: HttpRequest) -> HttpResponse:
        if request.fingerprint is not None:
            return self._send_pinned(request)
        url = without_query(request.url)
        outcome = self._exchange(request)
        if isinstance(outcome, ProviderUnreachable):
            raise outcome
        if outcome is None:
            raise AnswerRefused(
                f"{request.what.capitalize()} at {url} answered with a redirect, and http_client "
                "followed it; it must not",
                url=url,
                code="redirect_refused",
            )
        if len(outcome.body) > MAX_ANSWER_BYTES:
            raise AnswerRefused(
                f"{request.what.capitalize()} sent more than {MAX_ANSWER_BYTES:,} bytes",
                url=url,
                code="too_large",
            )
        return outcome

    def close(self) -> None:
        self._pinned.close()
        self._http_client.close()

    def _send_pinned(self, request: HttpRequest) -> HttpResponse:
        if not _is_requests_session(self._http_client):
            raise ConfigurationError(
                "http_client cannot hold a connection to one certificate: leave it out, or give a "
                "requests.Session",
                setting="http_client",
                code="cannot_pin",
            )
        return self._pinned.send(request)

    def _exchange(self, request: HttpRequest) -> HttpResponse | ProviderUnreachable | None:
        """The answer; what went wrong; or None where a redirect was followed."""
        call: dict[str, Any] = {"params": dict(request.params)}
        if _is_requests_session(self._http_client):
            call |= {"auth": RequestHeaders(request.headers), "allow_redirects": False}
            if request.direct:
                call["proxies"] = dict(NO_PROXIES)
        else:
            call["headers"] = dict(request.headers)
        try:
            if request.method == "POST":
                answer = self._http_client.post(request.url, data=_data(request), **call)
            else:
                answer = self._http_client.get(request.url, **call)
            if getattr(answer, "history", None):
                return None
            named = dict(getattr(answer, "headers", None) or {})
            headers = {str(name).lower(): str(value) for name, value in named.items()}
            body = answer.text.encode("utf-8", "replace")
            return HttpResponse(int(answer.status_code), headers, body, request.url)
        except Exception as error:  # noqa: BLE001 - every library has errors of its own
            # Only their kind is told: their texts and attributes hold addresses and bodies.
            return ProviderUnreachable(
                f"{request.what.capitalize()} could not be reached ({type(error).__name__})",
                url=without_query(request.url),
            )


def _data(request: HttpRequest) -> dict[str, str] | str:
    """MSAL's duck type takes a dict or a text, and no bytes."""
    return dict(request.form or {}) if request.content is None else request.content


def _is_requests_session(http_client: object) -> bool:
    requests = sys.modules.get("requests")
    return requests is not None and isinstance(http_client, requests.Session)
