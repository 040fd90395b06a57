"""Which kind of authority a request came to, read from its host and path.

One application serves them all: what differs is the shape of addresses, issuers and claims.
:func:`locate` recognises the kind and gives the path the views know, ``/{tenant}/oauth2/v2.0/...``.

=============  =====================================================================
Entra          ``/{tenant}/v2.0``, on a cloud's host, an alias, a regional host
Azure AD B2C   ``/{tenant}/{policy}/v2.0``, ``/tfp/{tenant}/{policy}/v2.0``, ``?p={policy}``
External ID    ``/{tenant}/v2.0`` of such a tenant; without a path at ``*.ciamlogin.com``
ADFS           ``/adfs``
dSTS           ``/dstsv2/{tenant}``
=============  =====================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import urlsplit

from keyfob_emulator.clouds import Cloud, cloud_of
from keyfob_emulator.model import Directory, FlowKind, Tenant, TenantKind, UserFlow

B2C_SUFFIXES: Final = tuple(f".b2clogin.{domain}" for domain in ("com", "cn", "us", "de"))
EXTERNAL_ID_SUFFIX: Final = ".ciamlogin.com"
_METADATA: Final = (".well-known", "openid-configuration")
_ENDPOINT_WORDS: Final = frozenset({"oauth2", "v2.0", "discovery", ".well-known"})


class Kind(str, Enum):
    """The kinds of authority."""

    ENTRA = "entra"
    B2C = "b2c"
    EXTERNAL_ID = "external-id"
    ADFS = "adfs"
    DSTS = "dsts"


class PolicyPlace(str, Enum):
    """Where a B2C address names its user flow."""

    PATH = "path"
    TFP = "tfp"
    QUERY = "query"


@dataclass(frozen=True)
class Authority:
    """An authority at the address a request came to.

    ``home`` is the address tokens name, which is another one for aliases and regional hosts.
    ``segment`` is the tenant as a B2C request spelled it, for B2C repeats that.
    """

    kind: Kind
    address: str
    home: str
    cloud: Cloud | None = None
    segment: str = ""
    flow: UserFlow | None = None
    place: PolicyPlace = PolicyPlace.PATH

    def issuer(self, tenant_id: str, version: int = 2) -> str:
        """``iss`` of a tenant's tokens. Version 1 tokens have an issuer of their own at Entra."""
        if self.kind is Kind.ADFS:
            return f"{self.address}/adfs"
        if self.kind is Kind.DSTS:
            return f"{self.address}/dstsv2/{tenant_id}"
        if self.flow is not None:
            middle = f"tfp/{tenant_id}/{self.policy}" if self.flow.issuer_names_flow else tenant_id
            return f"{self.address}/{middle}/v2.0/"
        if version == 1:
            home = f"https://{self.cloud.sts_host}" if self.cloud else self.home
            return f"{home}/{tenant_id}/"
        if self.kind is Kind.EXTERNAL_ID:
            return f"https://{tenant_id}{EXTERNAL_ID_SUFFIX}/{tenant_id}/v2.0"
        return f"{self.home}/{tenant_id}/v2.0"

    @property
    def access_token_issuer(self) -> str | None:
        """``iss`` of access tokens where it is another one than that of ID tokens."""
        if self.kind is not Kind.ADFS:
            return None
        return f"http://{urlsplit(self.address).netloc}/adfs/services/trust"

    @property
    def cloud_name(self) -> str:
        """``cloud_instance_name``: the host's name where it is no cloud's."""
        return self.cloud.name if self.cloud else urlsplit(self.home).netloc

    @property
    def policy(self) -> str | None:
        """The user flow in addresses and claims: in small letters, as B2C writes it."""
        return self.flow.name.lower() if self.flow else None

    @property
    def flow_kind(self) -> FlowKind | None:
        """What the user flow is for; None where there are no user flows."""
        return self.flow.kind if self.flow else None

    def endpoint(self, name: str, tenant: str) -> str:
        """The address of ``authorize``, ``token``, ``logout`` and so on."""
        if self.kind is Kind.ADFS:
            slash = "/" if name in ("authorize", "token") else ""
            return f"{self.address}/adfs/oauth2/{name}{slash}"
        return self._below(tenant, f"oauth2/v2.0/{name}")

    def keys_url(self, tenant: str) -> str:
        """``jwks_uri``."""
        if self.kind is Kind.ADFS:
            return f"{self.address}/adfs/discovery/keys"
        return self._below(tenant, "discovery/v2.0/keys")

    def _below(self, tenant: str, rest: str) -> str:
        if self.kind is Kind.DSTS:
            return f"{self.address}/dstsv2/{tenant}/{rest}"
        if self.flow is None:
            return f"{self.address}/{tenant}/{rest}"
        if self.place is PolicyPlace.QUERY:
            return f"{self.address}/{self.segment}/{rest}?p={self.policy}"
        start = "tfp/" if self.place is PolicyPlace.TFP else ""
        return f"{self.address}/{start}{self.segment}/{self.policy}/{rest}"

    def assertion_audiences(self, tenants: set[str]) -> set[str]:
        """The values a client assertion may be made out to (RFC 7523 section 3).

        The central addresses will do at a regional one as well: clients sign for those.
        """
        tokens = {self.endpoint("token", tenant) for tenant in tenants}
        issuers = {self.issuer(tenant) for tenant in tenants}
        central = {token.replace(self.address, self.home, 1) for token in tokens}
        own = {f"{self.address}/{tenant}/v2.0" for tenant in tenants}
        return tokens | issuers | central | (own if self.kind is Kind.ENTRA else set())


def locate(
    address: str, path: str, policy: str | None, directory: Directory, adfs_tenant: str | None
) -> tuple[Authority, str]:
    """The authority of a request, and its path in the one form the views know.

    ``policy`` is the query's ``p``; ``adfs_tenant`` the organisation behind ``/adfs``. A path no
    authority has comes back as it was, and ends as 404.
    """
    host = urlsplit(address).netloc
    cloud = cloud_of(host)
    home = cloud.login_url if cloud else address
    parts = path.split("/")[1:]
    first = parts[0].lower()
    if first == "adfs":
        found = _adfs_path(parts[1:], adfs_tenant)
        return Authority(Kind.ADFS, address, address), found or path
    if first == "dstsv2" and len(parts) > 2:
        rest = parts[2:] if parts[2] != _METADATA[0] else ["v2.0", *parts[2:]]
        return Authority(Kind.DSTS, address, address), _joined(parts[1], rest)
    if first in ("tfp", "te") and len(parts) > 3:
        return _b2c(address, parts[1], parts[2], parts[3:], directory, PolicyPlace.TFP, path)
    tenant = directory.tenant(parts[0])
    if cloud is None and host.endswith(EXTERNAL_ID_SUFFIX) and first in _ENDPOINT_WORDS:
        name = host.removesuffix(EXTERNAL_ID_SUFFIX)
        tenant = directory.tenant(f"{name}.onmicrosoft.com") or directory.tenant(name)
        rest = parts if first != _METADATA[0] else ["v2.0", *parts]
        parts = [tenant.tenant_id if tenant else name, *rest]
    if tenant is not None and tenant.kind is TenantKind.B2C:
        if policy is not None:
            rest = parts[1:]
            return _b2c(address, parts[0], policy, rest, directory, PolicyPlace.QUERY, path)
        if len(parts) > 2 and parts[1] not in _ENDPOINT_WORDS:
            rest = parts[2:]
            return _b2c(address, parts[0], parts[1], rest, directory, PolicyPlace.PATH, path)
    if host.endswith(B2C_SUFFIXES) and parts[-1] in (_METADATA[1], "authorize", "token", "keys"):
        # Nothing is served there without a user flow.
        return Authority(Kind.B2C, address, address), f"/-{path}"
    external = cloud is None and tenant is not None and tenant.kind is TenantKind.EXTERNAL_ID
    kind = Kind.EXTERNAL_ID if external else Kind.ENTRA
    return Authority(kind, address, home, cloud), "/" + "/".join(parts)


def _joined(tenant: str, rest: Sequence[str]) -> str:
    return "/".join(("", tenant, *rest))


def _adfs_path(rest: list[str], tenant: str | None) -> str | None:
    while rest and not rest[-1]:
        rest = rest[:-1]
    if tenant is None or len(rest) != 2:
        return None
    if tuple(rest) == _METADATA:
        return _joined(tenant, ["v2.0", *rest])
    if rest == ["discovery", "keys"]:
        return _joined(tenant, ["discovery", "v2.0", "keys"])
    return _joined(tenant, ["oauth2", "v2.0", rest[1]]) if rest[0] == "oauth2" else None


def _b2c(
    address: str,
    segment: str,
    policy: str,
    rest: list[str],
    directory: Directory,
    place: PolicyPlace,
    path: str,
) -> tuple[Authority, str]:
    tenant: Tenant | None = directory.tenant(segment)
    flow = tenant.user_flow(policy) if tenant else None
    if flow is None:
        return Authority(Kind.B2C, address, address), f"/-{path}"
    authority = Authority(Kind.B2C, address, address, None, segment, flow, place)
    return authority, _joined(segment, rest)
