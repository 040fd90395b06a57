"""ADFS and dSTS, on loopback and at hosts of their own; real msal there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msal
import pytest
import requests
from joserfc import jwt
from joserfc.jwk import KeySet

from keyfob_emulator import EmulatorServer
from keyfob_emulator.in_process import mount
from keyfob_emulator.sample import (
    CONTOSO,
    FABRIKAM,
    FLASK_SITE,
    FLASK_SITE_SECRET,
    NIGHTLY_JOB,
    NIGHTLY_JOB_SECRET,
    ORDERS_API,
    ORDERS_API_SECRET,
    PASSWORD,
)
from support.msal_sign_in import sign_in

ADFS = "https://adfs.contoso.example"
DSTS = "https://test-dsts.dsts.core.example"
ADA = "ada@contoso.example"


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        mount(made, origins=(ADFS, DSTS))
        yield made


@pytest.fixture
def server() -> Iterator[EmulatorServer]:
    with EmulatorServer() as running:
        yield running


@pytest.fixture
def loopback() -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        yield made


def verified(session: requests.Session, document: dict[str, Any], token: str) -> dict[str, Any]:
    keys = KeySet.import_key_set(session.get(document["jwks_uri"]).json())
    return dict(jwt.decode(token, keys, algorithms=["RS256"]).claims)


def test_metadata_of_adfs(loopback: requests.Session, server: EmulatorServer) -> None:
    base = f"{server.url}/adfs"
    document = loopback.get(f"{base}/.well-known/openid-configuration").json()
    assert document["issuer"] == base
    assert document["authorization_endpoint"] == f"{base}/oauth2/authorize/"
    assert document["token_endpoint"] == f"{base}/oauth2/token/"
    assert document["end_session_endpoint"] == f"{base}/oauth2/logout"
    assert document["jwks_uri"] == f"{base}/discovery/keys"
    assert document["userinfo_endpoint"] == f"{base}/userinfo"
    host = urlsplit(server.url).netloc
    assert document["access_token_issuer"] == f"http://{host}/adfs/services/trust"
    (key,) = loopback.get(document["jwks_uri"]).json()["keys"]
    assert key["x5t"]
    assert "issuer" not in key


@pytest.mark.parametrize("path", ["/adfs", "/adfs/", "/adfs/v2.0/x", "/adfs/oauth2", "/adfs/x/y/z"])
def test_adfs_has_nothing_else(
    loopback: requests.Session, server: EmulatorServer, path: str
) -> None:
    assert loopback.get(server.url + path).status_code == 404


@pytest.mark.parametrize("slash", ["", "/"])
def test_an_application_gets_a_token_at_adfs(
    loopback: requests.Session, server: EmulatorServer, slash: str
) -> None:
    base = f"{server.url}/adfs"
    answer = loopback.post(
        f"{base}/oauth2/token{slash}",
        data={
            "grant_type": "client_credentials",
            "client_id": NIGHTLY_JOB,
            "client_secret": NIGHTLY_JOB_SECRET,
            "scope": "api://orders/.default",
        },
    ).json()
    document = loopback.get(f"{base}/.well-known/openid-configuration").json()
    told = verified(loopback, document, answer["access_token"])
    assert told["iss"] == document["access_token_issuer"]
    assert (told["appid"], told["apptype"]) == (NIGHTLY_JOB, "Confidential")
    assert told["roles"] == ["Orders.Read.All"]
    assert not {"tid", "oid", "upn"} & told.keys()


def test_a_person_signs_in_at_adfs_with_msal(session: requests.Session) -> None:
    app = msal.ConfidentialClientApplication(
        FLASK_SITE, FLASK_SITE_SECRET, authority=f"{ADFS}/adfs", http_client=session
    )
    result = sign_in(app, session, ["api://orders/Orders.Read"], ADA)
    document = session.get(f"{ADFS}/adfs/.well-known/openid-configuration").json()
    told = verified(session, document, result["id_token"])
    assert (told["iss"], told["aud"], told["upn"]) == (f"{ADFS}/adfs", FLASK_SITE, ADA)
    assert not {"tid", "oid", "preferred_username"} & told.keys()
    assert "client_info" not in result
    (account,) = app.get_accounts()
    assert account["home_account_id"] == told["sub"]
    assert (account["username"], account["authority_type"]) == (ADA, "ADFS")
    silent = app.acquire_token_silent(["api://orders/Orders.Read"], account, force_refresh=True)
    assert silent is not None
    access = verified(session, document, silent["access_token"])
    assert (access["iss"], access["upn"]) == (document["access_token_issuer"], ADA)
    headers = {"Authorization": f"Bearer {silent['access_token']}"}
    userinfo = session.get(document["userinfo_endpoint"], headers=headers)
    assert userinfo.json() == {"sub": access["sub"]}


def test_a_password_is_enough_at_adfs_without_asking_for_a_realm(
    session: requests.Session,
) -> None:
    asked: list[str] = []
    session.hooks["response"].append(lambda r, **_: asked.append(r.url))
    app = msal.ConfidentialClientApplication(
        ORDERS_API, ORDERS_API_SECRET, authority=f"{ADFS}/adfs", http_client=session
    )
    result = app.acquire_token_by_username_password(ADA, PASSWORD, ["User.Read"])
    assert result["id_token_claims"]["upn"] == ADA
    assert not [url for url in asked if "userrealm" in url]


@pytest.mark.parametrize("value", [None, "Bearer x", "Basic x"])
def test_userinfo_of_adfs_wants_its_own_token(session: requests.Session, value: str | None) -> None:
    headers = {"Authorization": value} if value else {}
    refused = session.get(f"{ADFS}/adfs/userinfo", headers=headers)
    assert refused.status_code == 401
    assert "invalid_token" in refused.headers["WWW-Authenticate"]


def test_adfs_serves_the_organisation_it_is_told(session: requests.Session) -> None:
    emulator = mount(session, origins=(ADFS,))
    assert emulator.home_tenant == CONTOSO
    emulator.home_tenant = FABRIKAM
    app = msal.ConfidentialClientApplication(
        FLASK_SITE, FLASK_SITE_SECRET, authority=f"{ADFS}/adfs", http_client=session
    )
    result = sign_in(app, session, [], "hedy@fabrikam.example")
    assert result["id_token_claims"]["upn"] == "hedy@fabrikam.example"


def test_dsts_gives_applications_tokens_with_its_own_issuer(session: requests.Session) -> None:
    authority = f"{DSTS}/dstsv2/{CONTOSO}"
    document = session.get(f"{authority}/.well-known/openid-configuration").json()
    assert document["issuer"] == authority
    assert document["token_endpoint"] == f"{authority}/oauth2/v2.0/token"
    assert session.get(f"{authority}/v2.0/.well-known/openid-configuration").json() == document
    app = msal.ConfidentialClientApplication(
        NIGHTLY_JOB, NIGHTLY_JOB_SECRET, authority=authority, http_client=session
    )
    result = app.acquire_token_for_client(["api://orders/.default"])
    told = verified(session, document, result["access_token"])
    assert (told["iss"], told["tid"]) == (authority, CONTOSO)


@pytest.mark.parametrize("path", ["contoso.example", "adfs", f"dstsv2/{CONTOSO}"])
def test_msal_works_over_a_socket_with_tls(path: str, tmp_path: Path) -> None:
    trusted = tmp_path / "server.pem"
    with EmulatorServer(tls=True) as server, requests.Session() as session:
        trusted.write_text(server.certificate, encoding="ascii")
        session.trust_env, session.verify = False, str(trusted)
        app = msal.ConfidentialClientApplication(
            NIGHTLY_JOB,
            NIGHTLY_JOB_SECRET,
            authority=f"{server.url}/{path}",
            instance_discovery=False,
            http_client=session,
        )
        result = app.acquire_token_for_client(["api://orders/.default"])
        assert server.emulator.keys.verify(result["access_token"])


def test_a_server_with_tls_is_not_held_up_by_a_client_that_says_nothing(tmp_path: Path) -> None:
    import socket

    trusted = tmp_path / "server.pem"
    with EmulatorServer(tls=True) as server, requests.Session() as session:
        trusted.write_text(server.certificate, encoding="ascii")
        session.trust_env, session.verify = False, str(trusted)
        with socket.create_connection(("127.0.0.1", server.port)):
            url = f"https://127.0.0.1:{server.port}/"
            assert session.get(url, timeout=30).status_code == 200


def test_a_server_without_tls_has_no_certificate(server: EmulatorServer) -> None:
    assert (server.certificate, server.thumbprint) == ("", "")
