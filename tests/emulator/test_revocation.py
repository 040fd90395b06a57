"""What was given and is taken back: consent, sessions, and how applications hear of it."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from keyfob_emulator.sample import FABRIKAM, ORDERS_API, ORDERS_API_SECRET, PASSWORD

if TYPE_CHECKING:
    import requests

    from emulator.conftest import Client, Clock

ADA, HEDY = "ada@contoso.example", "hedy@fabrikam.example"
CP1 = json.dumps({"access_token": {"xms_cc": {"values": ["cp1"]}}})


def told(response: requests.Response, error: str, suberror: str | None, code: int) -> None:
    body = response.json()
    assert response.status_code == 400, body
    assert (body["error"], body.get("suberror"), body["error_codes"]) == (error, suberror, [code])


def challenge(response: requests.Response) -> dict[str, Any]:
    """The claims of Graph's challenge, which has the documented shape."""
    assert response.status_code == 401, response.text
    header = response.headers["WWW-Authenticate"]
    match = re.fullmatch(
        r'Bearer realm="", authorization_uri="(http[^"]+/common/oauth2/authorize)", '
        r'client_id="00000003-0000-0000-c000-000000000000", error="insufficient_claims", '
        r'claims="([A-Za-z0-9+/]+=*)"',
        header,
    )
    assert match, header
    assert "TokenIssuedBeforeRevocationTimestamp" in response.json()["error"]["message"]
    claims: dict[str, Any] = json.loads(base64.b64decode(match[2]))
    return claims


# Consent


def test_revoked_consent_ends_refreshing_and_is_asked_for_again(client: Client) -> None:
    tokens = client.tokens()
    client.server.emulator.revoke_consent(ADA, client.client_id)
    told(client.refresh(tokens["refresh_token"]), "invalid_grant", "consent_required", 65001)
    page = client.open()
    assert page.headings == ["Permissions requested"]
    code = client.answer(page.submit(button="Accept"))["code"]
    assert client.redeem(code).status_code == 200
    # The grant itself was not revoked: with consent it goes on.
    assert client.refresh(tokens["refresh_token"]).status_code == 200


def test_revoked_consent_has_graph_refuse_the_tokens_it_led_to(
    client: Client, clock: Clock
) -> None:
    plain, capable = client.tokens(), client.tokens(claims=CP1)
    client.server.emulator.revoke_consent(ADA, client.client_id)
    response = client.graph("/v1.0/me", plain["access_token"])
    assert response.status_code == 401
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    claims = challenge(client.graph("/v1.0/me", capable["access_token"]))
    assert claims == {"access_token": {"nbf": {"essential": True, "value": str(int(clock.now))}}}


def test_revoking_one_applications_consent_leaves_the_others(client: Client) -> None:
    tokens = client.tokens()
    client.server.emulator.give_consent(ADA, ORDERS_API, "User.Read")
    client.server.emulator.revoke_consent(ADA, ORDERS_API)
    assert client.refresh(tokens["refresh_token"]).status_code == 200
    assert client.graph("/v1.0/me", tokens["access_token"]).status_code == 200


def test_a_person_takes_consent_back_on_a_page(client: Client) -> None:
    tokens = client.tokens()
    page = client.browser.open(client.server.url).follow("Consents")
    assert page.headings[0] == "What you allowed"
    assert "Flask demo site" in page.text
    assert "Sign you in and read your profile" in page.text
    page = page.submit(button="Take back")
    assert "Flask demo site" not in page.text
    assert "No application has been allowed anything." in page.text
    told(client.refresh(tokens["refresh_token"]), "invalid_grant", "consent_required", 65001)


def test_only_who_is_signed_in_here_can_take_their_consent_back(
    client: Client, other: Client
) -> None:
    tokens = client.tokens()
    url = f"{client.server.url}/consents"
    assert "Nobody is signed in" in other.browser.open(url).text
    other.sign_in("alan@contoso.example")
    page = other.browser.open(url)
    (form,) = page.forms
    for not_theirs in (ADA, "nobody@contoso.example"):
        other.browser.send("post", url, [*form.fields, ("username", not_theirs)])
    # A form from elsewhere has not the browser's own token.
    client.browser.session.post(url, data={"username": ADA, "client_id": client.client_id})
    assert client.refresh(tokens["refresh_token"]).status_code == 200


def test_a_guests_consent_is_on_the_page_too(client: Client) -> None:
    client.sign_in(HEDY, tenant="contoso.example")
    page = client.browser.open(f"{client.server.url}/consents")
    assert "Flask demo site" in page.text
    assert "Flask demo site" not in page.submit(button="Take back").text


# Sessions


def test_revoked_sessions_need_a_new_sign_in(client: Client) -> None:
    tokens = client.tokens(claims=CP1)
    code = client.sign_in()["code"]
    client.server.emulator.revoke_sign_in_sessions(ADA)
    told(client.refresh(tokens["refresh_token"]), "invalid_grant", "bad_token", 50173)
    told(client.redeem(code), "invalid_grant", None, 50173)
    assert client.open(prompt="none").url.startswith(f"{client.redirect_uri}?error=login_required")
    assert client.open(login_hint=ADA).headings == ["Enter the password"]


def test_graph_challenges_tokens_from_before_a_revocation(client: Client, clock: Clock) -> None:
    tokens = client.tokens(claims=CP1)
    assert client.graph("/v1.0/me", tokens["access_token"]).status_code == 200
    clock.now += 100
    revoked_at = int(clock.now)
    client.server.emulator.revoke_sign_in_sessions(ADA)
    clock.now += 50
    claims = challenge(client.graph("/v1.0/me", tokens["access_token"]))
    assert claims == {"access_token": {"nbf": {"essential": True, "value": str(revoked_at)}}}
    refused = client.refresh(tokens["refresh_token"], claims=json.dumps(claims))
    told(refused, "invalid_grant", "bad_token", 50173)

    tokens = client.tokens(claims=json.dumps(claims))
    assert client.claims(tokens["access_token"])["nbf"] >= revoked_at
    assert client.graph("/v1.0/me", tokens["access_token"]).status_code == 200


def test_a_client_without_the_capability_is_not_challenged(client: Client) -> None:
    tokens = client.tokens()
    client.server.emulator.revoke_sign_in_sessions(ADA)
    assert client.graph("/v1.0/me", tokens["access_token"]).status_code == 200
    told(client.refresh(tokens["refresh_token"]), "invalid_grant", "bad_token", 50173)


def test_a_revocation_reaches_the_apis_behind_an_api(client: Client) -> None:
    assertion = client.tokens(scope="openid api://orders/Orders.Read")["access_token"]

    def on_behalf() -> requests.Response:
        return client.token(
            client_id=ORDERS_API,
            client_secret=ORDERS_API_SECRET,
            grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer",
            requested_token_use="on_behalf_of",
            assertion=assertion,
            scope="User.Read offline_access",
            claims=CP1,
        )

    body = on_behalf().json()
    client.server.emulator.revoke_sign_in_sessions(ADA)
    challenge(client.graph("/v1.0/me", body["access_token"]))
    told(on_behalf(), "invalid_grant", None, 50173)


def test_an_administrator_revokes_sessions_on_a_page(client: Client, other: Client) -> None:
    tokens = client.tokens()
    page = other.browser.open(other.server.url).follow("Sessions")
    assert "Signed in" in page.text
    page = page.submit(button=f"username={ADA}")
    assert "The sessions of Ada Keyring were revoked." in page.text
    assert "Signed in" not in page.text
    told(client.refresh(tokens["refresh_token"]), "invalid_grant", "bad_token", 50173)


def test_a_foreign_page_revokes_no_sessions(client: Client) -> None:
    tokens = client.tokens()
    client.browser.session.post(f"{client.server.url}/sessions", data={"username": ADA})
    assert client.refresh(tokens["refresh_token"]).status_code == 200


# Two organisations


def test_an_application_of_many_tenants_works_in_each_with_the_tenants_own_claims(
    client: Client, other: Client
) -> None:
    ada = client.claims(client.tokens(ADA, tenant="organizations")["id_token"])
    hedy = other.claims(other.tokens(HEDY, tenant="organizations")["id_token"])
    assert ada["tid"] != hedy["tid"] == FABRIKAM
    assert ada["iss"] != hedy["iss"]
    assert hedy["iss"].endswith(f"/{FABRIKAM}/v2.0")


def test_where_people_may_not_consent_an_administrator_must_and_nobody_is_told_less(
    client: Client, other: Client
) -> None:
    emulator = client.server.emulator
    fabrikam = emulator.directory.tenant(FABRIKAM)
    assert fabrikam is not None
    emulator.add(replace(fabrikam, user_consent=False))
    page = client.open(login_hint=HEDY).submit(password=PASSWORD)
    assert page.headings == ["Need admin approval"]
    assert "AADSTS90094" in page.text
    answer = client.answer(page.submit(button="Return without consent"))
    assert answer["error"] == "access_denied"
    assert client.answer(client.open(prompt="none"))["error"] == "consent_required"
    # Elsewhere nothing has changed, and an administrator of the tenant is asked.
    assert other.sign_in(ADA)["code"]
    emulator.add(replace(emulator.account(HEDY), administrator=True))
    assert client.open().headings == ["Permissions requested"]


def test_an_administrator_is_none_where_they_are_a_guest(client: Client) -> None:
    emulator = client.server.emulator
    emulator.add(replace(emulator.account(HEDY), administrator=True))
    scope = "openid https://graph.microsoft.com/Directory.Read.All"
    page = client.open(tenant="contoso.example", login_hint=HEDY, scope=scope)
    assert page.submit(password=PASSWORD).headings == ["Need admin approval"]
    assert client.open(login_hint=HEDY, scope=scope).headings == ["Permissions requested"]
