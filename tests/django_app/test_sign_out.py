"""Signing out, by our button and by other means."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.models import Session

from django_app.pages import who
from django_app.site import RunningSite, running_site
from django_keyfob.models import TokenRecord
from support.form_browser import FormBrowser
from support.provider import Provider


def _sessions() -> int:
    """Token records of sessions; a used attempt is one byte, sealed."""
    return sum(len(record.value) > 500 for record in TokenRecord.objects.all())


def test_the_button_ends_the_session_here_and_at_the_provider(
    site: RunningSite, browser: FormBrowser, provider: Provider
) -> None:
    page = browser.open(f"{site.url}/private")
    assert _sessions() == 1
    page = page.submit(button="Sign out")
    assert page.url.startswith(f"{site.url}/auth/logged-out")
    assert page.headings == ["You are signed out"]
    assert "of the sign-in service" in page.text
    asked = provider.requests_to("end_session")[0]
    assert dict(asked.query)["id_token_hint"]
    assert _sessions() == 0
    assert not Session.objects.exists()
    assert who(browser.open(f"{site.url}/")) == "Nobody"


def test_who_is_not_signed_in_is_shown_no_button(site: RunningSite, browser: FormBrowser) -> None:
    assert not browser.open(f"{site.url}/").forms


def test_signing_out_is_a_post_with_a_token(site: RunningSite, browser: FormBrowser) -> None:
    browser.open(f"{site.url}/private")
    assert browser.open(f"{site.url}/auth/logout").status == 405
    refused = browser.send("post", f"{site.url}/auth/logout", [])
    assert refused.status == 403
    assert refused.headings == ["You were not signed out"]
    assert "Correlation id" in refused.text
    assert who(browser.open(f"{site.url}/")) == "Hello Ada Keyring"


def test_a_project_without_csrf_protection_still_has_it_here(
    keyfob_settings: dict[str, Any], browser: FormBrowser
) -> None:
    from django.conf import settings

    chain = [name for name in settings.MIDDLEWARE if "Csrf" not in name]
    with running_site(keyfob_settings, config={"MIDDLEWARE": chain}) as site:
        browser.open(f"{site.url}/private")
        assert browser.send("post", f"{site.url}/auth/logout", []).status == 403
        assert who(browser.open(f"{site.url}/")) == "Hello Ada Keyring"


def test_django_s_own_logout_deletes_the_tokens(site: RunningSite, browser: FormBrowser) -> None:
    browser.open(f"{site.url}/private")
    assert _sessions() == 1
    page = browser.open(f"{site.url}/stock-logout")
    assert who(page) == "Nobody"
    assert _sessions() == 0


def test_logout_redirect_url_is_where_a_sign_out_ends(
    keyfob_settings: dict[str, Any], browser: FormBrowser
) -> None:
    with running_site(keyfob_settings, config={"LOGOUT_REDIRECT_URL": "/cart"}) as site:
        page = browser.open(f"{site.url}/private").submit(button="Sign out")
        assert page.url == f"{site.url}/cart"


def test_signals_are_sent_once_with_the_user(site: RunningSite, browser: FormBrowser) -> None:
    from django.contrib.auth.signals import user_logged_in, user_logged_out

    seen: list[tuple[str, str]] = []

    def logged_in(*, user: Any, **_: Any) -> None:
        seen.append(("in", user.username))

    def logged_out(*, user: Any, **_: Any) -> None:
        seen.append(("out", user.username))

    user_logged_in.connect(logged_in)
    user_logged_out.connect(logged_out)
    try:
        browser.open(f"{site.url}/private").submit(button="Sign out")
    finally:
        user_logged_in.disconnect(logged_in)
        user_logged_out.disconnect(logged_out)
    assert seen == [("in", "ada@contoso.example"), ("out", "ada@contoso.example")]
