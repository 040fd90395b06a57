"""Sign-in attempts: several at once in one browser, each kept, sealed, in a cookie of its own.

An attempt is bound to the browser by its cookie, ends with its use or after ten minutes, and costs
the server nothing until it comes back. What is used is remembered in the token store, so that it
is used once, wherever it comes back to. See docs/decisions/sign-in-attempts.md.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from keyfob.errors import ConfigurationError
from keyfob.web.exchange import Cookie
from keyfob.web.sealing import Sealer
from keyfob.web.stores import SealedStore

#: Seconds an attempt may take.
ATTEMPT_LIFETIME = 600
#: Attempts kept in one browser, and the bytes they may take: servers refuse larger headers.
MAX_ATTEMPTS = 10
MAX_COOKIE_BYTES = 6000
#: Cookies ended in one response.
MAX_ENDED = 12
#: Of one cookie. Browsers silently drop those of more than 4096 with name and attributes.
MAX_VALUE_BYTES = 3800

_CONTEXT = "sign-in attempt"


@dataclass(frozen=True)
class Attempt:
    """One sign-in on its way.

    :param flow: the authorization-code flow, with state, nonce and verifier.
    :param next: the local path to go to afterwards.
    :param api: the downstream API it is for, "" for none.
    :param sent: whether the browser may have been redirected here, as `rounds.is_sent` has it.
    :param renews: the mark of the session that it renews without a page, and that ends where the
        provider will not have that; "" for a sign-in of the usual kind.
    :param adds: whether it adds an account to those of this browser's session.
    """

    flow: Mapping[str, Any] = field(repr=False)
    next: str
    api: str = ""
    started: float = 0.0
    sent: bool = False
    renews: str = ""
    adds: bool = False

    @property
    def state(self) -> str:
        state: str = self.flow["state"]
        return state

    @property
    def purpose(self) -> str:
        """As it is counted."""
        return "renewal" if self.renews else "person"


class Attempts:
    """The attempts of one browser, read from its cookies.

    :param site: tells the cookies of sites apart that share a host, such as localhost.
    """

    def __init__(
        self, cookies: Mapping[str, str], *, sealer: Sealer, site: str, now: float
    ) -> None:
        self._sealer = sealer
        self._prefix = f"keyfob_{site}_"
        self._now = now
        # Only names that we could have made: any other cannot be set, so it cannot be ended.
        ours = re.compile(re.escape(self._prefix) + "[0-9a-f]{12}")
        self._cookies = {k: v for k, v in cookies.items() if ours.fullmatch(k)}

    def find(self, state: str) -> Attempt | None:
        """The attempt with this state, if it began in this browser less than ten minutes ago."""
        sealed = self._cookies.get(self._name(state))
        attempt = self._read(sealed) if sealed else None
        return attempt if attempt is not None and attempt.state == state else None

    def start(self, attempt: Attempt, *, home: str, path: str, secure: bool) -> list[Cookie]:
        """The cookies to set: the new attempt's, and the end of those there is no room for.

        :param home: where an attempt ends whose own page has too long an address for a cookie.
        :raises ConfigurationError: so many scopes are asked for that they fit no cookie.
        """
        sealed = self._seal(attempt)
        if len(sealed) > MAX_VALUE_BYTES:
            sealed = self._seal(replace(attempt, next=home))
        if len(sealed) > MAX_VALUE_BYTES:
            raise ConfigurationError(
                "A sign-in would ask for more scopes than a cookie can hold; name fewer",
                setting="SCOPES",
            )
        new = Cookie(self._name(attempt.state), sealed, path, ATTEMPT_LIFETIME, secure)
        ended = [self.end(name, path=path, secure=secure) for name in self._without_room(new)]
        return [*ended, new]

    def end_of(self, state: str, *, path: str, secure: bool) -> list[Cookie]:
        name = self._name(state)
        return [self.end(name, path=path, secure=secure)] if name in self._cookies else []

    @staticmethod
    def end(name: str, *, path: str, secure: bool) -> Cookie:
        return Cookie(name, "", path, 0, secure)

    def _without_room(self, new: Cookie) -> list[str]:
        """The names of the oldest and the unreadable."""
        started = {
            name: attempt.started
            for name, sealed in self._cookies.items()
            if name != new.name and (attempt := self._read(sealed)) is not None
        }
        newest_first = sorted(started, key=lambda name: -started[name])
        room, kept = MAX_COOKIE_BYTES - len(new.value), set()
        for name in newest_first[: MAX_ATTEMPTS - 1]:
            room -= len(self._cookies[name])
            if room < 0:
                break
            kept.add(name)
        ended = [name for name in self._cookies if name not in kept and name != new.name]
        # Somebody may have planted any number; a response has room for so many headers.
        return ended[:MAX_ENDED]

    def _name(self, state: str) -> str:
        return self._prefix + hashlib.sha256(state.encode("utf-8", "replace")).hexdigest()[:12]

    def _seal(self, attempt: Attempt) -> str:
        return self._sealer.seal_text(self._pack(attempt), context=_CONTEXT, now=self._now)

    def _pack(self, attempt: Attempt) -> bytes:
        kept = {k: v for k, v in attempt.flow.items() if k != "auth_uri" and v is not None}
        packed = {"f": kept, "n": attempt.next, "a": attempt.api, "t": int(attempt.started)}
        if attempt.sent:
            packed["s"] = 1
        if attempt.renews:
            packed["r"] = attempt.renews
        if attempt.adds:
            packed["o"] = 1
        return json.dumps(packed, ensure_ascii=False, separators=(",", ":")).encode()

    def _read(self, sealed: str) -> Attempt | None:
        packed = self._sealer.unseal_text(
            sealed, context=_CONTEXT, max_age=ATTEMPT_LIFETIME, now=self._now
        )
        if packed is None:
            return None
        content = json.loads(packed)
        return Attempt(
            content["f"],
            content["n"],
            content["a"],
            content["t"],
            "s" in content,
            content.get("r", ""),
            "o" in content,
        )


def use_once(store: SealedStore, attempt: Attempt, now: float) -> bool:
    """Whether this attempt was not used before, here or on another machine.

    :raises StoreUnavailable: it cannot be told; nobody is signed in then.
    """
    return store.create(f"used attempt {attempt.state}", b"1", now + 2 * ATTEMPT_LIFETIME)
