"""How long a sign-in lasts where only Django's user is asked for, by the stock guard or by ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import AsyncClient, Client, override_settings

from django_app.pages import who
from django_app.site import RunningSite, running_site
from django_keyfob.conf import current_site
from django_keyfob.models import TokenRecord
from django_keyfob.store import DatabaseStore
from keyfob.errors import StoreUnavailable
from keyfob.web import WebApplication
from support.form_browser import FormBrowser
from support.provider import Provider
from support.provider_http import Reply

#: Guarded by Django's own decorator, by ours, and by our mixin in an async view.
GUARDED = ["/private", "/ours", "/async-class-based"]


@pytest.fixture
def later(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clocks of the site, of its store, and of the provider."""

    def clock() -> float:
        return time.time() + provider.clock_offset

    def move(seconds: float) -> None:
        provider.clock_offset = seconds

    for made in (WebApplication, DatabaseStore):
        monkeypatch.setitem(made.__init__.__kwdefaults__, "clock", clock)  # type: ignore[misc]
    return move


@pytest.fixture
def aging(keyfob_settings: dict[str, Any], later: Callable[[float], None]) -> Iterator[RunningSite]:
    more = {
        "SESSION_IDLE_AGE": 600,
        "ACCOUNT_CHECK_INTERVAL": 300,
        "TOKEN_STORE_L1_SECONDS": 0,
    }
    with running_site({**keyfob_settings, **more}) as site:
        yield site


@pytest.mark.parametrize("path", GUARDED)
def test_whoever_is_busy_is_not_thrown_out(
    aging: RunningSite,
    browser: FormBrowser,
    provider: Provider,
    later: Callable[[float], None],
    path: str,
) -> None:
    browser.open(f"{aging.url}{path}")
    trips = len(provider.requests_to("authorize"))
    for seconds in (250, 500, 750, 1000, 1500):
        later(seconds)
        assert browser.open(f"{aging.url}{path}").status == 200
    assert len(provider.requests_to("authorize")) == trips
    assert not aging.errors


@pytest.mark.parametrize("path", GUARDED)
def test_a_disabled_account_is_sent_to_sign_in(
    aging: RunningSite,
    browser: FormBrowser,
    provider: Provider,
    later: Callable[[float], None],
    path: str,
) -> None:
    browser.open(f"{aging.url}{path}")
    provider.revoke_refresh_tokens()
    client = Client()
    client.cookies["sessionid"] = browser.session.cookies["sessionid"]
    assert client.get(path).status_code == 200
    later(400)
    response = client.get(path)
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/auth/login?next=")
    assert who(browser.open(f"{aging.url}/private")) == "Hello Ada Keyring", "by a new sign-in"
    assert not aging.errors


def test_our_guard_renews_the_sign_in_without_a_page(
    aging: RunningSite,
    browser: FormBrowser,
    provider: Provider,
    later: Callable[[float], None],
) -> None:
    browser.open(f"{aging.url}/ours")
    provider.revoke_refresh_tokens()
    later(400)
    provider.requests.clear()
    assert browser.open(f"{aging.url}/ours").status == 200
    (asked,) = provider.requests_to("authorize")
    assert asked.query["prompt"] == "none"


@pytest.mark.parametrize("path", GUARDED)
def test_who_was_signed_out_elsewhere_is_nobody_to_keyfob_too(
    aging: RunningSite, browser: FormBrowser, path: str
) -> None:
    browser.open(f"{aging.url}{path}")
    TokenRecord.objects.all().delete()
    assert who(browser.open(f"{aging.url}/")) == "Nobody"


@pytest.mark.parametrize("path", GUARDED)
def test_an_outage_of_the_provider_or_the_store_keeps_nobody_out(
    aging: RunningSite,
    browser: FormBrowser,
    provider: Provider,
    later: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    browser.open(f"{aging.url}{path}")
    later(400)
    provider.raw["token"] = lambda _: Reply(503, {}, b"")
    assert browser.open(f"{aging.url}{path}").status == 200

    def away(*_: object) -> None:
        raise StoreUnavailable("The token store is away")

    for name in ("load", "version", "extend"):
        monkeypatch.setattr(current_site().store, name, away)
    assert browser.open(f"{aging.url}{path}").status == 200
    assert not aging.errors


@pytest.mark.parametrize("path", GUARDED[:2])
def test_who_came_by_another_backend_is_asked_nothing(keyfob_settings: Any, path: str) -> None:
    settings = {**keyfob_settings, "ACCOUNT_CHECK_INTERVAL": 300, "SESSION_IDLE_AGE": 600}
    with override_settings(KEYFOB=settings):
        client = Client()
        client.force_login(User.objects.create(username="grace"))
        assert client.get(path).status_code == 200
        assert not TokenRecord.objects.exists()


def test_a_disabled_account_is_nobody_for_an_async_view(
    aging: RunningSite,
    browser: FormBrowser,
    provider: Provider,
    later: Callable[[float], None],
) -> None:
    browser.open(f"{aging.url}/private")
    client = AsyncClient()
    client.cookies["sessionid"] = browser.session.cookies["sessionid"]
    assert async_to_sync(client.get)("/async-who").content == b"True"
    provider.revoke_refresh_tokens()
    later(400)
    assert async_to_sync(client.get)("/async-who").content == b"False"
