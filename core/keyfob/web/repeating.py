"""Which calls to an API are repeated, and after how long: pure, for every HTTP client.

docs/decisions/repeated-calls.md says why, and why it is not urllib3's `Retry`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import formatdate

from keyfob.protocol.http import HttpResponse, retry_after_seconds

#: How often a call is repeated where the settings do not say.
DEFAULT_RETRIES = 2
#: Seconds after a call began in which an attempt may begin: a person waits for the page. So no
#: pause is longer, nor are all pauses of a call together.
PATIENCE = 5.0
#: Seconds before the first repetition, at most; each further one may wait twice as long.
FIRST_PAUSE = 0.2

#: Methods that do the same when they arrive twice (RFC 9110 §9.2.2).
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
#: Answers that may be another one a moment later (RFC 6585 §4, RFC 9110 §15.6).
_PASSING = frozenset({429, 502, 503, 504})


def is_idempotent(method: str) -> bool:
    return method.upper() in _IDEMPOTENT


def may_pass(status: int) -> bool:
    """Whether the same call may be answered otherwise a moment later."""
    return status in _PASSING


def pause(
    made: int,
    elapsed: float,
    headers: Mapping[str, str],
    *,
    now: float,
    random: Callable[[], float],
) -> float | None:
    """Seconds to wait before a call is repeated; None where that would be too long.

    What the API asks for (`Retry-After`, RFC 9110 §10.2.3) is waited for, or the call is not
    repeated: an API that is asked earlier than it said would only count it as one more.

    :param made: attempts made so far, 1 or more.
    :param elapsed: seconds since the first one began.
    :param headers: of the answer, names in lower case; empty where there was none.
    :param now: seconds since 1970, to count a date from where the answer has none of its own.
    :param random: gives a number from 0 to 1, so that callers do not come back all at once.
    """
    wait = FIRST_PAUSE * 2 ** (made - 1) * (0.5 + random() / 2)
    if "retry-after" in headers:
        told = {"date": formatdate(now, usegmt=True), **headers}
        asked = retry_after_seconds(HttpResponse(0, told, b""))
        wait = max(wait, asked or 0)
    return wait if elapsed + wait <= PATIENCE else None
