"""One browser's session: who is here, who waits, and what is kept of it in the browser."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Collection, Mapping, MutableMapping, Sequence
from typing import Any

from keyfob.errors import StoreError
from keyfob.web import rounds
from keyfob.web.caller import Caller
from keyfob.web.document import Document
from keyfob.web.identity import Identity, User, session_claims
from keyfob.web.session_calls import SessionCalls
from keyfob.web.session_entry import SESSION_KEY, Waiting, is_live_entry, waiting_in
from keyfob.web.session_site import Site
from keyfob.web.tokens import SessionTokens, tokens_lost
from keyfob.web.whose import OtherTokens

logger = logging.getLogger(__name__)


class SessionState(SessionCalls):
    """What a `WebSession` knows of who is here, and keeps in the browser's session."""

    def __init__(self, site: Site, session: MutableMapping[str, Any]) -> None:
        self._members = site.members
        self._only = site.members.only
        self._session = session
        self._tokens: SessionTokens | None = None
        self._user: User | None = None
        self._caller: Caller | None = None
        self._other_tokens: OtherTokens | None = None
        #: The tokens of this request that are ready, by API (see `tokens`).
        self._ready: dict[str, str] = {}
        self._is_admitted = False

    def __repr__(self) -> str:
        return "<WebSession>"

    @property
    def _site(self) -> Site:
        """Of the authority that signed in who is here."""
        return self._only or self._found_site()

    def _found_site(self) -> Site:
        if self._caller is not None:
            return self._members.named("")  # callers of our API come by the site's own
        return self._members.of_session(self._session)

    @property
    def authority(self) -> str:
        """Who signed in the person that is here: a name in AUTHORITIES, "" for the site's own."""
        return self._site.name

    @property
    def call_site(self) -> Site:
        return self._site

    @property
    def tenant(self) -> str:
        return self.user.tid if self.caller is None else self.caller.tid

    @property
    def user(self) -> User:
        """Who is here; false where nobody is signed in. Reads no store."""
        return self.named

    @property
    def named(self) -> User:
        """Whom the browser's session names, also where a framework knows that it is in doubt."""
        if self._user is None:
            entry = self._entry()
            key = entry.get("a") if entry else None
            claims = entry.get("c") if entry else None
            self._user = User(
                key if isinstance(key, str) else None,
                claims if isinstance(claims, dict) else {},
                self._claims,
                complete=bool(entry) and "p" not in (entry or {}),
            )
        return self._user

    @property
    def caller(self) -> Caller | None:
        """Who calls this site as an API, once a bearer check passed in this request."""
        return self._caller

    def act_for(self, caller: Caller) -> None:
        """Let the request be this caller's. Whom the browser's session names counts no more: what
        is asked of a caller must never be answered with a cookie's rights."""
        self._caller, self._other_tokens = caller, None
        self._tokens, self._user = None, None
        self._ready.clear()

    @property
    def is_signed_in(self) -> bool:
        """Whether the browser's session names somebody. Reads no store."""
        return self._entry() is not None

    @property
    def mark(self) -> str:
        """What tells this sign-in from every other, and is no secret; "" where nobody is here."""
        key = self._key()
        if key is None:
            return ""
        return base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()[:9]).decode()

    @property
    def waiting(self) -> list[Waiting]:
        """The other accounts of this browser, newest first."""
        entry = self._entry()
        return waiting_in(entry, self._members.of_key) if entry else []

    def current(self) -> Waiting | None:
        """The account that is here, as it would wait; None where nobody is."""
        entry = self._entry()
        if entry is None or not isinstance(entry.get("a"), str):
            return None
        begun = entry.get("b")
        return Waiting(entry["k"], entry["a"], begun if isinstance(begun, int) else 0)

    def drop(self, other: Waiting) -> None:
        """End an account that waits: here, and in the token store if it can be reached."""
        entry = self._entry()
        if entry is not None:
            left = [list(each) for each in self.waiting if each != other]
            rest = {name: value for name, value in entry.items() if name != "o"}
            self._session[SESSION_KEY] = {**rest, "o": left} if left else rest
        self._delete(other.key)

    def begin(
        self,
        document_key: str,
        identity: Identity,
        *,
        begun: int | None = None,
        waiting: Sequence[Waiting] = (),
    ) -> None:
        """Write a sign-in into the browser's session, as the one that is here.

        :param begun: when it began, in minutes since 1970, where that is not now.
        :param waiting: the other accounts of this browser.
        """
        counted = (self._entry() or {}).get("r")
        kept, complete = session_claims(identity.claims)
        since = int(self._site.clock() // 60) if begun is None else begun
        entry: dict[str, Any] = {
            "k": document_key,
            "a": identity.key,
            "c": kept,
            # Of one that waited, the record's end may be near: the next guarded page moves it.
            "e": since,
            "b": since,
        }
        if waiting:
            entry["o"] = [list(each) for each in waiting]
        if not complete:
            entry["p"] = 1
        if counted:
            entry["r"] = counted
        self._session[SESSION_KEY] = entry
        self._tokens, self._user, self._is_admitted = None, None, False
        self._ready.clear()

    def document(self) -> Document | None:
        """The token document, read once a request; None where nobody is signed in, or it is lost.

        :raises StoreUnavailable: the token store cannot be reached.
        """
        tokens = self._of_session()
        return None if tokens is None else tokens.document()

    def forget(self) -> None:
        """End the sign-in, of all accounts: here, and in the token store if it can be reached."""
        keys = [self._key(), *(each.key for each in self.waiting)]
        self._session.pop(SESSION_KEY, None)
        self._tokens, self._user = None, None
        self._ready.clear()
        for key in keys:
            if key is not None:
                self._delete(key)

    def _delete(self, key: str) -> None:
        try:
            self._members.of_key(key).documents.delete(key)
        except StoreError as error:
            # The session no longer names the record; it expires by itself.
            logger.warning("A sign-out could not empty the token store: %s", error)

    def count_round(self, wanted: str) -> bool:
        """Count one more trip to the provider; False where that goes in circles.

        :param wanted: what the trip is to bring, as `rounds.want` names it.
        """
        counted = rounds.begun((self._entry() or {}).get("r"), wanted, self._site.clock())
        self._write_rounds(counted)
        return counted is not None

    def _end_round(self, scopes: Collection[str], claims: str = "", *, new: bool = False) -> None:
        before = (self._entry() or {}).get("r")
        if before is not None:
            wanted = rounds.want(scopes, claims, new=new)
            self._write_rounds(rounds.brought(before, wanted, self._site.clock()))

    def _write_rounds(self, counted: list[object] | None) -> None:
        entry = self._entry()
        if entry is None or entry.get("r") == counted:
            return
        rest = {name: value for name, value in entry.items() if name != "r"}
        self._session[SESSION_KEY] = {**rest, "r": counted} if counted else rest

    @property
    def _others(self) -> OtherTokens:
        if self._other_tokens is None:
            self._other_tokens = OtherTokens(self._members.named(""), self._caller)
        return self._other_tokens

    def _entry(self) -> Mapping[str, Any] | None:
        if self._caller is not None:
            return None
        entry = self._session.get(SESSION_KEY)
        return entry if is_live_entry(entry, self._site) else None

    def _key(self) -> str | None:
        entry = self._entry()
        return entry["k"] if entry else None

    def _of_session(self) -> SessionTokens | None:
        key = self._key()
        if key is None:
            return None
        if self._tokens is None:
            self._tokens = SessionTokens(self._site, key)
        return self._tokens

    def _claims(self) -> Mapping[str, Any]:
        document = self.document()
        if document is None:
            raise tokens_lost(())
        return document.claims
