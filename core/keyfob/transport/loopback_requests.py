"""What a browser, or anybody, sends to the loopback port: read within bounds, and judged. Pure."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

#: Bytes of a whole request. Entra's answers are some 4,000, a browser's head about 2,000.
MAX_REQUEST_BYTES = 65_536
_MAX_PARAMETERS = 50

_END_OF_HEAD = b"\r\n\r\n"
_REQUEST_LINE = re.compile(r"([A-Z]{1,20}) (/[\x21-\x7e]*) HTTP/1\.[01]")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\x00]*)")
_LENGTH = re.compile(r"[0-9]{1,9}")

#: What became of a request. Only `answered` ends the wait.
Verdict = Literal["answered", "welcome", "wrong_state", "no_answer", "nothing_here", "bad_request"]


class BadRequest(Exception):
    """Not a request that is answered otherwise than with its status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


@dataclass(frozen=True)
class BrowserRequest:
    """One request, with the parameters of its query, or of its form where it is a POST."""

    method: str
    path: str
    host: str
    parameters: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Awaited:
    """What one wait is for.

    :param port: the one that is listened on.
    :param state: what the answer must repeat; None accepts any, for callers that compare it.
    :param welcome: the secret address part of the welcome page, or None where there is none.
    """

    port: int
    state: str | None = field(repr=False)
    welcome: str | None = field(default=None, repr=False)


def head_length(data: bytes | bytearray, start: int = 0) -> int | None:
    """The length of a request's head, or None where it has not come in whole.

    :param start: where to look from: up to there it is known not to end.
    """
    found = data.find(_END_OF_HEAD, start)
    return None if found < 0 else found + len(_END_OF_HEAD)


def body_length(head: bytes) -> int:
    """How many bytes are to follow.

    :raises BadRequest: more than are read, or in a way that is not served.
    """
    if len(head) > MAX_REQUEST_BYTES:
        raise BadRequest(431)
    _, headers = _parts(head)
    if "transfer-encoding" in headers:
        raise BadRequest(411)
    length = headers.get("content-length", "0")
    if not _LENGTH.fullmatch(length):
        raise BadRequest(400)
    if len(head) + int(length) > MAX_REQUEST_BYTES:
        raise BadRequest(413)
    return int(length)


def read_request(head: bytes, body: bytes) -> BrowserRequest:
    """The request of this head and body (RFC 9112).

    :raises BadRequest: it is none, or not one that a browser would send here.
    """
    (method, target), headers = _parts(head)
    parts = urlsplit(f"http://localhost{target}")
    text = parts.query
    if method == "POST":
        kind = headers.get("content-type", "").split(";", 1)[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            raise BadRequest(415)
        text = body.decode("utf-8", "replace")
    elif method not in ("GET", "HEAD"):
        raise BadRequest(405)
    return BrowserRequest(method, parts.path, headers.get("host", ""), _parameters(text))


def judge_request(request: BrowserRequest, awaited: Awaited) -> Verdict:
    """Whether this is the answer that is waited for (RFC 6749 §4.1.2, §10.12).

    Whatever it is not, it does not end the wait: anything on this machine, and any page in the
    browser, can send something here.
    """
    # A page elsewhere whose name was made to lead here still says its own name (DNS rebinding).
    if request.host.lower() not in _own_names(awaited.port):
        return "bad_request"
    given = request.parameters
    if awaited.welcome is not None and _same(given.get("welcome", ""), awaited.welcome):
        return "welcome"
    if "code" not in given and "error" not in given:
        return "no_answer" if given and request.path == "/" else "nothing_here"
    if awaited.state is not None and not _same(given.get("state", ""), awaited.state):
        return "wrong_state"
    if "code" in given and "error" in given:
        return "no_answer"
    # A HEAD comes from something that looks at addresses before the browser goes there.
    return "nothing_here" if request.method == "HEAD" else "answered"


def _own_names(port: int) -> set[str]:
    hosts = ("localhost", "127.0.0.1", "[::1]")
    return {f"{host}:{port}" for host in hosts} | (set(hosts) if port == 80 else set())


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(
        given.encode("utf-8", "replace"), expected.encode("utf-8", "replace")
    )


def _parts(head: bytes) -> tuple[tuple[str, str], dict[str, str]]:
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    request_line = _REQUEST_LINE.fullmatch(first)
    if request_line is None:
        raise BadRequest(400)
    headers: dict[str, str] = {}
    for line in lines:
        found = _HEADER.fullmatch(line)
        name = found[1].lower() if found else ""
        if found is None or (name in headers and name in ("host", "content-length")):
            raise BadRequest(400)
        headers[name] = found[2].strip()
    return (request_line[1], request_line[2]), headers


def _parameters(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, errors="replace", max_num_fields=_MAX_PARAMETERS
        )
    except ValueError:
        raise BadRequest(400) from None
    found = dict(pairs)
    if len(found) != len(pairs):  # RFC 6749 §3.1: each at most once
        raise BadRequest(400)
    return found
