"""What every flow of one client application needs to know."""

from __future__ import annotations

import re
import secrets
import sys
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from keyfob.cache import TokenCache
from keyfob.flows import Flow
from keyfob.flows.provider import Provider
from keyfob.protocol.client_auth import ClientSecret
from keyfob.protocol.http import HttpRequest
from keyfob.protocol.id_token import TenantRule
from keyfob.protocol.metadata import ProviderMetadata
from keyfob.protocol.pkce import RandomBytes
from keyfob.protocol.scopes import sign_in_scopes
from keyfob.protocol.token_endpoint import build_token_request

#: What fits into a header; whoever names an account may name it anything.
_UID_UTID = re.compile(r"[A-Za-z0-9_-]{1,200}\.[A-Za-z0-9_-]{1,200}")


@dataclass(frozen=True)
class Client:
    """One application at one provider, with the cache its tokens go to.

    :param leeway: seconds of clock difference that are forgiven.
    :param clock: seconds since the epoch; injected by tests.
    """

    client_id: str
    provider: Provider
    cache: TokenCache
    secret: ClientSecret | None = field(default=None, repr=False)
    leeway: int = 60
    allowed_tenants: TenantRule | None = None
    excluded_scopes: frozenset[str] = frozenset()
    app_name: str | None = None
    app_version: str | None = None
    clock: Callable[[], float] = time.time
    random_bytes: RandomBytes = secrets.token_bytes

    @property
    def environment(self) -> str:
        return self.provider.authority.environment

    @property
    def is_microsoft(self) -> bool:
        return self.provider.authority.is_microsoft

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

    def token_request(
        self,
        metadata: ProviderMetadata,
        grant: Mapping[str, str | None],
        headers: Mapping[str, str] | None = None,
    ) -> HttpRequest:
        if self.is_microsoft:
            grant = {**grant, "client_info": "1"}
        return build_token_request(
            metadata, self.client_id, self.secret, grant, {**self.headers(), **(headers or {})}
        )

    def anchor(self, home_account_id: str | None) -> dict[str, str]:
        """Microsoft's routing hint (its backup authentication service finds the tenant by it)."""
        if not self.is_microsoft or not home_account_id or not _UID_UTID.fullmatch(home_account_id):
            return {}
        return {"X-AnchorMailbox": f"Oid:{home_account_id.replace('.', '@')}"}

    def headers(self) -> dict[str, str]:
        """How Microsoft's support finds this request again; other providers get nothing."""
        if not self.is_microsoft:
            return {}
        from keyfob._version import __version__

        named = {"x-app-name": self.app_name, "x-app-ver": self.app_version}
        return {
            "client-request-id": str(uuid.uuid4()),
            "x-client-sku": "Keyfob.Python",
            "x-client-ver": __version__,
            "x-client-os": sys.platform,
            **{name: value for name, value in named.items() if value},
        }
