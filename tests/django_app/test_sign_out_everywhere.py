"""Signing users out of every browser: from Python, from a shell, and in the admin."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin import AdminSite
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.core.management import CommandError, call_command
from django.test import Client, RequestFactory

import django_keyfob
from django_app.site import RunningSite, running_site
from django_keyfob.admin import sign_out_everywhere
from django_keyfob.conf import current_site
from django_keyfob.models import KeyfobAccount
from keyfob.errors import StoreUnavailable
from support.contract_base import GRACE
from support.contract_logouts import is_ended
from support.form_browser import FormBrowser
from support.provider import Person, Provider


@pytest.fixture
def browsers(site: RunningSite, provider: Provider) -> Iterator[list[FormBrowser]]:
    """Two of one person, and one of another."""
    with FormBrowser() as one, FormBrowser() as two, FormBrowser() as other:
        one.open(f"{site.url}/me")
        two.open(f"{site.url}/me")
        provider.person = GRACE
        other.open(f"{site.url}/me")
        yield [one, two, other]


def ada() -> User:
    return User.objects.get(keyfob_accounts__subject=Person().sub)


def ended(site: RunningSite, browsers: list[FormBrowser]) -> list[bool]:
    return [is_ended(site, browser) for browser in browsers]


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("keyfob_sign_out", *arguments, stdout=out)
    return out.getvalue()


def test_a_users_sessions_end_and_no_others(site: RunningSite, browsers: list[FormBrowser]) -> None:
    assert django_keyfob.sign_out_everywhere(ada()) == 2
    assert ended(site, browsers) == [True, True, False]
    assert django_keyfob.sign_out_everywhere(ada()) == 0


def test_a_user_of_another_backend_has_none() -> None:
    assert django_keyfob.sign_out_everywhere(User.objects.create(username="local")) == 0


def test_the_command_takes_users(site: RunningSite, browsers: list[FormBrowser]) -> None:
    name = ada().username
    assert command(name) == "2 sessions ended\n"
    assert command(name) == "0 sessions ended\n"
    assert ended(site, browsers) == [True, True, False]


def test_the_command_takes_everybody_of_an_issuer(
    site: RunningSite, provider: Provider, browsers: list[FormBrowser]
) -> None:
    assert command("--all-of", provider.issuer) == "3 sessions ended\n"
    assert ended(site, browsers) == [True, True, True]


def test_a_misspelt_name_ends_nobodys_sessions(
    site: RunningSite, browsers: list[FormBrowser]
) -> None:
    for arguments, said in (
        ([ada().username, "ad"], "There is no user 'ad'"),
        (["--all-of", "https://other.example"], "Nobody of 'https://other.example'"),
        ([], "--all-of"),
        ([ada().username, "--all-of", "x"], "--all-of"),
    ):
        with pytest.raises(CommandError, match=said):
            command(*arguments)
    assert ended(site, browsers) == [False, False, False]


def test_the_command_says_that_the_store_is_away(
    site: RunningSite, browsers: list[FormBrowser], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_key: str) -> int:
        raise StoreUnavailable("The token store is away")

    monkeypatch.setattr(current_site(), "sign_out_everywhere", away)
    with pytest.raises(CommandError, match="The token store is away"):
        command(ada().username)


class TestAdmin:
    URL = "/admin/django_keyfob/keyfobaccount/"

    def _act(self, client: Client, *accounts: KeyfobAccount) -> Any:
        data = {"action": "sign_out_everywhere", "_selected_action": [a.pk for a in accounts]}
        return client.post(self.URL, data, follow=True)

    def test_selected_accounts_are_signed_out(
        self, site: RunningSite, browsers: list[FormBrowser]
    ) -> None:
        client = Client()
        client.force_login(User.objects.create_superuser("boss"))
        response = self._act(client, KeyfobAccount.objects.get(user=ada()))
        assert b"2 sessions ended." in response.content
        assert ended(site, browsers) == [True, True, False]

    def test_who_may_only_look_cannot_do_it(
        self, site: RunningSite, browsers: list[FormBrowser]
    ) -> None:
        viewer = User.objects.create(username="viewer", is_staff=True)
        viewer.user_permissions.add(Permission.objects.get(codename="view_keyfobaccount"))
        client = Client()
        client.force_login(viewer)
        assert b"Sign out everywhere" not in client.get(self.URL).content
        self._act(client, KeyfobAccount.objects.get(user=ada()))
        assert ended(site, browsers) == [False, False, False]

    def test_a_store_that_is_away_is_told(
        self,
        site: RunningSite,
        browsers: list[FormBrowser],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def away(_key: str) -> int:
            raise StoreUnavailable("The token store is away")

        client = Client()
        client.force_login(User.objects.create_superuser("boss"))
        monkeypatch.setattr(current_site(), "sign_out_everywhere", away)
        response = self._act(client, KeyfobAccount.objects.get(user=ada()))
        assert b"Some sessions may not have ended" in response.content

    def test_a_projects_own_admin_of_its_users_may_have_it(
        self, site: RunningSite, browsers: list[FormBrowser]
    ) -> None:
        class OurUsers(UserAdmin):  # type: ignore[type-arg]
            actions = (sign_out_everywhere,)

        request = RequestFactory().post("/")
        request.user = User.objects.create_superuser("boss")
        request.session = {}  # type: ignore[assignment]
        from django.contrib.messages.storage.fallback import FallbackStorage

        request._messages = FallbackStorage(request)  # type: ignore[attr-defined]
        users = OurUsers(User, AdminSite())
        assert ("sign_out_everywhere", "Sign out everywhere") in users.get_action_choices(request)
        sign_out_everywhere(users, request, User.objects.filter(pk=ada().pk))
        assert [str(m) for m in get_messages(request)] == ["2 sessions ended."]
        assert ended(site, browsers) == [True, True, False]


def test_both_channels_work_where_every_view_requires_a_login_and_is_a_transaction(
    keyfob_settings: dict[str, Any], provider: Provider
) -> None:
    from django.conf import settings
    from django.db import connection

    from support.logout_tokens import order_by

    provider.extra_claims = {"sid": "s-1"}
    middleware = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        with (
            running_site(keyfob_settings, config={"MIDDLEWARE": middleware}) as site,
            FormBrowser() as browser,
        ):
            for channel in ("front", "back"):
                browser.open(f"{site.url}/me")
                assert not is_ended(site, browser)
                client = Client(enforce_csrf_checks=True)
                if channel == "front":
                    about = {"iss": provider.issuer, "sid": "s-1"}
                    response = client.get("/auth/frontchannel-logout", about)
                else:
                    token = order_by(provider, sid="s-1")
                    response = client.post("/auth/backchannel-logout", {"logout_token": token})
                assert response.status_code == 200
                assert is_ended(site, browser)
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False
