"""App roles and groups: as the claims have them, and as Microsoft Graph is asked about groups.

Entra writes a person's groups into the claim `groups`, as far as there is room (200 in a JWT).
Where there is none, a mark stands in its place: `_claim_names` names `groups` (OpenID Connect Core
§5.6.2), or `hasgroups` is true. Such a mark says "ask", and never "none". Where it says to ask is
not looked at: an address in a token is anybody's word, and often an API's that is gone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from keyfob.errors import ProtocolError
from keyfob.protocol.authority import GUID
from keyfob.protocol.http import strict_json

#: How many groups one `checkMemberGroups` takes, as Graph's reference has it.
MAX_CHECKED = 20
#: How many entries one page of `transitiveMemberOf` has at the most, as Graph's reference has it.
PAGE_SIZE = 999
CHECK_PATH = "me/checkMemberGroups"
LIST_PATH = f"me/transitiveMemberOf?$select=id&$top={PAGE_SIZE}"

_GROUP_TYPE = "#microsoft.graph.group"
#: Members of a directory that are no groups: directory roles and administrative units.
_OTHER_TYPES = re.compile(r"#microsoft\.graph\.\w{1,64}")


@dataclass(frozen=True)
class ClaimedGroups:
    """What the claims say of a person's groups.

    :ivar names: all groups, where they are known: object ids in lower case, others as they are.
    :ivar is_complete: whether they are known.
    :ivar is_silent: whether nothing is said at all: a person in no group looks so, and every
        person whose provider was not told to say.
    """

    names: frozenset[str] = field(repr=False)
    is_complete: bool
    is_silent: bool = False


def claimed_roles(claims: Mapping[str, Any]) -> frozenset[str]:
    """The app roles in `roles`; what is no list of texts, nor one text, names none."""
    return frozenset(_texts(claims.get("roles")) or ())


def claimed_groups(claims: Mapping[str, Any]) -> ClaimedGroups:
    """The groups in `groups`, unless a mark, or its shape, says that these are not all."""
    texts = _texts(claims.get("groups"))
    if texts is not None and not _is_overage(claims):
        # Entra writes object ids in lower case, and there may be two hundred, with each request.
        joined = "".join(texts)
        names = texts if joined == joined.lower() else map(group_name, texts)
        return ClaimedGroups(frozenset(names), is_complete=True)
    is_silent = "groups" not in claims and not _is_overage(claims)
    return ClaimedGroups(frozenset(), is_complete=False, is_silent=is_silent)


def group_name(name: str) -> str:
    """A group as it is compared: an object id in any letter case, any other name exactly."""
    return name.lower() if is_group_id(name) else name


def is_group_id(name: str) -> bool:
    """Whether a group is named by its object id, which no two groups of any tenant share."""
    return GUID.fullmatch(name) is not None


def build_member_check(ids: Collection[str]) -> dict[str, list[str]]:
    """The body that asks of which of these groups the person is a member, directly or through
    other groups (Graph, `directoryObject: checkMemberGroups`)."""
    if not 0 < len(ids) <= MAX_CHECKED:
        raise ValueError(f"checkMemberGroups takes 1 to {MAX_CHECKED} groups")
    return {"groupIds": sorted(ids)}


def parse_member_check(body: bytes) -> tuple[frozenset[str], str]:
    """The groups in one page of an answer, and the address of the next page, or "".

    :raises ProtocolError: it is no such answer.
    """
    values, next_page = _collection(body)
    ids = [group_name(value) for value in values if isinstance(value, str)]
    if len(ids) != len(values):
        raise _malformed()
    return frozenset(ids), next_page


def parse_memberships(body: bytes) -> tuple[frozenset[str], str]:
    """As `parse_member_check`, of an answer that lists whole objects (`transitiveMemberOf`); what
    is no group is left out.

    :raises ProtocolError: it is no such answer.
    """
    values, next_page = _collection(body)
    return frozenset(_group_ids(values)), next_page


def _group_ids(values: Iterable[object]) -> Iterable[str]:
    for value in values:
        kind = value.get("@odata.type") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(kind, str):
            raise _malformed()
        if kind != _GROUP_TYPE and _OTHER_TYPES.fullmatch(kind):
            continue
        if kind != _GROUP_TYPE or not isinstance(value.get("id"), str):
            raise _malformed()
        yield group_name(value["id"])


def _collection(body: bytes) -> tuple[list[object], str]:
    """OData JSON Format 4.01 §4.6.5: a page of a collection."""
    try:
        document = strict_json(body)
    except (ValueError, RecursionError):
        document = None
    values = document.get("value") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(values, list):
        raise _malformed()
    next_page = document.get("@odata.nextLink", "")
    if not isinstance(next_page, str):
        raise _malformed()
    return values, next_page


def _malformed() -> ProtocolError:
    return ProtocolError("Microsoft Graph's answer names no groups", code="graph_answer")


def _is_overage(claims: Mapping[str, Any]) -> bool:
    """Whether a mark stands for groups. One that cannot be read is taken for one."""
    if claims.get("hasgroups", False) is not False:
        return True
    if "_claim_names" not in claims:
        return False
    names = claims["_claim_names"]
    return not isinstance(names, Mapping) or "groups" in names


def _texts(claim: object) -> list[str] | None:
    """A claim of several texts; some providers write a single one without a list (as AD FS does).
    None for anything else."""
    if isinstance(claim, str):
        return [claim] if claim else None
    if isinstance(claim, list) and {str}.issuperset(map(type, claim)):
        return claim
    return None
