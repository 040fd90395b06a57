"""The end-session endpoint (RP-Initiated Logout 1.0, Front-Channel Logout 1.0)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from keyfob_emulator.sample import DJANGO_SITE, FLASK_SITE

if TYPE_CHECKING:
    from emulator.conftest import Client, Clock
    from support.form_browser import Page

ADA, ALAN = "ada@contoso.example", "alan@contoso.example"
BACK = "http://localhost:5000/auth/logged-out"


def sign_out(client: Client, tenant: str = "common", **parameters: str) -> Page:
    return client.browser.open(f"{client.endpoint('logout', tenant)}?{urlencode(parameters)}")


def signed_in(client: Client) -> list[str]:
    """Who is still signed in, by what the picker says."""
    page = client.open(prompt="select_account")
    texts = [button.text for form in page.forms for button in form.buttons]
    return [name for name in (ADA, ALAN) if any(name in t and "Signed in" in t for t in texts)]


def both(client: Client) -> None:
    client.sign_in(ADA)
    client.sign_in(ALAN, prompt="select_account")


def test_the_only_account_is_signed_out_directly(client: Client) -> None:
    client.sign_in()
    page = sign_out(client)
    assert page.headings == ["You signed out"]
    assert ADA in page.text
    assert client.open().headings == ["Pick an account"]
    assert sign_out(client).headings == ["You are signed out"]


def test_the_person_returns_to_a_registered_address_with_the_state(client: Client) -> None:
    client.sign_in()
    page = sign_out(client, post_logout_redirect_uri=BACK, state="a b&c", client_id=FLASK_SITE)
    assert page.url.startswith(BACK + "?")
    assert parse_qs(urlsplit(page.url).query) == {"state": ["a b&c"]}
    assert sign_out(client, post_logout_redirect_uri=BACK).url == BACK


@pytest.mark.parametrize(
    "uri", ["http://evil.example/", "https://localhost:5000/auth/logged-out", BACK + "/x", "x"]
)
def test_nobody_is_sent_to_an_address_that_is_not_registered(client: Client, uri: str) -> None:
    client.sign_in()
    page = sign_out(client, post_logout_redirect_uri=uri)
    assert page.headings == ["You signed out"]
    assert "not registered" in page.text
    assert not any(link.href == uri for link in page.links)


def test_the_address_must_be_the_named_clients_own(client: Client) -> None:
    state = client.server.emulator
    state.add(
        replace(
            state.application(FLASK_SITE),
            post_logout_redirect_uris=("http://localhost/only-flask",),
        )
    )
    own = "http://localhost:5000/only-flask"
    assert sign_out(client, post_logout_redirect_uri=own, client_id=FLASK_SITE).url == own
    assert sign_out(client, post_logout_redirect_uri=own).url == own
    page = sign_out(client, post_logout_redirect_uri=own, client_id=DJANGO_SITE)
    assert "not registered for Django demo site" in page.text


def test_with_several_accounts_the_person_is_asked_which(client: Client) -> None:
    both(client)
    page = sign_out(client, post_logout_redirect_uri=BACK, state="s", client_id=FLASK_SITE)
    assert page.headings == ["Which account do you want to sign out of?"]
    assert signed_in(client) == [ADA, ALAN]
    page = page.submit(button=ALAN)
    assert page.url == f"{BACK}?state=s"
    assert signed_in(client) == [ADA]


@pytest.mark.parametrize("kind", ["username", "claim", "token"])
def test_a_hint_says_which_account(client: Client, kind: str) -> None:
    both(client)
    token = client.tokens(ALAN, login_hint=ALAN)["id_token"]
    hint = {
        "username": {"logout_hint": ALAN.upper()},
        "claim": {"logout_hint": client.claims(token)["login_hint"]},
        "token": {"id_token_hint": token},
    }[kind]
    assert sign_out(client, **hint).headings == ["You signed out"]
    assert signed_in(client) == [ADA]


def test_an_expired_id_token_still_is_a_hint(client: Client, clock: Clock) -> None:
    both(client)
    token = client.tokens(ALAN, login_hint=ALAN)["id_token"]
    clock.now += 7200
    sign_out(client, id_token_hint=token)
    assert signed_in(client) == [ADA]


def test_a_hint_for_somebody_who_is_not_signed_in_asks(client: Client) -> None:
    both(client)
    assert "Which account" in sign_out(client, logout_hint="hedy@fabrikam.example").text


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"id_token_hint": "forged.token.x"}, 9002313),
        ({"client_id": "nobody"}, 700016),
        ({"tenant": "nowhere.example"}, 90002),
    ],
)
def test_what_makes_no_sense_is_an_error_page(
    client: Client, parameters: dict[str, str], code: int
) -> None:
    page = sign_out(client, **parameters)
    assert page.status == 400
    assert f"AADSTS{code}" in page.text


def test_the_id_token_must_be_the_named_clients(client: Client) -> None:
    token = client.tokens()["id_token"]
    page = sign_out(client, id_token_hint=token, client_id=DJANGO_SITE)
    assert "AADSTS9002313" in page.text
    assert signed_in(client) == [ADA]


def test_a_logout_request_may_be_posted(client: Client) -> None:
    client.sign_in()
    data = [("post_logout_redirect_uri", BACK), ("state", "s")]
    page = client.browser.send("post", client.endpoint("logout"), data)
    assert page.url == f"{BACK}?state=s"
    assert page.response.status_code == 303


def test_applications_are_told_in_frames_when_they_want_to_be(client: Client) -> None:
    state = client.server.emulator
    listener = "http://localhost:5000/auth/frontchannel-logout"
    for client_id in (FLASK_SITE, DJANGO_SITE):
        app = replace(state.application(client_id), front_channel_logout_uri=listener)
        state.add(app)
    tokens = client.tokens()
    claims = client.claims(tokens["id_token"])
    page = sign_out(client, post_logout_redirect_uri=BACK, state="s")
    about = urlencode({"iss": claims["iss"], "sid": claims["sid"]}).replace("&", "&amp;")
    # Only the application that was used is told.
    assert page.html.count("<iframe") == 1
    assert f'src="{listener}?{about}"' in page.html
    assert "frame-src http://localhost:5000;" in page.response.headers["Content-Security-Policy"]
    assert f'content="2;url={BACK}?state=s"' in page.html
    assert [link.href for link in page.links] == [f"{BACK}?state=s"]
