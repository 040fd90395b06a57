"""Session interfaces, mount points, proxies, signals."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from flask import Flask, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from flask_ext.site import RunningSite, running_site
from flask_ext.support import settings_for, who
from flask_keyfob import current_user
from flask_keyfob.signals import user_logged_in, user_logged_out
from support.form_browser import FormBrowser
from support.provider import Provider


class ServerSession(SecureCookieSession):
    sid = ""


class ServerSideSessions(SecureCookieSessionInterface):
    """As Flask-Session does it: takes any id that a browser brings, and `regenerate` leaves an
    empty session alone."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}

    def open_session(self, app: Flask, request: Any) -> ServerSession:
        sid = request.cookies.get("session") or secrets.token_hex(8)
        found = ServerSession(self.kept.get(sid, {}))
        found.sid = sid
        return found

    def save_session(self, app: Flask, session: Any, response: Any) -> None:
        if session.modified:
            self.kept[session.sid] = dict(session)
            response.set_cookie("session", session.sid, httponly=True)

    def regenerate(self, session: Any) -> None:
        if session:
            self.kept.pop(session.sid, None)
            session.sid = secrets.token_hex(8)
            session.modified = True


@pytest.mark.parametrize("first_page", ["/", "/cart?add=tea"])
def test_a_server_side_session_has_a_new_id_after_sign_in(
    provider: Provider, browser: FormBrowser, first_page: str
) -> None:
    sessions = ServerSideSessions()

    def use(app: Flask) -> None:
        app.session_interface = sessions

    with running_site(settings_for(provider), before_init=use) as site:
        assert site.app.session_interface is sessions
        browser.session.cookies.set("session", "planted", domain="127.0.0.1", path="/")
        browser.open(site.url + first_page)
        assert who(browser.open(f"{site.url}/private")) == "Hello Ada Keyring"
        with requests.Session() as attacker:
            attacker.cookies.set("session", "planted")
            assert "Nobody" in attacker.get(site.url, timeout=10).text
        (kept,) = [each for each in sessions.kept.values() if "_keyfob" in each]
        assert set(kept) <= {"_keyfob", "cart"}
        assert ("cart" in kept) == ("cart" in first_page)
        assert not site.errors


def test_a_session_that_cannot_be_made_new_signs_nobody_in(
    provider: Provider, browser: FormBrowser
) -> None:
    class Broken(ServerSideSessions):
        def regenerate(self, session: Any) -> None:
            raise OSError("no connection")

    def use(app: Flask) -> None:
        app.session_interface = Broken()

    with running_site(settings_for(provider), before_init=use) as site:
        assert browser.open(f"{site.url}/private").status == 500
        assert isinstance(site.errors[0], OSError)
        assert who(browser.open(site.url)) == "Nobody"


def test_signals_tell_what_happened_and_nothing_else(
    site: RunningSite, browser: FormBrowser, provider: Provider
) -> None:
    heard: list[tuple[str, Any, Any]] = []

    def signed_in(app: Flask, *, user: Any, identity: Any) -> None:
        assert user == current_user
        heard.append(("in", app, (user.name, identity.claims["sub"])))

    def signed_out(app: Flask, *, user: Any) -> None:
        heard.append(("out", app, (user.claims["sub"], list(session))))

    with (
        user_logged_in.connected_to(signed_in, site.app),
        user_logged_out.connected_to(signed_out, site.app),
    ):
        browser.open(site.url)
        browser.send("POST", f"{site.url}/auth/logout", [])
        browser.open(f"{site.url}/auth/callback?state=x&code=y")
        provider.mutate_claims = lambda claims: claims.update(aud="somebody else")
        browser.open(f"{site.url}/private")
        assert heard == []
        provider.mutate_claims = None
        page = browser.open(f"{site.url}/private")
        assert heard == [("in", site.app, ("Ada Keyring", "person-0001"))]
        browser.send("POST", f"{site.url}/auth/logout", [])
        assert len(heard) == 1
        page.submit(button="Sign out")
        assert heard[1:] == [("out", site.app, ("person-0001", ["_keyfob"]))]


def test_under_a_mount_point_every_address_has_it(provider: Provider, browser: FormBrowser) -> None:
    with running_site(settings_for(provider), script_name="/näh e") as site:
        page = browser.open(f"{site.url}/private")
        assert page.url == f"{site.url}/private"
        assert who(page) == "Hello Ada Keyring"
        sent = provider.requests_to("authorize")[0].query["redirect_uri"]
        assert sent == f"{site.url}/auth/callback"
        page = page.submit(button="Sign out")
        assert page.url.startswith(f"{site.url}/auth/logged-out")
        assert who(page.follow("To the home page")) == "Nobody"
        assert not site.errors


FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example"}


def test_behind_a_known_proxy_the_public_address_is_used(provider: Provider) -> None:
    with running_site(settings_for(provider), behind_proxy=True) as site:
        answer = requests.get(
            f"{site.url}/auth/login", headers=FORWARDED, allow_redirects=False, timeout=10
        )
        assert "redirect_uri=https%3A%2F%2Fshop.example%2Fauth%2Fcallback" in answer.headers[
            "Location"
        ].replace("%3a", "%3A").replace("%2f", "%2F")
        assert "; Secure" in answer.headers["Set-Cookie"]


def test_an_unknown_proxy_is_explained(provider: Provider) -> None:
    with running_site(settings_for(provider)) as site:
        answer = requests.get(
            f"{site.url}/auth/login", headers=FORWARDED, allow_redirects=False, timeout=10
        )
        assert answer.status_code == 503
        assert "ProxyFix" in answer.text
        assert "BASE_URL" in answer.text
        assert not provider.requests_to("authorize")
        assert not site.errors


def test_base_url_needs_no_proxy_headers(provider: Provider) -> None:
    settings = settings_for(provider, BASE_URL="https://shop.example")
    with running_site(settings) as site:
        answer = requests.get(
            f"{site.url}/auth/login", headers=FORWARDED, allow_redirects=False, timeout=10
        )
        assert "shop.example%2Fauth%2Fcallback" in answer.headers["Location"]
        assert "; Secure" in answer.headers["Set-Cookie"]


def test_a_forged_host_does_not_get_into_the_redirect_uri(provider: Provider) -> None:
    forged = {"Host": "evil.example"}
    settings = settings_for(provider, BASE_URL="https://site.example")
    with running_site(settings) as site:
        answer = site.app.test_client().get("/auth/login", headers=forged)
        query = dict(parse_qsl(urlsplit(answer.location).query))
        assert query["redirect_uri"] == "https://site.example/auth/callback"
    if "TRUSTED_HOSTS" not in Flask.default_config:
        pytest.skip("Flask 3.0 has no TRUSTED_HOSTS")
    with running_site(settings_for(provider), config={"TRUSTED_HOSTS": ["localhost"]}) as site:
        for path in ("/auth/login", "/private"):
            assert site.app.test_client().get(path, headers=forged).status_code == 400
            assert site.app.test_client().get(path).status_code == 302


def test_a_copied_cookie_of_a_signed_out_session_opens_no_guarded_view(
    site: RunningSite, browser: FormBrowser
) -> None:
    page = browser.open(f"{site.url}/private")
    copied = browser.session.cookies["session"]
    page.submit(button="Sign out")
    thief = site.app.test_client()
    thief.set_cookie("session", copied)
    assert thief.get("/private").location.startswith("/auth/login?next=%2Fprivate")
    assert thief.get("/me").status_code == 302
    assert thief.get("/private", headers={"Accept": "application/json"}).status_code == 401
    assert "Hello Ada Keyring" in thief.get("/").text, "the cookie itself still has the name"
