"""The setting ADMIN_CONSENT: whether, and to what, another organisation's administrator agrees."""

from __future__ import annotations

from dataclasses import dataclass

from keyfob.protocol.authority import Authority
from keyfob.web import settings_values as values
from keyfob.web.settings_apis import scope_names
from keyfob.web.settings_values import Found, Reader, UnfitValue


@dataclass(frozen=True)
class AdminConsent:
    """The view for administrators is there.

    :ivar scopes: what to agree to; () for all that the application is registered for.
    """

    scopes: tuple[str, ...] = ()


def admin_consent(reader: Reader, authority: Authority | None) -> AdminConsent | None:
    """What ADMIN_CONSENT says; None where there is no such view."""
    found = reader.find("ADMIN_CONSENT")
    if found is None:
        return None
    chosen = reader.converted(found, _converted, None)
    if chosen is not None and authority is not None and not authority.serves_many_tenants:
        _one_tenant_only(reader, found)
    return chosen


def _converted(value: object) -> AdminConsent | None:
    try:
        return AdminConsent() if values.switch(value) else None
    except UnfitValue:
        if not isinstance(value, (str, list, tuple, set, frozenset)):
            raise UnfitValue(
                f"must be True, False or a list of scopes, and is {values.shown(value)}"
            ) from None
    scopes = scope_names(value)
    if not scopes:
        raise UnfitValue(
            "names no scope that needs anybody's consent; True asks for all that is registered"
        )
    return AdminConsent(scopes)


def _one_tenant_only(reader: Reader, found: Found) -> None:
    reader.problem(
        found.key,
        "is for sites whose people come from many tenants of Microsoft Entra: set TENANT_ID to "
        "'organizations' (or 'common'), or leave this out",
        in_environ=found.in_environ,
    )
