"""The test provider's corner of Microsoft Graph: which groups the person is in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from support.provider_http import Reply, Request

if TYPE_CHECKING:
    from support.provider import Provider

CONTEXT = "https://graph.microsoft.com/v1.0/$metadata"


def graph(provider: Provider, request: Request) -> Reply:
    """The answer to a call with a token that is good."""
    if request.endpoint == "member_groups":
        return _checked(provider, request)
    skipped = int(request.query.get("$skiptoken", "0"))
    size = min(provider.groups_page, int(request.query.get("$top", "100")))
    page = provider.groups[skipped : skipped + size]
    answer: dict[str, object] = {
        "@odata.context": f"{CONTEXT}#directoryObjects(id)",
        "value": [{"@odata.type": "#microsoft.graph.group", "id": group} for group in page],
    }
    if skipped + size < len(provider.groups):
        more = urlencode({"$select": "id", "$top": size, "$skiptoken": skipped + size})
        answer["@odata.nextLink"] = f"{provider.base}{request.path}?{more}"
    return provider.json(answer)


def _checked(provider: Provider, request: Request) -> Reply:
    asked = json.loads(request.body)["groupIds"] if request.method == "POST" else []
    if not 0 < len(asked) <= 20:
        return provider.json({"error": {"code": "Request_BadRequest"}}, 400)
    found = [group for group in asked if group in provider.groups]
    return provider.json({"@odata.context": f"{CONTEXT}#Collection(Edm.String)", "value": found})
