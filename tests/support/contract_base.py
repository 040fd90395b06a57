"""What the parts of the adapter contract share: a provider, a browser, sites, and helpers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from support.bare_site import with_apis
from support.form_browser import FormBrowser, Page
from support.provider import Person, Provider

GRACE = Person(
    sub="person-0002",
    name="Grace <b>Padlock</b>",
    preferred_username="grace@contoso.example",
    oid="55555555-0000-4000-8000-777777777777",
)
FETCH = {"Accept": "application/json", "Sec-Fetch-Dest": "empty"}


class Site(Protocol):
    url: str
    errors: list[BaseException]
    log: list[str]


RunningSite = Callable[..., AbstractContextManager[Site]]


def who(page: Page) -> str:
    return page.html.partition('<p id="who">')[2].partition("</p>")[0]


def next_of(location: str) -> str:
    return parse_qs(urlsplit(location).query)["next"][0]


def once(browser: FormBrowser, url: str, method: str = "GET", **more: Any) -> requests.Response:
    """One request with the browser's cookies, and no redirect followed."""
    return browser.session.request(method, url, allow_redirects=False, timeout=20, **more)


class ContractBase:
    """The behaviours. `site` is one with the plain settings; `start` makes another."""

    #: The pages that no decorator of the framework's own guards: those know nothing of scripts.
    guarded_by_us: tuple[str, ...] = ("/private", "/me", "/call", "/claims")

    @pytest.fixture
    def running_site(self) -> RunningSite:
        raise NotImplementedError

    @pytest.fixture
    def provider(self) -> Iterator[Provider]:
        with Provider() as provider:
            yield provider

    @pytest.fixture
    def browser(self) -> Iterator[FormBrowser]:
        with FormBrowser() as browser:
            yield browser

    @pytest.fixture
    def start(self, running_site: RunningSite) -> Iterator[Callable[..., Site]]:
        """Start a site; whatever a test does to it, nothing may end in a 500."""
        with ExitStack() as stack:
            sites: list[Site] = []

            def start(settings: dict[str, object], **more: Any) -> Site:
                sites.append(stack.enter_context(running_site(settings, **more)))
                return sites[-1]

            yield start
            assert [error for site in sites for error in site.errors] == []

    @pytest.fixture
    def site(self, start: Callable[..., Site], provider: Provider) -> Site:
        return start(with_apis(provider))
