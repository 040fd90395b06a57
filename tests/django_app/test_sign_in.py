"""Signing in on a Django site, against a provider on a real socket."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session

from django_app.pages import who
from django_app.site import RunningSite, running_site
from django_keyfob.models import KeyfobAccount, TokenRecord
from support.form_browser import FormBrowser
from support.provider import Person, Provider


def test_a_visitor_of_a_private_page_signs_in_and_comes_back_to_it(
    site: RunningSite, browser: FormBrowser
) -> None:
    page = browser.open(f"{site.url}/private?a=%20b&a=c")
    assert page.url == f"{site.url}/private?a=%20b&a=c"
    assert who(page) == "Hello Ada Keyring"


def test_the_sign_in_link_comes_back_to_its_page(site: RunningSite, browser: FormBrowser) -> None:
    page = browser.open(f"{site.url}/?x=1")
    assert who(page) == "Nobody"
    page = page.follow("Sign in")
    assert page.url == f"{site.url}/?x=1"
    assert who(page) == "Hello Ada Keyring"


def test_the_api_is_called_in_the_persons_name(site: RunningSite, browser: FormBrowser) -> None:
    page = browser.open(f"{site.url}/me")
    assert page.status == 200, page.text
    assert page.response.json()


def test_a_view_that_needs_a_token_sends_to_the_sign_in_from_within(
    site: RunningSite, browser: FormBrowser
) -> None:
    page = browser.open(f"{site.url}/call")
    assert page.url == f"{site.url}/call"
    assert page.status == 200


def test_all_claims_are_there(site: RunningSite, browser: FormBrowser) -> None:
    claims = browser.open(f"{site.url}/claims").response.json()
    assert claims["name"] == "Ada Keyring"
    assert claims["sub"]


def test_a_person_is_a_user_of_djangos(site: RunningSite, browser: FormBrowser) -> None:
    browser.open(f"{site.url}/private")
    user = User.objects.get()
    assert user.username == "ada@contoso.example"
    assert (user.first_name, user.last_name) == ("Ada", "Keyring")
    assert not user.has_usable_password()
    assert user.last_login is not None
    account = KeyfobAccount.objects.get()
    assert account.user == user
    assert (
        TokenRecord.objects.filter(expires_at__gt=0).count() == 3
    )  # session, its list, used attempt


def test_microsofts_people_are_known_by_tenant_and_object(browser: FormBrowser) -> None:
    with Provider(entra=True) as provider, running_site(provider.settings()) as site:
        page = browser.open(f"{site.url}/private")
        assert who(page) == "Hello Ada Keyring"
        account = KeyfobAccount.objects.get()
        assert (account.issuer, account.subject) == (provider.person.tid, provider.person.oid)
        assert not site.errors


def test_the_session_id_changes_and_what_it_held_stays(
    site: RunningSite, browser: FormBrowser
) -> None:
    browser.open(f"{site.url}/cart?add=book")
    before = browser.session.cookies["sessionid"]
    browser.open(f"{site.url}/private")
    assert browser.session.cookies["sessionid"] != before
    assert not Session.objects.filter(pk=before).exists()
    assert browser.open(f"{site.url}/cart").response.json() == ["book"]


def test_the_session_id_also_changes_when_the_same_person_signs_in_again(
    site: RunningSite, browser: FormBrowser
) -> None:
    browser.open(f"{site.url}/private")
    browser.open(f"{site.url}/cart?add=book")
    before = browser.session.cookies["sessionid"]
    page = browser.open(f"{site.url}/").follow("Sign in")
    assert who(page) == "Hello Ada Keyring"
    assert browser.session.cookies["sessionid"] != before
    assert not Session.objects.filter(pk=before).exists()
    assert browser.open(f"{site.url}/cart").response.json() == ["book"]


def test_another_person_gets_nothing_of_the_session_before(
    site: RunningSite, browser: FormBrowser, provider: Provider
) -> None:
    browser.open(f"{site.url}/private")
    browser.open(f"{site.url}/cart?add=book")
    before = browser.session.cookies["sessionid"]
    provider.person = Person(sub="person-0002", name="Grace Padlock")
    page = browser.open(f"{site.url}/").follow("Sign in")
    assert who(page) == "Hello Grace Padlock"
    assert browser.open(f"{site.url}/cart").response.json() == []
    assert not Session.objects.filter(pk=before).exists()
    assert User.objects.count() == 2


def test_the_tokens_of_the_session_before_are_deleted(
    site: RunningSite, browser: FormBrowser, provider: Provider
) -> None:
    browser.open(f"{site.url}/private")
    provider.person = Person(sub="person-0002", name="Grace Padlock")
    browser.open(f"{site.url}/").follow("Sign in")
    assert TokenRecord.objects.count() == 4  # one session, its list, two used attempts


def test_without_a_next_the_sign_in_leads_home(site: RunningSite, browser: FormBrowser) -> None:
    assert browser.open(f"{site.url}/auth/login").url == f"{site.url}/"


def test_login_redirect_url_counts_where_the_project_set_it(
    keyfob_settings: dict[str, Any], browser: FormBrowser
) -> None:
    with running_site(keyfob_settings, config={"LOGIN_REDIRECT_URL": "/claims"}) as site:
        assert browser.open(f"{site.url}/auth/login").url == f"{site.url}/claims"
        assert browser.open(f"{site.url}/auth/login?next=/user").url == f"{site.url}/user"


def test_a_site_under_a_path_works(keyfob_settings: dict[str, Any], browser: FormBrowser) -> None:
    with running_site(keyfob_settings, script_name="/shop") as site:
        page = browser.open(f"{site.url}/private")
        assert page.url == f"{site.url}/private"
        assert site.url.endswith("/shop")
        assert who(page) == "Hello Ada Keyring"
        assert browser.open(f"{site.url}/auth/login").url == f"{site.url}/"
        assert who(page.submit(button="Sign out")) == ""
        assert not site.errors


def test_a_posted_response_works(keyfob_settings: dict[str, Any], browser: FormBrowser) -> None:
    with running_site({**keyfob_settings, "RESPONSE_MODE": "form_post"}) as site:
        page = browser.open(f"{site.url}/private")
        if page.forms and not page.url.startswith(site.url):
            page = page.submit()
        assert who(page) == "Hello Ada Keyring"
        assert not site.errors


def test_a_replayed_callback_of_a_signed_in_person_goes_on_to_the_site(
    site: RunningSite, browser: FormBrowser
) -> None:
    page = browser.open(f"{site.url}/private")
    callback = next(url for url in page.hops if "/auth/callback" in url)
    page = browser.open(callback)
    assert page.url == f"{site.url}/"
    with FormBrowser() as other:
        page = other.open(callback)
        assert page.status == 400
        assert page.headings == ["This sign-in cannot be completed"]
        assert page.follow("Try again").url == f"{site.url}/"


@pytest.mark.parametrize("store", ["memory://", "sqlite://"])
def test_other_token_stores_work(
    keyfob_settings: dict[str, Any], browser: FormBrowser, store: str
) -> None:
    with running_site({**keyfob_settings, "TOKEN_STORE": store}) as site:
        assert browser.open(f"{site.url}/me").status == 200
        assert not TokenRecord.objects.exists()
        assert not site.errors


def test_atomic_requests_change_nothing(
    keyfob_settings: dict[str, Any], browser: FormBrowser
) -> None:
    from django.db import connections

    databases = connections.settings["default"]
    databases["ATOMIC_REQUESTS"] = True
    try:
        with running_site(keyfob_settings) as site:
            assert browser.open(f"{site.url}/me").status == 200
            assert not site.errors
    finally:
        databases["ATOMIC_REQUESTS"] = False


def test_our_views_are_in_no_transaction_of_the_requests() -> None:
    from django_keyfob import views

    for view in (views.login, views.callback, views.logout, views.logged_out):
        assert view._non_atomic_requests == {"default"}  # type: ignore[attr-defined]
        assert view.login_required is False  # type: ignore[attr-defined]


def test_an_inactive_user_is_not_let_in(site: RunningSite, browser: FormBrowser) -> None:
    page = browser.open(f"{site.url}/private")
    page.submit(button="Sign out")
    User.objects.update(is_active=False)
    page = browser.open(f"{site.url}/private")
    assert page.status == 403
    assert page.headings == ["You cannot sign in here"]
    assert who(browser.open(f"{site.url}/")) == "Nobody"
    assert TokenRecord.objects.count() == 2  # used attempts only


def test_a_provider_that_is_down_gives_a_page_and_the_next_request_tries_again(
    keyfob_settings: dict[str, Any], browser: FormBrowser, provider: Provider
) -> None:
    with Provider() as gone:
        issuer = gone.issuer
    with running_site({**keyfob_settings, "OIDC_AUTHORITY": issuer}) as site:
        page = browser.open(f"{site.url}/private")
        assert page.status == 503
        assert page.headings == ["The sign-in service is not available"]
        assert "Correlation id" in page.text
        assert not site.errors
