"""The setting USER_FLOWS: Azure AD B2C's flows beside that of AUTHORITY."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from keyfob.protocol.authority import Authority, is_policy_name
from keyfob.web import settings_values as values
from keyfob.web.settings_values import Found, Reader, UnfitValue

#: The flow that "Forgot your password?" on the sign-in's page leads to, where there is one.
RESET_PASSWORD = "reset_password"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


def user_flows(reader: Reader, authority: Authority | None) -> Mapping[str, Authority]:
    """The authorities of the flows, by the names that the site has for them."""
    flows: dict[str, Authority] = {}
    found = reader.find("USER_FLOWS")
    if found is None:
        return MappingProxyType(flows)
    entries: Mapping[object, object] = {}
    entries = reader.converted(found, values.mapping, entries)
    if entries and authority is not None and authority.kind != "b2c":
        reader.problem(
            found.key,
            "is for Azure AD B2C: set AUTHORITY to the address of the user flow that signs people "
            "in, such as https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1_signin",
            in_environ=found.in_environ,
        )
        return MappingProxyType(flows)
    for name, policy in entries.items():
        _add(reader, found, authority, flows, name, policy)
    return MappingProxyType(flows)


def _add(
    reader: Reader,
    found: Found,
    authority: Authority | None,
    flows: dict[str, Authority],
    name: object,
    policy: object,
) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        reader.problem(
            found.key,
            f"has {values.shown(name)} for the name of a flow: it begins with a letter and has "
            "small letters, digits and '_', as 'edit_profile' has",
            in_environ=found.in_environ,
        )
        return
    try:
        plain = values.text(policy)
        if not is_policy_name(plain):
            raise UnfitValue(f"is {values.shown(plain)}, which is no user flow's name")
    except ValueError as error:
        reader.problem(found.key, f"[{name!r}] {error}", in_environ=found.in_environ)
        return
    if authority is not None:
        flows[name] = authority.with_policy(plain)
