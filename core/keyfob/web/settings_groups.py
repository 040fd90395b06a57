"""The setting GROUPS: the groups that a site uses, by names of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from keyfob.errors import ConfigurationError
from keyfob.protocol.authority import Authority
from keyfob.protocol.id_token import TenantRule
from keyfob.protocol.memberships import group_name, is_group_id
from keyfob.web import settings_values as values
from keyfob.web.settings_values import Reader, UnfitValue

#: Seconds for which an answer about groups is believed, and the most that can be set.
DEFAULT_GROUPS_SECONDS = 300
MAX_GROUPS_SECONDS = 3600


def group_names(
    reader: Reader, authority: Authority | None, allowed_tenants: TenantRule | None
) -> Mapping[str, str]:
    """The groups by the site's names: as the claims and Microsoft Graph have them."""
    found = reader.find("GROUPS")
    nothing: Mapping[str, str] = MappingProxyType({})
    if found is None:
        return nothing
    groups = reader.converted(found, _groups, nothing)
    by_name = sorted(name for name, group in groups.items() if not is_group_id(group))
    if by_name and _serves_many(authority, allowed_tenants):
        reader.problem(
            found.key,
            f"[{by_name[0]!r}] is no object id (a GUID), and the authority serves many tenants: "
            "any of them may have a group of that name. Set the object id, or a TENANT_ID",
            in_environ=found.in_environ,
        )
    return groups


def group_of(groups: Mapping[str, str], name: str) -> str:
    """What a group is compared by that a view names: by the site's name, or by its object id.

    :param groups: the setting's value.
    :raises ConfigurationError: the setting has no such name.
    """
    known = groups.get(name)
    if known is not None:
        return known
    if is_group_id(name):
        return group_name(name)
    near = values.nearest(name, groups)
    hint = f"did you mean {near!r}?" if near else f"it has {', '.join(sorted(groups)) or 'none'}."
    raise ConfigurationError(
        f"There is no group {name!r} in GROUPS; {hint} A group goes by a name in there, or by its "
        "object id (a GUID)",
        setting="GROUPS",
    )


def _groups(value: object) -> Mapping[str, str]:
    groups: dict[str, str] = {}
    for name, group in values.mapping(value).items():
        if not isinstance(name, str) or not name.strip() or is_group_id(name):
            raise UnfitValue(
                f"has {values.shown(name)} for the name of a group: a name of the site's own, such "
                "as 'approvers', which stands for the object id behind it"
            )
        try:
            groups[name] = group_name(_group(group))
        except ValueError as error:
            raise UnfitValue(f"[{name!r}] {error}") from None
    return MappingProxyType(groups)


def _group(value: object) -> str:
    group = values.text(value)
    if not group:
        raise UnfitValue("is empty: the group's object id (a GUID) belongs there")
    return group


def _serves_many(authority: Authority | None, allowed_tenants: TenantRule | None) -> bool:
    if authority is None or not authority.serves_many_tenants:
        return False
    is_one = isinstance(allowed_tenants, Collection) and len(allowed_tenants) == 1
    return not is_one
