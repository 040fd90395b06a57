"""The examples of docs/protecting-apis.md, as they stand there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import RequestFactory, override_settings

from support.access_tokens import Mint
from support.contract_bearer import settings_of
from support.provider import Provider

PAGE = Path(__file__).parents[2] / "docs" / "protecting-apis.md"
FLASK, DJANGO, REST = re.findall(
    r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(entra=True) as provider:
        yield provider


def run(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, str(PAGE), "exec"), names)
    return names


def request(token: str) -> HttpRequest:
    return RequestFactory().get("/orders", headers={"Authorization": f"Bearer {token}"})


def test_flask(provider: Provider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for key, value in provider.settings("common").items():
        monkeypatch.setitem(os.environ, f"FLASK_KEYFOB_{key}", value)
    monkeypatch.setitem(os.environ, "FLASK_KEYFOB_TOKEN_STORE", "memory://")
    monkeypatch.setitem(os.environ, "FLASK_SECRET_KEY", "a secret of the test's own")
    app = run(FLASK)["app"]
    header = {"Authorization": f"Bearer {Mint(provider).person()}"}
    answer = app.test_client().get("/orders", headers=header)
    assert answer.get_json() == {"caller": "Ada Keyring", "is_app": False}
    assert app.test_client().get("/orders").status_code == 401
    app.extensions["keyfob"].close()


def test_django(provider: Provider) -> None:
    with override_settings(KEYFOB=settings_of(provider)):
        names = run(DJANGO)
        for view in (names["orders"], names["Orders"].as_view()):
            answer = view(request(Mint(provider).person()))
            assert answer.content == b'{"caller": "Ada Keyring"}'
            assert view(RequestFactory().get("/orders")).status_code == 401


def test_django_rest_framework(provider: Provider) -> None:
    with override_settings(KEYFOB=settings_of(provider)):
        view = run(REST)["Orders"].as_view()
        answer = view(request(Mint(provider).person()))
        assert answer.data == {"caller": "Ada Keyring"}
        assert view(RequestFactory().get("/orders")).status_code == 401
