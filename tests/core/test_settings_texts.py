"""Settings that are texts: what is tidied, what is accepted, what is refused."""

from __future__ import annotations

import pytest

from support.settings_cases import (
    SECRET,
    TENANT,
    load,
    refused,
    refused_with,
    without,
)


@pytest.mark.parametrize("value", ["app\n", " app", "\tapp \r\n"])
def test_white_space_around_an_id_is_dropped(value: str) -> None:
    assert load(CLIENT_ID=value).client_id == "app"


def test_white_space_around_addresses_is_dropped() -> None:
    assert load(BASE_URL=" https://x.example \n").base_url == "https://x.example"
    assert load(TENANT_ID=f"{TENANT}\n").authority.tenant == TENANT


@pytest.mark.parametrize("value", [f"{SECRET}\n", f" {SECRET}", f"{SECRET}\t"])
@pytest.mark.parametrize("key", ["CLIENT_SECRET", "CLIENT_CREDENTIAL"])
def test_white_space_around_a_secret_is_refused_without_showing_it(key: str, value: str) -> None:
    error = refused({**without("CLIENT_SECRET"), key: value})
    assert error.setting == key
    assert "begins or ends with white space" in str(error)
    assert SECRET not in str(error)


def test_a_secret_of_digits_that_flask_made_a_number_is_taken_as_text() -> None:
    assert load(CLIENT_SECRET=12345678901234567890).client_credential == "12345678901234567890"
    assert load(CLIENT_ID=42).client_id == "42"


@pytest.mark.parametrize("value", [1.5, True, False, None, [SECRET], {"a": SECRET}, b"x", object()])
def test_a_secret_of_another_type_is_refused_without_showing_it(value: object) -> None:
    message = refused_with(CLIENT_SECRET=value)
    assert "quotes" in message or "leave the key out" in message
    assert SECRET not in message
    assert "1.5" not in message


@pytest.mark.parametrize("key", ["CLIENT_ID", "TENANT_ID", "BASE_URL", "RESPONSE_MODE"])
@pytest.mark.parametrize("value", [1.5, True, None, ["x"]])
def test_a_text_of_another_type_is_refused(key: str, value: object) -> None:
    assert key in refused_with(**{key: value})


def test_a_line_break_inside_a_text_is_refused_and_makes_no_line_of_its_own() -> None:
    assert "line break" in refused_with(CLIENT_ID="a\nb")
    assert "line break" in refused_with(CLIENT_SECRET="a\nb")
    assert "\n" not in refused_with(SCOPES=["a\nb"])
    assert "\n" not in refused_with(**{"a\nLEEWAY is fine": 1})


@pytest.mark.parametrize(
    "value",
    [
        "...",
        "…",
        "<your client id>",
        "<client-id>",
        "your-client-id",
        "YOUR_CLIENT_ID",
        "your_app_secret",
        "{client_id}",
        "${CLIENT_ID}",
        "{{ client_id }}",
        "Enter_the_Application_Id_Here",
        "changeme",
        "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
    ],
)
def test_a_placeholder_is_recognised(value: str) -> None:
    for key in ("CLIENT_ID", "CLIENT_SECRET", "TENANT_ID"):
        assert "placeholder" in refused_with(**{key: value})


@pytest.mark.parametrize("value", ["your-company.example", "a...b", "yourself", "x", "xxx"])
def test_what_only_resembles_a_placeholder_is_accepted(value: str) -> None:
    assert load(CLIENT_ID=value).client_id == value


@pytest.mark.parametrize(
    "url",
    [
        "https://login.microsoftonline.com/<tenant>",
        "https://login.microsoftonline.com/your-tenant-id",
        "https://login.microsoftonline.com/...",
        "https://{tenant}.ciamlogin.com/",
    ],
)
def test_a_placeholder_in_an_address_is_recognised(url: str) -> None:
    for key in ("AUTHORITY", "OIDC_AUTHORITY"):
        error = refused({**without("TENANT_ID"), key: url})
        assert "placeholder" in str(error)
    assert "placeholder" in refused_with(BASE_URL=url)
