"""Settings: where they come from, and what is said when something is wrong."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import ConfigurationError
from keyfob.web.settings import Settings, load_settings
from keyfob.web.settings_apis import DownstreamApi
from keyfob.web.settings_table import KEYS
from support.settings_cases import (
    BASIC,
    LONG_KEY,
    OTHER_TENANT,
    SECRET,
    TENANT,
    load,
    refused,
    refused_with,
    without,
)


def test_three_settings_are_enough() -> None:
    settings = load()
    assert settings.client_id == "app"
    assert settings.client_credential == SECRET
    assert settings.authority.url == f"https://login.microsoftonline.com/{TENANT}"
    assert settings.allowed_tenants is None
    assert settings.scopes == ()
    assert settings.base_url is None
    assert settings.response_mode == "query"
    assert settings.downstream_apis == {"graph": DownstreamApi("graph", None, ("User.Read",))}
    assert settings.token_store is None
    assert settings.token_store_keys == ()
    assert settings.leeway == 60


def test_settings_cannot_be_changed() -> None:
    settings = load()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.client_id = "other"
    with pytest.raises(TypeError):
        settings.downstream_apis["x"] = settings.downstream_apis["graph"]


def test_the_repr_shows_no_secret() -> None:
    settings = load(TOKEN_STORE_KEYS=[LONG_KEY], TOKEN_STORE="sqlite:///private-name")
    for text in (repr(settings), str(settings), f"{settings}"):
        assert SECRET not in text
        assert LONG_KEY not in text
        assert "private-name" not in text
        assert "client_credential=<hidden>" in text
        assert "client_id='app'" in text


# --- where values come from


def test_everything_can_come_from_the_environment() -> None:
    environ = {
        "KEYFOB_CLIENT_ID": "app",
        "KEYFOB_CLIENT_SECRET": SECRET,
        "KEYFOB_TENANT_ID": "organizations",
        "KEYFOB_ALLOWED_TENANTS": f"{TENANT}, {OTHER_TENANT.upper()}",
        "KEYFOB_SCOPES": "User.Read Mail.Read",
        "KEYFOB_BASE_URL": "https://www.site.example/",
        "KEYFOB_RESPONSE_MODE": "form_post",
        "KEYFOB_DOWNSTREAM_APIS": json.dumps(
            {"orders": {"base_url": "https://orders.example/v1/", "scopes": ["api://o/Read"]}}
        ),
        "KEYFOB_TOKEN_STORE": "memory://",
        "KEYFOB_TOKEN_STORE_KEYS": f"{LONG_KEY}1 {LONG_KEY}2",
        "KEYFOB_LEEWAY": "5",
        "PATH": "/bin",
    }
    settings = load_settings({}, environ, source="flask")
    assert settings.allowed_tenants == {TENANT, OTHER_TENANT}
    assert settings.scopes == ("User.Read", "Mail.Read")
    assert settings.base_url == "https://www.site.example"
    assert settings.response_mode == "form_post"
    assert settings.downstream_apis["orders"] == DownstreamApi(
        "orders", "https://orders.example/v1", ("api://o/Read",)
    )
    assert settings.token_store == "memory://"
    assert settings.token_store_keys == (f"{LONG_KEY}1", f"{LONG_KEY}2")
    assert settings.leeway == 5


def test_the_frameworks_value_goes_before_the_environments() -> None:
    assert load({"KEYFOB_CLIENT_ID": "env"}).client_id == "app"


@pytest.mark.parametrize("empty", ["", "  ", "\n"])
def test_an_empty_text_is_silence(empty: str) -> None:
    settings = load({"KEYFOB_CLIENT_ID": "env", "KEYFOB_LEEWAY": ""}, CLIENT_ID=empty)
    assert settings.client_id == "env"
    assert settings.leeway == 60


def test_an_authority_in_the_frameworks_values_silences_every_other_in_the_environment() -> None:
    environ = {"KEYFOB_AUTHORITY": "https://login.example/x", "KEYFOB_OIDC_AUTHORITY": "rubbish"}
    assert load(environ).authority.tenant == TENANT


def test_a_credential_in_the_frameworks_values_silences_the_environments() -> None:
    assert load({"KEYFOB_CLIENT_CREDENTIAL": '{"a": 1}'}).client_credential == SECRET


def test_an_authority_may_come_from_the_environment() -> None:
    explicit = {**without("TENANT_ID"), "AUTHORITY": ""}
    environ = {"KEYFOB_OIDC_AUTHORITY": "https://id.example/realm/"}
    settings = load_settings(explicit, environ, source="django")
    assert settings.authority.kind == "oidc"
    assert settings.authority.url == "https://id.example/realm"
    assert settings.downstream_apis == {}


@pytest.mark.parametrize(
    ("key", "value", "other", "other_value"),
    [
        ("TENANT_ID", TENANT, "AUTHORITY", f"https://login.microsoftonline.us/{TENANT}"),
        ("TENANT_ID", TENANT, "OIDC_AUTHORITY", "https://id.example"),
        ("AUTHORITY", f"https://login.x.example/{TENANT}", "OIDC_AUTHORITY", "https://id.example"),
        ("CLIENT_SECRET", SECRET, "CLIENT_CREDENTIAL", SECRET),
    ],
)
def test_two_that_exclude_each_other_are_named_both(key, value, other, other_value) -> None:
    choice = ("TENANT_ID",) if key != "CLIENT_SECRET" else ("CLIENT_SECRET",)
    error = refused({**without(*choice), key: value, other: other_value})
    assert f'app.config["KEYFOB_{key}"]' in str(error)
    assert f'app.config["KEYFOB_{other}"]' in str(error)
    assert "contradicts" in str(error)
    assert SECRET not in str(error)
    environ = {f"KEYFOB_{key}": value, f"KEYFOB_{other}": other_value}
    error = refused(without(*choice), environ)
    assert f"KEYFOB_{other} in the environment" in str(error)


# --- what is missing


@pytest.mark.parametrize("key", ["CLIENT_ID", "CLIENT_SECRET", "TENANT_ID"])
@pytest.mark.parametrize(
    ("source", "name"), [("flask", 'app.config["KEYFOB_{}"]'), ("django", 'KEYFOB["{}"]')]
)
def test_what_is_missing_is_named_with_both_places_for_it(key, source, name) -> None:
    error = refused(without(key), source=source)
    assert error.setting == key
    assert str(error).startswith(
        f"{name.format(key)} (or KEYFOB_{key} in the environment) is missing"
    )


def test_a_missing_authority_names_all_three_ways_to_give_one() -> None:
    message = str(refused(without("TENANT_ID")))
    assert all(key in message for key in ("TENANT_ID", "AUTHORITY", "OIDC_AUTHORITY"))


def test_everything_that_is_wrong_is_reported_at_once() -> None:
    error = refused(
        {"CLIENT_SECRET": " x ", "LEEWAY": "soon", "RESPONSE_MODE": "fragment", "NONSENSE": 1},
        {"KEYFOB_BASE_URL": "ftp://x"},
    )
    lines = str(error).splitlines()
    assert lines[0] == "7 of Keyfob's settings need attention:"
    assert len(lines) == 8
    assert all(line.startswith("- ") for line in lines[1:])
    for key in "NONSENSE CLIENT_ID CLIENT_SECRET TENANT_ID LEEWAY RESPONSE_MODE BASE_URL".split():
        assert any(key in line for line in lines), key
    assert error.setting == "NONSENSE"


# --- names that are none


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("CLIENTID", "CLIENT_ID"),
        ("client_id", "CLIENT_ID"),
        ("KEYFOB_CLIENT_ID", "CLIENT_ID"),
        ("TENNANT_ID", "TENANT_ID"),
        ("TENANT", "TENANT_ID"),
        ("SCOPE", "SCOPES"),
        ("OIDC_AUTHORTY", "OIDC_AUTHORITY"),
        ("ISSUER", "OIDC_AUTHORITY"),
        ("REDIRECT_URI", "BASE_URL"),
        ("DOWNSTREAM_API", "DOWNSTREAM_APIS"),
        ("TOKEN_STORE_KEY", "TOKEN_STORE_KEYS"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_right_one(key: str, meant: str) -> None:
    assert f"is not a setting; did you mean {meant}?" in str(refused({**BASIC, key: "x"}))
    message = str(refused(BASIC, {f"KEYFOB_{key}": "x"}))
    assert f"KEYFOB_{key} in the environment" in message
    assert f"did you mean {meant}?" in message


def test_an_unknown_name_that_is_near_nothing_points_to_the_documentation() -> None:
    assert "docs/settings.md" in refused_with(XYZZY=1)
    assert "docs/settings.md" in str(refused({**BASIC, 7: "x"}))  # type: ignore[dict-item]


def test_the_value_of_an_unknown_name_is_not_shown() -> None:
    assert SECRET not in refused_with(CLIENT_SECRETS=SECRET)


@pytest.mark.parametrize(
    "variable",
    [
        "KEYFOB_TEST_REQUIRE",
        "KEYFOB_SERVICE_HOST",
        "KEYFOB_SERVICE_PORT",
        "KEYFOB_SERVICE_PORT_HTTP",
        "KEYFOB_PORT",
        "KEYFOB_PORT_80_TCP",
        "KEYFOB_PORT_80_TCP_ADDR",
        "KEYFOB_WEB_SERVICE_HOST",
        "KEYFOB_WEB_PORT_8000_TCP_PROTO",
        "MY_KEYFOB_X",
        "FLASK_KEYFOB_X",
        "keyfob_x",
    ],
)
def test_variables_that_nobody_meant_as_settings_are_ignored(variable: str) -> None:
    assert load({variable: "x"})


# --- anything at all

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def outcome(explicit, environ) -> Settings | ConfigurationError:
    try:
        return load_settings(explicit, environ, source="flask")
    except ConfigurationError as error:
        return error


@given(
    st.dictionaries(st.sampled_from(KEYS), JSON),
    st.dictionaries(st.sampled_from([f"KEYFOB_{key}" for key in KEYS]), st.text()),
    st.booleans(),
)
def test_any_values_give_settings_or_an_error_that_names_one(explicit, environ, basic) -> None:
    found = outcome({**BASIC, **explicit} if basic else explicit, environ)
    if isinstance(found, ConfigurationError):
        assert found.setting in KEYS
        assert all("KEYFOB_" in line for line in str(found).splitlines()[1:])
