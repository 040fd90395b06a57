"""Both frameworks under Gunicorn, with two workers, and a real browser's cookies."""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from reliability.gunicorn import environment, running_gunicorn
from reliability.stores import postgres_server
from support.bare_site import with_apis
from support.form_browser import FormBrowser
from support.postgres import PostgresServer
from support.provider import Provider

__all__ = ["postgres_server"]

AT_ONCE = 32
PATIENCE = 60.0


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(revoke_reused_refresh_tokens=True) as provider:
        yield provider


@pytest.fixture
def browser() -> Iterator[FormBrowser]:
    with FormBrowser() as browser:
        yield browser


def test_flask_refreshes_once_and_its_cookie_is_small(
    provider: Provider, browser: FormBrowser, tmp_path: Path
) -> None:
    """Two hundred groups and thirty kilobytes of tokens are behind a cookie of 500 bytes."""
    groups = [f"00000000-0000-4000-8000-{number:012}" for number in range(200)]
    provider.extra_claims = {"groups": groups}

    def swell(document: dict[str, Any]) -> None:
        access, large = document["access_token"], document["access_token"] + "t" * 30_000
        provider._access[large] = provider._access[access]
        document["access_token"] = large

    provider.mutate_token_response = swell
    given = {
        "keyfob": {**with_apis(provider), "TOKEN_STORE": "sqlite:///keyfob.sqlite3"},
        "secret": secrets.token_hex(32),
        "folder": str(tmp_path),
    }
    with running_gunicorn("reliability.flask_site:app", environment(given)) as url:
        check_one_refresh(provider, browser, url)
        cookie = browser.session.cookies["session"]
        assert len(f"session={cookie}") < 500
        assert browser.open(f"{url}/claims").response.json()["groups"] == groups


def test_django_refreshes_once_and_survives_a_restart_of_its_database(
    provider: Provider, browser: FormBrowser, postgres_server: PostgresServer
) -> None:
    pytest.importorskip("psycopg")
    given = {
        "keyfob": with_apis(provider),
        "secret": secrets.token_hex(32),
        "database": postgres_server.host,
    }
    env = environment(given, DJANGO_SETTINGS_MODULE="reliability.django_site")
    migrate = [sys.executable, "-m", "django", "migrate", "--verbosity", "0"]
    subprocess.run(migrate, env=env, check=True)
    with running_gunicorn("reliability.django_wsgi:application", env) as url:
        check_one_refresh(provider, browser, url)
        postgres_server.restart()
        # Connections that broke are found out by the request that uses them.
        deadline = time.monotonic() + PATIENCE
        while (page := browser.open(f"{url}/me")).status != 200:
            assert page.status in (500, 503), page.text
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert page.response.json()["sub"] == provider.person.sub
        assert len(provider.requests_to("authorize")) == 1, "nobody had to sign in again"


def check_one_refresh(provider: Provider, browser: FormBrowser, url: str) -> None:
    """A browser that asks for many pages at once, while its token is over."""
    provider.expires_in = 1
    # Signed in, and stopped before the page, which would refresh by itself.
    browser.stop_at = (f"{url}/me",)
    assert browser.open(f"{url}/me").status in (302, 303)
    browser.stop_at = ()
    provider.expires_in = 3600
    used = len(provider.requests_to("token"))
    time.sleep(1.1)  # no clock can be moved in there

    def ask(_: int) -> Any:
        with requests.Session() as session:
            session.cookies.update(browser.session.cookies)
            return session.get(f"{url}/me", timeout=PATIENCE, allow_redirects=False)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(ask, range(AT_ONCE)))
    assert [answer.status_code for answer in answers] == [200] * AT_ONCE
    assert {answer.json()["sub"] for answer in answers} == {provider.person.sub}
    assert len(provider.requests_to("token")) == used + 1
