"""The authorization endpoint: which requests are answered, where, and how."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import pytest

from keyfob_emulator import Application
from keyfob_emulator.sample import CONTOSO_PORTAL, DESKTOP_TOOL, FLASK_SITE, NIGHTLY_JOB

if TYPE_CHECKING:
    from emulator.conftest import Client

ERROR_TITLE = "Sorry, but we\u2019re having trouble signing you in"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_id": None}, 900144),
        ({"client_id": "00000000-0000-0000-0000-00000000dead"}, 700016),
        ({"redirect_uri": "http://evil.example/auth/callback"}, 50011),
        ({"redirect_uri": "http://localhost:5000/auth/callback/"}, 50011),
        ({"redirect_uri": "http://localhost:5000/auth/callback#x"}, 50011),
        ({"redirect_uri": "https://localhost:5000/auth/callback"}, 50011),
        ({"redirect_uri": None}, 900971),
        ({"tenant": "nowhere.example"}, 90002),
        ({"client_id": CONTOSO_PORTAL, "tenant": "common"}, 50194),
        ({"client_id": CONTOSO_PORTAL, "tenant": "organizations"}, 50194),
        ({"client_id": CONTOSO_PORTAL, "tenant": "consumers"}, 9002346),
        ({"client_id": CONTOSO_PORTAL, "tenant": "fabrikam.example"}, 700016),
        ({"client_id": NIGHTLY_JOB, "tenant": "contoso.example"}, 50011),
    ],
)
def test_before_the_reply_address_is_known_to_be_good_errors_are_shown_to_the_person(
    client: Client, changes: dict[str, str | None], code: int
) -> None:
    page = client.open(**changes)
    assert page.status == 400
    assert page.headings == [ERROR_TITLE]
    assert f"AADSTS{code}" in page.text
    assert "Correlation Id" in page.text


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"response_type": None}, "invalid_request", 900144),
        ({"response_type": "id_token"}, "unsupported_response_type", 700054),
        ({"response_type": "code id_token"}, "unsupported_response_type", 700054),
        ({"response_mode": "web_message"}, "invalid_request", 70007),
        ({"scope": None}, "invalid_request", 900144),
        ({"scope": "openid Nothing.Read"}, "invalid_client", 650053),
        ({"scope": "openid api://nobody/X"}, "invalid_resource", 500011),
        ({"scope": "https://graph.microsoft.com/"}, "invalid_scope", 70011),
        ({"scope": 'openid "quoted"'}, "invalid_scope", 70011),
        ({"prompt": "whatever"}, "invalid_request", 90023),
        ({"prompt": "none login"}, "invalid_request", 90023),
        ({"max_age": "-1"}, "invalid_request", 90023),
        ({"max_age": "soon"}, "invalid_request", 90023),
        ({"claims": "{"}, "invalid_request", 9002313),
        ({"claims": "[]"}, "invalid_request", 9002313),
        ({"request": "eyJ"}, "request_not_supported", 90023),
        ({"request_uri": "https://x.example"}, "request_uri_not_supported", 90023),
        ({"code_challenge_method": "plain"}, "invalid_request", 501491),
        ({"code_challenge_method": None}, "invalid_request", 501491),
        ({"code_challenge": None}, "invalid_request", 501491),
        ({"code_challenge": "too-short"}, "invalid_request", 501491),
        ({"code_challenge": "=" * 43}, "invalid_request", 501491),
    ],
)
def test_after_that_errors_go_to_the_application_with_its_state(
    client: Client, changes: dict[str, str | None], error: str, code: int
) -> None:
    answer = client.answer(client.open(**changes))
    assert answer["error"] == error
    assert answer["error_description"].startswith(f"AADSTS{code}: ")
    assert answer["state"] == "a state"
    assert "code" not in answer
    page = client.browser.open(answer["error_uri"])
    assert page.headings == [f"AADSTS{code}"]
    assert page.status == 200


def test_a_repeated_parameter_is_refused(client: Client) -> None:
    url = client.authorize_url()
    twice = client.answer(client.browser.open(url + "&nonce=other"))
    assert twice["error_description"].startswith("AADSTS9000411: ")
    page = client.browser.open(url + "&redirect_uri=http%3A%2F%2Fevil.example")
    assert page.headings == [ERROR_TITLE]
    assert "AADSTS9000411" in page.text


def test_a_public_client_must_use_pkce(client: Client) -> None:
    client.client_id, client.redirect_uri = DESKTOP_TOOL, "http://localhost:5000"
    answer = client.answer(client.open(code_challenge=None, code_challenge_method=None))
    assert answer["error_description"].startswith("AADSTS900144: ")


def test_a_confidential_client_may_leave_pkce_out(client: Client) -> None:
    answer = client.sign_in(code_challenge=None, code_challenge_method=None)
    assert client.redeem(answer["code"], code_verifier=None).status_code == 200


def test_the_answer_comes_in_the_query_by_default(client: Client) -> None:
    page = client.open()
    answer = client.finish(page)
    assert answer["state"] == "a state"
    assert answer["code"]
    assert "client_info" not in answer


def test_the_answer_can_come_in_the_fragment(client: Client) -> None:
    client.sign_in()
    page = client.open(response_mode="fragment")
    parts = urlsplit(page.url)
    assert parts.query == ""
    assert dict(parse_qsl(parts.fragment))["state"] == "a state"


def test_the_answer_can_come_as_a_form_that_a_script_or_a_person_sends(client: Client) -> None:
    state = '"><script>alert(1)</script>&amp;'
    client.sign_in()
    page = client.open(response_mode="form_post", state=state, client_info=1)
    answer = client.answer(page)
    assert answer["state"] == state
    assert set(answer) == {"code", "state", "session_state", "client_info"}
    assert [button.text for button in page.forms[0].buttons] == ["Continue"]
    policy = page.response.headers["Content-Security-Policy"]
    (nonce,) = re.findall(r"script-src 'nonce-([^']+)'", policy)
    assert re.findall(r"<script[^>]*>", page.html) == [f'<script nonce="{nonce}">']
    assert "form-action 'self' http://localhost:5000" in policy


def test_errors_are_told_in_the_mode_that_was_asked_for(client: Client) -> None:
    answer = client.answer(client.open(response_mode="form_post", prompt="none"))
    assert answer["error"] == "login_required"
    assert answer["state"] == "a state"


def test_a_request_may_be_posted(client: Client) -> None:
    data = parse_qsl(urlsplit(client.authorize_url()).query)
    page = client.browser.send("post", client.endpoint("authorize"), data)
    assert client.finish(page)["code"]


def test_the_redirect_uri_keeps_its_own_query(client: Client) -> None:
    client.server.emulator.add(
        _with_redirect(client, "http://localhost/auth/callback?site=1&x=%20")
    )
    client.redirect_uri = "http://localhost:5000/auth/callback?site=1&x=%20"
    answer = client.sign_in()
    assert answer["site"] == "1"
    assert client.redeem(answer["code"]).status_code == 200


def _with_redirect(client: Client, uri: str) -> Application:
    return replace(client.server.emulator.application(FLASK_SITE), redirect_uris=(uri,))


def test_a_single_registered_redirect_uri_may_be_left_out(client: Client) -> None:
    client.server.emulator.add(_with_redirect(client, client.redirect_uri))
    assert client.sign_in(redirect_uri=None)["code"]


@pytest.mark.parametrize("host", ["127.0.0.1:1", "[::1]:65535", "localhost"])
def test_loopback_redirect_uris_are_free_in_their_port(client: Client, host: str) -> None:
    client.redirect_uri = f"http://{host}/auth/callback"
    client.browser.stop_at = (client.redirect_uri,)
    assert client.answer(client.open(prompt="none"))["error"] == "login_required"


@pytest.mark.parametrize("port", ["0", "65536", "99999", "x", "-1", "00080x"])
def test_a_port_must_be_a_port(client: Client, port: str) -> None:
    page = client.open(redirect_uri=f"http://localhost:{port}/auth/callback")
    assert "AADSTS50011" in page.text


def test_client_info_names_the_home_account_when_asked_for(client: Client) -> None:
    answer = client.sign_in(client_info=1)
    padded = answer["client_info"] + "=" * (-len(answer["client_info"]) % 4)
    account = client.server.emulator.account("ada@contoso.example")
    assert json.loads(base64.urlsafe_b64decode(padded)) == {
        "uid": account.object_id,
        "utid": account.tenant_id,
    }
