"""The document, and where to find things in it without looking at everything.

Not thread-safe by itself: `TokenCache` holds its lock around every use.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from keyfob.cache.access_token import AccessToken, read_access_token
from keyfob.cache.entries import CredentialType, Entry

_AT = CredentialType.ACCESS_TOKEN
_RT = CredentialType.REFRESH_TOKEN
_ACCOUNT = CredentialType.ACCOUNT
_NOTHING: Mapping[str, Entry] = {}

#: The name of a bucket: its kind, then the values that all entries in it share.
_Place = tuple[str | None, ...]


class Document:
    """Sections of entries by key, as they are serialised, with buckets beside them.

    A bucket has the entries that share certain fields, by key, in the order in which they stand in
    their section (but for buckets by user name). Only entries whose fields are strings or null
    are in buckets, so whatever else a document holds is kept, and never found by mistake.

    :param sections: a document to take over (it is not copied); by default an empty one.
    """

    def __init__(self, sections: dict[str, Any] | None = None) -> None:
        self.sections: dict[str, Any] = {} if sections is None else sections
        self._buckets: dict[_Place, dict[str, Entry]] = {}
        #: Access tokens that were looked up, read, by their keys.
        self._read: dict[str, AccessToken | None] = {}
        for section in self.sections:
            for key, entry in self.entries(section).items():
                self._enter(section, key, entry)

    def entries(self, section: str) -> dict[str, Entry]:
        """The section's entries by key, in order; those that are no objects are left out."""
        holder = self.sections.get(section)
        if not isinstance(holder, dict):
            return {}
        return {key: entry for key, entry in holder.items() if isinstance(entry, dict)}

    def size(self, section: str) -> int:
        """How many entries the section has, of whatever kind."""
        holder = self.sections.get(section)
        return len(holder) if isinstance(holder, dict) else 0

    def get(self, section: str, key: str) -> Entry | None:
        """The entry at `key`, or None."""
        holder = self.sections.get(section)
        entry = holder.get(key) if isinstance(holder, dict) else None
        return entry if isinstance(entry, dict) else None

    def put(self, section: str, key: str, entry: Entry) -> None:
        """File `entry` at `key`, in the place of what was there."""
        holder = self.sections.get(section)
        if not isinstance(holder, dict):
            holder = self.sections[section] = {}
        previous = holder.get(key)
        if isinstance(previous, dict) and _ordered(section, previous) == _ordered(section, entry):
            self._leave(section, key, previous, set(_places(section, entry)))
        else:
            # Keys are lower-cased and joined, so different owners can share one. A newcomer goes
            # to the end of the section, as it does in its buckets.
            self.drop(section, key)
        holder[key] = entry
        self._enter(section, key, entry)

    def drop(self, section: str, key: str) -> bool:
        """Forget what is at `key`; whether there was anything."""
        holder = self.sections.get(section)
        if not isinstance(holder, dict) or key not in holder:
            return False
        entry = holder.pop(key)
        if isinstance(entry, dict):
            self._leave(section, key, entry)
        return True

    def owned(
        self, section: str, home_account_id: str | None, environment: str | None
    ) -> Mapping[str, Entry]:
        """What `section` has of one account; None stands for the application itself."""
        return self._buckets.get(("owner", section, home_account_id, environment), _NOTHING)

    def access_tokens(
        self,
        home_account_id: str | None,
        environment: str | None,
        client_id: str | None,
        realm: str | None,
        ext_cache_key: str | None,
    ) -> Mapping[str, Entry]:
        """The access tokens that differ in nothing but scopes, key and kind."""
        return self._buckets.get(
            ("token", home_account_id, environment, client_id, realm, ext_cache_key), _NOTHING
        )

    def read(self, key: str, entry: Entry) -> AccessToken | None:
        """The access token `entry`, which is filed at `key`, read; None for one that cannot serve.

        It is read at the first look, and again only after it was changed.
        """
        try:
            return self._read[key]
        except KeyError:
            token = self._read[key] = read_access_token(entry)
            return token

    def access_tokens_of_anybody(
        self,
        environment: str | None,
        client_id: str | None,
        realm: str | None,
        ext_cache_key: str | None,
    ) -> Mapping[str, Entry]:
        """The access tokens with that extended cache key, whosever they are; without one, none."""
        return self._buckets.get(
            ("extended", environment, client_id, realm, ext_cache_key), _NOTHING
        )

    def knows(self, home_account_id: str) -> bool:
        """Whether the person has an account or a refresh token here, in any environment."""
        return any(
            ("person", section, home_account_id) in self._buckets for section in (_ACCOUNT, _RT)
        )

    def accounts(self, environment: str | None) -> Mapping[str, Entry]:
        """All accounts of an environment."""
        return self._buckets.get(("environment", environment), _NOTHING)

    def accounts_named(self, environment: str, username: str) -> Mapping[str, Entry]:
        """The accounts of an environment with that user name, in whatever case."""
        return self._buckets.get(("username", environment, username.lower()), _NOTHING)

    def _leave(
        self, section: str, key: str, entry: Entry, stays_in: Collection[_Place] = ()
    ) -> None:
        if section == _AT:
            self._read.pop(key, None)
        for place in _places(section, entry):
            if place not in stays_in:
                bucket = self._buckets[place]
                del bucket[key]
                if not bucket:
                    del self._buckets[place]

    def _enter(self, section: str, key: str, entry: Entry) -> None:
        for place in _places(section, entry):
            self._buckets.setdefault(place, {})[key] = entry


def _places(section: str, entry: Entry) -> Iterator[_Place]:
    """The buckets that `entry` belongs in."""
    owner = (entry.get("home_account_id"), entry.get("environment"))
    if not plain(*owner):
        return
    yield ("owner", section, *owner)
    if section in (_ACCOUNT, _RT):
        yield ("person", section, owner[0])
    if section == _AT:
        rest = (entry.get("client_id"), entry.get("realm"), entry.get("ext_cache_key"))
        if plain(*rest):
            yield ("token", *owner, *rest)
            if rest[2] is not None:
                yield ("extended", owner[1], *rest)
    elif section == _ACCOUNT:
        yield ("environment", owner[1])
        username = entry.get("username")
        if isinstance(username, str):
            yield ("username", owner[1], username.lower())


def _ordered(section: str, entry: Entry) -> list[_Place]:
    """The buckets of `entry` that are in their section's order.

    Those by user name are not: a changed name is no reason to move the account in its section.
    """
    return [place for place in _places(section, entry) if place[0] != "username"]


def plain(*values: object) -> bool:
    """Whether all values are strings or null, and so can be looked up."""
    return all(value is None or isinstance(value, str) for value in values)
