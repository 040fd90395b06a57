"""Django's sign-in and Keyfob's are one: where they part, Keyfob says that nobody is signed in."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, SESSION_KEY, authenticate, login
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.test import Client, override_settings

from django_app.pages import who
from django_app.site import RunningSite, running_site
from django_keyfob.models import TokenRecord
from support.form_browser import FormBrowser
from support.provider import HOME_TENANT, OTHER_TENANT, Provider

BOTH = [
    "django_keyfob.backends.KeyfobBackend",
    "django.contrib.auth.backends.ModelBackend",
]


def _change_session(**changes: Any) -> None:
    """Write into the one session that there is, as another program would."""
    from django.contrib.sessions.backends.db import SessionStore

    session = SessionStore(Session.objects.get().pk)
    for name, value in changes.items():
        if value is None:
            del session[name]
        else:
            session[name] = value
    session.save()


def test_a_deactivated_user_is_nobody_at_once(site: RunningSite, browser: FormBrowser) -> None:
    browser.open(f"{site.url}/private")
    User.objects.update(is_active=False)
    assert who(browser.open(f"{site.url}/")) == "Nobody"
    assert browser.open(f"{site.url}/call").status == 403


def test_a_deleted_user_is_nobody_at_once(site: RunningSite, browser: FormBrowser) -> None:
    browser.open(f"{site.url}/private")
    User.objects.all().delete()
    assert browser.open(f"{site.url}/user").response.json()["is_authenticated"] is False


def test_a_changed_password_ends_the_sign_in(site: RunningSite, browser: FormBrowser) -> None:
    browser.open(f"{site.url}/private")
    user = User.objects.get()
    user.set_password("another")
    user.save()
    assert who(browser.open(f"{site.url}/")) == "Nobody"


@pytest.mark.parametrize(
    "changes",
    [{SESSION_KEY: None}, {SESSION_KEY: "77"}, {BACKEND_SESSION_KEY: BOTH[1]}],
    ids=["nobody", "somebody else", "another backend"],
)
def test_an_entry_that_is_not_the_current_users_counts_for_nothing(
    keyfob_settings: dict[str, Any], browser: FormBrowser, changes: dict[str, Any]
) -> None:
    with running_site(keyfob_settings, config={"AUTHENTICATION_BACKENDS": BOTH}) as site:
        browser.open(f"{site.url}/private")
        User.objects.create(pk=77, username="other")
        _change_session(**changes)
        assert who(browser.open(f"{site.url}/")) == "Nobody"


def test_a_sign_in_with_a_password_ends_keyfobs(
    keyfob_settings: dict[str, Any], browser: FormBrowser
) -> None:
    with running_site(keyfob_settings, config={"AUTHENTICATION_BACKENDS": BOTH}) as site:
        browser.open(f"{site.url}/private")
        user = User.objects.get()
        client = Client()
        client.cookies["sessionid"] = browser.session.cookies["sessionid"]
        request = HttpRequest()
        request.session = client.session
        login(request, user, backend=BOTH[1])
        assert "_keyfob" not in request.session
        assert not [r for r in TokenRecord.objects.all() if len(r.value) > 500]


def test_who_came_by_password_is_nobody_to_keyfob_and_signs_in_for_an_api(
    keyfob_settings: dict[str, Any], provider: Provider
) -> None:
    user = User.objects.create_user("grace", password="a password")
    with override_settings(KEYFOB=keyfob_settings, AUTHENTICATION_BACKENDS=BOTH):
        client = Client()
        assert client.login(username="grace", password="a password")
        assert client.get("/private").status_code == 200
        assert client.get("/user").json()["is_authenticated"] is False
        response = client.get("/me")
        assert response.status_code == 302
        assert response.headers["Location"].startswith("/auth/login?")
        assert user.has_usable_password()


def test_force_login_keeps_working() -> None:
    client = Client()
    client.force_login(User.objects.create(username="grace"))
    assert client.get("/private").status_code == 200


def test_keyfobs_backend_takes_no_passwords() -> None:
    User.objects.create_user("grace", password="a password")
    assert authenticate(username="grace", password="a password") is None


def test_a_refreshed_token_of_somebody_else_ends_both_sign_ins(
    site: RunningSite, browser: FormBrowser, provider: Provider
) -> None:
    browser.open(f"{site.url}/private")
    provider.mutate_refresh_claims = lambda claims: claims.update(sub="somebody-else")
    page = browser.open(f"{site.url}/refreshed")
    assert page.status == 502, page.text
    assert who(browser.open(f"{site.url}/")) == "Nobody"
    assert not Session.objects.exists()


def test_lost_tokens_are_had_again_without_a_question(
    site: RunningSite, browser: FormBrowser
) -> None:
    browser.open(f"{site.url}/private")
    TokenRecord.objects.all().delete()
    assert browser.open(f"{site.url}/call").status == 200


def test_a_tenant_that_is_taken_out_is_out_for_djangos_own_guards_too() -> None:
    with Provider(entra=True) as provider, FormBrowser() as browser:
        settings = {**provider.settings(), "ALLOWED_TENANTS": [HOME_TENANT, OTHER_TENANT]}
        with running_site(settings) as site:
            assert browser.open(f"{site.url}/private").url == f"{site.url}/private"
            with override_settings(KEYFOB={**settings, "ALLOWED_TENANTS": [OTHER_TENANT]}):
                assert who(browser.open(f"{site.url}/")) == "Nobody"
                assert browser.open(f"{site.url}/private").status == 403
            assert site.errors == []
