"""Who is here: the claims of a proven ID token, and how a person is known again."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from keyfob.errors import InteractionRequired, StoreError
from keyfob.protocol.authority import GUID
from keyfob.protocol.memberships import claimed_roles

#: Bytes of JSON that the identity may take in the browser's session. Flask's default session is
#: a cookie: with our keys, signature and encoding this stays below 500 bytes.
SESSION_BUDGET = 240

#: What the session keeps of the claims, as far as it fits, most useful first.
_SESSION_CLAIMS = ("name", "preferred_username", "oid", "tid", "sub", "email")


@dataclass(frozen=True)
class Identity:
    """A person whom the provider has proven.

    :param issuer: `tid` for Microsoft's accounts, in lower case; the issuer for others.
    :param subject: `oid` for Microsoft's accounts, in lower case; `sub` for others.
    :param authority: who proved it: a name in AUTHORITIES, "" for the site's own.
    """

    issuer: str
    subject: str
    claims: Mapping[str, Any] = field(repr=False)
    authority: str = ""

    @classmethod
    def from_claims(
        cls, claims: Mapping[str, Any], *, is_microsoft: bool, authority: str = ""
    ) -> Identity:
        """Known by `tid` and `oid`, or by `iss` and `sub`; never by an e-mail address or a user
        name, which their owner, or their administrator, can change into somebody else's.

        Only Microsoft's `tid` and `oid` are such a pair, and only where both are GUIDs: elsewhere
        they are anybody's words, and what AD FS and a B2C custom policy call so may be anything.
        """
        tenant, object_id = claims.get("tid"), claims.get("oid")
        if is_microsoft and _is_guid(tenant) and _is_guid(object_id):
            return cls(tenant.lower(), object_id.lower(), claims, authority)
        return cls(claims["iss"], claims["sub"], claims, authority)

    @property
    def key(self) -> str:
        """A short name for this person that tells nobody who they are."""
        raw = hashlib.sha256(f"{self.issuer}\n{self.subject}".encode()).digest()
        return base64.urlsafe_b64encode(raw[:16]).rstrip(b"=").decode()


def _is_guid(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and GUID.fullmatch(value) is not None


def session_claims(claims: Mapping[str, Any]) -> tuple[dict[str, str], bool]:
    """The few claims that fit into the browser's session, and whether that is all there are."""
    kept: dict[str, str] = {}
    complete = True
    for name in _SESSION_CLAIMS:
        value = claims.get(name)
        if isinstance(value, str) and value:
            candidate = {**kept, name: value}
            if len(json.dumps(candidate, separators=(",", ":"))) <= SESSION_BUDGET:
                kept = candidate
            else:
                complete = False
    return kept, complete


class User:
    """The signed-in person as pages see them; or nobody, which is false.

    What is shown comes from the browser's session and costs nothing. Anything the session has no
    room for is read from the token store when it is first asked for.

    :param complete: whether `claims` has all there is of what the session keeps.
    """

    def __init__(
        self,
        key: str | None,
        claims: Mapping[str, Any],
        load: Callable[[], Mapping[str, Any]],
        *,
        complete: bool = False,
    ) -> None:
        self._key = key
        self._claims = claims
        self._load = load
        self._complete = complete

    def __bool__(self) -> bool:
        return self._key is not None

    def __repr__(self) -> str:
        return "<User signed in>" if self else "<User nobody>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, User) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def is_authenticated(self) -> bool:
        """As Django and Flask-Login ask it: whether somebody is signed in."""
        return bool(self)

    @property
    def key(self) -> str | None:
        """The same for the same person, whenever and wherever they sign in to this site."""
        return self._key

    @property
    def name(self) -> str:
        """How the person is called: their name, else their user name, else what the provider
        calls them among machines; "" for nobody."""
        return self._shown("name") or self.username or self._shown("sub")

    @property
    def username(self) -> str:
        """What the person types to sign in. It may change, and it may be reused: show it only."""
        return self._shown("preferred_username") or self._shown("email")

    @property
    def email(self) -> str:
        """As the provider has it, which does not say that it is theirs: show it only."""
        return self._shown("email")

    @property
    def oid(self) -> str:
        """The object id at Microsoft, "" where the claims name none."""
        return self._text("oid")

    @property
    def tid(self) -> str:
        """The tenant's id at Microsoft, "" where the claims name none."""
        return self._text("tid")

    @property
    def claims(self) -> Mapping[str, Any]:
        """All claims of the ID token, empty for nobody. Reads the token store.

        :raises InteractionRequired: the token store has lost this session.
        :raises StoreUnavailable: the token store cannot be reached.
        """
        return self._load() if self else {}

    @property
    def roles(self) -> frozenset[str]:
        """The app roles in the ID token, as of the sign-in; none for nobody. Errors as `claims`."""
        return claimed_roles(self.claims)

    def _shown(self, name: str) -> str:
        """A claim for people to read: no page fails for want of it."""
        try:
            return self._text(name)
        except (InteractionRequired, StoreError):
            return ""

    def _text(self, name: str) -> str:
        if not self:
            return ""
        value = self._claims.get(name)
        if value is None and not self._complete:
            value = self.claims.get(name)
        return value if isinstance(value, str) else ""
