"""The end-session endpoint (RP-Initiated, Front-Channel and Back-Channel Logout 1.0)."""

from __future__ import annotations

import json
import socket
import threading
from base64 import b64decode
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest

from keyfob_emulator.logout_notices import address_for
from keyfob_emulator.sample import DJANGO_SITE, FLASK_SITE

if TYPE_CHECKING:
    from typing_extensions import Self

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
    data = [("post_logout_redirect_uri", BACK), ("state", "s"), ("client_id", FLASK_SITE)]
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


# Telling the applications


class Listener:
    """An application's back-channel address on a real socket."""

    def __init__(self, status: int = 200, body: bytes = b"") -> None:
        self.forms: list[dict[str, str]] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                listener.forms.append(dict(parse_qsl(self.rfile.read(length).decode())))
                assert self.headers["Content-Type"] == "application/x-www-form-urlencoded"
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def used_at(client: Client, origin: str, client_id: str = FLASK_SITE, **more: str) -> None:
    """Sign in, from an application that runs there; the browser stops before it goes there."""
    stops = client.browser.stop_at
    client.browser.stop_at = (*stops, origin)
    client.redirect_uri = f"{origin}/auth/callback"
    client.sign_in(redirect_uri=client.redirect_uri, client_id=client_id, **more)


def test_the_metadata_says_that_applications_are_told(client: Client) -> None:
    found = client.http.get(
        f"{client.server.url}/common/v2.0/.well-known/openid-configuration", timeout=10
    ).json()
    for channel in ("frontchannel", "backchannel"):
        assert found[f"{channel}_logout_supported"] is True
        assert found[f"{channel}_logout_session_supported"] is True


def test_an_application_is_posted_a_logout_token_wherever_it_runs(client: Client) -> None:
    with Listener() as site:
        used_at(client, site.origin)
        sign_out(client)
    (form,) = site.forms
    assert list(form) == ["logout_token"]
    header = json.loads(b64decode(form["logout_token"].split(".")[0] + "=="))
    assert (header["typ"], header["alg"]) == ("logout+jwt", "RS256")
    claims = client.server.emulator.keys.verify(form["logout_token"])
    assert claims is not None
    assert claims["aud"] == FLASK_SITE
    assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert claims["exp"] - claims["iat"] == 120
    assert claims["jti"]
    assert "nonce" not in claims
    (notice,) = [n for n in client.server.emulator.logouts.recent if n.channel == "back"]
    assert (notice.status, notice.succeeded) == (200, True)
    assert notice.url == f"{site.origin}/auth/backchannel-logout"
    assert form["logout_token"] not in repr(client.server.emulator.logouts.recent)


def test_the_token_names_the_session_and_the_person_as_the_id_token_did(client: Client) -> None:
    with Listener() as site:
        client.redirect_uri = f"{site.origin}/auth/callback"
        client.browser.stop_at = (site.origin,)
        for tenant, username in (("common", ADA), ("contoso.example", "hedy@fabrikam.example")):
            client.tenant = tenant
            known = client.claims(client.tokens(username, prompt="select_account")["id_token"])
            sign_out(client, logout_hint=username)
            told = client.server.emulator.keys.verify(site.forms[-1]["logout_token"]) or {}
            assert {n: told[n] for n in ("iss", "sub", "sid", "aud")} == {
                n: known[n] for n in ("iss", "sub", "sid", "aud")
            }


def test_signing_out_everywhere_tells_each_application_once_of_all_sessions(
    client: Client,
) -> None:
    other = type(client)(client.server)
    with Listener() as flask, Listener() as django:
        used_at(client, flask.origin)
        used_at(client, django.origin, DJANGO_SITE)
        used_at(other, flask.origin)
        notices = client.server.emulator.sign_out_everywhere(ADA)
    other.close()
    assert [len(flask.forms), len(django.forms)] == [1, 1]
    told = client.server.emulator.keys.verify(flask.forms[0]["logout_token"]) or {}
    assert "sid" not in told
    assert [notice.status for notice in notices] == [200, 200]
    assert client.server.emulator.sign_out_everywhere(ADA) == []


def test_what_an_application_answered_is_shown(client: Client) -> None:
    with Listener(400, b'{"error":"invalid_request","x":"<b>\x07"}') as site:
        used_at(client, site.origin)
        page = sign_out(client)
    for shown in (page, client.browser.open(f"{client.server.url}/sign-outs")):
        assert "Flask demo site" in shown.text
        assert "Back channel: 400" in shown.text
        assert "invalid_request" in shown.text
        assert f"{site.origin}/auth/backchannel-logout" in shown.text
        assert "Front channel" in shown.text
        assert "<b>" not in shown.html


def test_an_application_that_does_not_answer_holds_up_nobody(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        origin = f"http://127.0.0.1:{gone.getsockname()[1]}"
    used_at(client, origin)
    assert "Back channel: no answer" in sign_out(client).text


def test_a_silent_application_is_given_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyfob_emulator.logout_notices.TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        used_at(client, f"http://127.0.0.1:{silent.getsockname()[1]}")
        (notice,) = client.server.emulator.sign_out_everywhere(ADA)
    assert notice.status is None
    assert "timed out" in notice.detail


@pytest.mark.parametrize(
    "uri",
    ["http://10.0.0.1/x", "http://localhost.evil.example/x", "http://localhost@evil.example/"],
)
def test_no_token_leaves_this_machine(client: Client, uri: str) -> None:
    state = client.server.emulator
    state.add(replace(state.application(FLASK_SITE), back_channel_logout_uri=uri))
    client.sign_in()
    (notice,) = state.sign_out_everywhere(ADA)
    assert notice.status is None
    assert "loopback addresses only" in notice.detail


@pytest.mark.parametrize(
    ("registered", "origin", "address"),
    [
        ("http://localhost/out", "http://127.0.0.1:5000", "http://127.0.0.1:5000/out"),
        ("http://localhost/out", "http://[::1]:5000", "http://[::1]:5000/out"),
        ("http://localhost", "http://localhost:1", "http://localhost:1"),
        ("http://localhost:9/out", "http://localhost:5000", "http://localhost:9/out"),
        ("http://localhost/out", "https://site.example", "http://localhost/out"),
        ("http://localhost/out", "", "http://localhost/out"),
        ("https://site.example/out", "http://localhost:5000", "https://site.example/out"),
    ],
)
def test_a_loopback_address_without_a_port_is_where_the_application_runs(
    registered: str, origin: str, address: str
) -> None:
    assert address_for(registered, origin) == address


def test_who_asked_for_the_sign_out_goes_on_at_once_and_the_others_have_frames(
    client: Client,
) -> None:
    with Listener() as flask, Listener() as django:
        used_at(client, flask.origin)
        back = f"{flask.origin}/auth/logged-out"
        page = sign_out(client, post_logout_redirect_uri=back, client_id=FLASK_SITE)
        assert page.url == back
        used_at(client, flask.origin)
        used_at(client, django.origin, DJANGO_SITE)
        page = sign_out(client, post_logout_redirect_uri=back, client_id=FLASK_SITE)
    assert page.html.count("<iframe") == 1
    assert f'src="{django.origin}/auth/frontchannel-logout?iss=' in page.html
    assert f'content="2;url={back}"' in page.html
    assert [len(flask.forms), len(django.forms)] == [2, 1]


def test_the_page_signs_somebody_out_everywhere(client: Client) -> None:
    page = client.browser.open(f"{client.server.url}/sign-outs")
    assert "Nobody has signed out yet" in page.text
    assert "Nobody is signed in" in page.text
    with Listener() as site:
        used_at(client, site.origin)
        page = client.browser.open(f"{client.server.url}/sign-outs")
        page = page.submit(button="Sign out")
        assert "Back channel: 200" in page.text
        assert len(site.forms) == 1
    assert client.open().headings == ["Pick an account"]


def test_a_foreign_form_signs_nobody_out(client: Client) -> None:
    client.sign_in()
    client.browser.open(f"{client.server.url}/sign-outs")
    data = [("username", ADA), ("csrf_token", "x")]
    client.browser.send("post", f"{client.server.url}/sign-outs", data)
    assert signed_in(client) == [ADA]
