"""Lets an application bring its own HTTP client, with MSAL's duck type."""

from __future__ import annotations

from typing import Any

from keyfob.errors import AnswerRefused, ProviderUnreachable
from keyfob.protocol.http import MAX_ANSWER_BYTES, HttpRequest, HttpResponse
from keyfob.protocol.urls import without_query


class HttpClientTransport:
    """Sends through an object with `get(url, params=, headers=)`, `post(url, params=, data=,
    headers=)` and `close()`, whose answers have `status_code`, `text` and perhaps `headers`.

    Timeouts, proxies and certificates are then the object's own affair.
    """

    def __init__(self, http_client: Any) -> None:
        self._http_client = http_client

    def send(self, request: HttpRequest) -> HttpResponse:
        call = {"params": dict(request.params), "headers": dict(request.headers)}
        try:
            if request.method == "POST":
                answer = self._http_client.post(request.url, data=dict(request.form or {}), **call)
            else:
                answer = self._http_client.get(request.url, **call)
        except OSError as error:
            # requests' and the standard library's errors are OSErrors, and their texts hold URLs.
            raise ProviderUnreachable(
                f"{request.what.capitalize()} could not be reached ({type(error).__name__})",
                url=without_query(request.url),
            ) from None
        body = answer.text.encode("utf-8", "replace")
        if len(body) > MAX_ANSWER_BYTES:
            raise AnswerRefused("The answer is too large", url=without_query(request.url))
        headers = {str(k).lower(): str(v) for k, v in dict(getattr(answer, "headers", {})).items()}
        return HttpResponse(int(answer.status_code), headers, body, request.url)

    def close(self) -> None:
        self._http_client.close()
