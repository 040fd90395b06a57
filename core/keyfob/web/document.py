"""What the token store holds of one signed-in session: proven claims, and a token cache."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keyfob.cache import SerializableTokenCache
from keyfob.cache.entries import epoch
from keyfob.errors import TokenCacheError
from keyfob.protocol.scopes import OPENID_SCOPES, is_scope
from keyfob.web.stores import SealedStore, hashed_key

_FORMAT = 1
#: In what the index is given, beside a person's claims: no provider's claim gets through by it.
ACCOUNT = "keyfob:account"
#: What a document may be of, other than a browser's session: the caller of a web API of ours, on
#: whose behalf it has tokens; or work that goes on without a request.
CALLER, WORK = "caller", "work"


@dataclass
class Document:
    """One session's tokens, loaded for one request.

    :param key: what the browser's session names it by; secret.
    :param version: the store's, so that an older document never replaces a newer one.
    :param user_flow: which of USER_FLOWS the tokens are of, "" for the one of AUTHORITY: a refresh
        token of one is refused at the others.
    """

    key: str = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)
    cache: SerializableTokenCache = field(repr=False)
    version: int = 0
    #: Bytes of the record that it was read from, or written to.
    size: int = 0
    #: When it ends, however much it is used, in seconds since 1970; None where it lasts as long as
    #: the browser's session.
    ends_at: float | None = None
    #: Of work: the key of the browser's session whose tokens it uses, where it has none of its own.
    shares: str = field(default="", repr=False)
    #: What was found out about the person's groups, by group: when, and whether they are in it.
    groups: dict[str, tuple[int, bool]] = field(default_factory=dict, repr=False)
    user_flow: str = ""
    #: The person's key (`Identity.key`), where their claims alone would give another one.
    whose: str = field(default="", repr=False)
    #: Until when the provider is known to have let the person in, in seconds since 1970.
    checked_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.note_check()

    @property
    def filed_under(self) -> dict[str, Any]:
        """What the index of sessions files it by: its claims, and whose it is beside them."""
        return {**self.claims, ACCOUNT: self.whose} if not self.kind else dict(self.claims)

    @property
    def kind(self) -> str:
        """What it is of: "" for a browser's session, else CALLER or WORK."""
        return _kind_of(self.key)

    def note_check(self) -> None:
        """The provider has just been asked: what it said last is in the cache."""
        times = (epoch(e.get("cached_at")) or 0 for e in self.cache.search("AccessToken", now=0))
        self.checked_at = float(max(times, default=0))

    def usual_scopes(self) -> list[str]:
        """What the newest access token is good for, to ask the same again."""
        newest = max(
            self.cache.search("AccessToken", now=0),
            key=lambda entry: epoch(entry.get("cached_at")) or 0,
            default={},
        )
        granted = str(newest.get("target") or "").split()
        return [scope for scope in granted if scope not in OPENID_SCOPES and is_scope(scope)]

    def account(self, environment: str) -> dict[str, Any] | None:
        """The account of the person who signed in."""
        accounts = self.cache.accounts([environment])
        return accounts[0] if accounts else None

    def id_token(self, environment: str) -> str | None:
        """The raw ID token, to remind the provider whose session it is to end."""
        for entry in self.cache.search("IdToken", query={"environment": environment}):
            raw: str = entry["secret"]
            return raw
        return None

    def granted_scopes(self) -> frozenset[str]:
        """What the session's tokens reach; not every provider gives refresh tokens."""
        entries = (*self.cache.search("AccessToken"), *self.cache.search("RefreshToken"))
        return frozenset(
            scope for entry in entries for scope in str(entry.get("target") or "").split()
        )

    def to_bytes(self) -> bytes:
        content = {"v": _FORMAT, "claims": self.claims, "cache": self.cache.serialize()}
        if self.ends_at is not None:
            content["end"] = self.ends_at
        if self.shares:
            content["shares"] = self.shares
        if self.groups:
            content["groups"] = self.groups
        if self.user_flow:
            content["flow"] = self.user_flow
        if self.whose:
            content["account"] = self.whose
        return json.dumps(content, separators=(",", ":")).encode()


def new_key(tag: str, kind: str = "") -> str:
    """128 bits that nobody guesses, behind the tag of the site that they are for.

    :param kind: CALLER or WORK for a key that names no browser's session.
    """
    return tag + (kind and f"{kind}.") + secrets.token_urlsafe(16)


def caller_key(tag: str, assertion: str) -> str:
    """What the tokens are filed under that were had on behalf of whoever sent this token."""
    digest = hashlib.sha256(assertion.encode(errors="surrogatepass")).digest()
    return f"{tag}{CALLER}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _kind_of(key: str) -> str:
    # Neither a tag nor what is random has a full stop.
    rest, dot, _ = key.partition(".")
    return next((kind for kind in (CALLER, WORK) if dot and rest.endswith(kind)), "")


def is_key_of(tag: str, key: object, kind: str = "") -> bool:
    """Whether a browser's session names a record of this very site.

    Two sites may share a secret key, a host's cookies, even a store. Whoever signed in to the one
    has not signed in to the other.

    :param kind: CALLER or WORK for a record that is no browser's session.
    """
    if not isinstance(key, str) or not key.startswith(tag):
        return False
    return _kind_of(key) == kind if "." in key else not kind


def extend_document(store: SealedStore, key: str, expires_at: float) -> bool:
    """Let the record live on with a browser's session that slides along."""
    return store.extend(_record_key(key), expires_at)


def document_version(store: SealedStore, key: str) -> int | None:
    """The version of the session's record, or None where a sign-out, on any machine, removed it.

    :raises StoreUnavailable: the store cannot be reached.
    """
    return store.version(_record_key(key))


def load_document(store: SealedStore, key: str) -> Document | None:
    """The session's document, or None where the store has none, or none that can be read.

    :raises StoreUnavailable: the store cannot be reached.
    """
    record = store.load(_record_key(key))
    if record is None:
        return None
    try:
        content = json.loads(record.value)
        if content["v"] == _FORMAT:
            cache = SerializableTokenCache()
            cache.deserialize(content["cache"])
            groups = {
                name: (at, within) for name, (at, within) in content.get("groups", {}).items()
            }
            return Document(
                key,
                content["claims"],
                cache,
                record.version,
                len(record.value),
                content.get("end"),
                content.get("shares", ""),
                groups,
                content.get("flow", ""),
                content.get("account", ""),
            )
    except (ValueError, KeyError, TypeError, AttributeError, TokenCacheError):
        pass  # another version of Keyfob's, or a key that served for something else before
    store.discard(_record_key(key), record)
    return None


def create_document(store: SealedStore, document: Document, expires_at: float) -> bool:
    content = document.to_bytes()
    document.size = len(content)
    return store.create(_record_key(document.key), content, expires_at)


def replace_document(store: SealedStore, document: Document, expires_at: float) -> bool:
    """Save what a request changed. False where the session was signed out, or changed, meanwhile:
    then the newer state stays."""
    content = document.to_bytes()
    if not store.replace(_record_key(document.key), content, document.version, expires_at):
        return False
    # Each replacement adds one (see `stores.first_version`).
    document.version, document.size = document.version + 1, len(content)
    return True


def delete_document(store: SealedStore, key: str) -> None:
    store.delete(_record_key(key))


def hashed_record_key(key: str) -> str:
    """What the session's record is called in the store, and in lists of sessions."""
    return hashed_key(_record_key(key))


def _record_key(key: str) -> str:
    return f"session {key}"
