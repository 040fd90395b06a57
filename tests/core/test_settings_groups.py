"""The settings GROUPS and GROUPS_CACHE_SECONDS."""

from __future__ import annotations

import json
from typing import Any

import pytest

from keyfob.web.settings import load_settings
from support.settings_cases import OTHER_TENANT, TENANT, load, refused_with, without

GROUP = "AAAAAAAA-0000-4000-8000-00000000000A"
NAME = {"staff": "CONTOSO\\Staff"}


def test_groups_have_names_of_the_sites_own() -> None:
    for value in ({"approvers": GROUP}, json.dumps({"approvers": f" {GROUP} "})):
        assert load(GROUPS=value).groups == {"approvers": GROUP.lower()}
    assert load({"KEYFOB_GROUPS": json.dumps({"a": GROUP})}).groups == {"a": GROUP.lower()}
    assert load().groups == {}


def test_groups_may_be_names_where_one_tenant_alone_can_have_given_them() -> None:
    assert load(GROUPS=NAME).groups == NAME
    one = {"TENANT_ID": "organizations", "ALLOWED_TENANTS": [TENANT]}
    assert load(GROUPS=NAME, **one).groups == NAME
    settings = {**without("TENANT_ID"), "OIDC_AUTHORITY": "https://id.example", "GROUPS": NAME}
    assert load_settings(settings, {}, source="django").groups == NAME


@pytest.mark.parametrize(
    "more", [{}, {"ALLOWED_TENANTS": [TENANT, OTHER_TENANT]}, {"ALLOWED_TENANTS": lambda _: True}]
)
def test_a_name_that_any_tenant_may_have_is_refused(more: dict[str, Any]) -> None:
    message = refused_with(TENANT_ID="organizations", GROUPS=NAME, **more)
    assert "['staff'] is no object id" in message
    assert load(TENANT_ID="organizations", GROUPS={"a": GROUP}, **more).groups


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("approvers", "not the JSON of an object"),
        ([GROUP], "must be a mapping"),
        ({GROUP: "approvers"}, "for the name of a group"),
        ({"": GROUP}, "for the name of a group"),
        ({7: GROUP}, "for the name of a group"),
        ({"a": ""}, "['a'] is empty"),
        ({"a": None}, "['a'] is None"),
        ({"a": [GROUP]}, "['a'] must be a text"),
        ({"a": "<group id>"}, "['a'] still is the placeholder"),
    ],
)
def test_what_is_no_group_is_refused(value: object, said: str) -> None:
    assert said in refused_with(GROUPS=value)


def test_an_answer_is_believed_for_up_to_an_hour() -> None:
    assert load().groups_cache_seconds == 300
    assert load(GROUPS_CACHE_SECONDS="0").groups_cache_seconds == 0
    assert load(GROUPS_CACHE_SECONDS=3600).groups_cache_seconds == 3600
    for wrong in (-1, 3601, "soon", True):
        assert "whole number of seconds from 0 to 3600" in refused_with(GROUPS_CACHE_SECONDS=wrong)
