"""Which sessions are a person's, and which belong to one session at the provider: what a sign-out
needs that comes from elsewhere.

The index is in the token store, beside the sessions' records, so that every process and machine
ends the same ones. Each session is filed under up to three names: its account's, its subject's
(`iss` and `sub`) where that is another, and its provider session's (`iss` and `sid`). A name's
record lists the hashed keys of session records, with their ends.

Whoever reads the store learns nothing from it. A name is an HMAC (RFC 2104) under a key that
follows from the site's own: accounts can be guessed, keys cannot. A list is sealed as every record
is, and a hashed key can end a session, not use one. Names are written under the newest key and
read under all, so that a rotation of keys loses nobody.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from keyfob.errors import StoreUnavailable
from keyfob.protocol.signed_token import is_name
from keyfob.web.document import CALLER, WORK
from keyfob.web.identity import Identity
from keyfob.web.sealing import KeyRing
from keyfob.web.stores import Record, SealedStore

#: Sessions of one name. One more ends the one that would end first: a session that is not listed
#: would be out of reach.
MAX_SESSIONS = 200
#: A listed session is kept this much longer than its end was when it was listed, as a part of the
#: time left: its record's end moves along with use, the list's only now and then.
_SLACK = 0.25
#: How often one list is tried to be written. Others do so only while the same person signs in.
_ATTEMPTS = 60
_LONGEST_PAUSE = 0.02

#: Hashed record keys, and until when, in seconds since 1970, they are listed.
_Entries = dict[str, float]

logger = logging.getLogger(__name__)


class SessionIndex:
    """Program life: shared by all threads.

    :param store: where the sessions' records are, too.
    :param keys: for the names; of this site alone.
    :param is_microsoft: how the site's people are known again (see `Identity.from_claims`).
    :param clock: seconds since 1970.
    """

    def __init__(
        self,
        store: SealedStore,
        keys: KeyRing,
        *,
        is_microsoft: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._keys = keys
        self._is_microsoft = is_microsoft
        #: Called with the hashed key of each record that is ended here, for whoever remembers it.
        self.overlook: Callable[[str], None] = lambda _: None
        self._clock = clock

    def __repr__(self) -> str:
        return "<SessionIndex>"

    def add(
        self, hashed: str, claims: Mapping[str, Any], expires_at: float, kind: str = ""
    ) -> None:
        """File a session, or let it be listed for longer.

        :param hashed: its record's hashed key.
        :param claims: of its ID token; of a record that is no browser's session, what it has in
            their place.
        :param expires_at: when its record ends, as it is now.
        :param kind: of a record that is no browser's session (see `Document.kind`).
        :raises StoreUnavailable: it could not be filed.
        """
        until = expires_at + max(0.0, expires_at - self._clock()) * _SLACK
        for about in self._abouts(claims, kind):
            dropped: list[str] = []

            def with_this(entries: _Entries, dropped: list[str] = dropped) -> _Entries:
                entries = {**entries, hashed: max(until, entries.get(hashed, 0.0))}
                others = sorted((end, key) for key, end in entries.items() if key != hashed)
                dropped[:] = [key for _, key in others[: max(0, len(entries) - MAX_SESSIONS)]]
                return {key: end for key, end in entries.items() if key not in dropped}

            self._rewrite(self._names(about)[0], with_this)
            if dropped:
                logger.warning("Somebody has more than %d sessions; the oldest end", MAX_SESSIONS)
                self._delete(dropped)

    def lists(self, hashed: str, claims: Mapping[str, Any], kind: str = "") -> bool:
        """Whether a session is still filed as it was: false where a sign-out came in between.

        :raises StoreUnavailable: it cannot be told.
        """
        return all(
            any(hashed in self._entries(self._store.load(name)) for name in self._names(about))
            for about in self._abouts(claims, kind)
        )

    def remove(self, hashed: str, claims: Mapping[str, Any], kind: str = "") -> None:
        """Take a session out that has ended.

        :raises StoreUnavailable: it is still in; it goes when its end has come.
        """
        for about in self._abouts(claims, kind):
            for name in self._names(about):
                self._rewrite(name, lambda entries: _without(entries, {hashed}))

    def end(
        self,
        *,
        account: str | None = None,
        iss: str | None = None,
        sid: str | None = None,
        sub: str | None = None,
    ) -> int:
        """End sessions, on every machine; those that begin meanwhile are not all among them.

        :param account: all of this person (`Identity.key`), and what goes on in their name
            without a browser; or
        :param iss: the provider, with
        :param sid: all of this session there, or
        :param sub: all of this person there.
        :returns: how many records were there to end; those of a web API's callers, of which one
            person has one for each token, do not count.
        :raises StoreUnavailable: some may not have ended; to try again ends the rest.
        """
        if account is not None:
            self._end_about(_without_browser(account, CALLER))
            abouts = [_account(account), _without_browser(account, WORK)]
        elif iss is not None and sid is not None:
            abouts = [_session(iss, sid)]
        elif iss is not None and sub is not None:
            abouts = [_subject(iss, sub)]
        else:
            raise TypeError("end() takes account=, or iss= with sid= or sub=")
        return sum(self._end_about(about) for about in abouts)

    def private_name(self, *parts: str) -> str:
        """A name for a record that is not to tell what it is about."""
        return self._names("\n".join(("private", *parts)))[0]

    def _end_about(self, about: str) -> int:
        return sum(self._end(name) for name in self._names(about))

    def _end(self, name: str) -> int:
        listed = set(self._entries(self._store.load(name), live_only=False))
        if not listed:
            return 0
        ended = self._delete(listed)
        self._rewrite(name, lambda entries: _without(entries, listed))
        # Whoever was listed before their record was there is stopped now or, after this, finds
        # themselves listed no more.
        return ended + self._delete(listed)

    def _delete(self, hashed_keys: Iterable[str]) -> int:
        ended = 0
        for hashed in hashed_keys:
            ended += self._store.delete_hashed(hashed)
            self.overlook(hashed)
        return ended

    def _rewrite(self, name: str, change: Callable[[_Entries], _Entries]) -> None:
        """Change a list in one atomic step, however many do so at once."""
        for attempt in range(_ATTEMPTS):
            record = self._store.load(name)
            before = self._entries(record)
            after = change(dict(before))
            if after == before or self._write(name, record, after):
                return
            # Not all at the same moment: they would meet again and again.
            pause = min(_LONGEST_PAUSE, 0.001 * attempt)
            time.sleep(random.uniform(0.0, pause))  # noqa: S311 - no secret
        raise StoreUnavailable("A list of sessions changed too often", code="index_contention")

    def _write(self, name: str, record: Record | None, entries: _Entries) -> bool:
        if record is not None and not entries:
            return self._store.delete(name, record.version)
        value, end = json.dumps(entries, separators=(",", ":")).encode(), max(entries.values())
        if record is None:
            return self._store.create(name, value, end)
        return self._store.replace(name, value, record.version, end)

    def _entries(self, record: Record | None, *, live_only: bool = True) -> _Entries:
        """What a record lists; nothing where it is none of ours."""
        found: object = None
        if record is not None:
            with contextlib.suppress(ValueError):
                found = json.loads(record.value)
        if not isinstance(found, dict):
            return {}
        now = self._clock()
        return {
            hashed: end
            for hashed, end in found.items()
            if isinstance(end, (int, float)) and (not live_only or end > now)
        }

    def _abouts(self, claims: Mapping[str, Any], kind: str) -> list[str]:
        if kind:
            # In lists of their own: many of them end no browser's session. And a provider's
            # sign-out ends none of them (OpenID Connect Back-Channel Logout 1.0 §2.7: what was
            # granted for offline use stays).
            return [_without_browser(claims["account"], kind)]
        identity = Identity.from_claims(claims, is_microsoft=self._is_microsoft)
        issuer, sid = claims["iss"], claims.get("sid")
        abouts = [_account(identity.key), _subject(issuer, claims["sub"])]
        if is_name(sid):
            abouts.append(_session(issuer, sid))
        return list(dict.fromkeys(abouts))

    def _names(self, about: str) -> list[str]:
        """The record's names, the newest key's first."""
        text = about.encode(errors="surrogatepass")
        return [
            f"index {hmac.new(key, text, hashlib.sha256).hexdigest()}"
            for key in self._keys.newest_first()
        ]


def _account(key: str) -> str:
    return f"account\n{key}"


def _without_browser(key: str, kind: str) -> str:
    return f"{kind}\n{key}"


def _session(issuer: str, sid: str) -> str:
    return f"session\n{issuer}\n{sid}"


def _subject(issuer: str, subject: str) -> str:
    # An account itself, but for Microsoft's people, who have a better name.
    return _account(Identity(issuer, subject, {}).key)


def _without(entries: _Entries, hashed_keys: set[str]) -> _Entries:
    return {key: end for key, end in entries.items() if key not in hashed_keys}
