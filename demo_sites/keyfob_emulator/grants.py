"""Authorization codes and refresh tokens: opaque strings with a record on the server.

RFC 6749 sections 4.1.2 and 6, RFC 9700 section 4.14. Codes live ten minutes and work once; using
one again revokes what came from it. Everything that descends from one sign-in is a family.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from keyfob_emulator.errors import ProtocolError, problem
from keyfob_emulator.keys import base64url
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
    multi_factor: bool = False
    """Whether a second factor was proved."""


@dataclass(frozen=True)
class Code:
    """An authorization code: a grant bound to a redirect URI and to a PKCE challenge."""

    grant: Grant
    redirect_uri: str
    code_challenge: str | None
    expires_at: float
    family: str

    def check_verifier(self, verifier: str | None) -> None:
        """RFC 7636 section 4.6; one that nobody announced is refused too (RFC 9700 2.1.1)."""
        if self.code_challenge is None:
            if verifier is not None:
                raise problem(501481)
            return
        if verifier is None:
            raise problem(50148)
        digest = hashlib.sha256(verifier.encode("utf-8", "surrogatepass")).digest()
        if not hmac.compare_digest(base64url(digest), self.code_challenge):
            raise problem(501481)


@dataclass
class Family:
    """Everything that came out of one code."""

    home_object_id: str
    client_id: str
    revoked: bool = False
    access_tokens: dict[str, AccessToken] = field(default_factory=dict, repr=False)


@dataclass
class AccessToken:
    """What is remembered of an access token.

    ``capable`` tokens announce that their client understands claims challenges (``cp1``).
    """

    family: Family
    capable: bool
    multi_factor: bool
    refused_since: float | None = None
    """When resources that look were told to refuse it."""


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
        self._tokens: dict[str, AccessToken] = {}
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
            self._trim()
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
            if self._families[record.family].revoked:
                raise problem(50173)
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

    def note_access_token(
        self, family: str, token_id: str, *, capable: bool, multi_factor: bool
    ) -> None:
        """Remember an access token's id, so that revoking the family can reach it."""
        with self._lock:
            record = self._families[family]
            token = AccessToken(record, capable, multi_factor)
            if record.revoked:
                token.refused_since = self._clock()
            record.access_tokens[token_id] = self._tokens[token_id] = token

    def access_token(self, token_id: str) -> AccessToken | None:
        """What is remembered of an access token for a person."""
        with self._lock:
            return self._tokens.get(token_id)

    def revoke_for(
        self, home_object_id: str, client_id: str | None = None, *, capable_only: bool = False
    ) -> None:
        """Revoke everything a person has, or has with one application.

        With ``capable_only`` access tokens go on to serve clients that could not be told why not.
        """
        with self._lock:
            for family in self._of(home_object_id, client_id):
                family.revoked = True
                self._refuse(family, capable_only)

    def refuse_access_tokens(self, home_object_id: str, client_id: str) -> None:
        """Have the access tokens refused that a person's grants gave one application so far."""
        with self._lock:
            for family in self._of(home_object_id, client_id):
                self._refuse(family)

    def _of(self, home_object_id: str, client_id: str | None) -> list[Family]:
        return [
            family
            for family in self._families.values()
            if family.home_object_id == home_object_id and client_id in (None, family.client_id)
        ]

    def _revoke(self, family: str) -> None:
        record = self._families[family]
        record.revoked = True
        self._refuse(record)

    def _refuse(self, family: Family, capable_only: bool = False) -> None:
        now = self._clock()
        for token in family.access_tokens.values():
            if token.refused_since is None and (token.capable or not capable_only):
                token.refused_since = now

    def _trim(self) -> None:
        """Forget the oldest families, so that a provider that runs for weeks does not grow."""
        while len(self._families) > _MAXIMUM:
            oldest = next(iter(self._families))
            for token_id in self._families.pop(oldest).access_tokens:
                del self._tokens[token_id]
            for codes in (self._codes, self._redeemed):
                for key in [k for k, c in codes.items() if c.family == oldest]:
                    del codes[key]
            for key in [k for k, r in self._refresh.items() if r.family == oldest]:
                del self._refresh[key]


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
