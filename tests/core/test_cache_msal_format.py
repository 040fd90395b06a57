"""What is written down is what MSAL 1.39 writes, and what MSAL writes is understood."""

import json
from pathlib import Path

import pytest

from keyfob.cache import CredentialType, SerializableTokenCache, compute_ext_cache_key
from keyfob.cache.entries import key_for

GOLDEN = json.loads((Path(__file__).parent / "data" / "token_cache_msal.json").read_text("utf-8"))
NOW = GOLDEN["now"]


@pytest.mark.parametrize("name", GOLDEN["cases"])
def test_the_same_events_serialise_to_the_same_text(name):
    case = GOLDEN["cases"][name]
    cache = SerializableTokenCache()
    for event in case["events"]:
        cache.add(event, now=NOW)
    assert cache.serialize() == case["serialized"]


@pytest.mark.parametrize("name", GOLDEN["cases"])
def test_a_round_trip_changes_no_letter(name):
    text = GOLDEN["cases"][name]["serialized"]
    cache = SerializableTokenCache()
    cache.deserialize(text)
    assert cache.serialize() == text


@pytest.mark.parametrize("name", GOLDEN["cases"])
def test_msals_keys_follow_from_its_entries(name):
    document = json.loads(GOLDEN["cases"][name]["serialized"])
    for section, entries in document.items():
        for key, entry in entries.items():
            assert key_for(section, entry) == key


def test_what_msal_wrote_is_found():
    cache = SerializableTokenCache()
    cache.deserialize(GOLDEN["cases"]["one person"]["serialized"])
    [account] = cache.accounts(["login.microsoftonline.com"], username="ALICE@contoso.example")
    assert list(account) == [
        "home_account_id",
        "environment",
        "username",
        "account_source",
        "authority_type",
        "local_account_id",
        "realm",
    ]
    owner = {
        "home_account_id": account["home_account_id"],
        "environment": account["environment"],
        "client_id": "Client-1",
    }
    token = cache.find_access_token(**owner, realm=account["realm"], scopes=["User.Read"], now=NOW)
    assert token is not None
    assert token["secret"] == "fake-at-Alice@Contoso.example"
    [refresh_token] = cache.find_refresh_tokens(**owner)
    assert refresh_token["secret"] == "fake-rt-Alice@Contoso.example"
    id_token = cache.find_id_token(**owner, realm=account["realm"])
    assert id_token is not None
    assert id_token.endswith(".fake")
    assert not cache.has_state_changed


def test_unknown_sections_entries_and_fields_survive_changes():
    cache = SerializableTokenCache()
    document = json.loads(GOLDEN["cases"]["one person"]["serialized"])
    document["Future"] = {"x": [1, {"y": None}]}
    document["AccessToken"]["strange"] = {"credential_type": "Strange", "nested": {"a": [True]}}
    document["Account"]["not an object"] = 7
    [account] = [entry for entry in document["Account"].values() if isinstance(entry, dict)]
    account["future_field"] = {"kept": 1.5}
    cache.deserialize(json.dumps(document))
    cache.add(GOLDEN["cases"]["application"]["events"][0], now=NOW)
    after = json.loads(cache.serialize())
    assert after["Future"] == document["Future"]
    assert after["AccessToken"]["strange"] == document["AccessToken"]["strange"]
    assert after["Account"] == document["Account"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"fmi_path": "p1"}, "ealemegetkxbm6yrkkggn9jhupuc6epedsvkixauyhu"),
        ({"fmi_path": "p1", "client_id": "c", "scope": "s", "key_id": "k", "code": "x"}, None),
        ({"fmi_path": "p1", "empty": "", "none": None, "zero": 0}, None),
        ({}, ""),
        (None, ""),
        ({"client_secret": "s", "assertion": "a"}, ""),
    ],
)
def test_extended_cache_key(data, expected):
    if expected is None:
        expected = compute_ext_cache_key({"fmi_path": "p1"})
    assert compute_ext_cache_key(data) == expected


def test_extended_cache_key_keeps_parameters_apart():
    assert compute_ext_cache_key({"ab": "c"}) != compute_ext_cache_key({"a": "bc"})
    assert compute_ext_cache_key({"a": "x", "b": "y"}) == compute_ext_cache_key(
        {"b": "y", "a": "x"}
    )
    # Counted in bytes, and total: a lone surrogate has no UTF-8, and is still no reason to fail.
    assert compute_ext_cache_key({"ä": "\ud800"})


def test_keys_of_entries_with_gaps():
    assert key_for(CredentialType.ACCESS_TOKEN, {}) == "--accesstoken---"
    assert key_for(CredentialType.REFRESH_TOKEN, {"client_id": "C", "target": None}) == (
        "--refreshtoken-c--"
    )
    assert key_for(CredentialType.APP_METADATA, {"client_id": "C"}) == "appmetadata--C"
