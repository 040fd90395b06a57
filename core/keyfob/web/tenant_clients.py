"""The site's application in one tenant: an authority that serves many gives neither an application
its own token nor an API a token on behalf of its caller."""

from __future__ import annotations

import threading
from collections import OrderedDict

from keyfob.applications import ConfidentialClientApplication
from keyfob.protocol.authority import GUID, PERSONAL_ACCOUNTS_TENANT, Authority

#: Tenants whose metadata and keys are remembered at once.
MAX_TENANTS = 100

#: What an API needs no more of: its caller brings a new token.
_OFFLINE = ("offline_access",)


class TenantClients:
    """Program life: shared by all threads.

    :param client: the site's application, whose connections and credentials all of them share.
    """

    def __init__(self, client: ConfidentialClientApplication, *, limit: int = MAX_TENANTS) -> None:
        self._client = client
        self._limit = limit
        self._lock = threading.Lock()
        self._made: OrderedDict[tuple[str, bool], ConfidentialClientApplication] = OrderedDict()

    def __repr__(self) -> str:
        return f"<TenantClients: {len(self._made)} known>"

    def own(self, tenant: str | None) -> ConfidentialClientApplication:
        """For tokens in the application's own name.

        :param tenant: the tenant's id or domain; None for the authority's own.
        """
        return self._client if tenant is None else self._of(tenant, offline=True)

    def of_person(self, tenant: str, *, offline: bool) -> ConfidentialClientApplication:
        """For tokens of a person who is known by a proven token.

        :param tenant: the token's `tid`, "" where it has none.
        :param offline: whether a refresh token is wanted.
        """
        named = tenant.lower() if _is_elsewhere(self._client.authority, tenant) else ""
        if not named and offline:
            return self._client
        return self._of(named, offline=offline)

    def _of(self, tenant: str, *, offline: bool) -> ConfidentialClientApplication:
        key = tenant, offline
        with self._lock:
            found = self._made.get(key)
            if found is None:
                found = self._made[key] = self._client.variant(
                    tenant=tenant or None, exclude_scopes=None if offline else _OFFLINE
                )
            self._made.move_to_end(key)
            while len(self._made) > self._limit:
                self._made.popitem(last=False)
            return found


def _is_elsewhere(authority: Authority, tenant: str) -> bool:
    """Whether a person's tenant must be asked in the place of the authority."""
    many = authority.serves_many_tenants or (
        authority.kind == "entra" and authority.tenant.lower() == "consumers"
    )
    personal = (
        authority.tenant.lower() == "consumers" and tenant.lower() == PERSONAL_ACCOUNTS_TENANT
    )
    return many and not personal and GUID.fullmatch(tenant) is not None
