"""A request to a provider and its answer, as values. Whoever drives a flow does the I/O."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

from keyfob.errors import AnswerRefused, ProtocolError, ProviderUnavailable
from keyfob.protocol.urls import without_query

#: No answer of a provider is sensibly larger. Key sets of large providers are about 30 KB.
MAX_ANSWER_BYTES = 1_000_000
_GUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class HttpRequest:
    """One request. `what` names it in messages.

    :param form: sent url-encoded.
    :param content: a whole body in the place of a form; its type is among the headers.
    :param direct: whether it goes past every proxy: to this machine, or to the one it runs on.
    :param fingerprint: the SHA-1 of the only certificate the server may have, 40 hexadecimal
        digits, in the place of every other reason to trust it. A transport that cannot hold a
        connection to that must not send the request.
    :param timeout: seconds for this exchange, where the transport's own limit would be too long.
    :param document_judge: only for public documents, the same for everybody, that change rarely:
        raises where an answer is not the document that was asked for. One that passes may be kept
        for a day, and serve again.
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
    timeout: float | None = None
    document_judge: Callable[[HttpResponse], object] | None = field(
        default=None, repr=False, compare=False
    )

    @property
    def body(self) -> Mapping[str, str] | bytes | None:
        """What is sent, as HTTP clients take it by the name of `data`."""
        return self.form if self.content is None else self.content.encode()


@dataclass(frozen=True)
class HttpResponse:
    """One answer. Header names are in lower case. The body may hold tokens: it is not shown.

    :param throttled: it is an earlier answer again; the provider was not asked this time.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    url: str = ""
    throttled: bool = False

    @property
    def correlation_id(self) -> str:
        """What the provider calls this exchange, for its own support; "" where that is no GUID,
        for it goes into errors and logs, and might repeat anything."""
        for name in ("client-request-id", "x-ms-request-id"):
            if _GUID.fullmatch(self.headers.get(name, "")):
                return self.headers[name]
        return ""


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
        when = retry_after_seconds(response)
        again = "it may work again a little later"
        if response.throttled:
            again = (
                f"that was a moment ago, and it is asked again in {when} seconds at the earliest"
            )
        raise ProviderUnavailable(
            f"{what} at {url} answered HTTP {response.status}; {again}",
            status=response.status,
            retry_after=when,
            url=url,
            correlation_id=response.correlation_id,
            code="throttled" if response.throttled else None,
        )


def retry_after_seconds(response: HttpResponse) -> int | None:
    """`Retry-After` in seconds, when it is sensible (RFC 9110 §10.2.3); 0 for a time gone by.

    A date counts from the answer's own `Date`, so that it does not matter whose clock is wrong.
    Whoever receives an answer without one adds the time of receipt (RFC 9110 §6.6.1), as
    `keyfob.transport.throttle` does; a date that cannot be counted from anything says nothing.
    """
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit() and len(value) <= 9:
        return int(value)
    until, answered = http_date(value), http_date(response.headers.get("date", ""))
    if until is None or answered is None:
        return None
    return max(0, math.ceil(until - answered))


def http_date(text: str) -> float | None:
    """An HTTP-date in any of its three forms as seconds since 1970 (RFC 9110 §5.6.7), or None."""
    text = text.strip()
    if not text.isascii() or not 24 <= len(text) <= 40:
        return None
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return (moment - _EPOCH).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
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


def strict_json(body: bytes, *, unique_names: bool = False) -> Any:
    """Parse JSON as RFC 8259 has it. Raises ValueError, with a reason that quotes nothing.

    :param unique_names: refuse an object in which a name comes twice; else the last one counts.
    """
    document, fault = _parsed(body, _UNIQUE_DECODER if unique_names else _DECODER)
    if fault:
        # Raised out here: the parser's own errors hold the whole body, and would be its context.
        raise ValueError(fault)
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice in it")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"it has the number {name}")


# Made once: each is a scanner of its own, which costs as much as to read a small document.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_UNIQUE_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_unique)


def _parsed(body: bytes, decoder: json.JSONDecoder) -> tuple[Any, str]:
    """The document, and what is wrong with it."""
    try:
        text = body.decode("utf-8")
        # What has no white space around it, as in tokens, need not be searched for it.
        document, end = decoder.raw_decode(text) if text.startswith("{") else (None, -1)
        if end != len(text):
            document = decoder.decode(text)
        if b"\\u" in body:
            # Half a surrogate pair is no character: whatever shows it or hashes it would fail.
            json.dumps(document, ensure_ascii=False).encode("utf-8")
        return document, ""
    except UnicodeDecodeError:
        return None, "it is not UTF-8"
    except UnicodeEncodeError:
        return None, "it has half a character in it"
    except json.JSONDecodeError as error:
        return None, f"it breaks off or is malformed at character {error.pos}"
    except RecursionError:
        return None, "it is nested too deeply"
    except ValueError as error:  # of the decoder's hooks, and of numbers with thousands of digits
        return None, str(error)
