"""The provider's own memory of browsers: who is signed in, and which sign-in is under way."""

from __future__ import annotations

import secrets
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from keyfob_emulator.authorize import AuthorizationRequest

_MAXIMUM = 5_000


@dataclass(frozen=True)
class Use:
    """An application that a sign-in led into: as whom it knows the person, and where it is."""

    client_id: str
    tenant_id: str
    issuer: str
    subject: str
    origin: str = ""
    """Of the redirect URI; empty for a device, which has none."""


@dataclass
class SignIn:
    """One signed-in account of one browser."""

    home_object_id: str
    auth_time: int
    sid: str = field(default_factory=lambda: str(uuid.uuid4()))
    second_factor: bool = False
    """Whether more than the password was proved."""
    uses: set[Use] = field(default_factory=set)


@dataclass
class BrowserSession:
    """What a browser's cookie stands for; several accounts can be signed in at once."""

    session_id: str
    last_seen: float
    csrf_token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    sign_ins: dict[str, SignIn] = field(default_factory=dict)

    def sign_in(self, home_object_id: str, now: float) -> SignIn:
        """Note that the account has just proved its password."""
        known = self.sign_ins.get(home_object_id)
        if known is None:
            known = self.sign_ins[home_object_id] = SignIn(home_object_id, int(now))
        known.auth_time = int(now)
        return known


@dataclass
class Interaction:
    """An authorization request a person is being asked about."""

    interaction_id: str
    request: AuthorizationRequest
    session: BrowserSession
    expires_at: float
    chosen: str | None = None
    """The user name that was picked or typed here."""
    authenticated: bool = False
    """Whether the password was proved here, which ``prompt=login`` and ``max_age`` ask for."""
    proved: bool = False
    """Whether the second factor was proved here."""
    picked: bool = False
    """Whether an account was picked here, which ``prompt=select_account`` asks for."""
    consented: bool = False
    confirmed: bool = False
    """Whether the person confirmed here that the waiting device is theirs."""
    flow_done: bool = False
    """Whether the page was filled in that a user flow is for, such as the profile's."""
    mode: Literal["automatic", "pick", "type"] = "automatic"
    """How the account is found; the last two when the person asked for it."""
    closed: bool = False


class SessionStore:
    """Browser sessions and their interactions, bounded in number and time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._sessions: dict[str, BrowserSession] = {}
        self._interactions: dict[str, Interaction] = {}

    def find(self, session_id: str | None, lifetime: float) -> BrowserSession | None:
        """The session behind a cookie, if it is not too old."""
        now = self._clock()
        with self._lock:
            session = self._sessions.get(session_id or "")
            if session is None:
                return None
            if now - session.last_seen > lifetime:
                del self._sessions[session.session_id]
                return None
            session.last_seen = now
            return session

    def create(self) -> BrowserSession:
        """A session for a browser that has none."""
        session = BrowserSession(secrets.token_urlsafe(32), self._clock())
        with self._lock:
            self._sessions[session.session_id] = session
            while len(self._sessions) > _MAXIMUM:
                del self._sessions[next(iter(self._sessions))]
        return session

    def renew(self, session: BrowserSession) -> None:
        """A new id when somebody signs in, so that an id planted before is worth nothing."""
        with self._lock:
            self._sessions.pop(session.session_id, None)
            session.session_id = secrets.token_urlsafe(32)
            session.csrf_token = secrets.token_urlsafe(24)
            self._sessions[session.session_id] = session

    def sign_out(self, session: BrowserSession, home_object_id: str) -> SignIn | None:
        """Sign one account out of one browser."""
        with self._lock:
            return session.sign_ins.pop(home_object_id, None)

    def sign_out_everywhere(self, home_object_id: str) -> list[SignIn]:
        """Sign one account out of every browser; what ended."""
        with self._lock:
            sessions = list(self._sessions.values())
            ended = [session.sign_ins.pop(home_object_id, None) for session in sessions]
        return [sign_in for sign_in in ended if sign_in is not None]

    def signed_in_anywhere(self) -> set[str]:
        """The home object ids of everybody who is signed in, in whatever browser."""
        with self._lock:
            return {each for session in self._sessions.values() for each in session.sign_ins}

    def open_interaction(
        self, request: AuthorizationRequest, session: BrowserSession, lifetime: float
    ) -> Interaction:
        """Begin to ask a person about an authorization request."""
        interaction = Interaction(
            secrets.token_urlsafe(18), request, session, self._clock() + lifetime
        )
        with self._lock:
            self._interactions[interaction.interaction_id] = interaction
            while len(self._interactions) > _MAXIMUM:
                del self._interactions[next(iter(self._interactions))]
        return interaction

    def interaction(
        self, interaction_id: str, session: BrowserSession | None
    ) -> Interaction | None:
        """An interaction of this very browser that is still going on."""
        with self._lock:
            found = self._interactions.get(interaction_id)
        if found is None or found.session is not session or found.closed:
            return None
        return found if self._clock() < found.expires_at else None

    def close(self, interaction: Interaction) -> None:
        """An interaction ends once, with a code or an error."""
        interaction.closed = True
        with self._lock:
            self._interactions.pop(interaction.interaction_id, None)
