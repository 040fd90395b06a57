"""``prompt``, ``login_hint`` and ``max_age`` (OpenID Connect Core section 3.1.2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keyfob_emulator.sample import PASSWORD

if TYPE_CHECKING:
    from emulator.conftest import Client, Clock

ADA, ALAN = "ada@contoso.example", "alan@contoso.example"


def silent(
    client: Client, *, tenant: str | None = None, **changes: str | int | None
) -> dict[str, str]:
    return client.answer(client.open(tenant=tenant, prompt="none", **changes))


def test_a_silent_sign_in_without_a_session_is_login_required(client: Client) -> None:
    answer = silent(client)
    assert answer["error"] == "login_required"
    assert answer["error_description"].startswith("AADSTS50058: ")


def test_a_silent_sign_in_shows_no_page_and_makes_no_session(client: Client) -> None:
    client.browser.follow_redirects = False
    response = client.open(prompt="none").response
    assert response.status_code == 302
    assert "Set-Cookie" not in response.headers


def test_a_silent_sign_in_with_a_session_goes_through(client: Client) -> None:
    client.sign_in()
    tokens = client.redeem(silent(client)["code"]).json()
    assert client.claims(tokens["id_token"])["preferred_username"] == ADA


def test_a_silent_sign_in_without_consent_is_consent_required(client: Client) -> None:
    client.sign_in()
    answer = silent(client, scope="openid Mail.Read")
    assert answer["error"] == "consent_required"
    assert answer["error_description"].startswith("AADSTS65001: ")
    client.server.emulator.give_consent(ADA, client.client_id, "Mail.Read")
    assert silent(client, scope="openid Mail.Read")["code"]
    client.server.emulator.withdraw_consent(ADA, client.client_id)
    assert silent(client)["error"] == "consent_required"


def test_a_silent_sign_in_with_two_accounts_needs_a_hint(client: Client) -> None:
    client.sign_in(ADA)
    client.sign_in(ALAN, prompt="select_account")
    answer = silent(client)
    assert answer["error"] == "interaction_required"
    assert answer["error_description"].startswith("AADSTS16000: ")
    assert silent(client, login_hint=ALAN)["code"]
    assert silent(client, login_hint="hedy@fabrikam.example")["error"] == "login_required"


def test_an_account_of_another_tenant_does_not_count_in_silence(client: Client) -> None:
    client.sign_in(ADA)
    assert silent(client, tenant="fabrikam.example")["error"] == "login_required"
    assert silent(client, tenant="consumers")["error"] == "login_required"


def test_prompt_login_asks_for_the_password_again(client: Client) -> None:
    client.sign_in()
    page = client.open(prompt="login", login_hint=ADA)
    assert page.headings == ["Enter the password"]
    assert client.finish(page)["code"]
    assert client.open(prompt="login").headings == ["Pick an account"]


def test_prompt_select_account_always_shows_the_picker(client: Client) -> None:
    client.sign_in()
    page = client.open(prompt="select_account", login_hint=ADA)
    assert page.headings == ["Pick an account"]
    assert client.answer(page.submit(button=ADA))["code"]


def test_prompt_consent_asks_for_everything_again(client: Client) -> None:
    client.sign_in()
    page = client.open(prompt="consent")
    assert page.headings == ["Permissions requested"]
    assert "View your basic profile" in page.text
    assert client.answer(page.submit(button="Accept"))["code"]


def test_a_hint_chooses_among_signed_in_accounts(client: Client) -> None:
    client.sign_in(ADA)
    client.sign_in(ALAN, prompt="select_account")
    tokens = client.redeem(client.answer(client.open(login_hint=ADA))["code"]).json()
    assert client.claims(tokens["id_token"])["preferred_username"] == ADA


def test_a_hint_for_somebody_else_asks_for_their_password(client: Client) -> None:
    client.sign_in(ADA)
    page = client.open(login_hint=ALAN)
    assert page.headings == ["Enter the password"]
    assert ALAN in page.text
    assert page.submit(button="Use another account").headings == ["Pick an account"]


def test_a_hint_that_names_nobody_is_put_in_the_field(client: Client) -> None:
    page = client.open(login_hint="new@contoso.example")
    assert page.headings == ["Sign in"]
    assert dict(page.forms[0].fields)["username"] == "new@contoso.example"


def test_the_login_hint_claim_works_as_a_hint(client: Client) -> None:
    claims = client.claims(client.tokens()["id_token"])
    assert silent(client, login_hint=claims["login_hint"])["code"]
    for broken in ("O.", "O.!!!", "O.AAAA", "O.é"):
        assert silent(client, login_hint=broken)["error"] == "login_required"


@pytest.mark.parametrize("age", [0, 60])
def test_max_age_asks_for_the_password_when_it_was_too_long_ago(
    client: Client, clock: Clock, age: int
) -> None:
    client.sign_in()
    clock.now += 61
    assert silent(client, max_age=age)["error"] == "login_required"
    page = client.open(max_age=age)
    assert page.headings == ["Enter the password"]
    tokens = client.redeem(client.answer(page.submit(password=PASSWORD))["code"]).json()
    assert client.claims(tokens["id_token"])["auth_time"] == int(clock.now)


def test_max_age_is_satisfied_by_a_fresh_session(client: Client, clock: Clock) -> None:
    client.sign_in()
    signed_in_at = int(clock.now)
    clock.now += 30
    tokens = client.redeem(silent(client, max_age=60)["code"]).json()
    assert client.claims(tokens["id_token"])["auth_time"] == signed_in_at


def test_auth_time_is_told_when_the_claims_ask_for_it(client: Client, clock: Clock) -> None:
    assert "auth_time" not in client.claims(client.tokens()["id_token"])
    asked = '{"id_token": {"auth_time": {"essential": true}}}'
    told = client.claims(client.tokens(claims=asked)["id_token"])["auth_time"]
    assert told == int(clock.now)
