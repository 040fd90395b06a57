"""AUTHORITIES: settings within a setting, checked as the others are."""

from __future__ import annotations

import json

import pytest

from keyfob.errors import ConfigurationError
from keyfob.web.settings import load_settings
from support.settings_cases import BASIC, load, refused, refused_with

CUSTOMERS = {
    "CLIENT_ID": "customers-client",
    "CLIENT_SECRET": "customers-secret",
    "OIDC_AUTHORITY": "https://id.customers.example",
}


def entry(**more: object) -> dict[str, object]:
    return {"customers": {**CUSTOMERS, **more}}


def test_without_the_setting_there_are_none() -> None:
    assert load().authorities == {}


def test_each_has_its_own_and_shares_the_rest() -> None:
    settings = load(
        SCOPES=["User.Read"],
        MAX_ACCOUNTS=2,
        BASE_URL="https://www.contoso.example",
        AUTHORITIES=entry(SCOPES=["shop"], RESPONSE_MODE="form_post"),
    )
    other = settings.authorities["customers"]
    assert other.client_id == "customers-client"
    assert other.client_credential == "customers-secret"
    assert other.authority.url == "https://id.customers.example"
    assert (other.scopes, other.response_mode) == (("shop",), "form_post")
    assert settings.scopes == ("User.Read",)
    assert (other.max_accounts, other.base_url) == (2, "https://www.contoso.example")
    assert other.authorities == {}


def test_what_an_authority_does_not_set_is_not_the_sites_own() -> None:
    settings = load(
        SCOPES=["User.Read"],
        DOWNSTREAM_APIS={"orders": {"base_url": "https://orders.example", "scopes": ["a"]}},
        AUTHORITIES=entry(),
    )
    other = settings.authorities["customers"]
    assert other.scopes == ()
    assert dict(other.downstream_apis) == {}


def test_the_environment_has_it_as_json_and_nothing_of_an_authority_by_itself() -> None:
    environ = {"KEYFOB_AUTHORITIES": json.dumps(entry()), "KEYFOB_SCOPES": "User.Read"}
    settings = load_settings(BASIC, environ, source="flask")
    assert settings.authorities["customers"].client_id == "customers-client"
    assert settings.authorities["customers"].scopes == ()


@pytest.mark.parametrize("name", ["", "Customers", "9", "a/b", "a b", "é", "-a", "a" * 33, 1])
def test_a_name_that_fits_no_address_is_refused(name: object) -> None:
    assert "name of an authority" in refused_with(AUTHORITIES={name: CUSTOMERS})


@pytest.mark.parametrize("value", ["text", 3, None, ["CLIENT_ID"]])
def test_an_entry_is_a_mapping(value: object) -> None:
    assert "must be a mapping" in refused_with(AUTHORITIES={"customers": value})


def test_what_is_wrong_is_called_by_its_place() -> None:
    wrong = {"customers": {"CLIENT_ID": "x", "TENANT": "y", "TOKEN_STORE": "memory://"}}
    text = str(refused({**BASIC, "AUTHORITIES": wrong}))
    within = 'app.config["KEYFOB_AUTHORITIES"]["customers"]'
    assert f'{within}["CLIENT_SECRET"] is missing' in text
    assert f'{within}["TENANT_ID"] is missing' in text
    assert f'{within}["TENANT"] is not a setting; did you mean TENANT_ID?' in text
    assert f'{within}["TOKEN_STORE"] is not a setting' in text
    assert "in the environment" not in text


def test_no_secret_of_an_authority_is_shown() -> None:
    settings = load(AUTHORITIES=entry())
    assert "customers-secret" not in repr(settings)
    with pytest.raises(ConfigurationError) as caught:
        load(AUTHORITIES=entry(CLIENT_SECRET=" customers-secret"))
    assert "customers-secret" not in str(caught.value)
