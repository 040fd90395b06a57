"""Of an entry of DOWNSTREAM_APIS: whose token the API gets, and which requests have it ready."""

from __future__ import annotations

import re
from collections.abc import Collection

from keyfob.protocol.authority import MULTI_TENANT, Authority, tenant_authority
from keyfob.protocol.scopes import resource_of
from keyfob.web import settings_values as values
from keyfob.web.settings_values import UnfitValue

#: Authorities that are no tenant: an application has tokens of its own in a tenant only.
_NO_TENANT = MULTI_TENANT | {"consumers"}
_DEFAULT = "/.default"
#: What a router never has in a path, or what another reader of it takes for something else.
_NO_PREFIX = re.compile(r"[?#\\%\x00-\x20\x7f]|//|/\.{1,2}(?:/|$)")


def is_app_only(value: object) -> bool:
    """Whether the application's own token is meant: true or false, and nothing that is like it."""
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if not isinstance(value, bool):
        raise UnfitValue(f"must be True or False, and is {values.shown(value)}")
    return value


def check_own_scopes(scopes: Collection[str], authority: Authority | None) -> None:
    """Microsoft gives an application's own token for one resource, and all that it was granted
    there.

    :raises UnfitValue: these scopes are not that.
    """
    if authority is not None and not authority.is_microsoft:
        if not scopes:
            raise UnfitValue("is missing or empty: a token of one's own is asked for by its scopes")
        return
    if len(scopes) == 1 and all(scope.endswith(_DEFAULT) for scope in scopes):
        return
    first = next(iter(scopes), "")
    resource = resource_of(first).rstrip("/") or "https://graph.microsoft.com"
    raise UnfitValue(
        "must be one resource with '/.default' behind it, since an application's own token has "
        f"all that was granted to it there: [{resource + _DEFAULT!r}]"
    )


def own_tenant(value: object, authority: Authority | None) -> str | None:
    """The tenant in which an application has a token of its own.

    :param value: as it was set; None where it was not.
    :returns: None for the authority's one.
    """
    if value is None or values.is_empty(value):
        if authority is not None and authority.kind == "entra" and is_no_tenant(authority.tenant):
            raise UnfitValue(
                f"is missing: an application has tokens of its own in one tenant, and the "
                f"authority is {authority.tenant!r}. Name the tenant whose data the API gives: "
                "its id or domain"
            )
        return None
    tenant = values.text(value)
    if authority is not None and authority.kind != "entra":
        raise UnfitValue("is for Microsoft Entra ID; this authority has no other tenants")
    if is_no_tenant(tenant):
        raise UnfitValue(f"is {tenant!r}, which is no tenant; name one by its id or domain")
    try:
        return tenant_authority(tenant).tenant
    except ValueError:
        raise UnfitValue(f"is {values.shown(tenant)}, which is no tenant's id or domain") from None


def is_no_tenant(tenant: str) -> bool:
    return tenant.lower() in _NO_TENANT


def path_prefixes(value: object) -> tuple[str, ...]:
    """Where requests have a token ready: paths below the site's mount point, as its routes have
    them; without a slash at the end."""
    found = values.items(value)
    for prefix in found:
        if not prefix.startswith("/"):
            raise UnfitValue(f"has {values.shown(prefix)} in it, which does not begin with '/'")
        if _NO_PREFIX.search(prefix):
            raise UnfitValue(
                f"has {values.shown(prefix)} in it, which is no plain path: without query, "
                "percent-encoding, white space, '//' or '..', as the site's routes have it"
            )
    return tuple(dict.fromkeys(prefix.rstrip("/") for prefix in found))
