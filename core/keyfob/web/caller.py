"""Who calls a web API of ours: what a bearer token, once it is proven, says of its bearer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Caller:
    """Whoever sent a token that has passed every check.

    :ivar claims: the token's claims.
    :ivar token: the token itself, to act on behalf of the person; where it came encrypted, the one
        inside. Never shown.
    :ivar is_app: whether an application calls in its own name, and no person is involved.
    :ivar client_id: the application that the token was given to (`azp`, in version 1 `appid`).
    :ivar key: as `User.key`: the same for the same person, whichever way they come.
    :ivar scopes: delegated permissions (`scp`); none where an application calls.
    :ivar roles: app roles (`roles`): the person's, or the application's permissions.
    """

    claims: Mapping[str, Any] = field(repr=False)
    token: str = field(repr=False)
    is_app: bool
    client_id: str
    key: str = field(repr=False)
    scopes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """How the person is called, "" where the token does not say: show it only."""
        value = self.claims.get("name")
        return value if isinstance(value, str) else ""

    @property
    def tid(self) -> str:
        """The caller's tenant, "" where the token names none."""
        value = self.claims.get("tid")
        return value if isinstance(value, str) else ""

    @property
    def oid(self) -> str:
        """The caller's object id, "" where the token names none."""
        value = self.claims.get("oid")
        return value if isinstance(value, str) else ""
