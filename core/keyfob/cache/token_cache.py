"""The token cache: MSAL's methods, and the typed lookups that Keyfob's own flows use."""

from __future__ import annotations

import logging
import threading
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from keyfob.cache import changes, lookup
from keyfob.cache.changes import Change
from keyfob.cache.derive import entries_of, whose
from keyfob.cache.entries import (
    AccessTokenEntry,
    AccountEntry,
    AppMetadataEntry,
    AuthorityType,
    CredentialType,
    Entry,
    RefreshTokenEntry,
    scope_set,
)
from keyfob.cache.index import Document

_log = logging.getLogger(__name__)

#: With fewer access tokens than this nobody looks for expired ones outside the bucket at hand.
_SWEEP_AT_LEAST = 64


class TokenCache:
    """Tokens and accounts of any number of people and applications, in memory.

    All methods may be called from any thread, and see and leave whole states. What they return are
    copies: changing them changes nothing in the cache. The lock is held neither between two items
    of a `search` nor while foreign code runs.

    A subclass may override `modify`; then every change but the sweeping out of expired access
    tokens goes through it, one entry at a time, as with MSAL, and no longer all at once.

    :param clock: tells the seconds since 1970, wherever a method is not told `now`.
    """

    CredentialType = CredentialType
    AuthorityType = AuthorityType

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._lock = threading.RLock()
        self._clock = clock
        self._document = Document()
        #: Grows with every change.
        self._revision = 0
        self._sweep_at = _SWEEP_AT_LEAST

    def __repr__(self) -> str:
        with self._lock:
            size = self._document.size
            return (
                f"<{type(self).__name__}: {size(CredentialType.ACCOUNT)} accounts, "
                f"{size(CredentialType.ACCESS_TOKEN)} access tokens, "
                f"{size(CredentialType.REFRESH_TOKEN)} refresh tokens>"
            )

    # MSAL's methods

    def add(self, event: Mapping[str, Any], now: float | None = None) -> None:
        """File what a token response brought, all of it or, on an error, nothing.

        A refresh (`skip_account_creation`) that comes back for somebody who was signed out
        meanwhile is not filed. Nor are a person's tokens when neither the response nor the event
        says whose they are.

        :param event: a `keyfob.cache.entries.TokenEvent`.
        :param now: seconds since 1970.
        :raises TokenResponseError: the response names somebody, or its lifetime, unreadably.
        :raises ConfigurationError: the event's token endpoint is not an address.
        """
        moment = int(self._now(now))
        owner = whose(event)
        made = list(entries_of(event, owner, moment))
        refreshed = bool(event.get("skip_account_creation"))
        with self._lock:
            if changes.was_signed_out(self._document, owner, refreshed=refreshed):
                made = [item for item in made if item[0] == CredentialType.APP_METADATA]
            self._sweep_when_due(moment)
            later = self._commit(changes.to_add(self._document, made))
        self._hand_over(later)
        _log.debug("Filed %s", ", ".join(section for section, _ in made))

    def search(
        self,
        credential_type: str,
        target: Collection[str] | None = None,
        query: Mapping[str, Any] | None = None,
        *,
        now: float | None = None,
    ) -> Iterator[Entry]:
        """All entries that have what is asked for, as they were at the time of the call.

        Quick, however many people there are, when the query has `home_account_id` and
        `environment`; for access tokens quicker still with `client_id` and `realm` too. Expired
        access tokens that are come across are removed, and not found.

        :param credential_type: one of `CredentialType`; other sections can be searched as well.
        :param target: scopes that the entry must have, case-sensitively.
        :param query: fields that it must have, with these values.
        :param now: seconds since 1970.
        """
        moment = int(self._now(now))
        asked = dict(query or {})
        if isinstance(asked.get("environment"), str):
            asked["environment"] = asked["environment"].lower()
        scopes = scope_set(target)
        with self._lock:
            found = lookup.candidates(self._document, credential_type, asked)
            if credential_type == CredentialType.ACCESS_TOKEN:
                self._drop_expired(found, moment)
                found = lookup.candidates(self._document, credential_type, asked)
            return iter(
                [
                    dict(entry)
                    for entry in found.values()
                    if lookup.matches(credential_type, entry, asked, scopes)
                ]
            )

    def find(
        self,
        credential_type: str,
        target: Collection[str] | None = None,
        query: Mapping[str, Any] | None = None,
        *,
        now: float | None = None,
    ) -> list[Entry]:
        """As `search`, in a list. Deprecated, as with MSAL: use `list(cache.search(...))`."""
        warnings.warn(
            "TokenCache.find() is deprecated: use list(cache.search(...))",
            DeprecationWarning,
            stacklevel=2,
        )
        return list(self.search(credential_type, target, query, now=now))

    def modify(
        self,
        credential_type: str,
        old_entry: Mapping[str, Any],
        new_key_value_pairs: Mapping[str, Any] | None = None,
    ) -> None:
        """Change `old_entry`, or remove it when there are no new values; one not here is added.

        :raises ConfigurationError: there is no such credential type.
        """
        new = dict(new_key_value_pairs) if new_key_value_pairs else None
        with self._lock:
            changes.apply(self._document, Change(credential_type, dict(old_entry), new))
            self._revision += 1

    def remove_rt(self, rt_item: Mapping[str, Any]) -> None:
        """Remove a refresh token."""
        self.modify(CredentialType.REFRESH_TOKEN, rt_item)

    def update_rt(self, rt_item: Mapping[str, Any], new_rt: str) -> None:
        """Put the refresh token `new_rt` in the place of another, and of its siblings.

        Does nothing if the person was signed out meanwhile.
        """
        old = dict(rt_item)
        new = {**old, "secret": new_rt, "last_modification_time": str(int(self._clock()))}
        home = old.get("home_account_id")
        with self._lock:
            if isinstance(home, str) and not self._document.knows(home):
                return
            later = self._commit(changes.to_put_refresh_token(self._document, old, new))
        self._hand_over(later)

    def remove_at(self, at_item: Mapping[str, Any]) -> None:
        """Remove an access token."""
        self.modify(CredentialType.ACCESS_TOKEN, at_item)

    def remove_idt(self, idt_item: Mapping[str, Any]) -> None:
        """Remove an ID token."""
        self.modify(CredentialType.ID_TOKEN, idt_item)

    def remove_account(self, account_item: Mapping[str, Any]) -> None:
        """Remove an account's entry, and none of its tokens; see `remove_account_everywhere`."""
        self.modify(CredentialType.ACCOUNT, account_item)

    # What Keyfob's flows use

    def find_access_token(
        self,
        *,
        home_account_id: str | None,
        environment: str,
        client_id: str,
        realm: str,
        scopes: Collection[str],
        now: float,
        ext_cache_key: str | None = None,
        key_id: str | None = None,
        token_type: str = "Bearer",  # noqa: S107 - the name of a kind
        ignore_case: bool = True,
        whoever: bool = False,
        expired: bool = False,
    ) -> AccessTokenEntry | None:
        """The access token with all of `scopes` that lives longest, or None.

        Whether it still lives long enough is for the caller to judge, by its `expires_on`.

        :param home_account_id: whose; None for the application's own.
        :param environment: the authority's host.
        :param realm: the tenant.
        :param now: seconds since 1970; what expired by then is not found, and what expired before
            is removed.
        :param ext_cache_key: from `compute_ext_cache_key`; None or "" for none.
        :param key_id: the key that the token must be bound to, if to any.
        :param token_type: in whatever case (RFC 6749 §5.1).
        :param ignore_case: whether, if no token spells the scopes as they are asked for, one
            serves that differs in case. It does at Microsoft; elsewhere scopes are case-sensitive
            (RFC 6749 §3.3).
        :param whoever: whosever it is; then `home_account_id` says nothing, and a token is found
            by its `ext_cache_key` alone.
        :param expired: whether, where none lives, one that has expired is found, for the last time.
        """
        wanted = scope_set(scopes)
        host, key = environment.lower(), ext_cache_key or None
        with self._lock:
            if whoever:
                found = self._document.access_tokens_of_anybody(host, client_id, realm, key)
            else:
                found = self._document.access_tokens(home_account_id, host, client_id, realm, key)
            if not found:
                return None
            best = lookup.best_access_token(
                self._document,
                found,
                wanted,
                now,
                key_id=key_id,
                token_type=token_type,
                ignore_case=ignore_case,
                expired=expired,
            )
            if best is None or len(found) > 1 or float(best["expires_on"]) < now:
                self._drop_expired(found, now)
        return best

    def find_refresh_tokens(
        self,
        *,
        home_account_id: str | None,
        environment: str,
        client_id: str,
        family_id: str | None = None,
    ) -> list[RefreshTokenEntry]:
        """The refresh tokens that the client may use for an account, the newest first.

        :param family_id: also those that other clients of this family got.
        """
        with self._lock:
            return lookup.refresh_tokens(
                self._document, home_account_id, environment.lower(), client_id, family_id
            )

    def find_id_token(
        self,
        *,
        home_account_id: str | None,
        environment: str,
        client_id: str,
        realm: str | None = None,
    ) -> str | None:
        """The newest ID token of an account, as it came; of one realm, or by default of any."""
        with self._lock:
            return lookup.id_token(
                self._document, home_account_id, environment.lower(), client_id, realm
            )

    def accounts(
        self,
        environments: Collection[str],
        username: str | None = None,
        *,
        authority_types: Collection[str] = (AuthorityType.ADFS, AuthorityType.MSSTS),
    ) -> list[dict[str, Any]]:
        """Who is known in any of the environments, one dict each, as MSAL's `get_accounts` says it.

        :param environments: hosts; somebody known in several is shown from the first of them.
        :param username: only those of that name, in whatever case.
        :param authority_types: only accounts of these kinds.
        """
        hosts = [environments] if isinstance(environments, str) else list(environments)
        with self._lock:
            return lookup.accounts(self._document, hosts, username, authority_types)

    def account(self, home_account_id: str | None, environment: str) -> AccountEntry | None:
        """One account's entry, of the realm that was filed last; None if it is not known."""
        with self._lock:
            return lookup.account(self._document, home_account_id, environment.lower())

    def app_metadata(self, environment: str, client_id: str) -> AppMetadataEntry | None:
        """What is known of a client: None before its first token, `family_id` if it has one."""
        with self._lock:
            found = lookup.app_metadata(self._document, environment.lower(), client_id)
            if found is None:
                return None
            known: AppMetadataEntry = {"client_id": client_id, "environment": environment.lower()}
            if isinstance(found.get("family_id"), str):
                known["family_id"] = found["family_id"]
            return known

    def remove_account_everywhere(
        self, home_account_id: str, environments: Collection[str], client_id: str
    ) -> None:
        """Sign a person out: remove their tokens and accounts, in all realms of the environments.

        Refresh tokens of other clients (and of other families) stay.
        """
        if not home_account_id:
            return  # nobody; the application's own tokens are filed under None
        hosts = [environments] if isinstance(environments, str) else list(environments)
        with self._lock:
            later = self._commit(
                changes.to_remove_account(self._document, home_account_id, hosts, client_id)
            )
        self._hand_over(later)

    def remove_client_tokens(self, environments: Collection[str], client_id: str) -> None:
        """Remove a client's access tokens in its own name; those of people stay."""
        with self._lock:
            later = self._commit(
                changes.to_remove_client_tokens(self._document, environments, client_id)
            )
        self._hand_over(later)

    def remove_expired(self, now: float) -> int:
        """Remove all access tokens that expired before `now`, looking at each; how many."""
        with self._lock:
            return self._drop_expired(self._document.entries(CredentialType.ACCESS_TOKEN), now)

    # Inside

    def _now(self, now: float | None) -> float:
        return self._clock() if now is None else now

    def _replace(self, document: Document) -> None:
        """Hold another document from now on; to be called with the lock held."""
        self._document = document
        self._revision += 1
        self._sweep_at = _SWEEP_AT_LEAST

    def _commit(self, planned: Iterable[Change]) -> list[Change]:
        """Carry the changes out, if `modify` is ours; otherwise return them for `_hand_over`.

        To be called with the lock held.
        """
        work = list(planned)
        if type(self).modify is not TokenCache.modify:
            return work
        for change in work:
            changes.apply(self._document, change)
        self._revision += bool(work)
        return []

    def _hand_over(self, work: list[Change]) -> None:
        """Pass changes to the `modify` of a subclass, without the lock: it may do anything."""
        for section, old, new in work:
            self.modify(section, old, new)

    def _drop_expired(self, tokens: Mapping[str, Entry], now: float) -> int:
        read = self._document.read
        expired = [
            key
            for key, entry in tokens.items()
            # What a lookup has read has its time at hand.
            if (
                token.expires_on < now
                if (token := read(key, entry)) is not None
                else lookup.is_expired(entry, now)
            )
        ]
        for key in expired:
            self._document.drop(CredentialType.ACCESS_TOKEN, key)
        self._revision += bool(expired)
        return len(expired)

    def _sweep_when_due(self, now: float) -> None:
        """Remove expired access tokens whenever twice as many are held as the last time lived.

        So tokens that nobody asks for again do not pile up, and an `add` costs, on the average,
        the same however many there are.
        """
        section = CredentialType.ACCESS_TOKEN
        if self._document.size(section) >= self._sweep_at:
            self._drop_expired(self._document.entries(section), now)
            self._sweep_at = max(_SWEEP_AT_LEAST, 2 * self._document.size(section))
