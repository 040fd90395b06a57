"""Groups: in tokens as far as there is room, and in the corner of Graph that knows them all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import requests

from keyfob_emulator import Group
from keyfob_emulator.sample import (
    ADMINISTRATORS_GROUP,
    CONTOSO,
    FABRIKAM,
    ORDER_APPROVERS_GROUP,
    ORDER_DESK_GROUP,
    ORDERS_API,
    PROJECT_GROUPS,
    WAREHOUSE_GROUP,
)

if TYPE_CHECKING:
    from emulator.conftest import Client

ADA, MARGARET, ALAN = "ada@contoso.example", "margaret@contoso.example", "alan@contoso.example"
GRACE, HEDY = "grace@outlook.example", "hedy@fabrikam.example"
ALL_OF_MARGARET = {*PROJECT_GROUPS, ORDER_DESK_GROUP, ORDER_APPROVERS_GROUP}


def post(client: Client, path: str, token: str, body: object) -> requests.Response:
    return client.http.post(
        client.server.url + path, json=body, headers={"Authorization": f"Bearer {token}"}
    )


def checked(client: Client, token: str, *ids: str) -> list[str]:
    response = post(client, "/v1.0/me/checkMemberGroups", token, {"groupIds": list(ids)})
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["@odata.context"].endswith("/v1.0/$metadata#Collection(Edm.String)")
    found: list[str] = body["value"]
    return found


def refused(response: requests.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    assert response.json()["error"]["code"] == code


# Tokens


def test_who_is_in_too_many_groups_has_none_in_the_token_but_an_address(client: Client) -> None:
    claims = client.claims(client.tokens(MARGARET)["id_token"])
    assert "groups" not in claims
    assert claims["_claim_names"] == {"groups": "src1"}
    margaret = client.server.emulator.account(MARGARET).object_id
    endpoint = f"{client.server.url}/v1.0/users/{margaret}/getMemberObjects"
    assert claims["_claim_sources"] == {"src1": {"endpoint": endpoint}}


@pytest.mark.parametrize(("many", "fits"), [(200, True), (201, False)])
def test_two_hundred_groups_fit(client: Client, many: int, fits: bool) -> None:
    emulator = client.server.emulator
    emulator.add(replace(emulator.account(ADA), groups=PROJECT_GROUPS[:many]))
    claims = client.claims(client.tokens()["id_token"])
    assert (len(claims.get("groups", ())) == 200) == fits
    assert ("_claim_names" in claims) != fits


def test_an_account_may_be_marked_so_with_few_groups(client: Client) -> None:
    emulator = client.server.emulator
    emulator.add(replace(emulator.account(ADA), group_overage=True))
    tokens = client.tokens()
    assert "groups" not in client.claims(tokens["id_token"])
    assert "_claim_names" in client.claims(tokens["id_token"])
    assert checked(client, tokens["access_token"], WAREHOUSE_GROUP) == [WAREHOUSE_GROUP]


def test_groups_in_groups_count(client: Client) -> None:
    emulator = client.server.emulator
    emulator.add(replace(emulator.account(ALAN), groups=(ORDER_DESK_GROUP,)))
    emulator.add(Group(ORDER_APPROVERS_GROUP, "Order approvers", CONTOSO, (ORDER_DESK_GROUP,)))
    claims = client.claims(client.tokens(ALAN)["id_token"])
    assert claims["groups"] == [ORDER_DESK_GROUP, ORDER_APPROVERS_GROUP]


def test_an_application_that_is_not_to_be_told_is_told_nothing(client: Client) -> None:
    emulator = client.server.emulator
    emulator.add(replace(emulator.application(client.client_id), group_claims=False))
    claims = client.claims(client.tokens(MARGARET)["id_token"])
    assert not {"groups", "_claim_names", "_claim_sources"} & set(claims)


def test_an_apis_token_has_groups_where_the_api_is_to_be_told(client: Client) -> None:
    emulator = client.server.emulator
    scope = "openid api://orders/Orders.Read"
    assert "groups" not in client.claims(client.tokens(scope=scope)["access_token"])
    emulator.add(replace(emulator.application(ORDERS_API), group_claims=True))
    claims = client.claims(client.tokens(scope=scope, prompt="select_account")["access_token"])
    assert claims["groups"] == [ADMINISTRATORS_GROUP, WAREHOUSE_GROUP]


def test_a_guest_has_the_groups_of_the_tenant_they_are_a_guest_in(client: Client) -> None:
    emulator = client.server.emulator
    at_home = Group("fab00000-0000-4000-8000-000000000001", "Radio", FABRIKAM)
    emulator.add(at_home)
    emulator.add(replace(emulator.account(HEDY), groups=(at_home.group_id, WAREHOUSE_GROUP)))
    guest = client.tokens(HEDY, tenant=CONTOSO)
    assert client.claims(guest["id_token"], CONTOSO)["groups"] == [WAREHOUSE_GROUP]
    assert checked(client, guest["access_token"], at_home.group_id, WAREHOUSE_GROUP) == [
        WAREHOUSE_GROUP
    ]


# Graph


def test_graph_says_which_of_some_groups_a_person_is_in(client: Client) -> None:
    token = client.tokens(MARGARET)["access_token"]
    asked = (PROJECT_GROUPS[0], WAREHOUSE_GROUP, ORDER_APPROVERS_GROUP.upper())
    assert checked(client, token, *asked) == [asked[0], asked[2]]


def test_graph_lists_all_ids_at_the_address_in_the_token_too(client: Client) -> None:
    tokens = client.tokens(MARGARET)
    token = tokens["access_token"]
    endpoint = client.claims(tokens["id_token"])["_claim_sources"]["src1"]["endpoint"]
    for path in ("/v1.0/me/getMemberObjects", endpoint.removeprefix(client.server.url)):
        body = post(client, path, token, {"securityEnabledOnly": False}).json()
        assert set(body["value"]) == ALL_OF_MARGARET
    refused(post(client, path, token, {}), 400, "Request_BadRequest")
    somebody = f"/v1.0/users/{client.server.emulator.account(ADA).object_id}/getMemberObjects"
    body = {"securityEnabledOnly": False}
    refused(post(client, somebody, token, body), 403, "Authorization_RequestDenied")


@pytest.mark.parametrize(
    "body",
    [{}, {"groupIds": []}, {"groupIds": "x"}, {"groupIds": [7]}, {"groupIds": ["no guid"]},
     {"groupIds": list(PROJECT_GROUPS[:21])}],
)  # fmt: skip
def test_graph_takes_one_to_twenty_ids(client: Client, body: object) -> None:
    token = client.tokens()["access_token"]
    refused(post(client, "/v1.0/me/checkMemberGroups", token, body), 400, "Request_BadRequest")
    refused(post(client, "/v1.0/me/checkMemberGroups", token, "no object"), 400, "BadRequest")


def pages(client: Client, path: str, token: str) -> list[dict[str, Any]]:
    found = []
    while path:
        response = client.graph(path, token)
        assert response.status_code == 200, response.text
        found.append(response.json())
        path = found[-1].get("@odata.nextLink", "").removeprefix(client.server.url)
    return found


def test_graph_lists_groups_page_by_page(client: Client) -> None:
    token = client.tokens(MARGARET)["access_token"]
    found = pages(client, "/v1.0/me/transitiveMemberOf?$select=id&$top=100", token)
    assert [len(page["value"]) for page in found] == [100, 100, 42]
    entries = [entry for page in found for entry in page["value"]]
    assert {entry["id"] for entry in entries} == ALL_OF_MARGARET
    assert {tuple(entry) for entry in entries} == {("@odata.type", "id")}
    assert len(pages(client, "/v1.0/me/transitiveMemberOf", token)) == 3
    (direct,) = pages(client, "/v1.0/me/memberOf?$top=999", token)
    assert ORDER_APPROVERS_GROUP not in {entry["id"] for entry in direct["value"]}


@pytest.mark.parametrize(
    "query", ["$top=0", "$top=1000", "$top=x", "$skiptoken=x", "$skiptoken=MA=="]
)
def test_pages_that_there_are_none_of_are_refused(client: Client, query: str) -> None:
    token = client.tokens(MARGARET)["access_token"]
    response = client.graph(f"/v1.0/me/memberOf?{query}", token)
    refused(response, 400, "Request_BadRequest")


def test_graph_counts_where_eventual_is_good_enough(client: Client) -> None:
    token = client.tokens(MARGARET)["access_token"]
    headers = {"Authorization": f"Bearer {token}", "ConsistencyLevel": "eventual"}
    base = f"{client.server.url}/v1.0/me"
    counts = [
        client.http.get(f"{base}/{name}/$count", headers=headers).text
        for name in ("memberOf", "transitiveMemberOf")
    ]
    assert counts == ["241", "242"]
    listed = client.http.get(f"{base}/memberOf?$count=true&$top=5", headers=headers).json()
    assert (listed["@odata.count"], len(listed["value"])) == (241, 5)
    for path in ("memberOf/$count", "memberOf?$count=true"):
        refused(client.graph(f"/v1.0/me/{path}", token), 400, "Request_BadRequest")


def test_names_are_for_who_may_read_groups(client: Client) -> None:
    emulator = client.server.emulator
    token = client.tokens()["access_token"]
    (page,) = pages(client, "/v1.0/me/memberOf", token)
    assert [entry["displayName"] for entry in page["value"]] == [None, None]
    scope = "openid User.Read GroupMember.Read.All"
    emulator.give_consent(ADA, client.client_id, scope)
    token = client.tokens(scope=scope, prompt="select_account")["access_token"]
    (page,) = pages(client, "/v1.0/me/memberOf", token)
    assert [entry["displayName"] for entry in page["value"]] == ["Administrators", "Warehouse"]


def test_without_the_permission_graph_tells_nothing(client: Client) -> None:
    token = client.tokens(scope="openid profile Mail.Read")["access_token"]
    body = {"groupIds": [WAREHOUSE_GROUP], "securityEnabledOnly": False}
    for path in ("checkMemberGroups", "getMemberObjects"):
        response = post(client, f"/v1.0/me/{path}", token, body)
        refused(response, 403, "Authorization_RequestDenied")
    for path in ("memberOf", "transitiveMemberOf", "memberOf/$count"):
        refused(client.graph(f"/v1.0/me/{path}", token), 403, "Authorization_RequestDenied")
    refused(client.graph("/v1.0/me/memberOf", None), 401, "InvalidAuthenticationToken")


def test_a_personal_account_has_no_groups_to_ask_about(client: Client) -> None:
    token = client.tokens(GRACE)["access_token"]
    refused(client.graph("/v1.0/me/memberOf", token), 403, "Authorization_RequestDenied")


def test_graph_may_ask_for_patience_in_the_middle_of_a_list(client: Client) -> None:
    token = client.tokens(MARGARET)["access_token"]
    first = client.graph("/v1.0/me/memberOf", token).json()
    client.server.emulator.fail_next("groups", status=429, retry_after=3)
    path = first["@odata.nextLink"].removeprefix(client.server.url)
    second = client.graph(path, token)
    assert (second.status_code, second.headers["Retry-After"]) == (429, "3")
    assert client.graph(path, token).status_code == 200
