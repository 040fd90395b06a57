"""Fixtures for Django, in the place of pytest-django's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import django
import pytest

from support.form_browser import FormBrowser
from support.provider import Provider

django.setup()

from django.db import connections  # noqa: E402

from django_app.database import empty_database, make_database  # noqa: E402
from django_app.site import RunningSite, running_site  # noqa: E402


@pytest.fixture(autouse=True)
def database() -> Iterator[None]:
    make_database()
    yield
    empty_database()
    connections.close_all()


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def browser() -> Iterator[FormBrowser]:
    with FormBrowser() as browser:
        yield browser


@pytest.fixture
def keyfob_settings(provider: Provider) -> dict[str, Any]:
    api = {"base_url": f"{provider.base}/api", "scopes": []}
    return {**provider.settings(), "DOWNSTREAM_APIS": {"api": api}}


@pytest.fixture
def site(keyfob_settings: dict[str, Any]) -> Iterator[RunningSite]:
    with running_site(keyfob_settings) as site:
        yield site
        assert not site.errors
