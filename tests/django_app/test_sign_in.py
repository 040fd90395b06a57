"""Signing in and out on a Django site, against a provider on a real socket."""

from __future__ import annotations

from typing import Any

from django_app.site import RunningSite
from support.form_browser import FormBrowser


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
