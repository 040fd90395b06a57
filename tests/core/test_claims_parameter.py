"""The `claims` parameter: a challenge, what the client can handle, and claims it forwards."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import ConfigurationError
from keyfob.protocol.claims import claims_object, claims_parameter

CHALLENGE = '{"access_token": {"acrs": {"essential": true, "value": "c1"}}}'


def merged(*arguments: Any) -> Any:
    return json.loads(claims_parameter(*arguments) or "null")


def test_nothing_to_say_says_nothing() -> None:
    assert claims_parameter(None) is None
    assert claims_parameter(None, (), "{}") is None


def test_a_challenge_alone_goes_out_word_for_word() -> None:
    spaced = '  {"access_token" :{} }'
    assert claims_parameter(spaced) == spaced


def test_capabilities_are_announced_in_the_access_tokens_claims() -> None:
    expected = {"access_token": {"xms_cc": {"values": ["CP1", "foo"]}}}
    assert merged(None, ["CP1", "foo"]) == expected


def test_capabilities_are_added_to_a_challenge() -> None:
    assert merged(CHALLENGE, ["cp1"]) == {
        "access_token": {
            "acrs": {"essential": True, "value": "c1"},
            "xms_cc": {"values": ["cp1"]},
        }
    }


def test_forwarded_claims_go_before_all_others() -> None:
    forwarded = '{"access_token": {"acrs": {"value": "c2"}}, "id_token": {"a": null}}'
    assert merged(CHALLENGE, ["cp1"], forwarded) == {
        "access_token": {
            "acrs": {"essential": True, "value": "c2"},
            "xms_cc": {"values": ["cp1"]},
        },
        "id_token": {"a": None},
    }


def test_a_member_that_is_no_object_gives_way() -> None:
    assert merged('{"access_token": null}', ["cp1"]) == {
        "access_token": {"xms_cc": {"values": ["cp1"]}}
    }


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "{'a': 1}", 1, b"{}", '{"a": NaN}', "é"])
def test_what_is_no_json_object_is_refused_by_its_name(text: Any) -> None:
    with pytest.raises(ConfigurationError, match="claims_challenge is a JSON object"):
        claims_parameter(text, ["cp1"])
    with pytest.raises(ConfigurationError, match="forwarded_client_claims is a JSON object"):
        claims_parameter(None, (), text)


@given(st.text() | st.binary() | st.none())
def test_hostile_challenges_are_read_or_refused(text: Any) -> None:
    try:
        found = claims_object(text)
    except ConfigurationError:
        return
    assert found is None or isinstance(found, dict)
