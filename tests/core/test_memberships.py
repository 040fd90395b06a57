"""Roles and groups in claims, and what Microsoft Graph is asked and answers: pure."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import ProtocolError
from keyfob.protocol.memberships import (
    build_member_check,
    claimed_groups,
    claimed_roles,
    parse_member_check,
    parse_memberships,
)

A = "aaaaaaaa-0000-4000-8000-000000000001"
B = "bbbbbbbb-0000-4000-8000-000000000002"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def test_groups_that_are_all_there_are_complete() -> None:
    found = claimed_groups({"groups": [A.upper(), B, "CONTOSO\\Staff"]})
    assert found.is_complete
    assert found.names == {A, B, "CONTOSO\\Staff"}
    assert claimed_groups({"groups": []}).is_complete


def test_a_single_group_may_stand_without_a_list() -> None:
    assert claimed_groups({"groups": "staff"}).names == {"staff"}


@pytest.mark.parametrize(
    "claims",
    [
        {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://x"}}},
        {"_claim_names": {"groups": "src1"}},
        {"_claim_names": {"groups": None}},
        {"_claim_names": {"groups": "src1"}, "groups": [A]},
        {"_claim_names": "groups"},
        {"_claim_names": None},
        {"_claim_names": ["groups"], "groups": [A]},
        {"hasgroups": True},
        {"hasgroups": "true"},
        {"hasgroups": "false"},
        {"hasgroups": 1, "groups": []},
        {"hasgroups": None},
        {"groups": None},
        {"groups": {"0": A}},
        {"groups": [A, 1]},
        {"groups": [[A]]},
        {"groups": ""},
        {"groups": True},
    ],
)
def test_a_mark_or_what_cannot_be_read_is_never_no_groups(claims: dict[str, Any]) -> None:
    found = claimed_groups(claims)
    assert not found.is_complete
    assert not found.is_silent
    assert not found.names


def test_claims_without_a_word_are_silent() -> None:
    for claims in ({}, {"hasgroups": False}, {"_claim_names": {"address": "src1"}}):
        found = claimed_groups(claims)
        assert found.is_silent
        assert not found.is_complete


@given(
    st.fixed_dictionaries({}, optional={"groups": JSON, "hasgroups": JSON, "_claim_names": JSON}),
)
def test_only_a_whole_list_without_any_mark_is_complete(claims: dict[str, Any]) -> None:
    found = claimed_groups(claims)
    names = claims.get("_claim_names", {})
    marked = claims.get("hasgroups", False) is not False or (
        not isinstance(names, dict) or "groups" in names
    )
    if found.is_complete:
        assert not marked
        assert isinstance(claims["groups"], (str, list))
    else:
        assert found.is_silent == (not marked and "groups" not in claims)
        assert not found.names


@given(JSON)
def test_roles_are_texts_whatever_the_claim_is(claim: Any) -> None:
    roles = claimed_roles({"roles": claim})
    if isinstance(claim, list) and all(isinstance(each, str) for each in claim):
        assert roles == frozenset(claim)
    else:
        assert roles == (frozenset([claim]) if isinstance(claim, str) and claim else frozenset())


def test_roles_are_never_taken_apart() -> None:
    assert claimed_roles({"roles": "Reader Admin"}) == {"Reader Admin"}
    assert claimed_roles({}) == frozenset()


def test_twenty_groups_are_asked_about_at_the_most() -> None:
    assert build_member_check({B, A}) == {"groupIds": [A, B]}
    for wrong in ([], [str(number) for number in range(21)]):
        with pytest.raises(ValueError, match="1 to 20"):
            build_member_check(wrong)


def test_an_answer_has_groups_and_the_address_of_the_next_page() -> None:
    body = {"value": [A.upper()], "@odata.nextLink": "https://graph.example/next"}
    assert parse_member_check(json.dumps(body).encode()) == ({A}, "https://graph.example/next")
    assert parse_member_check(b'{"value": []}') == (frozenset(), "")


def test_a_list_leaves_out_what_is_no_group() -> None:
    listed = [
        {"@odata.type": "#microsoft.graph.group", "id": A},
        {"@odata.type": "#microsoft.graph.directoryRole", "id": B},
        {"@odata.type": "#microsoft.graph.administrativeUnit"},
    ]
    assert parse_memberships(json.dumps({"value": listed}).encode()) == ({A}, "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"<html>",
        b"\xff",
        b"null",
        b"{}",
        b'{"value": null}',
        b'{"value": {"0": "x"}}',
        b'{"value": [1]}',
        b'{"value": [null]}',
        b'{"value": [], "@odata.nextLink": 1}',
        b'{"value": [], "@odata.nextLink": null}',
        b'{"value": ["\\ud800"]}',
        b"[" * 100_000,
    ],
)
def test_any_other_answer_is_none(body: bytes) -> None:
    for parse in (parse_member_check, parse_memberships):
        with pytest.raises(ProtocolError) as caught:
            parse(body)
        assert caught.value.code == "graph_answer"


@pytest.mark.parametrize(
    "value",
    ["x", {}, {"id": A}, {"@odata.type": "#microsoft.graph.group"}, {"@odata.type": 1, "id": A},
     {"@odata.type": "group", "id": A}, {"@odata.type": "#microsoft.graph.group", "id": 1}],
)  # fmt: skip
def test_what_is_listed_must_say_what_it_is(value: Any) -> None:
    with pytest.raises(ProtocolError):
        parse_memberships(json.dumps({"value": [value]}).encode())
