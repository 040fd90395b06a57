"""The setting ALLOWED_TENANTS: whose people may come in, where the authority serves many."""

from __future__ import annotations

from inspect import iscoroutinefunction

from keyfob.protocol.authority import GUID, PERSONAL_ACCOUNTS_TENANT, Authority
from keyfob.protocol.id_token import TenantRule
from keyfob.web import settings_values as values
from keyfob.web.settings_values import Found, Reader


def allowed_tenants(reader: Reader, authority: Authority | None) -> TenantRule | None:
    """Tenant ids in lower case, a function, or None for every tenant."""
    found = reader.find("ALLOWED_TENANTS")
    if found is None:
        # Not "everybody", as no setting at all would mean: whoever wrote it meant to keep some out.
        if empty := reader.find_empty("ALLOWED_TENANTS"):
            _nobody_allowed(reader, empty)
        return None
    if callable(found.value):
        if iscoroutinefunction(found.value) or iscoroutinefunction(
            getattr(found.value, "__call__", None)  # noqa: B004 - an object's own, async or not
        ):
            reader.problem(found.key, "is an async function, whose answer would be true for all")
        return found.value
    tenants = reader.converted(found, lambda value: frozenset(values.items(value)), None)
    if tenants is None:
        return None
    tenants = frozenset(tenant.lower() for tenant in tenants)
    if not tenants:
        _nobody_allowed(reader, found)
    elif authority is not None and authority.is_microsoft:
        _check_tenants(reader, found, tenants, authority)
    return tenants


def _nobody_allowed(reader: Reader, found: Found) -> None:
    reader.problem(
        found.key,
        "is empty, which lets nobody in. Name the tenants, or leave the setting out to let in "
        "every tenant that the authority serves",
        in_environ=found.in_environ,
    )


def _check_tenants(
    reader: Reader, found: Found, tenants: frozenset[str], authority: Authority
) -> None:
    """What can never match is a mistake; better found now than by the first visitor."""
    names = sorted(each for each in tenants if not GUID.fullmatch(each))
    if names:
        reader.problem(
            found.key,
            f"has {values.shown(names[0])} in it: tenants are compared by id (a GUID), never by "
            f"name. Personal accounts are {PERSONAL_ACCOUNTS_TENANT}",
            in_environ=found.in_environ,
        )
        return
    only = authority.tenant.lower() if authority.kind == "entra" else ""
    if only == "consumers":
        only = PERSONAL_ACCOUNTS_TENANT
    if GUID.fullmatch(only) and only not in tenants:
        reader.problem(
            found.key,
            f"leaves out {only}, the one tenant that the authority serves, so nobody could sign "
            "in. Add it, leave the setting out, or set TENANT_ID to 'organizations'",
            in_environ=found.in_environ,
        )
