"""Telling applications that somebody signed out, and remembering what they answered.

OpenID Connect Back-Channel Logout 1.0: a signed logout token, posted from here to the application.
OpenID Connect Front-Channel Logout 1.0: a frame in the page that signs out, which only the person's
browser can fetch.
"""

from __future__ import annotations

import http.client
import re
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal
from urllib.parse import urlencode, urlsplit

from keyfob_emulator.keys import KeyRings
from keyfob_emulator.model import Directory
from keyfob_emulator.redirects import with_query
from keyfob_emulator.sessions import SignIn, Use

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
LIFETIME: Final = 120
"""Seconds: what Back-Channel Logout 1.0 section 4 advises at the most."""
TIMEOUT: Final = 5.0
"""Seconds that one application may take to connect, and to answer."""
_KEPT: Final = 100
_AT_ONCE: Final = 8
_LOOPBACK: Final = re.compile(r"(https?)://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?(/.*)?")


@dataclass(frozen=True)
class LogoutNotice:
    """One application, told once. ``status`` is what it answered, None where it did not, or where
    only the browser knows; ``detail`` says it in words."""

    application: str
    channel: Literal["front", "back"]
    url: str
    username: str
    at: float
    status: int | None = None
    detail: str = ""
    token: str = field(default="", repr=False)

    @property
    def succeeded(self) -> bool:
        """Whether the application said that it did it (section 2.8)."""
        return self.status in (200, 204)


class LogoutNotices:
    """Who is told of a sign-out, how, and with what result; the last hundred are kept."""

    def __init__(self, directory: Directory, keys: KeyRings, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._keys = keys
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: deque[LogoutNotice] = deque(maxlen=_KEPT)

    @property
    def recent(self) -> tuple[LogoutNotice, ...]:
        """What happened, the newest first."""
        with self._lock:
            return tuple(reversed(self._kept))

    def in_frames(self, ended: SignIn, username: str, leave_out: str | None) -> list[LogoutNotice]:
        """The frames that the page is to have (Front-Channel Logout 1.0 section 3).

        ``leave_out`` is where the person goes next: who asked for the sign-out knows of it.
        """
        found = []
        for use in _sorted(ended.uses):
            application = self._directory.application(use.client_id)
            uri = application.front_channel_logout_uri if application else None
            if application is None or uri is None:
                continue
            url = address_for(uri, use.origin)
            if leave_out == f"{use.client_id} {_origin(url)}":
                continue
            address = with_query(url, {"iss": use.issuer, "sid": ended.sid})
            notice = LogoutNotice(application.name, "front", address, username, self._clock())
            found.append(replace(notice, detail="asked in a frame; the browser has the answer"))
        self._keep(found)
        return found

    def directly(
        self, ended: Iterable[SignIn], username: str, *, everywhere: bool = False
    ) -> list[LogoutNotice]:
        """Post logout tokens to the applications, several at once, and wait for their answers.

        ``everywhere`` tells each application once, of all the person's sessions: the token names
        them and no session.
        """
        orders: dict[tuple[str, str], LogoutNotice] = {}
        for sign_in in ended:
            for use in _sorted(sign_in.uses):
                order = self._order(use, None if everywhere else sign_in.sid, username)
                if order is not None:
                    about = use.subject if everywhere else sign_in.sid
                    orders.setdefault((order.url, about), order)
        if not orders:
            return []
        with ThreadPoolExecutor(min(_AT_ONCE, len(orders))) as pool:
            found = list(pool.map(deliver, orders.values()))
        self._keep(found)
        return found

    def _order(self, use: Use, sid: str | None, username: str) -> LogoutNotice | None:
        application = self._directory.application(use.client_id)
        uri = application.back_channel_logout_uri if application else None
        if application is None or uri is None:
            return None
        token = self._keys.sign(
            logout_token_claims(use, sid, int(self._clock())), use.tenant_id, "logout+jwt"
        )
        url = address_for(uri, use.origin)
        return LogoutNotice(application.name, "back", url, username, self._clock(), token=token)

    def _keep(self, notices: Iterable[LogoutNotice]) -> None:
        with self._lock:
            self._kept.extend(replace(notice, token="") for notice in notices)


def logout_token_claims(use: Use, sid: str | None, now: int) -> dict[str, Any]:
    """What a logout token says (Back-Channel Logout 1.0 section 2.4)."""
    claims: dict[str, Any] = {
        "iss": use.issuer,
        "sub": use.subject,
        "aud": use.client_id,
        "iat": now,
        "exp": now + LIFETIME,
        "jti": str(uuid.uuid4()),
        "events": {EVENT: {}},
    }
    if sid is not None:
        claims["sid"] = sid
    return claims


def address_for(registered: str, origin: str) -> str:
    """Where to tell an application: a loopback address without a port is wherever it is running,
    which its redirect URI said, as redirect URIs may have any port too (RFC 8252 section 7.3)."""
    match = _LOOPBACK.fullmatch(registered)
    if match is None or match[3] or _LOOPBACK.fullmatch(origin) is None:
        return registered
    return f"{origin}{match[4] or ''}"


def deliver(order: LogoutNotice) -> LogoutNotice:
    """Post one logout token (section 2.5), to this machine and nowhere else."""
    match = _LOOPBACK.fullmatch(order.url)
    if match is None:
        return replace(order, detail="not told: this provider posts to loopback addresses only")
    parts = urlsplit(order.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT)
    except ValueError:
        return replace(order, detail="not told: its address has no such port")
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    try:
        connection.request(
            "POST",
            path,
            body=urlencode({"logout_token": order.token}),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        answer = connection.getresponse()
        said = answer.read(500).decode("utf-8", "replace")
        detail = "".join(c if c.isprintable() else " " for c in said).strip()
        return replace(order, status=answer.status, detail=detail)
    except (OSError, http.client.HTTPException) as error:
        return replace(order, detail=f"no answer: {str(error) or type(error).__name__}")
    finally:
        connection.close()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _sorted(uses: Iterable[Use]) -> list[Use]:
    return sorted(uses, key=lambda use: (use.client_id, use.origin, use.issuer))
