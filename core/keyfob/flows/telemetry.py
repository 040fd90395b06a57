"""What Microsoft is told, in headers, of how its client library fares (MSAL's, version 4).

Two headers: what this request is for, and how those since the last success ended. They hold
numbers, correlation ids and error codes, and nothing of anybody. Other providers get neither.
"""

from __future__ import annotations

import threading
from enum import IntEnum

_VERSION = 4
#: A header stays short: what no longer fits is told the next time, or never.
_MAX_FAILURES_LENGTH = 350


class Api(IntEnum):
    """MSAL's numbers for its verbs."""

    SILENT = 84
    REFRESH_TOKEN = 85
    INTERACTIVE = 169
    PASSWORD = 301
    ON_BEHALF_OF = 523
    DEVICE_CODE = 622
    FOR_CLIENT = 730
    AUTHORIZATION_CODE = 832
    USER_FEDERATED_IDENTITY = 950


class Reason(IntEnum):
    """Why the cache gave no token."""

    NOT_ASKED = 0
    FORCED = 1
    ABSENT = 2
    EXPIRED = 3
    AGING = 4


class Telemetry:
    """How the requests of one application fared. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hits = 0
        self._failures: list[tuple[str, str]] = []

    def headers(self, api: Api, reason: Reason) -> dict[str, str]:
        """The headers of one token request."""
        with self._lock:
            requests = ",".join(request for request, _ in self._failures)
            errors = ",".join(error for _, error in self._failures)
            # MSAL marks a refresh token taken over from elsewhere as forced.
            why = Reason.FORCED if api is Api.REFRESH_TOKEN else reason
            return {
                "x-client-current-telemetry": f"{_VERSION}|{api:d},{why:d}|",
                "x-client-last-telemetry": f"{_VERSION}|{self._hits}|{requests}|{errors}|",
            }

    def cache_hit(self) -> None:
        with self._lock:
            self._hits += 1

    def failed(self, api: Api, correlation_id: str, error: str) -> None:
        """A request was answered by an error; the oldest are forgotten where there are many."""
        with self._lock:
            self._failures.append((f"{api:d},{correlation_id}", _plain(error)))
            while sum(len(a) + len(b) + 2 for a, b in self._failures) > _MAX_FAILURES_LENGTH:
                self._failures.pop(0)

    def succeeded(self) -> None:
        """What was told has arrived; begin anew."""
        with self._lock:
            self._hits = 0
            self._failures.clear()


def _plain(error: str) -> str:
    """An error code as it may stand in the header: a provider may call its errors anything."""
    return "".join(c for c in error[:100] if c.isascii() and (c.isalnum() or c in "_-."))
