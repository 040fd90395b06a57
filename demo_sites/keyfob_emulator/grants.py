"""Authorization codes and refresh tokens: opaque strings with a record on the server.

RFC 6749 sections 4.1.2 and 6, RFC 9700 section 4.14. Codes live ten minutes and work once; using
one again revokes what came from it. Everything that descends from one sign-in is a family.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from keyfob_emulator.errors import ProtocolError, problem
from keyfob_emulator.model import Application

_MAXIMUM = 20_000


@dataclass(frozen=True)
class Grant:
    """What a person allowed an application at one sign-in."""

    client_id: str
    home_object_id: str
    tenant_id: str
    scope: str
    auth_time: int
    sid: str
    nonce: str | None = None
    auth_time_asked: bool = False
    client_info: bool = False
    claims: Mapping[str, Any] = field(default_factory=dict)
    policy: str | None = None
    """The user flow it came about in; its codes and refresh tokens serve no other."""


@dataclass(frozen=True)
class Code:
    """An authorization code: a grant bound to a redirect URI and to a PKCE challenge."""

    grant: Grant
    redirect_uri: str
    code_challenge: str | None
    expires_at: float
    family: str


@dataclass
class Family:
    """Everything that came out of one code."""

    home_object_id: str
    client_id: str
    revoked: bool = False
    access_tokens: set[str] = field(default_factory=set)


@dataclass
class _Refresh:
    grant: Grant
    family: str
    expires_at: float
    client_family: str | None
    used: bool = False


class GrantStore:
    """Codes and refresh tokens that were given out. Keeps digests, never the strings themselves."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._codes: dict[str, Code] = {}
        self._redeemed: dict[str, Code] = {}
        self._refresh: dict[str, _Refresh] = {}
        self._families: dict[str, Family] = {}
        self._revoked_tokens: set[str] = set()
        self.revoke_reused = False

    def issue_code(
        self, grant: Grant, redirect_uri: str, code_challenge: str | None, lifetime: float
    ) -> str:
        """A new authorization code."""
        code = f"1.{secrets.token_urlsafe(48)}"
        with self._lock:
            family = self.open_family(grant)
            self._codes[_digest(code)] = Code(
                grant, redirect_uri, code_challenge, self._clock() + lifetime, family
            )
        return code

    def open_family(self, grant: Grant) -> str:
        """A new family, for what a code or an on-behalf-of request leads to."""
        family = secrets.token_hex(8)
        with self._lock:
            self._families[family] = Family(grant.home_object_id, grant.client_id)
            _trim(self._codes, self._redeemed, self._refresh, self._families)
        return family

    def peek_code(self, code: str, client_id: str) -> Code:
        """The record of a client's code, without using it up; a used one revokes its family."""
        key = _digest(code)
        with self._lock:
            used = self._redeemed.get(key)
            record = used or self._codes.get(key)
            if record is None or record.grant.client_id != client_id:
                raise problem(70000)
            if used is not None:
                self._revoke(used.family)
                raise problem(54005)
        if self._clock() >= record.expires_at:
            raise problem(70008)
        return record

    def redeem_code(self, code: str, client_id: str) -> None:
        """Use a code up. Of two requests at the same time only one gets past here."""
        with self._lock:
            self.peek_code(code, client_id)
            key = _digest(code)
            self._redeemed[key] = self._codes.pop(key)

    def issue_refresh(
        self, grant: Grant, family: str, lifetime: float, client_family: str | None = None
    ) -> str:
        """A new refresh token in a family; ``client_family`` lets other applications use it."""
        token = f"1.A{secrets.token_urlsafe(64)}"
        with self._lock:
            self._refresh[_digest(token)] = _Refresh(
                replace(grant, nonce=None), family, self._clock() + lifetime, client_family
            )
        return token

    def peek_refresh(self, token: str, client: Application) -> tuple[Grant, str]:
        """Grant and family of a client's refresh token that may still be used."""
        with self._lock:
            record = self._refresh.get(_digest(token))
            if record is None:
                raise problem(70000, suberror="bad_token")
            _check_holder(record, client)
            if self._families[record.family].revoked:
                raise problem(50173, suberror="bad_token")
            if self._clock() >= record.expires_at:
                raise problem(700082, suberror="bad_token")
            if record.used and self.revoke_reused:
                self._revoke(record.family)
                raise self._reuse()
            return replace(record.grant, client_id=client.client_id), record.family

    def use_refresh(self, token: str) -> None:
        """Mark a refresh token as used; in the strict mode only the first use gets past here."""
        with self._lock:
            record = self._refresh[_digest(token)]
            if record.used and self.revoke_reused:
                self._revoke(record.family)
                raise self._reuse()
            record.used = True

    @staticmethod
    def _reuse() -> ProtocolError:
        return problem(70000, suberror="bad_token")

    def note_access_token(self, family: str, token_id: str) -> None:
        """Remember an access token's id, so that revoking the family can reach it."""
        with self._lock:
            record = self._families[family]
            record.access_tokens.add(token_id)
            if record.revoked:
                self._revoked_tokens.add(token_id)

    def access_token_revoked(self, token_id: str) -> bool:
        """Whether the access token belongs to a revoked family."""
        with self._lock:
            return token_id in self._revoked_tokens

    def revoke_for(self, home_object_id: str, client_id: str | None = None) -> None:
        """Revoke everything a person has, or has with one application."""
        with self._lock:
            for name, family in self._families.items():
                if family.home_object_id == home_object_id and client_id in (
                    None,
                    family.client_id,
                ):
                    self._revoke(name)

    def _revoke(self, family: str) -> None:
        record = self._families[family]
        record.revoked = True
        self._revoked_tokens |= record.access_tokens


def _check_holder(record: _Refresh, client: Application) -> None:
    """A refresh token is its client's own, or serves a whole family of client ids."""
    if record.grant.client_id == client.client_id:
        return
    if record.client_family is None:
        raise problem(70000, suberror="bad_token")
    if record.client_family != client.family:
        raise problem(
            70000,
            suberror="client_mismatch",
            more={"error_additional_info": ["client_mismatch"]},
        )


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def _trim(
    codes: dict[str, Code],
    redeemed: dict[str, Code],
    refresh: dict[str, _Refresh],
    families: dict[str, Family],
) -> None:
    """Forget the oldest families, so that a provider that runs for weeks does not grow."""
    while len(families) > _MAXIMUM:
        oldest = next(iter(families))
        del families[oldest]
        for key in [k for k, c in codes.items() if c.family == oldest]:
            del codes[key]
        for key in [k for k, c in redeemed.items() if c.family == oldest]:
            del redeemed[key]
        for key in [k for k, r in refresh.items() if r.family == oldest]:
            del refresh[key]
