"""The pages a person signs in on, and what the provider remembers of them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from keyfob_emulator.sample import (
    CONTOSO_PORTAL,
    CONTOSO_PORTAL_SECRET,
    DJANGO_SITE,
    PASSWORD,
)

if TYPE_CHECKING:
    from emulator.conftest import Client, Clock
    from support.form_browser import Page

ADA, ALAN, HEDY = "ada@contoso.example", "alan@contoso.example", "hedy@fabrikam.example"
JOAN, GRACE = "joan@fabrikam.example", "grace@outlook.example"


def buttons(page: Page) -> list[str]:
    return [button.text for form in page.forms for button in form.buttons]


def test_a_sign_in_leads_through_picker_password_and_consent(client: Client) -> None:
    page = client.open()
    assert page.headings == ["Pick an account"]
    assert "to continue to Flask demo site" in page.text
    page = page.submit(button="Ada Keyring")
    assert page.headings == ["Enter the password"]
    assert ADA in page.text
    page = page.submit(password=PASSWORD)
    assert page.headings == ["Permissions requested"]
    for words in ("View your basic profile", "Sign you in and read your profile"):
        assert words in page.text
    assert client.answer(page.submit(button="Accept"))["code"]


def test_consent_is_asked_once_for_each_person_application_and_scope(client: Client) -> None:
    client.sign_in()
    assert client.answer(client.open())["code"]
    page = client.open(scope="openid User.Read Mail.Read")
    assert page.headings == ["Permissions requested"]
    assert "Read your mail" in page.text
    assert client.open(client_id=DJANGO_SITE).headings == ["Permissions requested"]


def test_one_session_serves_a_second_application_without_a_password(client: Client) -> None:
    client.sign_in()
    client.server.emulator.give_consent(ADA, DJANGO_SITE, "openid profile offline_access User.Read")
    assert client.answer(client.open(client_id=DJANGO_SITE))["code"]


def test_a_user_name_can_be_typed_in_any_case(client: Client) -> None:
    page = client.open().submit(button="Use another account")
    assert page.headings == ["Sign in"]
    page = page.submit(username=" Ada@Contoso.Example ")
    assert page.headings == ["Enter the password"]


def test_an_unknown_user_name_is_said_on_the_page(client: Client) -> None:
    page = client.open().submit(button="Use another account").submit(username="who@x.example")
    assert page.headings == ["Sign in"]
    assert "No account has this user name" in page.text
    assert dict(page.forms[0].fields)["username"] == "who@x.example"
    assert page.submit(button="Pick from a list").headings == ["Pick an account"]


def test_a_wrong_password_is_said_on_the_page_and_can_be_corrected(client: Client) -> None:
    page = client.open(login_hint=ADA).submit(password="wrong")
    assert "The password is wrong" in page.text
    assert "wrong</" not in page.html.replace("The password is wrong", "")
    assert page.submit(password=PASSWORD).headings == ["Permissions requested"]


def test_a_disabled_account_learns_it_only_after_its_password(client: Client) -> None:
    page = client.open(login_hint=JOAN)
    assert "disabled" not in page.text
    assert "The password is wrong" in page.submit(password="guess").text
    page = client.open(login_hint=JOAN).submit(password=PASSWORD)
    assert "AADSTS50057" in page.text


def test_an_account_disabled_while_signed_in_is_turned_away(client: Client) -> None:
    client.sign_in()
    client.server.emulator.disable_account(ADA)
    page = client.open()
    assert "AADSTS50057" in page.text
    answer = client.answer(client.open(prompt="none"))
    assert answer["error"] == "interaction_required"
    client.server.emulator.enable_account(ADA)
    assert client.answer(client.open())["code"]


@pytest.mark.parametrize("hint", [None, ADA, "nobody@x.example"])
def test_cancel_on_picker_password_and_user_name_page_is_access_denied(
    client: Client, hint: str | None
) -> None:
    answer = client.answer(client.open(login_hint=hint).submit(button="Cancel"))
    assert answer["error"] == "access_denied"
    assert answer["error_subcode"] == "cancel"
    assert answer["state"] == "a state"


def test_cancel_on_the_consent_page_is_aadsts65004_and_gives_nothing(client: Client) -> None:
    page = client.open(login_hint=ADA).submit(password=PASSWORD).submit(button="Cancel")
    answer = client.answer(page)
    assert answer["error"] == "access_denied"
    assert answer["error_description"].startswith("AADSTS65004: ")
    assert client.open().headings == ["Permissions requested"]


def test_an_administrators_scope_is_not_for_everybody_to_grant(client: Client) -> None:
    scope = "openid Directory.Read.All"
    page = client.open(login_hint=ALAN, scope=scope).submit(password=PASSWORD)
    assert page.headings == ["Need admin approval"]
    forged = [*page.forms[0].fields, ("action", "accept")]
    again = client.browser.send("post", page.url, forged)
    assert again.headings == ["Need admin approval"]
    assert client.answer(page.submit(button="Return without consent"))["error"] == "access_denied"
    assert client.sign_in(ADA, login_hint=ADA, scope=scope)["code"]


def test_scopes_an_administrator_consented_to_are_not_asked_for(client: Client) -> None:
    state = client.server.emulator
    site = state.application(client.client_id)
    state.add(replace(site, admin_consented=frozenset({"openid", "profile", "User.Read"})))
    page = client.open(login_hint=ALAN, scope="openid profile User.Read").submit(password=PASSWORD)
    assert client.answer(page)["code"]


def test_the_picker_shows_several_signed_in_accounts_as_such(client: Client) -> None:
    client.sign_in(ADA)
    client.sign_in(ALAN, prompt="select_account")
    page = client.open()
    assert page.headings == ["Pick an account"]
    assert [b.split(" ")[0] for b in buttons(page)[:2]] == ["AK", "AL"]
    assert [("Signed in" in text) for text in buttons(page)[:3]] == [True, True, False]
    assert client.answer(page.submit(button="Alan Latch"))["code"]


def test_the_picker_leaves_out_who_may_not_come_in(client: Client) -> None:
    assert GRACE not in client.open(tenant="organizations").text
    personal = client.open(tenant="consumers").text
    assert GRACE in personal
    assert ADA not in personal
    assert HEDY in client.open(tenant="contoso.example").text  # a guest
    assert JOAN not in client.open(tenant="contoso.example").text
    assert HEDY not in client.open(domain_hint="contoso.example").text
    assert ADA not in client.open(domain_hint="consumers").text


@pytest.mark.parametrize(
    ("tenant", "username"),
    [
        ("organizations", GRACE),
        ("consumers", ADA),
        ("contoso.example", JOAN),
        ("fabrikam.example", ADA),
    ],
)
def test_a_stranger_meets_aadsts50020_and_may_take_another_account(
    client: Client, tenant: str, username: str
) -> None:
    page = client.open(tenant=tenant, login_hint=username)
    assert "AADSTS50020" in page.text
    assert page.submit(button="Use another account").headings == ["Pick an account"]


def test_a_single_tenant_application_takes_its_own_people_and_guests(client: Client) -> None:
    client.client_id, client.secret = CONTOSO_PORTAL, CONTOSO_PORTAL_SECRET
    client.tenant = "contoso.example"
    assert client.tokens(ADA)["id_token"]
    assert "AADSTS50020" in client.open(login_hint=GRACE).text
    assert client.sign_in(HEDY, login_hint=HEDY)["code"]


# Forms


def test_a_form_without_the_sessions_token_does_nothing(client: Client, other: Client) -> None:
    page = client.open(login_hint=ADA)
    for token in ("", "forged", dict(other.open().forms[0].fields)["csrf_token"]):
        data = [("csrf_token", token), ("password", PASSWORD)]
        again = client.browser.send("post", page.url, data)
        assert again.status == 400
        assert again.headings == ["Enter the password"]
        assert "out of date" in again.text


def test_an_interaction_belongs_to_one_browser(client: Client, other: Client) -> None:
    page = client.open(login_hint=ADA)
    other.open()
    stolen = other.browser.open(page.url)
    assert "AADSTS165000" in stolen.text
    assert "AADSTS165000" in other.browser.send("post", page.url, [("password", PASSWORD)]).text


def test_an_interaction_ends_once_and_not_too_late(client: Client, clock: Clock) -> None:
    page = client.open(login_hint=ADA).submit(password=PASSWORD)
    client.answer(page.submit(button="Accept"))
    assert "AADSTS165000" in page.submit(button="Accept").text
    late = client.open(prompt="login", login_hint=ADA)
    clock.now += 1801
    assert "AADSTS165000" in late.submit(password=PASSWORD).text


def test_a_sign_in_in_another_tab_does_not_change_who_consents(client: Client) -> None:
    client.sign_in(ADA)
    page = client.open(scope="openid Mail.Read")
    assert ADA in page.text
    client.sign_in(ALAN, prompt="select_account")
    page = client.browser.open(page.url)
    tokens = client.redeem(client.answer(page.submit(button="Accept"))["code"]).json()
    assert client.claims(tokens["access_token"])["upn"] == ADA


def test_reloading_and_going_back_are_harmless(client: Client) -> None:
    page = client.open()
    password = page.submit(button=ADA)
    assert client.browser.open(password.url).headings == ["Enter the password"]
    assert page.submit(button=ALAN).headings == ["Enter the password"]
    assert ALAN in client.browser.open(password.url).text


# The session


def test_the_session_cookie_is_the_ports_own_and_out_of_reach_of_scripts(client: Client) -> None:
    client.browser.follow_redirects = False
    cookie = client.open().response.headers["Set-Cookie"]
    assert cookie.startswith(f"keyfob_emulator_{client.server.port}=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_signing_in_changes_the_session_id(client: Client) -> None:
    name = f"keyfob_emulator_{client.server.port}"
    page = client.open(login_hint=ADA)
    before = client.browser.session.cookies[name]
    page.submit(password=PASSWORD)
    after = client.browser.session.cookies[name]
    assert before != after
    for session_id, told in ((before, "error=login_required"), (after, "error=consent_required")):
        response = client.http.get(
            client.authorize_url(prompt="none"),
            headers={"Cookie": f"{name}={session_id}"},
            allow_redirects=False,
        )
        assert told in response.headers["Location"]


def test_a_session_ends_after_a_day_without_use(client: Client, clock: Clock) -> None:
    client.sign_in()
    clock.now += 86_401
    assert client.open().headings == ["Pick an account"]


def test_a_test_can_end_somebodys_sessions_everywhere(client: Client) -> None:
    client.sign_in()
    client.server.emulator.sign_out_everywhere(ADA)
    assert client.answer(client.open(prompt="none"))["error"] == "login_required"


# Headers


@pytest.mark.parametrize("path", ["/", "/error?code=50011", "/common/oauth2/v2.0/logout"])
def test_pages_are_never_stored_framed_or_scripted(client: Client, path: str) -> None:
    check_headers(client.browser.open(client.server.url + path))


def check_headers(page: Page) -> None:
    headers = page.response.headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script|<style| style=| on[a-z]+=", page.html)


def test_every_page_of_a_sign_in_has_the_strict_headers_and_one_form(client: Client) -> None:
    page = client.open()
    steps: list[dict[str, Any]] = [{"button": ADA}, {"password": PASSWORD}, {"button": "Accept"}]
    for step in steps:
        check_headers(page)
        assert len(page.forms) == 1
        assert 'lang="en"' in page.html
        assert "autofocus" in page.html
        page = page.submit(**step)


def test_a_policy_names_the_schemes_where_csp_cannot_write_the_address(client: Client) -> None:
    page = client.open(redirect_uri="http://[::1]:5000/auth/callback")
    policy = page.response.headers["Content-Security-Policy"]
    assert "form-action 'self' http:;" in policy


def test_the_start_page_lists_people_and_applications(client: Client) -> None:
    client.sign_in()
    page = client.browser.open(client.server.url)
    assert PASSWORD in page.text
    assert "KEYFOB_CLIENT_SECRET=flask-site-development-secret" in page.text
    assert f"KEYFOB_AUTHORITY={client.server.url}/common" in page.text
    assert "Signed in" in page.text


def test_an_unknown_error_number_has_a_page_too(client: Client) -> None:
    for code in ("1", "x", "9" * 30, "٣", ""):
        page = client.browser.open(f"{client.server.url}/error?code={code}")
        assert page.status == 404
        assert "no error with that number" in page.text
