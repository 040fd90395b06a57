"""A provider, a browser and a site for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flask_ext.site import RunningSite, running_site
from flask_ext.support import settings_for
from support.form_browser import FormBrowser
from support.provider import Provider


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def browser() -> Iterator[FormBrowser]:
    with FormBrowser() as browser:
        yield browser


@pytest.fixture
def site(provider: Provider) -> Iterator[RunningSite]:
    """No test that uses it may end in a 500."""
    with running_site(settings_for(provider)) as site:
        yield site
        assert not site.errors
