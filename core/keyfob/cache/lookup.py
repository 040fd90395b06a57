"""Finding entries: MSAL's general query, and the lookups that sign-in and token calls are made of.

Everything here reads a `Document` and changes nothing. What it returns are copies.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any, cast

from keyfob.cache.access_token import cleaned, has_secret, targets_of
from keyfob.cache.derive import unverified_claims
from keyfob.cache.entries import (
    AccessTokenEntry,
    AccountEntry,
    CredentialType,
    Entry,
    RefreshTokenEntry,
    epoch,
    key_for,
)
from keyfob.cache.index import Document, plain
from keyfob.errors import TokenResponseError

_AT = CredentialType.ACCESS_TOKEN
_RT = CredentialType.REFRESH_TOKEN
_TOKEN_FIELDS = ("home_account_id", "environment", "client_id", "realm")
_OWNER_FIELDS = _TOKEN_FIELDS[:2]
#: What MSAL shows of an account, in its order.
_SHOWN = (
    "home_account_id",
    "environment",
    "username",
    "account_source",
    "authority_type",
    "local_account_id",
    "realm",
)


def candidates(document: Document, section: str, query: Mapping[str, Any]) -> Mapping[str, Entry]:
    """The smallest bucket that has everything `query` can match; the whole section if none has."""
    if section == _AT and _asked(query, _TOKEN_FIELDS) and plain(query.get("ext_cache_key")):
        home, environment, client_id, realm = (query[name] for name in _TOKEN_FIELDS)
        return document.access_tokens(
            home, environment, client_id, realm, query.get("ext_cache_key")
        )
    if _asked(query, _OWNER_FIELDS):
        return document.owned(section, *(query[name] for name in _OWNER_FIELDS))
    if section == CredentialType.ACCOUNT and _asked(query, _OWNER_FIELDS[1:]):
        return document.accounts(query["environment"])
    return document.entries(section)


def matches(section: str, entry: Entry, query: Mapping[str, Any], scopes: frozenset[str]) -> bool:
    """Whether `entry` has all fields of `query`, equal, and all `scopes`, case-sensitively."""
    for name, value in query.items():
        if name not in entry or entry[name] != value:
            return False
    if section == _AT and "ext_cache_key" in entry and "ext_cache_key" not in query:
        return False  # a token for special parameters never serves a request without them
    return scopes <= targets_of(entry)


def is_expired(entry: Entry, now: float) -> bool:
    """Whether an access token is past its time. One that says no time never is."""
    expires_on = epoch(entry.get("expires_on"))
    return expires_on is not None and expires_on < now


def best_access_token(
    document: Document,
    found: Mapping[str, Entry],
    scopes: frozenset[str],
    now: float,
    *,
    key_id: str | None,
    token_type: str,
    ignore_case: bool,
    expired: bool = False,
) -> AccessTokenEntry | None:
    """Of the access tokens that have all `scopes` and still live, the one that lives longest.

    One that spells the scopes as they were asked for goes before one that differs in case.

    :param expired: whether one that has expired is better than none.
    """
    kind = token_type.lower()
    best: AccessTokenEntry | None = None
    best_rank = (False, False, 0)
    # Letter by letter first: of the tokens for many APIs all but one would be spelt anew in vain.
    for exact in (True, False) if ignore_case else (True,):
        for key, entry in found.items():
            token = document.read(key, entry)
            if token is None:
                continue
            expires_on, targets, its_key_id, its_kind, clean = token
            lives = expires_on > now
            if its_key_id != key_id or its_kind != kind or not (lives or expired):
                continue
            if not (scopes <= targets if exact else _has_in_any_case(targets, scopes)):
                continue
            if best is None or (lives, exact, expires_on) > best_rank:
                best, best_rank = clean, (lives, exact, expires_on)
        if best_rank[0]:
            break  # one that lives, and is spelt so, goes before all that differ
    return None if best is None else best.copy()


def refresh_tokens(
    document: Document,
    home_account_id: str | None,
    environment: str,
    client_id: str,
    family_id: str | None,
) -> list[RefreshTokenEntry]:
    """The refresh tokens that the client, or a client of its family, got for that account.

    The newest comes first; of two of the same second, the one that was filed last.
    """
    found = [
        entry
        for entry in document.owned(_RT, home_account_id, environment).values()
        if has_secret(entry) and _serves(entry, client_id, family_id)
    ]
    found.reverse()
    found.sort(key=lambda entry: epoch(entry.get("last_modification_time")) or 0, reverse=True)
    fields = RefreshTokenEntry.__annotations__
    return [cast("RefreshTokenEntry", cleaned(entry, fields)) for entry in found]


def siblings(document: Document, refresh_token: Entry) -> list[Entry]:
    """The refresh tokens of the same person and client, whatever they were granted for.

    Of whatever family, too: MSAL's key does not tell families apart either.
    """
    if refresh_token.get("home_account_id") is None:
        return []  # of whom is not known, so perhaps of different people
    return [
        entry
        for entry in candidates(document, _RT, _owner(refresh_token)).values()
        if entry.get("client_id") == refresh_token.get("client_id")
        and _owner(entry) == _owner(refresh_token)
    ]


def id_token(
    document: Document,
    home_account_id: str | None,
    environment: str,
    client_id: str,
    realm: str | None,
) -> str | None:
    """The newest ID token by its `iat`, of one realm or of all; of equals the last one filed."""
    found: list[str] = [
        entry["secret"]
        for entry in document.owned(CredentialType.ID_TOKEN, home_account_id, environment).values()
        if has_secret(entry)
        and entry.get("client_id") == client_id
        and (realm is None or entry.get("realm") == realm)
    ]
    if len(found) < 2:
        return found[0] if found else None
    return max(reversed(found), key=_issued_at)


def account(
    document: Document, home_account_id: str | None, environment: str
) -> AccountEntry | None:
    """The account as the realm knows it that was filed last."""
    found = document.owned(CredentialType.ACCOUNT, home_account_id, environment)
    for entry in reversed(list(found.values())):
        return cast("AccountEntry", cleaned(entry, AccountEntry.__annotations__))
    return None


def accounts(
    document: Document,
    environments: Collection[str],
    username: str | None,
    authority_types: Collection[str],
) -> list[dict[str, Any]]:
    """One dict per account, as MSAL shows it; where an account is in several environments,
    from the first of them, and where several realms know it, from the last filed."""
    shown: dict[str | None, dict[str, Any]] = {}
    for environment in environments:
        for entry in _accounts_in(document, environment.lower(), username, authority_types):
            shown.setdefault(entry["home_account_id"], {name: entry.get(name) for name in _SHOWN})
    return list(shown.values())


def app_metadata(document: Document, environment: str, client_id: str) -> Entry | None:
    """What is known of the client in that environment."""
    key = key_for(CredentialType.APP_METADATA, {"environment": environment, "client_id": client_id})
    return document.get(CredentialType.APP_METADATA, key)


def _accounts_in(
    document: Document, environment: str, username: str | None, authority_types: Collection[str]
) -> Iterator[Entry]:
    named = document.accounts_named(environment, username) if username else None
    if named is None:
        last = _last_by_home(document.accounts(environment), authority_types)
        yield from last.values()
        return
    for home in dict.fromkeys(entry.get("home_account_id") for entry in named.values()):
        # The realm that counts may know the person by another name.
        owned = document.owned(CredentialType.ACCOUNT, home, environment)
        for entry in _last_by_home(owned, authority_types).values():
            name = entry.get("username")
            if username and isinstance(name, str) and name.lower() == username.lower():
                yield entry


def _last_by_home(
    found: Mapping[str, Entry], authority_types: Collection[str]
) -> dict[str | None, Entry]:
    return {
        entry.get("home_account_id"): entry
        for entry in found.values()
        if entry.get("authority_type") in authority_types
    }


def _asked(query: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    return all(name in query for name in names) and plain(*(query[name] for name in names))


def _owner(entry: Entry) -> dict[str, Any]:
    return {name: entry.get(name) for name in _OWNER_FIELDS}


def _serves(entry: Entry, client_id: str, family_id: str | None) -> bool:
    family = entry.get("family_id")
    return entry.get("client_id") == client_id or (bool(family_id) and family == family_id)


def _has_in_any_case(targets: frozenset[str], scopes: frozenset[str]) -> bool:
    return _lowered(scopes) <= _lowered(targets)


@lru_cache(maxsize=512)
def _lowered(scopes: frozenset[str]) -> frozenset[str]:
    # Every token of a person that is for another API is looked at in this way.
    return frozenset(scope.lower() for scope in scopes)


def _issued_at(jwt: str) -> int:
    try:
        return epoch(unverified_claims(jwt).get("iat")) or 0
    except TokenResponseError:
        return 0
