"""How the client proves itself, and what the token endpoint is sent (RFC 6749 §2.3.1)."""

from __future__ import annotations

import base64
from urllib.parse import unquote_plus

import pytest

from keyfob.errors import ConfigurationError
from keyfob.protocol.client_auth import NO_PROOF, ClientSecret, secret_method
from keyfob.protocol.token_endpoint import build_token_request
from support.id_tokens import metadata

SECRET = "p:ä s%+/&=~"
ENDPOINT = "https://idp.example/token"
LISTED = "token_endpoint_auth_methods_supported"


@pytest.mark.parametrize(
    ("listed", "method"),
    [
        (None, "client_secret_basic"),
        (["client_secret_basic"], "client_secret_basic"),
        (["client_secret_post"], "client_secret_post"),
        (["client_secret_post", "client_secret_basic"], "client_secret_basic"),
        (["private_key_jwt", "client_secret_post", "none"], "client_secret_post"),
    ],
)
def test_the_metadata_says_which_way(listed: list[str] | None, method: str) -> None:
    assert secret_method(metadata(**{LISTED: listed})) == method


@pytest.mark.parametrize("listed", [None, ["client_secret_basic"], ["private_key_jwt"], []])
def test_microsoft_gets_the_secret_in_the_form_as_msal_sends_it(listed: list[str] | None) -> None:
    assert secret_method(metadata("common", **{LISTED: listed})) == "client_secret_post"


@pytest.mark.parametrize("listed", [[], ["none"], ["private_key_jwt", "client_secret_jwt"]])
def test_a_provider_that_takes_no_secret_is_named_with_what_it_takes(listed: list[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"private_key_jwt|none|no way") as caught:
        secret_method(metadata(**{LISTED: listed}))
    assert (caught.value.setting, caught.value.code) == ("CLIENT_SECRET", "auth_method")


def test_basic_encodes_both_halves_and_does_not_repeat_them_in_the_form() -> None:
    proof = ClientSecret("id:1", SECRET).proof(metadata())
    request = build_token_request(ENDPOINT, "id:1", proof, {})
    scheme, _, pair = request.headers["Authorization"].partition(" ")
    name, _, secret = base64.b64decode(pair).decode("ascii").partition(":")
    assert scheme == "Basic"
    assert (unquote_plus(name), unquote_plus(secret)) == ("id:1", SECRET)
    assert request.form == {}


def test_post_puts_both_in_the_form_and_nothing_in_the_header() -> None:
    about = metadata(**{LISTED: ["client_secret_post"]})
    proof = ClientSecret("id", SECRET).proof(about)
    request = build_token_request(ENDPOINT, "id", proof, {})
    assert request.form == {"client_id": "id", "client_secret": SECRET}
    assert "Authorization" not in request.headers


def test_a_client_without_a_secret_names_itself() -> None:
    request = build_token_request(ENDPOINT, "id", NO_PROOF, {"grant_type": "x"})
    assert request.form == {"client_id": "id", "grant_type": "x"}


def test_empty_parameters_are_left_out() -> None:
    grant = {"grant_type": "x", "claims": None, "scope": ""}
    request = build_token_request(ENDPOINT, "id", NO_PROOF, grant, headers={"X": "y"})
    assert request.form == {"client_id": "id", "grant_type": "x"}
    assert (request.method, request.url) == ("POST", ENDPOINT)
    assert request.params == {}
    assert request.headers == {"Accept": "application/json", "X": "y"}
