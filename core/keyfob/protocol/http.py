"""A request to a provider and its answer, as values. Whoever drives a flow does the I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from keyfob.errors import AnswerRefused, ProtocolError, ProviderUnavailable
from keyfob.protocol.urls import without_query

#: No answer of a provider is sensibly larger. Key sets of large providers are about 30 KB.
MAX_ANSWER_BYTES = 1_000_000


@dataclass(frozen=True)
class HttpRequest:
    """One request. `what` names it in messages.

    :param form: sent url-encoded.
    :param content: a whole body in the place of a form; its type is among the headers.
    :param direct: whether it goes past every proxy: to this machine, or to the one it runs on.
    :param fingerprint: the SHA-1 of the only certificate the server may have, 40 hexadecimal
        digits, in the place of every other reason to trust it. A transport that cannot hold a
        connection to that must not send the request.
    """

    method: Literal["GET", "POST"]
    url: str
    what: str
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    content: str | None = field(default=None, repr=False)
    direct: bool = False
    fingerprint: str | None = None

    @property
    def body(self) -> Mapping[str, str] | bytes | None:
        """What is sent, as HTTP clients take it by the name of `data`."""
        return self.form if self.content is None else self.content.encode()


@dataclass(frozen=True)
class HttpResponse:
    """One answer. Header names are in lower case. The body may hold tokens: it is not shown."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    url: str = ""

    @property
    def correlation_id(self) -> str:
        """What the provider calls this exchange, for its own support."""
        return self.headers.get("client-request-id") or self.headers.get("x-ms-request-id") or ""


def refuse_unusable_status(response: HttpResponse, what: str) -> None:
    """Raise for the statuses that say nothing about the request: redirects, 429, and 5xx."""
    url = without_query(response.url)
    if 300 <= response.status < 400:
        raise AnswerRefused(
            f"{what} at {url} answered with a redirect ({response.status}), which is not followed: "
            "credentials go only where the provider's own address says",
            url=url,
            code="redirect_refused",
        )
    if response.status == 429 or response.status >= 500:
        raise ProviderUnavailable(
            f"{what} at {url} answered HTTP {response.status}; it may work again a little later",
            status=response.status,
            retry_after=retry_after_seconds(response),
            url=url,
            correlation_id=response.correlation_id,
        )


def retry_after_seconds(response: HttpResponse) -> int | None:
    """`Retry-After` in seconds, when it is a sensible number (RFC 9110 §10.2.3)."""
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit() and len(value) <= 9:
        return int(value)
    return None


def json_object(
    response: HttpResponse,
    what: str,
    error: type[ProtocolError],
    not_json: type[ProtocolError] | None = None,
) -> dict[str, Any]:
    """The answer's body as a JSON object, or `error`, whose message never quotes the body.

    :param not_json: raised in `error`'s place where it is not even JSON.
    """
    try:
        document = strict_json(response.body)
    except ValueError as reason:
        raise (not_json or error)(
            f"{what} at {without_query(response.url)} did not answer with JSON "
            f"(HTTP {response.status}): {reason}",
            code="not_json",
        ) from None
    if not isinstance(document, dict):
        raise error(
            f"{what} at {without_query(response.url)} answered with JSON that is not an object",
            code="not_an_object",
        )
    return document


def strict_json(body: bytes) -> Any:
    """Parse JSON as RFC 8259 has it. Raises ValueError, with a reason that quotes nothing."""

    def refuse_constant(name: str) -> Any:
        raise ValueError(f"it has the number {name}")

    try:
        document = json.loads(body.decode("utf-8"), parse_constant=refuse_constant)
        if b"\\u" in body:
            # Half a surrogate pair is no character: whatever shows it or hashes it would fail.
            json.dumps(document, ensure_ascii=False).encode("utf-8")
        return document
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except UnicodeEncodeError:
        raise ValueError("it has half a character in it") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it breaks off or is malformed at character {error.pos}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
