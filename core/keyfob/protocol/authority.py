"""Who may sign people in: the authority that a site names, and how its metadata is found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from keyfob.errors import ConfigurationError
from keyfob.protocol.urls import origin, parse_secure_url

Kind = Literal["entra", "b2c", "ciam", "adfs", "oidc"]

#: Tenant names that stand for many tenants.
MULTI_TENANT = frozenset({"common", "organizations"})
#: The tenant in which all personal Microsoft accounts live.
PERSONAL_ACCOUNTS_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
DEFAULT_HOST = "login.microsoftonline.com"

GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TENANT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
_B2C_HOST_SUFFIXES = (".b2clogin.com", ".b2clogin.cn", ".b2clogin.us", ".b2clogin.de")
_CIAM_HOST_SUFFIX = ".ciamlogin.com"
_WELL_KNOWN = "/.well-known/openid-configuration"


@dataclass(frozen=True)
class Authority:
    """One authority: its normalised address, its kind, and its tenant ("" where it has none)."""

    url: str
    kind: Kind
    tenant: str

    @property
    def environment(self) -> str:
        """The host, without port: what the token cache calls `environment`."""
        return urlsplit(self.url).hostname or ""

    @property
    def origin(self) -> str:
        return origin(self.url)

    @property
    def is_microsoft(self) -> bool:
        return self.kind != "oidc"

    @property
    def serves_many_tenants(self) -> bool:
        return self.kind == "entra" and self.tenant.lower() in MULTI_TENANT

    @property
    def metadata_url(self) -> str:
        """Where the discovery document is (OpenID Connect Discovery 1.0 §4; v2.0 at Microsoft)."""
        if self.kind in ("entra", "b2c", "ciam"):
            return f"{self.url}/v2.0{_WELL_KNOWN}"
        return f"{self.url}{_WELL_KNOWN}"


def tenant_authority(tenant_id: str) -> Authority:
    """The authority of TENANT_ID in Microsoft's public cloud."""
    if not _TENANT.fullmatch(tenant_id):
        raise ConfigurationError(
            f"TENANT_ID {tenant_id!r} is not a tenant's id or domain, nor 'common', "
            "'organizations' or 'consumers'",
            setting="TENANT_ID",
        )
    return Authority(f"https://{DEFAULT_HOST}/{tenant_id}", "entra", tenant_id)


def microsoft_authority(url: str) -> Authority:
    """The authority of AUTHORITY: a cloud, a B2C user flow, External ID or ADFS.

    A trailing `/v2.0` or `/` is understood and dropped.
    """
    try:
        parts = parse_secure_url(url)
        if parts.query or parts.fragment:
            raise ValueError("has a query or a fragment")
    except ValueError as error:
        raise ConfigurationError(f"AUTHORITY {url!r} {error}", setting="AUTHORITY") from None
    host = (parts.hostname or "").lower()
    segments = [segment for segment in parts.path.split("/") if segment]
    if segments and segments[-1] == "v2.0":
        segments.pop()
    base = origin(parts)
    if host.endswith(_CIAM_HOST_SUFFIX):
        tenant = segments[0] if segments else f"{host.split('.', 1)[0]}.onmicrosoft.com"
        return Authority(f"{base}/{'/'.join(segments or [tenant])}", "ciam", tenant)
    if not segments:
        raise ConfigurationError(
            f"AUTHORITY {url!r} names no tenant. It looks like https://{DEFAULT_HOST}/<tenant>; "
            "for an OpenID Connect provider that has no tenants use OIDC_AUTHORITY",
            setting="AUTHORITY",
        )
    if segments[0].lower() == "adfs":
        return Authority(f"{base}/{segments[0]}", "adfs", segments[0])
    tenant = segments[1] if segments[0].lower() == "tfp" and len(segments) > 1 else segments[0]
    if host.endswith(_B2C_HOST_SUFFIXES) or segments[-1].lower().startswith("b2c_"):
        return Authority(f"{base}/{'/'.join(segments)}", "b2c", tenant)
    if len(segments) != 1 or not _TENANT.fullmatch(tenant):
        raise ConfigurationError(
            f"AUTHORITY {url!r} should end in one tenant, as https://{DEFAULT_HOST}/<tenant> does; "
            "for another OpenID Connect provider use OIDC_AUTHORITY",
            setting="AUTHORITY",
        )
    return Authority(f"{base}/{tenant}", "entra", tenant)


def oidc_authority(url: str) -> Authority:
    """The authority of OIDC_AUTHORITY: the issuer of any OpenID Connect provider."""
    try:
        parts = parse_secure_url(url)
        if parts.query or parts.fragment:
            raise ValueError("has a query or a fragment")
    except ValueError as error:
        raise ConfigurationError(
            f"OIDC_AUTHORITY {url!r} {error}", setting="OIDC_AUTHORITY"
        ) from None
    path = parts.path.removesuffix(_WELL_KNOWN).rstrip("/")
    return Authority(f"{origin(parts)}{path}", "oidc", "")
