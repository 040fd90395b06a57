"""The corner of Microsoft Graph that knows groups: who is in which, asked about or listed.

Graph's reference: "directoryObject: checkMemberGroups", "user: getMemberObjects", "List a user's
direct memberships", "List a user's memberships (direct and transitive)"; paging and ``$count`` as
in "Paging Microsoft Graph data" and "Advanced query capabilities on directory objects".
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final
from urllib.parse import urlencode

from flask import Blueprint, Response, jsonify, request

from keyfob_emulator import web
from keyfob_emulator.groups import all_groups, direct_groups
from keyfob_emulator.model import is_guid
from keyfob_emulator.views.graph import GraphError, person, tell, weather

blueprint = Blueprint("graph_groups", __name__)
blueprint.register_error_handler(GraphError, tell)
blueprint.before_request(weather)

#: Each is enough: a permission, or several together.
_MAY_ASK: Final = (
    "User.Read",
    "User.ReadBasic.All GroupMember.Read.All",
    "Directory.Read.All",
)
_MAY_LIST: Final = ("User.Read", "GroupMember.Read.All", "Directory.Read.All")
#: Who has none of these is told of groups that they exist, and no more.
_MAY_READ_GROUPS: Final = frozenset({"GroupMember.Read.All", "Directory.Read.All"})
_MOST_ASKED: Final = 20
_USUAL_PAGE: Final = 100
_LARGEST_PAGE: Final = 999


def _bad_request(message: str) -> GraphError:
    return GraphError(400, "Request_BadRequest", message)


def _posted() -> dict[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise GraphError(400, "BadRequest", "Unable to read JSON request payload.")
    return body


def _member(*needed: str) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    """The token's claims, and the person's groups: direct ones, and all."""
    account, claims = person(*needed)
    if account.personal:
        raise GraphError(
            403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."
        )
    directory, tenant_id = web.emulator().directory, str(claims["tid"])
    direct = direct_groups(directory, account, tenant_id)
    return claims, direct, all_groups(directory, account, tenant_id)


def _texts(values: list[str]) -> Response:
    context = f"{web.graph_urls()[0]}/v1.0/$metadata#Collection(Edm.String)"
    return jsonify({"@odata.context": context, "value": values})


@blueprint.post("/v1.0/me/checkMemberGroups")
def check_member_groups() -> Response:
    """Those of the groups asked about that the person is in, directly or through others."""
    failure = web.take_failure("groups")
    if failure:
        return failure
    _, _, groups = _member(*_MAY_ASK)
    asked = _posted().get("groupIds")
    if not isinstance(asked, list) or not asked:
        raise _bad_request("Invalid value specified for property 'groupIds'.")
    if len(asked) > _MOST_ASKED:
        raise _bad_request(f"Too many values specified for 'groupIds': at most {_MOST_ASKED}.")
    for group_id in asked:
        if not isinstance(group_id, str) or not is_guid(group_id):
            raise _bad_request("Invalid object identifier in 'groupIds'.")
    return _texts([group_id for group_id in asked if group_id.lower() in groups])


@blueprint.post("/v1.0/me/getMemberObjects")
@blueprint.post("/v1.0/users/<object_id>/getMemberObjects")
def get_member_objects(object_id: str | None = None) -> Response:
    """The ids of all groups the person is in."""
    failure = web.take_failure("groups")
    if failure:
        return failure
    claims, _, groups = _member("User.Read", "Directory.Read.All")
    if object_id is not None and object_id.lower() != str(claims["oid"]).lower():
        raise GraphError(
            403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."
        )
    if not isinstance(_posted().get("securityEnabledOnly"), bool):
        raise _bad_request("Invalid value specified for property 'securityEnabledOnly'.")
    return _texts(list(groups))


@blueprint.get("/v1.0/me/memberOf")
def member_of() -> Response:
    """The groups the person was put into, page by page."""
    failure = web.take_failure("groups")
    if failure:
        return failure
    claims, direct, _ = _member(*_MAY_LIST)
    return _page(claims, direct)


@blueprint.get("/v1.0/me/transitiveMemberOf")
def transitive_member_of() -> Response:
    """All groups the person is in, page by page."""
    failure = web.take_failure("groups")
    if failure:
        return failure
    claims, _, groups = _member(*_MAY_LIST)
    return _page(claims, groups)


@blueprint.get("/v1.0/me/memberOf/$count")
@blueprint.get("/v1.0/me/transitiveMemberOf/$count")
def count() -> Response:
    """How many these are."""
    failure = web.take_failure("groups")
    if failure:
        return failure
    _, direct, groups = _member(*_MAY_LIST)
    _advanced()
    counted = groups if "transitive" in request.path else direct
    return Response(str(len(counted)), content_type="text/plain")


def _advanced() -> None:
    if request.headers.get("ConsistencyLevel", "").lower() != "eventual":
        raise _bad_request("Request with $count needs the header ConsistencyLevel: eventual.")


def _page(claims: dict[str, Any], groups: tuple[str, ...]) -> Response:
    size, start = _page_size(), _start(len(groups))
    shown = groups[start : start + size]
    answer: dict[str, Any] = {
        "@odata.context": f"{web.graph_urls()[0]}/v1.0/$metadata#directoryObjects"
    }
    if request.args.get("$count", "").lower() == "true":
        _advanced()
        answer["@odata.count"] = len(groups)
    if start + size < len(groups):
        token = base64.urlsafe_b64encode(str(start + size).encode()).decode()
        query = {**request.args.to_dict(), "$skiptoken": token}
        answer["@odata.nextLink"] = f"{web.base_url()}{request.path}?{urlencode(query)}"
    told = bool(_MAY_READ_GROUPS & set(str(claims["scp"]).split()))
    answer["value"] = [_group(group_id, told=told) for group_id in shown]
    return jsonify(answer)


def _page_size() -> int:
    text = request.args.get("$top", str(_USUAL_PAGE))
    if not text.isdecimal() or not 1 <= int(text) <= _LARGEST_PAGE:
        raise _bad_request(f"Invalid page size specified: '{text}'. Must be between 1 and 999.")
    return int(text)


def _start(most: int) -> int:
    token = request.args.get("$skiptoken")
    if token is None:
        return 0
    try:
        start = int(base64.b64decode(token, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        start = -1
    if not 0 < start < most:
        raise _bad_request("Invalid skip token.")
    return start


def _group(group_id: str, *, told: bool) -> dict[str, Any]:
    """One group; who may not read groups is told what it is, and its id."""
    found = web.emulator().directory.group(group_id)
    group: dict[str, Any] = {
        "id": group_id,
        "displayName": found.name if found and told else None,
        "securityEnabled": True if told else None,
    }
    selected = request.args.get("$select")
    if selected:
        wanted = {name.strip() for name in selected.split(",")}
        group = {name: value for name, value in group.items() if name in wanted}
    return {"@odata.type": "#microsoft.graph.group", **group}
