"""Which issuer is an authority's own (OpenID Connect Discovery 1.0 §4.3), for each kind of them.

The issuer that metadata name decides whose tokens are believed: it is compared word for word with
each token's. So what is accepted here is exact to the last path segment, and never merely some
host of Microsoft's, where anybody can have a tenant. docs/decisions/issuer-validation.md has the
rules as a table, and what each of them keeps from happening.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import lru_cache
from urllib.parse import urlsplit

from keyfob.errors import ConfigurationError, MetadataError
from keyfob.protocol.authority import (
    GUID,
    PERSONAL_ACCOUNTS_TENANT,
    Authority,
    Kind,
    microsoft_authority,
)
from keyfob.protocol.clouds import CIAM_DOMAIN, cloud_of, is_below
from keyfob.protocol.urls import origin, parse_secure_url

#: Microsoft writes this where the token's own tenant belongs.
TENANT_PLACEHOLDER = "{tenantid}"
#: The one tenant of dSTS, which it also serves by the name of `common`.
DSTS_TENANT = "7a433bfc-2514-4697-b467-e0933190487f"

_OF_TENANT = re.compile(r"/([^/]+)/v2\.0")
_OF_B2C = re.compile(r"/([^/]+)/v2\.0/?")
_OF_B2C_POLICY = re.compile(r"/tfp/([^/]+)/([^/]+)/v2\.0/?", re.IGNORECASE)
_OF_OIDC_TENANT = re.compile(r"/([^/]+)(?:/v2\.0)?")
_FIRST_TENANT = re.compile(r"/(?:tfp/|dstsv2/)?([^/]+)", re.IGNORECASE)


def judge_issuer(authority: Authority, issuer: str, aliases: Collection[str] = ()) -> None:
    """Refuse the issuer of metadata that are not this authority's own.

    :param aliases: hosts that instance discovery says are the same cloud as the authority's.
    :raises MetadataError: with code `issuer_mismatch`.
    """
    if not is_own_issuer(authority, issuer, aliases):
        raise MetadataError(
            f"The metadata at {authority.metadata_url} is that of another issuer: "
            f"{issuer[:200]!r}{_cure(authority, issuer, aliases)}",
            code="issuer_mismatch",
        )


def is_own_issuer(authority: Authority, issuer: str, aliases: Collection[str] = ()) -> bool:
    """Whether `issuer`, of the metadata at the authority's address, is the authority itself.

    :param aliases: as in `judge_issuer`.
    """
    try:
        parts = parse_secure_url(issuer)
    except ValueError:
        return False
    if "?" in issuer or "#" in issuer:
        return False
    where, path = origin(parts), parts.path
    if authority.kind == "oidc":
        return _is_oidc_issuer(authority, where, path)
    if issuer != f"{where}{path}":
        return False
    if authority.kind == "entra":
        return _is_entra_issuer(authority, where, path, aliases)
    return _RULES[authority.kind](authority, where, path)


@lru_cache(maxsize=256)
def tenant_of_issuer(issuer: str) -> str | None:
    """The id of the tenant that an issuer of Microsoft's names, or None where it names none."""
    try:
        found = _FIRST_TENANT.match(urlsplit(issuer).path)
    except ValueError:
        return None
    return found[1] if found and GUID.fullmatch(found[1]) else None


def access_token_issuer(authority: Authority, issuer: str, announced: object) -> str | None:
    """The other issuer that access tokens of this authority may name; None where there is none.

    Entra's of version 1 (`https://sts.windows.net/<tenant>/`) stands in the metadata of its older
    endpoints only, so it is made of the newer one's tenant and the cloud's name for it; where the
    cloud is not known, of the host itself. AD FS announces its own.

    :param issuer: the metadata's, which is the authority's own.
    :param announced: the metadata's member `access_token_issuer`.
    """
    if authority.kind == "adfs":
        places = (f"{scheme}://{urlsplit(issuer).netloc}" for scheme in ("http", "https"))
        own = {f"{place}/adfs/services/trust" for place in places}
        return announced if isinstance(announced, str) and announced in own else None
    parts = urlsplit(issuer)
    found, host = _OF_TENANT.fullmatch(parts.path), parts.hostname or ""
    if authority.kind != "entra" or found is None or is_below(host, CIAM_DOMAIN):
        return None
    cloud = cloud_of(host)
    where = f"https://{cloud.sts_host or cloud.hosts[0]}" if cloud else origin(parts)
    return f"{where}/{found[1]}/"


def _is_entra_issuer(authority: Authority, where: str, path: str, aliases: Collection[str]) -> bool:
    found = _OF_TENANT.fullmatch(path)
    if found is None:
        return False
    if _is_same_cloud(authority, where, aliases):
        return _is_entra_tenant(authority, found[1])
    # External ID under a domain of the site's own keeps the issuer of its tenant.
    return not authority.is_of_known_cloud and _is_external_id(where, path, authority.tenant)


def _is_same_cloud(authority: Authority, where: str, aliases: Collection[str]) -> bool:
    if where == authority.origin:
        return True
    # Its own name at another port is another origin; its other names are at the usual one.
    others = {*authority.aliases, *aliases} - {authority.environment}
    return where in {f"https://{host}" for host in others}


def _is_entra_tenant(authority: Authority, tenant: str) -> bool:
    configured = authority.tenant.lower()
    if authority.serves_many_tenants:
        return tenant == TENANT_PLACEHOLDER
    if configured == "consumers":
        return tenant.lower() == PERSONAL_ACCOUNTS_TENANT
    return _is_tenant(tenant, configured)


def _is_tenant(tenant: str, configured: str) -> bool:
    """Whether `tenant` is an id, and the one that is configured where that is an id too.

    Which id a domain has, only the provider knows.
    """
    if GUID.fullmatch(configured):
        return tenant.lower() == configured.lower()
    return GUID.fullmatch(tenant) is not None


def _is_external_id(where: str, path: str, tenant: str) -> bool:
    """Whether this is the issuer that External ID has for the tenant with this id, and no other."""
    issuer = f"https://{tenant}.{CIAM_DOMAIN}/{tenant}/v2.0"
    return GUID.fullmatch(tenant) is not None and f"{where}{path}".lower() == issuer.lower()


def _is_ciam_issuer(authority: Authority, where: str, path: str) -> bool:
    found = _OF_TENANT.fullmatch(path)
    if found is None or not _is_tenant(found[1], authority.tenant):
        return False
    label = authority.environment.split(".", 1)[0]
    if GUID.fullmatch(label) and found[1].lower() != label.lower():
        return False
    return where == authority.origin or _is_external_id(where, path, found[1])


def _is_b2c_issuer(authority: Authority, where: str, path: str) -> bool:
    if where != authority.origin:
        return False
    if found := _OF_B2C_POLICY.fullmatch(path):
        same = found[2].lower() == authority.policy.lower()
        return same and _is_tenant(found[1], authority.tenant)
    found = _OF_B2C.fullmatch(path)
    return found is not None and _is_tenant(found[1], authority.tenant)


def _is_adfs_issuer(authority: Authority, where: str, path: str) -> bool:
    return where == authority.origin and path.lower().removesuffix("/") == "/adfs"


def _is_dsts_issuer(authority: Authority, where: str, path: str) -> bool:
    configured = authority.tenant.lower()
    tenants = {configured, DSTS_TENANT} if configured == "common" else {configured}
    own = {f"/dstsv2/{tenant}" for tenant in tenants}
    return where == authority.origin and path.lower().removesuffix("/") in own


def _is_oidc_issuer(authority: Authority, where: str, path: str) -> bool:
    """The very address, but for a slash at its end; External ID and B2C by their own rules."""
    if f"{where}{path}".removesuffix("/") == authority.url:
        return True
    own_path = authority.url.removeprefix(authority.origin)
    found = _OF_OIDC_TENANT.fullmatch(own_path)
    if found is not None and _is_external_id(where, path, found[1]):
        return True
    try:
        same = microsoft_authority(authority.url)
    except ConfigurationError:
        return False
    return same.kind in ("b2c", "ciam") and is_own_issuer(same, f"{where}{path}")


_RULES: dict[Kind, Callable[[Authority, str, str], bool]] = {
    "b2c": _is_b2c_issuer,
    "ciam": _is_ciam_issuer,
    "adfs": _is_adfs_issuer,
    "dsts": _is_dsts_issuer,
}


def _cure(authority: Authority, issuer: str, aliases: Collection[str]) -> str:
    if authority.kind != "oidc":
        named = tenant_of_issuer(issuer) or ""
        at_its_id = Authority(f"{authority.origin}/{named}", authority.kind, named)
        if authority.kind == "entra" and is_own_issuer(at_its_id, issuer, aliases):
            return ". If that is the tenant, name it by its id in AUTHORITY"
        return ""
    if TENANT_PLACEHOLDER in issuer:
        return ". It serves many tenants: set AUTHORITY, or TENANT_ID, and not OIDC_AUTHORITY"
    try:
        same = microsoft_authority(authority.url)
    except ConfigurationError:
        return ""
    if is_own_issuer(same, issuer, aliases):
        return ". It is one of Microsoft's: set AUTHORITY, and not OIDC_AUTHORITY"
    return ""
