"""Keyfob in Django's admin."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import clear_url_caches, path
from django.views.generic import RedirectView

from django_app import urls
from django_app.site import RunningSite
from django_keyfob.models import KeyfobAccount, TokenRecord
from support.form_browser import FormBrowser


def _staff() -> tuple[Client, User, KeyfobAccount]:
    admin = User.objects.create_superuser("boss")
    account = KeyfobAccount.objects.create(issuer="i", subject="s", user=admin)
    client = Client()
    client.force_login(admin)
    return client, admin, account


def test_a_staff_member_who_signed_in_is_in_the_admin(
    site: RunningSite, browser: FormBrowser
) -> None:
    browser.open(f"{site.url}/private")
    User.objects.update(is_staff=True, is_superuser=True)
    page = browser.open(f"{site.url}/admin/")
    assert page.status == 200
    assert "Site administration" in page.text


def test_the_admins_own_login_page_can_be_left_out(
    site: RunningSite, browser: FormBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/django.md has it."""
    to_keyfob = RedirectView.as_view(pattern_name="keyfob:login", query_string=True)
    patterns = [path("admin/login/", to_keyfob), *urls.urlpatterns]
    monkeypatch.setattr(urls, "urlpatterns", patterns)
    clear_url_caches()
    page = browser.open(f"{site.url}/admin/")
    assert page.status == 403  # and no circle: they are nobody's staff
    User.objects.update(is_staff=True, is_superuser=True)
    with FormBrowser() as fresh:
        page = fresh.open(f"{site.url}/admin/auth/user/?q=a")
        assert page.url == f"{site.url}/admin/auth/user/?q=a"
        assert page.status == 200
    clear_url_caches()


def test_accounts_can_be_looked_at_and_found() -> None:
    client, _, account = _staff()
    response = client.get("/admin/django_keyfob/keyfobaccount/?q=s")
    assert b"1 sign-in account" in response.content
    response = client.get(f"/admin/django_keyfob/keyfobaccount/{account.pk}/change/")
    assert response.status_code == 200
    assert b'name="_save"' not in response.content


def test_accounts_cannot_be_made_or_changed() -> None:
    client, _, account = _staff()
    assert client.get("/admin/django_keyfob/keyfobaccount/add/").status_code == 403
    response = client.post(
        f"/admin/django_keyfob/keyfobaccount/{account.pk}/change/", {"subject": "another"}
    )
    assert response.status_code == 403


def test_a_user_can_be_deleted_with_their_account() -> None:
    client, _, _ = _staff()
    user = User.objects.create(username="leaving")
    KeyfobAccount.objects.create(issuer="i", subject="leaving", user=user)
    client.post(f"/admin/auth/user/{user.pk}/delete/", {"post": "yes"})
    assert not KeyfobAccount.objects.filter(subject="leaving").exists()


def test_tokens_are_not_in_the_admin() -> None:
    assert not admin.site.is_registered(TokenRecord)


def test_an_account_says_whose_it_is() -> None:
    _, _, account = _staff()
    assert str(account) == "s of i"
    assert str(TokenRecord(key="secret")) == "token record"
