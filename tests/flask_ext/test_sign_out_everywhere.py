"""Signing somebody out of every browser: from Python and from a shell."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from flask_ext.site import RunningSite, running_site
from flask_keyfob import Keyfob, current_user
from flask_keyfob.signals import user_logged_out
from keyfob.web import Identity
from support.bare_site import with_apis
from support.contract_base import GRACE, once
from support.contract_logouts import is_ended
from support.failing_store import FailingStore
from support.form_browser import FormBrowser
from support.provider import Provider


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def site(provider: Provider) -> Iterator[RunningSite]:
    with running_site(with_apis(provider)) as site:
        yield site
        assert not site.errors


@pytest.fixture
def browsers(site: RunningSite, provider: Provider) -> Iterator[list[FormBrowser]]:
    """Two of one person, and one of another."""
    with FormBrowser() as one, FormBrowser() as two, FormBrowser() as other:
        one.open(f"{site.url}/me")
        two.open(f"{site.url}/me")
        provider.person = GRACE
        other.open(f"{site.url}/me")
        yield [one, two, other]


def key_of(site: RunningSite, browser: FormBrowser) -> str:
    key: str = browser.open(f"{site.url}/user").response.json()["key"]
    return key


def ended(site: RunningSite, browsers: list[FormBrowser]) -> list[bool]:
    return [is_ended(site, browser) for browser in browsers]


def test_by_key_or_identity(
    site: RunningSite, provider: Provider, browsers: list[FormBrowser]
) -> None:
    with site.app.app_context():
        assert Keyfob.sign_out_everywhere(key_of(site, browsers[0])) == 2
        assert ended(site, browsers) == [True, True, False]
        grace = Identity(provider.issuer, GRACE.sub, {})
        assert Keyfob().sign_out_everywhere(grace) == 1
        assert Keyfob().sign_out_everywhere("nobody") == 0
    assert ended(site, browsers) == [True, True, True]


def test_a_person_ends_all_their_own_sessions(provider: Provider) -> None:
    def add_view(app: Flask) -> None:
        app.add_url_rule(
            "/end", "end", lambda: str(Keyfob.sign_out_everywhere(current_user)), methods=["POST"]
        )

    with (
        running_site(with_apis(provider), before_init=add_view) as site,
        FormBrowser() as one,
        FormBrowser() as two,
    ):
        one.open(f"{site.url}/me")
        two.open(f"{site.url}/me")
        assert once(one, f"{site.url}/end", "POST").text == "2"
        assert ended(site, [one, two]) == [True, True]


def test_nobody_is_no_person(site: RunningSite) -> None:
    with site.app.test_request_context(), pytest.raises(ValueError, match="nobody is signed in"):
        Keyfob.sign_out_everywhere(current_user)


def test_the_command_says_how_many(site: RunningSite, browsers: list[FormBrowser]) -> None:
    runner = site.app.test_cli_runner()
    key = key_of(site, browsers[0])
    for printed in ("2 sessions ended\n", "0 sessions ended\n"):
        result = runner.invoke(args=["keyfob", "sign-out-everywhere", key])
        assert (result.exit_code, result.output) == (0, printed)
    result = runner.invoke(args=["keyfob", "sign-out-everywhere", key_of(site, browsers[2])])
    assert result.output == "1 session ended\n"
    assert ended(site, browsers) == [True, True, True]


def test_the_command_says_that_the_store_is_away(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FailingStore()
    monkeypatch.setattr("flask_keyfob.extension.open_store", lambda *_, **__: store)
    with running_site(with_apis(provider)) as site:
        store.down = "all"
        result = site.app.test_cli_runner().invoke(args=["keyfob", "sign-out-everywhere", "x"])
    assert result.exit_code == 1
    assert result.output == "Error: The token store is away\n"


def test_a_frame_that_signs_its_browser_out_sends_the_signal(
    site: RunningSite, browsers: list[FormBrowser]
) -> None:
    left: list[str] = []

    def note(_app: object, *, user: object) -> None:
        left.append(str(getattr(user, "name", "")))

    with user_logged_out.connected_to(note, site.app):
        headers = {"Sec-Fetch-Dest": "iframe"}
        once(browsers[0], f"{site.url}/auth/frontchannel-logout", headers=headers)
    assert left == ["Ada Keyring"]


def test_flask_wtf_lets_the_providers_post_through(provider: Provider) -> None:
    """The provider has no token of a form, and needs none."""
    flask_wtf = pytest.importorskip("flask_wtf", reason="needs Flask-WTF")
    with running_site(with_apis(provider), before_init=flask_wtf.CSRFProtect) as site:
        answer = site.app.test_client().post("/auth/backchannel-logout")
    assert answer.status_code == 400
    assert answer.json == {
        "error": "invalid_request",
        "error_description": "A logout request has one logout_token",
    }


def test_two_apps_that_share_nothing_end_their_own(provider: Provider) -> None:
    with (
        running_site(with_apis(provider)) as one,
        running_site(with_apis(provider)) as two,
        FormBrowser() as browser,
        two.app.app_context(),
    ):
        browser.open(f"{one.url}/me")
        assert Keyfob.sign_out_everywhere(key_of(one, browser)) == 0
        assert not is_ended(one, browser)
