"""Who may sign people in: the authority that a site names, and how its metadata is found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, urlsplit

from keyfob.errors import ConfigurationError
from keyfob.protocol.clouds import (
    AZURE_PUBLIC,
    B2C_DOMAINS,
    CIAM_DOMAIN,
    aliases_of,
    cloud_of,
    is_below,
)
from keyfob.protocol.urls import origin, parse_secure_url

Kind = Literal["entra", "b2c", "ciam", "adfs", "dsts", "oidc"]

#: Tenant names that stand for many tenants.
MULTI_TENANT = frozenset({"common", "organizations"})
#: The tenant in which all personal Microsoft accounts live.
PERSONAL_ACCOUNTS_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
DEFAULT_HOST = AZURE_PUBLIC

GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TENANT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
# The same in an address, where MSAL's guides write "Enter_the_Tenant_Name_Here": whether there is
# such a tenant, the provider says.
_TENANT_SEGMENT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?")
# Azure AD B2C's user flows and custom policies.
_POLICY = re.compile(r"[A-Za-z0-9_-]{1,128}")
_WELL_KNOWN = "/.well-known/openid-configuration"
_VERSION = "v2.0"


@dataclass(frozen=True)
class Authority:
    """One authority: its normalised address, its kind, and its tenant ("" where it has none).

    `policy` is Azure AD B2C's: the user flow or custom policy.
    """

    url: str
    kind: Kind
    tenant: str
    policy: str = ""

    @cached_property
    def environment(self) -> str:
        """The host, without port: what the token cache calls `environment`."""
        return urlsplit(self.url).hostname or ""

    @cached_property
    def aliases(self) -> tuple[str, ...]:
        """The environments whose tokens are this authority's too; its own is the first."""
        return aliases_of(self.environment) if self.kind == "entra" else (self.environment,)

    @property
    def instance(self) -> str:
        """As MSAL calls the host."""
        return self.environment

    @property
    def is_adfs(self) -> bool:
        return self.kind == "adfs"

    @property
    def origin(self) -> str:
        return origin(self.url)

    @property
    def is_microsoft(self) -> bool:
        return self.kind != "oidc"

    @property
    def is_of_known_cloud(self) -> bool:
        """Whether the host is one of those that Microsoft's clouds are known by."""
        return self.kind == "entra" and cloud_of(self.environment) is not None

    @property
    def serves_many_tenants(self) -> bool:
        return self.kind == "entra" and self.tenant.lower() in MULTI_TENANT

    def with_policy(self, policy: str) -> Authority:
        """The same tenant of Azure AD B2C, with another user flow."""
        url = f"{self.url.removesuffix(self.policy)}{policy}"
        return Authority(url, self.kind, self.tenant, policy)

    @property
    def metadata_url(self) -> str:
        """Where the discovery document is (OpenID Connect Discovery 1.0 §4; v2.0 at Microsoft)."""
        if self.kind in ("entra", "b2c", "ciam"):
            return f"{self.url}/{_VERSION}{_WELL_KNOWN}"
        return f"{self.url}{_WELL_KNOWN}"


class AuthorityBuilder:
    """An authority's address from its two parts, for the `authority` of an application.

    :param instance: a cloud's host, such as `AZURE_PUBLIC`; slashes around it are dropped.
    :param tenant: the tenant's id or domain, or `common`, `organizations`, `consumers`; likewise.
    """

    def __init__(self, instance: str, tenant: str) -> None:
        parts: tuple[object, ...] = (instance, tenant)
        if not all(isinstance(part, str) for part in parts):
            raise ConfigurationError("AuthorityBuilder takes a host and a tenant, both as texts")
        self._instance = instance.strip("/")
        self._tenant = tenant.strip("/")

    def __str__(self) -> str:
        return f"https://{self._instance}/{self._tenant}"

    def __repr__(self) -> str:
        return f"AuthorityBuilder({self._instance!r}, {self._tenant!r})"


def is_tenant_name(text: str) -> bool:
    """Whether this may be a tenant's id or domain, in an address."""
    return _TENANT.fullmatch(text) is not None


def is_policy_name(text: str) -> bool:
    """Whether this may be a user flow of Azure AD B2C, or a custom policy, in an address."""
    return _POLICY.fullmatch(text) is not None


def tenant_authority(tenant_id: str) -> Authority:
    """The authority of TENANT_ID in Microsoft's public cloud."""
    if not _TENANT.fullmatch(tenant_id):
        raise ConfigurationError(
            f"TENANT_ID {tenant_id!r} is not a tenant's id or domain, nor 'common', "
            "'organizations' or 'consumers'",
            setting="TENANT_ID",
        )
    return Authority(f"https://{DEFAULT_HOST}/{tenant_id}", "entra", tenant_id)


def microsoft_authority(authority: str | AuthorityBuilder) -> Authority:
    """The authority of AUTHORITY: a cloud, a B2C user flow, External ID, AD FS or dSTS.

    A trailing `/v2.0` or `/` is understood and dropped. The one query that is understood is
    Azure AD B2C's `?p=<user flow>`.

    :raises ConfigurationError: it is none of these.
    """
    url: object = str(authority) if isinstance(authority, AuthorityBuilder) else authority
    return _remembered(url) if isinstance(url, str) else _judged(url)


def _judged(url: object) -> Authority:
    try:
        parts = parse_secure_url(url)
        if parts.fragment:
            raise ValueError("has a fragment")
        return _of_microsoft(parts)
    except ValueError as error:
        raise ConfigurationError(f"AUTHORITY {_shown(url)} {error}", setting="AUTHORITY") from None


#: Some sites build an application for each request, at the same few authorities.
_remembered = lru_cache(maxsize=128)(_judged)


def _shown(url: object) -> str:
    """The address for a message, without the password that somebody may have put into it."""
    return re.sub(r"//[^/]*@", "//...@", repr(url))


def _of_microsoft(parts: SplitResult) -> Authority:
    """:raises ValueError: how the address is wrong, to be read after it."""
    host, base = (parts.hostname or "").lower(), origin(parts)
    segments = _segments(parts)
    first = segments[0].lower() if segments else ""
    if parts.query:
        segments = [*segments, _policy_in(parts.query)]
    if is_below(host, CIAM_DOMAIN):
        return _external_id(base, host, segments)
    if not segments:
        raise ValueError(
            f"names no tenant. It looks like https://{DEFAULT_HOST}/<tenant>; "
            "for an OpenID Connect provider that has no tenants use OIDC_AUTHORITY"
        )
    if first == "dstsv2":
        return _dsts(base, segments)
    if first == "tfp" or _is_b2c(host, segments):
        return _b2c(base, segments)
    if first == "adfs" and len(segments) == 1:
        return Authority(f"{base}/{segments[0]}", "adfs", segments[0])
    if len(segments) != 1 or not _TENANT_SEGMENT.fullmatch(segments[0]):
        raise ValueError(
            f"should end in one tenant, as https://{DEFAULT_HOST}/<tenant> does; "
            "for another OpenID Connect provider use OIDC_AUTHORITY"
        )
    return Authority(f"{base}/{segments[0]}", "entra", segments[0])


def _segments(parts: SplitResult) -> list[str]:
    segments = [segment for segment in parts.path.split("/") if segment]
    if segments and segments[-1].lower() == _VERSION:
        segments.pop()
    return segments


def _policy_in(query: str) -> str:
    """Azure AD B2C takes the user flow in the query as well as in the path.

    Nothing else of a query changes who the authority is, so none is carried to its addresses.
    """
    pairs = parse_qsl(query, keep_blank_values=True)
    if len(pairs) != 1 or pairs[0][0].lower() != "p" or not _names_policy(pairs[0][1]):
        raise ValueError(
            "has a query. Leave it out: only Azure AD B2C's ?p=<user flow> is understood there"
        )
    return pairs[0][1]


def _names_policy(segment: str) -> bool:
    return segment.lower().startswith("b2c_")


def _is_b2c(host: str, segments: list[str]) -> bool:
    below = any(is_below(host, domain) for domain in B2C_DOMAINS)
    # A domain of one's own before Azure AD B2C shows itself by the user flow only.
    return below or (len(segments) > 1 and _names_policy(segments[-1]))


def _b2c(base: str, segments: list[str]) -> Authority:
    by_tfp = segments[0].lower() == "tfp"
    named = segments[1:] if by_tfp else segments
    if len(named) != 2 or not _TENANT.fullmatch(named[0]) or not _POLICY.fullmatch(named[1]):
        raise ValueError(
            "should end in a tenant and a user flow, as "
            "https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1_signin does"
        )
    path = "/".join(["tfp", *named] if by_tfp else named)
    return Authority(f"{base}/{path}", "b2c", named[0], named[1])


def _external_id(base: str, host: str, segments: list[str]) -> Authority:
    label = host.split(".", 1)[0]
    own = label if GUID.fullmatch(label) else f"{label}.onmicrosoft.com"
    tenant = segments[0] if segments else own
    if len(segments) > 1 or not _TENANT.fullmatch(tenant):
        raise ValueError(f"should end in its tenant, as {base}/{own} does, or in nothing")
    return Authority(f"{base}/{tenant}", "ciam", tenant)


def _dsts(base: str, segments: list[str]) -> Authority:
    if len(segments) != 2 or not _TENANT.fullmatch(segments[1]):
        raise ValueError("should end in /dstsv2/<tenant>")
    return Authority(f"{base}/dstsv2/{segments[1]}", "dsts", segments[1])


def oidc_authority(url: str) -> Authority:
    """The authority of OIDC_AUTHORITY: the issuer of any OpenID Connect provider.

    :raises ConfigurationError: it is not an address, or has a query, which no issuer has.
    """
    try:
        parts = parse_secure_url(url)
        if parts.query or parts.fragment:
            raise ValueError("has a query or a fragment")
    except ValueError as error:
        raise ConfigurationError(
            f"OIDC_AUTHORITY {_shown(url)} {error}", setting="OIDC_AUTHORITY"
        ) from None
    path = parts.path.removesuffix(_WELL_KNOWN).rstrip("/")
    return Authority(f"{origin(parts)}{path}", "oidc", "")
