"""The settings of a site that is a web API, one by one."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support.access_tokens import private_pem
from support.provider_jose import rsa_key
from support.settings_cases import load, refused_with


@pytest.mark.parametrize("value", [["a", "b"], "a b", "a,b", '["a", "b"]', {"a", "b"}])
@pytest.mark.parametrize("key", ["AUDIENCES", "ALLOWED_CLIENTS"])
def test_names_may_be_written_in_many_ways(key: str, value: object) -> None:
    assert getattr(load(**{key: value}), key.lower()) == {"a", "b"}


@pytest.mark.parametrize("key", ["AUDIENCES", "ALLOWED_CLIENTS"])
@pytest.mark.parametrize("value", [[], "", "  ", "[]", 5.5, None, [""]])
def test_an_empty_list_is_a_mistake_and_not_the_default(key: str, value: object) -> None:
    assert key in refused_with(**{key: value})


def test_without_them_nothing_is_narrowed() -> None:
    settings = load()
    assert settings.audiences is None
    assert settings.allowed_clients is None
    assert settings.token_decryption_keys == settings.api_scopes == ()


def test_scopes_of_the_api_are_scopes() -> None:
    assert load(API_SCOPES="api://x/A api://x/B").api_scopes == ("api://x/A", "api://x/B")
    assert "not one scope" in refused_with(API_SCOPES=['a"b'])


def test_keys_come_as_a_list_as_json_or_one_after_the_other() -> None:
    one, other = private_pem("decryption").strip(), private_pem("newer").strip()
    for value in ([one, other], json.dumps([one, other]), f"{one}\n{other}\n"):
        settings = load(TOKEN_DECRYPTION_KEYS=value)
        assert settings.token_decryption_keys == (one, other)
        assert "PRIVATE" not in repr(settings)


def _curve() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.mark.parametrize(
    "value",
    [
        "x", ["x"], [5], 5, "[", rsa_key("decryption").public_pem().decode(), _curve(),
        [private_pem(), "x"], private_pem().replace("M", "!"), private_pem("small-1024")[:200],
    ],
)  # fmt: skip
def test_what_is_no_private_rsa_key_is_refused_and_never_shown(value: object) -> None:
    message = refused_with(TOKEN_DECRYPTION_KEYS=value)
    assert "TOKEN_DECRYPTION_KEYS" in message
    assert "MII" not in message
