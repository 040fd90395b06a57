"""Async views, and the whole site under ASGI."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sessions.models import Session
from django.test import AsyncClient, override_settings

from django_app.site import RunningSite
from django_keyfob.models import TokenRecord
from support.form_browser import FormBrowser


@pytest.fixture
def cookie(site: RunningSite, browser: FormBrowser) -> str:
    """A signed-in session's."""
    browser.open(f"{site.url}/me")
    return str(browser.session.cookies["sessionid"])


def _get(path: str, cookie: str = "", **headers: str) -> Any:
    client = AsyncClient()
    if cookie:
        client.cookies["sessionid"] = cookie
    return async_to_sync(client.get)(path, headers=headers)


def test_an_async_view_has_the_user_and_the_token(cookie: str) -> None:
    response = _get("/async-me", cookie)
    assert response.status_code == 200
    assert response.json() == {"name": "Ada Keyring", "again": "Ada Keyring", "token": True}


def test_an_async_class_based_view_as_well(cookie: str) -> None:
    assert _get("/async-class-based", cookie).content == b"Ada Keyring"


@pytest.mark.parametrize("path", ["/async-me", "/async-class-based", "/async-call", "/private"])
def test_who_is_not_signed_in_is_sent_to_sign_in_or_told(path: str) -> None:
    assert _get(path, Accept="text/html").status_code == 302
    assert _get(path, Accept="application/json").status_code == 401


@pytest.mark.parametrize("path", ["/private", "/me", "/call", "/class-based"])
def test_plain_views_work_under_asgi(cookie: str, path: str) -> None:
    assert _get(path, cookie).status_code == 200


def test_an_untouched_page_reads_nothing_under_asgi() -> None:
    response = _get("/async-plain", "something")
    assert response.status_code == 200
    assert "Cookie" not in response.headers.get("Vary", "")


def test_the_whole_way_through_a_sign_in_and_out_under_asgi(
    keyfob_settings: dict[str, Any], browser: FormBrowser
) -> None:
    with override_settings(KEYFOB={**keyfob_settings, "BASE_URL": "http://localhost"}):
        client = AsyncClient()

        def get(path: str) -> Any:
            return async_to_sync(client.get)(path)

        response = get("/auth/login?next=/private")
        assert response.status_code == 302
        browser.stop_at = ("http://localhost/",)
        callback = browser.open(response.headers["Location"]).url
        response = get(callback.removeprefix("http://localhost"))
        assert response.status_code == 302, response.content
        assert response.headers["Location"] == "/private"
        assert b"Hello Ada" in get("/private").content
        response = async_to_sync(client.post)("/auth/logout")
        assert response.status_code == 303
        assert not Session.objects.exists()
        assert not [r for r in TokenRecord.objects.all() if len(r.value) > 500]
