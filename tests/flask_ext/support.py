"""Small helpers of the Flask tests."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from support.form_browser import Page
from support.provider import Person, Provider

ADA = Person()
GRACE = Person(
    sub="person-0002",
    name="Grace Padlock",
    preferred_username="grace@contoso.example",
    email="grace@contoso.example",
    oid="55555555-0000-4000-8000-777777777777",
)


def settings_for(provider: Provider, **more: Any) -> dict[str, Any]:
    apis = {"api": {"base_url": f"{provider.base}/api", "scopes": ["profile"]}}
    return {**provider.settings(), "DOWNSTREAM_APIS": apis, **more}


def who(page: Page) -> str:
    return page.html.partition('<p id="who">')[2].partition("</p>")[0]


#: Settings that name a provider nobody asks.
OFFLINE = {
    "CLIENT_ID": "a-client",
    "CLIENT_SECRET": "a-secret",
    "OIDC_AUTHORITY": "http://127.0.0.1:9",
    "TOKEN_STORE": "memory://",
}


def configured(**more: Any) -> Flask:
    """An app with complete settings, and no Keyfob yet."""
    app = Flask("configured")
    app.secret_key = "a secret key for these tests only"
    app.config.update({f"KEYFOB_{k}": v for k, v in {**OFFLINE, **more}.items()})
    return app


def get(app: Flask, path: str, **options: Any) -> TestResponse:
    client: FlaskClient = app.test_client()
    return client.get(path, **options)
