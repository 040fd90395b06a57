"""Signing in and out on a Flask site, against a provider on a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask_ext.site import RunningSite, running_site
from support.form_browser import FormBrowser
from support.provider import Person, Provider


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def browser() -> Iterator[FormBrowser]:
    with FormBrowser() as browser:
        yield browser


def settings(provider: Provider, **more: Any) -> dict[str, Any]:
    apis = {"api": {"base_url": f"{provider.base}/api", "scopes": []}}
    return {**provider.settings(), "DOWNSTREAM_APIS": apis, **more}


@pytest.fixture
def site(provider: Provider) -> Iterator[RunningSite]:
    with running_site(settings(provider)) as site:
        yield site
        assert not site.errors


def who(page: Any) -> str:
    return str(page.html.partition('<p id="who">')[2].partition("</p>")[0])


def test_a_visitor_of_a_private_page_signs_in_and_comes_back_to_it(
    site: RunningSite, browser: FormBrowser
) -> None:
    page = browser.open(f"{site.url}/private?a=%20b&a=c")
    assert page.url == f"{site.url}/private?a=%20b&a=c"
    assert who(page) == "Hello Ada Lovelace"


def test_the_api_is_called_in_the_persons_name(site: RunningSite, browser: FormBrowser) -> None:
    page = browser.open(f"{site.url}/me")
    assert page.status == 200, page.text
    assert page.response.json()


def test_signing_out_ends_the_session_here_and_at_the_provider(
    site: RunningSite, browser: FormBrowser, provider: Provider
) -> None:
    page = browser.open(f"{site.url}/private").submit(button="Sign out")
    assert provider.requests_to("end_session")
    assert page.headings == ["You are signed out"], page
    assert who(browser.open(site.url)) == "Nobody"


def test_what_the_api_says_of_a_person_without_a_token_is_asked_for_inside_the_view(
    site: RunningSite, browser: FormBrowser
) -> None:
    assert browser.open(f"{site.url}/call").url == f"{site.url}/call"
