"""What every flow of one client application needs to know."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from keyfob.cache import AccessTokenEntry, TokenCache, compute_ext_cache_key
from keyfob.flows import Flow
from keyfob.flows.credentials import NO_CREDENTIALS, Credentials
from keyfob.flows.provider import Provider
from keyfob.flows.telemetry import Telemetry
from keyfob.protocol.id_token import TenantRule
from keyfob.protocol.metadata import ProviderMetadata
from keyfob.protocol.pkce import RandomBytes
from keyfob.protocol.scopes import sign_in_scopes
from keyfob.protocol.token_endpoint import BEARER

#: What fits into a header; whoever names an account may name it anything.
_UID_UTID = re.compile(r"[A-Za-z0-9_-]{1,200}\.[A-Za-z0-9_-]{1,200}")


@dataclass(frozen=True)
class Extra:
    """What the caller of a verb adds to its token requests.

    :param data: more fields of the form. Those that no standard names keep the tokens apart from
        all others in the cache; `token_type`, `req_cnf` and `key_id` ask for an SSH certificate.
    :param params: a query for the token endpoint's address.
    """

    data: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)

    @cached_property
    def token_type(self) -> str:
        return self.data.get("token_type") or BEARER

    @property
    def key(self) -> tuple[object, ...]:
        """What two equal ones have in common, and can be looked up by."""
        return (*sorted(self.data.items()), None, *sorted(self.params.items()))

    @cached_property
    def key_id(self) -> str | None:
        return self.data.get("key_id")


NOTHING_EXTRA = Extra()


@dataclass(frozen=True)
class Client:
    """One application at one provider, with the cache its tokens go to.

    :param credentials: the ways in which it proves itself; none for a public client.
    :param capabilities: what it announces that it can handle, such as `cp1`.
    :param leeway: seconds of clock difference that are forgiven.
    :param clock: seconds since the epoch; injected by tests.
    """

    client_id: str
    provider: Provider
    cache: TokenCache
    credentials: Credentials = field(default=NO_CREDENTIALS, repr=False)
    capabilities: tuple[str, ...] = ()
    leeway: int = 60
    allowed_tenants: TenantRule | None = None
    excluded_scopes: frozenset[str] = frozenset()
    app_name: str | None = None
    app_version: str | None = None
    telemetry: Telemetry = field(default_factory=Telemetry, repr=False)
    clock: Callable[[], float] = time.time
    random_bytes: RandomBytes = secrets.token_bytes
    extra: Extra = NOTHING_EXTRA

    @property
    def environment(self) -> str:
        return self.provider.authority.environment

    @cached_property
    def is_microsoft(self) -> bool:
        return self.provider.authority.is_microsoft

    @property
    def environments(self) -> tuple[str, ...]:
        """The hosts under which the cache may know the provider's people; the first is its own."""
        return self.provider.aliases

    def with_cache(self, cache: TokenCache) -> Client:
        """The same with another cache. Each request makes one, and `dataclasses.replace` costs as
        much as the rest of it."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__, cache=cache)
        return twin

    def held_token(
        self,
        metadata: ProviderMetadata,
        home_account_id: str | None,
        scopes: Collection[str],
        now: float,
        fields: Mapping[str, str],
        *,
        whoever: bool = False,
    ) -> AccessTokenEntry | None:
        """The access token that the cache has, for requests with these fields beside the grant's.

        :param whoever: whosever it is: the fields alone tell it from others.
        """
        extra, ext_cache_key = self.extra, None
        if fields or extra.data:
            ext_cache_key = compute_ext_cache_key({**extra.data, **fields}) or None
        for environment in self.environments:
            found = self.cache.find_access_token(
                home_account_id=home_account_id,
                environment=environment,
                client_id=self.client_id,
                realm=metadata.realm,
                scopes=scopes,
                now=now,
                ext_cache_key=ext_cache_key,
                key_id=extra.key_id,
                token_type=extra.token_type,
                # Elsewhere scopes are case-sensitive (RFC 6749 §3.3).
                ignore_case=self.is_microsoft,
                whoever=whoever,
                expired=True,  # that it was there says why a new one is asked for
            )
            if found is not None:
                return found
        return None

    def metadata(self) -> Flow[ProviderMetadata]:
        return self.provider.metadata(self.clock())

    def sign_in_scopes(
        self, scopes: Collection[str], metadata: ProviderMetadata | None
    ) -> frozenset[str]:
        return sign_in_scopes(
            scopes,
            is_microsoft=self.is_microsoft,
            metadata=metadata,
            excluded=self.excluded_scopes,
        )

    def anchor(self, home_account_id: str | None) -> dict[str, str]:
        """Microsoft's routing hint (its backup authentication service finds the tenant by it)."""
        if not self.is_microsoft or not home_account_id or not _UID_UTID.fullmatch(home_account_id):
            return {}
        return {"X-AnchorMailbox": f"Oid:{home_account_id.replace('.', '@')}"}

    def upn_anchor(self, username: str | None) -> dict[str, str]:
        """The same hint by a user name, where it fits into a header."""
        if not self.is_microsoft or not username or not all("!" <= c <= "~" for c in username):
            return {}
        return {"X-AnchorMailbox": f"upn:{username}"}
