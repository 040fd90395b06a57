"""What an event changes, worked out before anything is changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from keyfob.cache import lookup
from keyfob.cache.derive import Whose
from keyfob.cache.entries import CredentialType, Entry, key_for
from keyfob.cache.index import Document

_RT = CredentialType.REFRESH_TOKEN


class Change(NamedTuple):
    """As `TokenCache.modify` takes it: `new` in the place of `old`, or nothing in its place."""

    section: str
    old: Entry
    new: Entry | None


def to_add(document: Document, made: Iterable[tuple[str, Entry]]) -> Iterator[Change]:
    """The changes that file the entries a token response made."""
    for section, entry in made:
        if section == _RT:
            yield from to_put_refresh_token(document, entry, entry)
        else:
            yield Change(section, entry, entry)


def to_put_refresh_token(document: Document, old: Entry, new: Entry) -> Iterator[Change]:
    """The changes that make `new` the one refresh token of its person and client.

    A provider's refresh token is not bound to the scopes it came with, but MSAL's key has them in
    it, so each further set of scopes would leave one more token behind, to be tried in vain later.
    The new one takes the others' place, and their scopes into its own `target`. MSAL, which does
    not look at the `target` of a refresh token, finds it as it would have found any of them.
    """
    others = lookup.siblings(document, new)
    target = " ".join(sorted({scope for entry in (*others, new) for scope in _targets(entry)}))
    final = {**new, "target": target}
    replaced = document.get(_RT, key_for(_RT, final))
    for other in others:
        if other is not replaced:
            yield Change(_RT, other, None)
    yield Change(_RT, old, final)


def to_remove_account(
    document: Document, home_account_id: str, environments: Collection[str], client_id: str
) -> Iterator[Change]:
    """The changes that sign a person out of one client.

    That client's refresh tokens go, and those of its family; access and ID tokens and accounts go
    whosever they are. Another client in the same cache keeps its refresh token, and can go on.
    """
    for environment in (name.lower() for name in environments):
        metadata = lookup.app_metadata(document, environment, client_id) or {}
        family = metadata.get("family_id")
        for entry in document.owned(_RT, home_account_id, environment).values():
            if entry.get("client_id") == client_id or (family and entry.get("family_id") == family):
                yield Change(_RT, entry, None)
        for section in (
            CredentialType.ACCESS_TOKEN,
            CredentialType.ID_TOKEN,
            CredentialType.ACCOUNT,
        ):
            for entry in document.owned(section, home_account_id, environment).values():
                yield Change(section, entry, None)


def to_remove_client_tokens(
    document: Document, environments: Collection[str], client_id: str
) -> Iterator[Change]:
    """The changes that forget a client's access tokens in its own name."""
    section = CredentialType.ACCESS_TOKEN
    for environment in environments:
        for entry in document.owned(section, None, environment.lower()).values():
            if entry.get("client_id") == client_id:
                yield Change(section, entry, None)


def was_signed_out(document: Document, owner: Whose, *, refreshed: bool) -> bool:
    """Whether a refresh came back for somebody who was signed out while it was under way."""
    home = owner.home_account_id
    return refreshed and home is not None and not document.knows(home)


def apply(document: Document, change: Change) -> None:
    """Carry out one change."""
    present = _locate(document, change)
    if not change.new:
        if present is not None:
            document.drop(change.section, present)
        return
    entry = {**change.old, **change.new}
    key = key_for(change.section, entry)
    if present is not None and present != key:
        document.drop(change.section, present)
    document.put(change.section, key, entry)


def _locate(document: Document, change: Change) -> str | None:
    """The key at which the old entry is, or None where it is not."""
    key = key_for(change.section, change.old)
    present = document.get(change.section, key)
    if present == change.old:
        return key
    # Another library may have filed it under a key of its own making. Where it is nowhere as it
    # was, what has its key is a newer state of it.
    found = lookup.candidates(document, change.section, change.old)
    elsewhere = next((key for key, entry in found.items() if entry == change.old), None)
    return elsewhere if elsewhere is not None or present is None else key


def _targets(entry: Entry) -> list[str]:
    target = entry.get("target")
    return target.split() if isinstance(target, str) else []
