"""Trips to the provider that bring nothing, counted so that no browser goes in circles.

Two kinds. A signed-in person is sent there for a token, comes back, and it is missing still: the
session counts those. And a browser that does not keep the session (a Secure cookie over http, a
cookie that is Strict or too large) looks signed out right after it signed in: a cookie of our own,
which it does keep, tells.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Mapping

from keyfob.web.exchange import Cookie

#: Trips without success before a page stops the person.
MAX_ROUNDS = 2
#: Minutes after which a trip is forgotten: what takes longer is a person, not a loop.
_WINDOW = 10
#: Seconds in which a session that was just begun must come back.
_ARRIVAL_LIFETIME = 60
#: Seconds in which a guard sends somebody who cancelled back to the sign-in.
_CANCELLATION_LIFETIME = 10


def want(scopes: Collection[str], claims: str = "", *, new: bool = False) -> str:
    """A short name for what a trip is to bring. With an API's challenge, or where a new token is
    wanted, it is another thing: a token that was at hand proves nothing."""
    text = " ".join(sorted(scopes)) + ("\nclaims" if claims else "\nnew" if new else "")
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:3]).decode()


def begun(rounds: object, wanted: str, now: float) -> list[object] | None:
    """The count with one more trip; None where that would be one too many.

    A trip for something else goes on with the count: two APIs may take each other's tokens in
    turn. Success in what was asked for last takes one back.
    """
    made = _made(rounds, now)
    return None if made >= MAX_ROUNDS else [made + 1, wanted, int(now // 60)]


def brought(rounds: object, wanted: str, now: float) -> list[object] | None:
    """The count after `wanted` was had; None for none."""
    made = _made(rounds, now)
    if not made or not isinstance(rounds, list) or rounds[1] != wanted:
        return rounds if made and isinstance(rounds, list) else None
    return [made - 1, "", rounds[2]] if made > 1 else None


def _made(rounds: object, now: float) -> int:
    match rounds:
        case [int(made), str(), int(minute)] if 0 <= now // 60 - minute <= _WINDOW:
            return made
    return 0


def is_sent(headers: Mapping[str, str]) -> bool:
    """Whether a browser may have been redirected here, rather than have followed a link of ours:
    only then can it be going in circles (Fetch Metadata). Other clients do not say."""
    return headers.get("sec-fetch-site", "same-origin").lower() != "same-origin"


def arrival(site: str, *, path: str, secure: bool) -> Cookie:
    return Cookie(_name(site), "1", path, _ARRIVAL_LIFETIME, secure)


def has_just_arrived(cookies: Mapping[str, str], site: str) -> bool:
    return _name(site) in cookies


def end_of_arrival(site: str, *, path: str, secure: bool) -> Cookie:
    return Cookie(_name(site), "", path, 0, secure)


def cancellation(site: str, *, path: str, secure: bool) -> Cookie:
    """What tells that somebody who cancelled a sign-in is sent to the next one at once."""
    return Cookie(_name(site, "cancelled"), "1", path, _CANCELLATION_LIFETIME, secure)


def has_just_cancelled(cookies: Mapping[str, str], site: str) -> bool:
    return _name(site, "cancelled") in cookies


def end_of_cancellation(site: str, *, path: str, secure: bool) -> Cookie:
    return Cookie(_name(site, "cancelled"), "", path, 0, secure)


def _name(site: str, what: str = "arrived") -> str:
    return f"keyfob-{site}-{what}"
