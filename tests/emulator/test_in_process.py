"""The provider in the place of Microsoft's hosts, without a socket; and the pytest plugin."""

from __future__ import annotations

import base64
import io
import os
import socket
import subprocess
import sys
from dataclasses import replace
from http.cookiejar import Cookie
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from joserfc import jwt
from joserfc.jwk import KeySet

import keyfob_emulator
from keyfob_emulator import Emulator, EmulatorServer, create_app, sample_directory
from keyfob_emulator.in_process import EmulatorAdapter, mount
from keyfob_emulator.sample import CONTOSO, FLASK_SITE, FLASK_SITE_SECRET, PASSWORD
from support.form_browser import FormBrowser

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = str(Path(keyfob_emulator.__file__).parent.parent)
LOGIN, GRAPH = "https://login.microsoftonline.com", "https://graph.microsoft.com"
BACK = "http://localhost:5000/auth/callback"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[requests.Session]:
    """A session; every attempt to use the network fails the test."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with requests.Session() as made:
        yield made


def test_who_streams_an_answer_finds_it_unread(session: requests.Session) -> None:
    mount(session)
    answer = session.get(f"{LOGIN}/common/v2.0/.well-known/openid-configuration", stream=True)
    assert answer.raw.read(1) == b"{"


def test_a_whole_sign_in_happens_at_microsofts_addresses(session: requests.Session) -> None:
    emulator = mount(session)
    metadata = session.get(f"{LOGIN}/organizations/v2.0/.well-known/openid-configuration").json()
    assert metadata["issuer"] == f"{LOGIN}/{{tenantid}}/v2.0"
    assert metadata["msgraph_host"] == "graph.microsoft.com"
    browser = FormBrowser(session, stop_at=(BACK,))
    query = urlencode(
        {
            "client_id": FLASK_SITE,
            "response_type": "code",
            "redirect_uri": BACK,
            "scope": "openid profile User.Read",
        }
    )
    page = browser.open(f"{metadata['authorization_endpoint']}?{query}")
    page = page.submit(button="Ada Keyring").submit(password=PASSWORD).submit(button="Accept")
    (code,) = parse_qs(urlsplit(page.url).query)["code"]
    tokens = session.post(
        metadata["token_endpoint"],
        data={
            "grant_type": "authorization_code",
            "client_id": FLASK_SITE,
            "client_secret": FLASK_SITE_SECRET,
            "redirect_uri": BACK,
            "code": code,
        },
    ).json()
    keys = KeySet.import_key_set(session.get(metadata["jwks_uri"]).json())
    claims = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims
    assert claims["iss"] == f"{LOGIN}/{CONTOSO}/v2.0"
    access = jwt.decode(tokens["access_token"], keys, algorithms=["RS256"]).claims
    assert access["iss"] == f"https://sts.windows.net/{CONTOSO}/"
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert session.get(f"{GRAPH}/v1.0/me", headers=headers).json()["givenName"] == "Ada"
    photo = session.get(f"{GRAPH}/v1.0/me/photo/$value", headers=headers)
    assert photo.content.startswith(b"\x89PNG")
    assert emulator.account("ada@contoso.example").name == "Ada Keyring"


def test_cookies_are_kept_for_the_hosts_they_belong_to(session: requests.Session) -> None:
    mount(session)
    query = urlencode(
        {"client_id": FLASK_SITE, "response_type": "code", "redirect_uri": BACK, "scope": "openid"}
    )
    session.get(f"{LOGIN}/common/oauth2/v2.0/authorize?{query}")
    (cookie,) = list[Cookie](session.cookies)  # type: ignore[arg-type]
    assert (cookie.name, cookie.domain, cookie.secure) == (
        "keyfob_emulator_session",
        "login.microsoftonline.com",
        True,
    )


@pytest.mark.parametrize(
    "body",
    ["grant_type=x", b"grant_type=x", io.BytesIO(b"grant_type=x"), iter([b"grant_", b"type=x"])],
)
def test_bodies_of_every_kind_arrive(session: requests.Session, body: Any) -> None:
    mount(session)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = session.post(f"{LOGIN}/common/oauth2/v2.0/token", data=body, headers=headers)
    assert response.json()["error_codes"] == [70003]
    assert response.headers["content-type"] == "application/json"
    assert not response.ok


def test_headers_as_bytes_arrive(session: requests.Session) -> None:
    mount(session)
    value = b"Basic " + base64.b64encode(b"a:b")
    response = session.post(
        f"{LOGIN}/common/oauth2/v2.0/token",
        data={"grant_type": "refresh_token"},
        headers={"Authorization": value},
    )
    assert response.json()["error_codes"] == [700016]


def test_it_can_stand_at_another_address(session: requests.Session) -> None:
    adapter = EmulatorAdapter(base_url="https://login.example/")
    session.mount("https://login.example", adapter)
    url = "https://login.example/common/v2.0/.well-known/openid-configuration"
    document = session.get(url).json()
    assert document["issuer"] == "https://login.example/{tenantid}/v2.0"
    assert document["msgraph_host"] == "login.example"


def test_streaming_and_redirects_work_as_with_a_network(session: requests.Session) -> None:
    mount(session)
    url = f"{LOGIN}/common/discovery/v2.0/keys"
    with session.get(url, stream=True) as response:
        assert b"".join(response.iter_content(100)).startswith(b"{")
        assert response.reason == "OK"


def test_an_application_takes_a_state_or_the_parts_of_one() -> None:
    directory = sample_directory()
    client = create_app(directory=directory, clock=lambda: 0.0).test_client()
    assert client.get("/common/v2.0/.well-known/openid-configuration").status_code == 200
    with pytest.raises(TypeError):
        create_app(Emulator(), directory=directory)
    with pytest.raises(TypeError):
        EmulatorServer(Emulator(), directory=directory)


# Failures a test asks for


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("token", f"{LOGIN}/common/oauth2/v2.0/token"),
        ("authorize", f"{LOGIN}/common/oauth2/v2.0/authorize"),
        ("logout", f"{LOGIN}/common/oauth2/v2.0/logout"),
        ("metadata", f"{LOGIN}/common/v2.0/.well-known/openid-configuration"),
        ("keys", f"{LOGIN}/common/discovery/v2.0/keys"),
        ("instance", f"{LOGIN}/common/discovery/instance"),
        ("userinfo", f"{GRAPH}/oidc/userinfo"),
        ("me", f"{GRAPH}/v1.0/me"),
        ("photo", f"{GRAPH}/v1.0/me/photo/$value"),
    ],
)
def test_the_next_requests_to_an_endpoint_can_be_made_to_fail(
    session: requests.Session, endpoint: str, url: str
) -> None:
    emulator = mount(session)
    emulator.fail_next(endpoint, status=429, retry_after=7, body='{"error": "x"}', times=2)
    method = "POST" if endpoint == "token" else "GET"
    for _ in range(2):
        response = session.request(method, url)
        assert (response.status_code, response.headers["Retry-After"]) == (429, "7")
        assert response.json() == {"error": "x"}
    assert session.request(method, url).status_code != 429


def test_an_unknown_endpoint_cannot_be_made_to_fail() -> None:
    with pytest.raises(ValueError, match="tokens"):
        Emulator().fail_next("tokens")


def test_knobs_name_what_they_do_not_find() -> None:
    emulator = Emulator()
    with pytest.raises(LookupError, match="nobody@x"):
        emulator.disable_account("nobody@x")
    with pytest.raises(LookupError, match="no-such-app"):
        emulator.give_consent("ada@contoso.example", "no-such-app", "openid")


def test_an_account_needs_its_tenant(session: requests.Session) -> None:
    emulator = Emulator()
    ada = emulator.account("ada@contoso.example")
    with pytest.raises(ValueError, match="add the tenant"):
        emulator.add(replace(ada, tenant_id="11111111-1111-1111-1111-111111111111"))


def test_secrets_do_not_print() -> None:
    emulator = Emulator()
    text = repr(emulator.account("ada@contoso.example")) + repr(emulator.application(FLASK_SITE))
    assert PASSWORD not in text
    assert FLASK_SITE_SECRET not in text


# The plugin


def test_importing_the_plugin_imports_nothing_else() -> None:
    code = (
        "import sys, keyfob_emulator.pytest_plugin;"
        "print({'flask', 'joserfc', 'requests', 'cryptography'} & set(sys.modules) or 'nothing')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "nothing\n"


def test_the_plugins_fixtures_are_ready_to_use(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import urllib.request\n"
        "def test_server(keyfob_emulator):\n"
        "    with urllib.request.urlopen(keyfob_emulator.url) as answer:\n"
        "        assert answer.status == 200\n"
        "    keyfob_emulator.emulator.disable_account('ada@contoso.example')\n"
        "def test_in_process(keyfob_emulator_in_process):\n"
        "    session, emulator = keyfob_emulator_in_process\n"
        "    keys = session.get('https://login.microsoftonline.com/common/discovery/v2.0/keys')\n"
        "    assert len(keys.json()['keys']) == 2\n"
        "    assert emulator.account('ada@contoso.example').enabled\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "keyfob_emulator.pytest_plugin",
            "-W",
            "error",
            "-q",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_the_package_exports_what_it_says() -> None:
    assert {
        name for name in keyfob_emulator.__all__ if getattr(keyfob_emulator, name, None)
    } == set(keyfob_emulator.__all__)
    assert set(keyfob_emulator.__all__) <= set(dir(keyfob_emulator))
    with pytest.raises(AttributeError):
        keyfob_emulator.nothing  # noqa: B018
