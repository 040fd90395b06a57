"""The table of settings, and the page that is written from it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from keyfob.web.settings import Settings
from keyfob.web.settings_table import KEYS, describe_settings, settings_as_markdown

SECRETS = (
    "AUTHORITIES",
    "CLIENT_SECRET",
    "CLIENT_CREDENTIAL",
    "TOKEN_STORE_KEYS",
    "TOKEN_DECRYPTION_KEYS",
)
PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_every_setting_is_described() -> None:
    attributes = {field.name.upper() for field in fields(Settings)}
    choices = {"CLIENT_SECRET", "TENANT_ID", "OIDC_AUTHORITY"}
    assert set(KEYS) == attributes | choices
    assert len(set(KEYS)) == len(KEYS)


@pytest.mark.parametrize("info", describe_settings(), ids=lambda info: info.key)
def test_every_description_is_complete(info) -> None:
    assert info.meaning.endswith(".")
    assert info.example.startswith("`")
    assert info.secret == (info.key in SECRETS)
    assert "|" not in info.meaning + info.default + info.example


def test_the_page_has_the_table_as_it_is() -> None:
    assert settings_as_markdown() in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("key", KEYS)
def test_the_page_names_every_key(key: str) -> None:
    assert f"`{key}`" in PAGE.read_text(encoding="utf-8")
