"""Signing in and out on a Flask site, against a provider on a real socket."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from flask_ext.site import RunningSite, running_site
from flask_ext.support import GRACE, settings_for, who
from keyfob.errors import StoreUnavailable
from keyfob.web.csrf import FIELD
from support.form_browser import FormBrowser
from support.provider import Provider


def test_a_visitor_of_a_private_page_signs_in_and_comes_back_to_it(
    site: RunningSite, browser: FormBrowser
) -> None:
    page = browser.open(f"{site.url}/private?a=%20b&a=c%C3%A9")
    assert page.url == f"{site.url}/private?a=%20b&a=c%C3%A9"
    assert who(page) == "Hello Ada Keyring"


def test_the_sign_in_link_comes_back_to_the_page_it_is_on(
    site: RunningSite, browser: FormBrowser
) -> None:
    page = browser.open(f"{site.url}/?x=1").follow("Sign in")
    assert page.url == f"{site.url}/?x=1"
    assert who(page) == "Hello Ada Keyring"


def test_the_api_is_called_in_the_persons_name(site: RunningSite, browser: FormBrowser) -> None:
    page = browser.open(f"{site.url}/me")
    assert page.status == 200
    assert page.response.json()["displayName"] == "Ada Keyring"


def test_a_view_that_needs_a_token_sends_the_person_to_sign_in(
    site: RunningSite, browser: FormBrowser
) -> None:
    page = browser.open(f"{site.url}/call")
    assert page.url == f"{site.url}/call"
    assert page.response.json()["displayName"] == "Ada Keyring"


def test_a_form_that_needs_a_sign_in_is_sent_after_it(
    site: RunningSite, browser: FormBrowser
) -> None:
    page = browser.send("POST", f"{site.url}/private", [("a", "b")], referrer=f"{site.url}/?form")
    assert page.status == 401
    assert page.follow("Continue").submit(button="Send it").text == "posted"
    assert browser.send("POST", f"{site.url}/private", [("a", "b")]).text == "posted"


def test_a_script_gets_a_problem_document_and_no_login_page(site: RunningSite) -> None:
    answer = requests.get(
        f"{site.url}/me", headers={"Accept": "application/json"}, allow_redirects=False, timeout=10
    )
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["WWW-Authenticate"].startswith("Keyfob ")
    assert answer.json()["login_url"].startswith("/auth/login?")


def test_all_claims_are_at_hand(site: RunningSite, browser: FormBrowser) -> None:
    claims = browser.open(f"{site.url}/claims").response.json()
    assert claims["sub"] == "person-0001"


def test_signing_out_ends_the_session_here_and_at_the_provider(
    site: RunningSite, browser: FormBrowser, provider: Provider
) -> None:
    browser.open(f"{site.url}/cart?add=tea")
    page = browser.open(f"{site.url}/private").submit(button="Sign out")
    (told,) = provider.requests_to("end_session")
    assert told.query["post_logout_redirect_uri"] == f"{site.url}/auth/logged-out"
    assert page.headings == ["You are signed out"]
    assert "and of the sign-in service" in page.text
    assert browser.open(f"{site.url}/session").response.json() == {}
    assert who(browser.open(site.url)) == "Nobody"


def test_signing_out_needs_the_token_of_this_session(
    site: RunningSite, browser: FormBrowser
) -> None:
    page = browser.open(f"{site.url}/private")
    with FormBrowser() as other:
        foreign = other.open(f"{site.url}/private").form(button="Sign out").fields
    for fields in ([], [(FIELD, "wrong")], [(FIELD, "")], [(FIELD, "é")], foreign):
        refused = browser.send("POST", f"{site.url}/auth/logout", fields)
        assert refused.status == 403
        assert refused.headings == ["You were not signed out"]
        assert refused.response.headers["Cache-Control"] == "no-store"
    assert who(browser.open(page.url)) == "Hello Ada Keyring"


def test_a_link_cannot_sign_anybody_out(site: RunningSite, browser: FormBrowser) -> None:
    browser.open(f"{site.url}/private")
    assert browser.open(f"{site.url}/auth/logout").status == 405
    assert who(browser.open(site.url)) == "Hello Ada Keyring"


def test_a_sign_out_button_of_an_ended_session_does_no_harm(
    site: RunningSite, browser: FormBrowser
) -> None:
    page = browser.open(f"{site.url}/private")
    page.submit(button="Sign out")
    browser.open(f"{site.url}/cart?add=tea")
    again = page.submit(button="Sign out")
    assert again.url == f"{site.url}/auth/logged-out"
    assert browser.open(f"{site.url}/cart").response.json() == ["tea"]


def test_what_an_anonymous_visitor_had_stays_at_sign_in(
    site: RunningSite, browser: FormBrowser
) -> None:
    browser.open(f"{site.url}/cart?add=tea")
    browser.open(f"{site.url}/private")
    assert browser.open(f"{site.url}/cart").response.json() == ["tea"]


def test_the_same_person_keeps_their_session(site: RunningSite, browser: FormBrowser) -> None:
    browser.open(f"{site.url}/private")
    browser.open(f"{site.url}/cart?add=tea")
    before = browser.open(f"{site.url}/session").response.json()["_keyfob"]
    browser.open(f"{site.url}/auth/login")
    after = browser.open(f"{site.url}/session").response.json()
    assert after["cart"] == ["tea"]
    assert after["_keyfob"]["a"] == before["a"]
    assert after["_keyfob"]["k"] != before["k"]


def test_another_person_does_not_get_the_former_ones_session(
    site: RunningSite, browser: FormBrowser, provider: Provider
) -> None:
    browser.open(f"{site.url}/private")
    browser.open(f"{site.url}/cart?add=tea")
    provider.person = GRACE
    assert who(browser.open(f"{site.url}/auth/login")) == "Hello Grace Padlock"
    assert browser.open(f"{site.url}/cart").response.json() == []


def test_the_session_cookie_is_small_however_much_the_provider_says(
    provider: Provider, browser: FormBrowser
) -> None:
    provider.extra_claims = {"groups": [f"group-{n:05}" for n in range(5000)], "tid": "t" * 900}
    provider.person = GRACE.__class__(name="N" * 3000, email="e" * 3000, sub="s" * 255)
    with running_site(settings_for(provider)) as site:
        browser.follow_redirects = False
        page = browser.open(f"{site.url}/auth/login")
        page = browser.open(page.response.headers["Location"])
        page = browser.open(page.response.headers["Location"])
        (cookie,) = [
            each
            for each in page.response.raw.headers.getlist("Set-Cookie")
            if each.startswith("session=")
        ]
        assert len(cookie) < 500
        browser.follow_redirects = True
        assert len(browser.open(f"{site.url}/claims").response.json()["groups"]) == 5000
        assert browser.open(f"{site.url}/user").response.json()["name"] == "N" * 3000
        assert not site.errors


def test_our_cookies_are_for_our_own_views_and_hidden_from_scripts(
    site: RunningSite, browser: FormBrowser
) -> None:
    browser.follow_redirects = False
    answer = browser.open(f"{site.url}/auth/login").response
    (cookie,) = answer.raw.headers.getlist("Set-Cookie")
    assert "; HttpOnly" in cookie
    assert "; Path=/auth" in cookie
    assert "; SameSite=Lax" in cookie
    assert "Secure" not in cookie
    assert "Max-Age=600" in cookie
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_used_attempts_cookie_is_removed(site: RunningSite, browser: FormBrowser) -> None:
    browser.open(f"{site.url}/private")
    assert [each.name for each in browser.session.cookies] == ["session"]


def test_a_posted_response_signs_in_without_cross_site_cookies(
    provider: Provider, browser: FormBrowser
) -> None:
    with running_site(settings_for(provider, RESPONSE_MODE="form_post")) as site:
        page = browser.open(f"{site.url}/private")
        form = page.form()
        target = urlsplit(form.action)
        assert f"{target.scheme}://{target.netloc}{target.path}" == f"{site.url}/auth/callback"
        # As a browser does it: the cross-site POST has no cookies, the GET after it does.
        with FormBrowser() as without_cookies:
            without_cookies.follow_redirects = False
            bounce = without_cookies.send("POST", form.action, form.fields)
        assert bounce.status == 303
        page = browser.open(site.url + bounce.response.headers["Location"])
        assert who(page) == "Hello Ada Keyring"
        assert not site.errors


def test_a_replayed_callback_signs_nobody_in(site: RunningSite, browser: FormBrowser) -> None:
    page = browser.open(f"{site.url}/private")
    callback = next(hop for hop in page.hops if "/auth/callback" in hop)
    assert browser.open(callback).url == f"{site.url}/"
    with FormBrowser() as other:
        page = other.open(callback)
        assert page.status == 400
        assert page.headings == ["This sign-in cannot be completed"]
        assert who(page.follow("Try again")) == "Hello Ada Keyring"


def test_a_provider_that_is_down_gets_a_page_and_another_chance(
    browser: FormBrowser, provider: Provider
) -> None:
    settings = {**settings_for(provider), "OIDC_AUTHORITY": "http://127.0.0.1:9"}
    with running_site(settings) as site:
        page = browser.open(f"{site.url}/private")
        assert page.status == 503
        assert page.response.headers["Retry-After"]
        number = re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", page.text)
        assert number
        assert any(number[0] in line for line in site.log)
        again = urlsplit(next(link.href for link in page.links if link.text == "Try again"))
        assert parse_qs(again.query)["next"] == ["/private"]
        assert not site.errors


def test_a_lost_token_store_sends_people_to_sign_in_again(
    site: RunningSite, browser: FormBrowser
) -> None:
    browser.open(f"{site.url}/private")
    store = site.app.extensions["keyfob"].store
    key = browser.open(f"{site.url}/session").response.json()["_keyfob"]["k"]
    store.delete(f"session {key}")
    page = browser.open(f"{site.url}/me")
    assert page.status == 200
    assert page.url == f"{site.url}/me"


@pytest.mark.parametrize("path", ["/auth/login", "/auth/callback", "/auth/logged-out"])
def test_every_answer_of_ours_is_kept_by_no_cache(site: RunningSite, path: str) -> None:
    answer = requests.get(site.url + path, allow_redirects=False, timeout=10)
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_former_sessions_record_that_cannot_be_removed_hinders_no_sign_in(
    site: RunningSite, browser: FormBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(key: str) -> None:
        raise StoreUnavailable("no connection")

    browser.open(f"{site.url}/private")
    monkeypatch.setattr(site.app.extensions["keyfob"].store, "delete", fail)
    assert who(browser.open(f"{site.url}/auth/login?next=/private")) == "Hello Ada Keyring"
    assert any("could not remove" in line for line in site.log)
