"""The corner of Microsoft Graph: userinfo, the profile, the photo."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from keyfob_emulator.avatar import portrait
from keyfob_emulator.sample import CONTOSO, NIGHTLY_JOB, NIGHTLY_JOB_SECRET

if TYPE_CHECKING:
    import requests

    from emulator.conftest import Client, Clock

ADA, ALAN, GRACE = "ada@contoso.example", "alan@contoso.example", "grace@outlook.example"


def refused(response: requests.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    assert error["code"] == code
    assert {"date", "request-id", "client-request-id"} <= set(error["innerError"])
    if status == 401:
        assert response.headers["WWW-Authenticate"].startswith('Bearer realm=""')
    return error


def test_me_is_the_person_the_token_is_about(client: Client) -> None:
    body = client.graph("/v1.0/me", client.tokens()["access_token"]).json()
    assert body["@odata.context"] == f"{client.server.url}/v1.0/$metadata#users/$entity"
    assert body["displayName"] == "Ada Keyring"
    assert body["userPrincipalName"] == body["mail"] == ADA
    assert body["id"] == client.server.emulator.account(ADA).object_id
    assert body["jobTitle"] == "Head of Locks"
    assert {"givenName", "surname", "officeLocation", "businessPhones"} <= set(body)


def test_select_narrows_the_profile(client: Client) -> None:
    token = client.tokens()["access_token"]
    body = client.graph("/v1.0/me?$select=displayName,id", token).json()
    assert set(body) == {"@odata.context", "displayName", "id"}


def test_a_personal_account_has_a_profile_too(client: Client) -> None:
    body = client.graph("/v1.0/me", client.tokens(GRACE)["access_token"]).json()
    assert body["displayName"] == "Grace Padlock"
    assert body["jobTitle"] is None


def test_userinfo_has_the_subject_of_the_id_token(client: Client) -> None:
    tokens = client.tokens(scope="openid profile email User.Read")
    claims = client.claims(tokens["id_token"])
    url = client.server.url + "/oidc/userinfo"
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    body = client.http.get(url, headers=headers).json()
    assert body["sub"] == claims["sub"]
    assert (body["name"], body["email"]) == ("Ada Keyring", ADA)
    assert client.http.post(url, headers=headers).json() == body
    photo = client.http.get(body["picture"], headers=headers)
    assert photo.headers["Content-Type"] == "image/png"


def test_userinfo_says_no_more_than_was_granted(client: Client) -> None:
    token = client.tokens(scope="openid")["access_token"]
    assert set(client.graph("/oidc/userinfo", token).json()) == {"sub"}


def test_a_token_without_the_permission_is_a_403(client: Client) -> None:
    token = client.tokens(scope="openid profile")["access_token"]
    refused(client.graph("/v1.0/me", token), 403, "Authorization_RequestDenied")
    token = client.tokens(scope="User.Read", prompt="select_account")["access_token"]
    claims = client.claims(token)
    assert claims["scp"] == "User.Read"
    refused(client.graph("/oidc/userinfo", token), 403, "Authorization_RequestDenied")


def test_no_token_a_broken_one_or_one_for_somebody_else_is_a_401(client: Client) -> None:
    tokens = client.tokens()
    other = client.tokens(scope="openid api://orders/Orders.Read")["access_token"]
    good = tokens["access_token"]
    for token in (None, "nonsense", good[:-8] + "AAAAAAAA", tokens["id_token"], other, "é"):
        header = {} if token is None else {"Authorization": f"Bearer {token}".encode()}
        response = client.http.get(client.server.url + "/v1.0/me", headers=header)
        refused(response, 401, "InvalidAuthenticationToken")
    response = client.http.get(client.server.url + "/v1.0/me", headers={"Authorization": "Basic x"})
    refused(response, 401, "InvalidAuthenticationToken")


def test_an_expired_token_is_a_401(client: Client, clock: Clock) -> None:
    token = client.tokens()["access_token"]
    clock.now += 3598
    assert client.graph("/v1.0/me", token).status_code == 200
    clock.now += 1
    refused(client.graph("/v1.0/me", token), 401, "InvalidAuthenticationToken")


def test_a_disabled_or_revoked_person_is_a_401(client: Client) -> None:
    token = client.tokens()["access_token"]
    client.server.emulator.disable_account(ADA)
    refused(client.graph("/v1.0/me", token), 401, "InvalidAuthenticationToken")
    client.server.emulator.enable_account(ADA)
    client.server.emulator.revoke_refresh_tokens(ADA)
    refused(client.graph("/v1.0/me", token), 401, "InvalidAuthenticationToken")


def test_an_application_has_no_me(client: Client) -> None:
    response = client.token(
        client_id=NIGHTLY_JOB,
        client_secret=NIGHTLY_JOB_SECRET,
        grant_type="client_credentials",
        scope="https://graph.microsoft.com/.default",
        tenant=CONTOSO,
    )
    token = response.json()["access_token"]
    refused(client.graph("/v1.0/me", token), 403, "Authorization_RequestDenied")


def test_a_person_without_a_photo_has_none(client: Client) -> None:
    token = client.tokens(ALAN)["access_token"]
    refused(client.graph("/v1.0/me/photo/$value", token), 404, "ImageNotFound")


@pytest.mark.parametrize("size", [1, 48, 192])
def test_a_portrait_is_a_png_that_is_always_the_same(size: int) -> None:
    data = portrait("somebody", size)
    assert data == portrait.__wrapped__("somebody", size)
    assert data != portrait("somebody else", size)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    position, chunks = 8, {}
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, position + 8 + length)
        assert checksum == zlib.crc32(kind + body)
        chunks[kind] = body
        position += 12 + length
    assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (size, size, 8, 2, 0, 0, 0)
    assert len(zlib.decompress(chunks[b"IDAT"])) == size * (1 + 3 * size)
    assert chunks[b"IEND"] == b""
