"""The token endpoint's rules: who may ask, with what, how often."""

from __future__ import annotations

import base64
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from keyfob_emulator.sample import (
    CONTOSO,
    DESKTOP_TOOL,
    DJANGO_SITE,
    DJANGO_SITE_SECRET,
    FLASK_SITE,
    FLASK_SITE_SECRET,
    NIGHTLY_JOB,
    NIGHTLY_JOB_SECRET,
    ORDERS_API,
    ORDERS_API_SECRET,
)

if TYPE_CHECKING:
    import requests

    from emulator.conftest import Client, Clock

ADA = "ada@contoso.example"
BOTH = "openid offline_access User.Read api://orders/Orders.Read"


def check(response: requests.Response, status: int, error: str, code: int) -> dict[str, Any]:
    """The refusal has Entra's shape."""
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["error"], body["error_codes"]) == (status, error, [code])
    assert re.fullmatch(
        rf"AADSTS{code}: .+ Trace ID: [0-9a-f-]{{36}} Correlation ID: [0-9a-f-]{{36}} "
        r"Timestamp: [0-9-]{10} [0-9:]{8}Z",
        body["error_description"],
    )
    assert response.headers["Cache-Control"] == "no-store"
    assert "access_token" not in body
    return body


# Client authentication


def basic(client_id: str, secret: str) -> dict[str, str]:
    value = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {value}"}


def test_a_secret_may_come_in_the_body_or_in_a_basic_header(client: Client) -> None:
    assert client.redeem(client.sign_in()["code"]).status_code == 200
    response = client.redeem(
        client.sign_in()["code"],
        headers=basic(FLASK_SITE, FLASK_SITE_SECRET.replace("-", "%2D")),
        client_id=None,
        client_secret=None,
    )
    assert response.status_code == 200


def test_a_wrong_secret_is_a_401(client: Client) -> None:
    check(client.redeem("x", client_secret="wrong"), 401, "invalid_client", 7000215)
    response = client.redeem("x", headers=basic(FLASK_SITE, "wrong"), client_secret=None)
    check(response, 401, "invalid_client", 7000215)
    assert response.headers["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    ("changes", "status", "error", "code"),
    [
        ({"client_secret": None}, 401, "invalid_client", 7000218),
        ({"client_id": None}, 400, "invalid_request", 900144),
        ({"client_id": "nobody"}, 400, "unauthorized_client", 700016),
        ({"client_id": DESKTOP_TOOL}, 401, "invalid_client", 700025),
        ({"client_assertion": "x.y.z"}, 400, "invalid_request", 9002313),
        ({"headers": {"Authorization": "Basic !!!"}}, 400, "invalid_request", 9002313),
        ({"headers": {"Authorization": "Bearer x"}}, 400, "invalid_request", 9002313),
        ({"headers": {"Authorization": "Basic eA=="}}, 400, "invalid_request", 9002313),
        ({"headers": basic(FLASK_SITE, FLASK_SITE_SECRET)}, 400, "invalid_request", 9002313),
        (
            {"headers": basic(DJANGO_SITE, DJANGO_SITE_SECRET), "client_secret": None},
            400,
            "invalid_request",
            9002313,
        ),
    ],
)
def test_other_ways_to_fail_at_client_authentication(
    client: Client, changes: dict[str, Any], status: int, error: str, code: int
) -> None:
    check(client.redeem("a code", **changes), status, error, code)


def test_only_posted_forms_are_read(client: Client) -> None:
    url = client.endpoint("token")
    response = client.http.get(url)
    assert response.status_code == 405
    assert set(response.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}
    check(client.http.post(url, json={"grant_type": "x"}), 400, "invalid_request", 900144)
    check(client.http.post(url, data={"x": "y"}), 400, "invalid_request", 900144)
    response = client.http.post(url, data=[("grant_type", "a"), ("grant_type", "b")])
    check(response, 400, "invalid_request", 9000411)
    assert client.http.post(url, data={"x": "y" * 2_000_000}).status_code == 413


def test_unknown_grants_are_refused(client: Client) -> None:
    check(client.token(grant_type="implicit"), 400, "unsupported_grant_type", 70003)


# Codes


def test_a_code_works_once_and_its_reuse_revokes_what_came_from_it(client: Client) -> None:
    code = client.sign_in()["code"]
    tokens = client.redeem(code).json()
    assert client.graph("/v1.0/me", tokens["access_token"]).status_code == 200
    check(client.redeem(code), 400, "invalid_grant", 54005)
    check(client.refresh(tokens["refresh_token"]), 400, "invalid_grant", 50173)
    assert client.graph("/v1.0/me", tokens["access_token"]).status_code == 401


def test_of_many_redemptions_at_once_one_wins(client: Client) -> None:
    code = client.sign_in()["code"]
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda _: client.redeem(code).status_code, range(6)))
    assert sorted(results) == [200, 400, 400, 400, 400, 400]


def test_a_code_lives_ten_minutes(client: Client, clock: Clock) -> None:
    code = client.sign_in()["code"]
    clock.now += 600
    check(client.redeem(code), 400, "invalid_grant", 70008)


def test_a_code_is_bound_to_its_client(client: Client) -> None:
    code = client.sign_in()["code"]
    other = {"client_id": DJANGO_SITE, "client_secret": DJANGO_SITE_SECRET}
    check(client.redeem(code, **other), 400, "invalid_grant", 70000)
    tokens = client.redeem(code).json()
    check(client.redeem(code, **other), 400, "invalid_grant", 70000)
    # The other client's attempt to use it again has revoked nothing.
    assert client.refresh(tokens["refresh_token"]).status_code == 200


def test_a_code_is_bound_to_its_redirect_uri(client: Client) -> None:
    code = client.sign_in()["code"]
    wrong = "http://localhost:5001/auth/callback"
    check(client.redeem(code, redirect_uri=wrong), 400, "invalid_grant", 500112)
    check(client.redeem(code, redirect_uri=None), 400, "invalid_request", 900144)
    assert client.redeem(code).status_code == 200


def test_a_code_is_bound_to_its_tenant(client: Client) -> None:
    code = client.sign_in()["code"]
    check(client.redeem(code, tenant="fabrikam.example"), 400, "invalid_grant", 700005)
    check(client.redeem(code, tenant="consumers"), 400, "invalid_grant", 700005)
    assert client.redeem(code, tenant=CONTOSO).status_code == 200
    guest = client.sign_in("hedy@fabrikam.example", tenant=CONTOSO, prompt="select_account")
    check(client.redeem(guest["code"], tenant="common"), 400, "invalid_grant", 700005)


@pytest.mark.parametrize("code", ["", "nonsense", "1.é", "x" * 5000])
def test_an_invented_code_is_invalid(client: Client, code: str) -> None:
    response = client.redeem(code)
    assert response.status_code == 400
    assert response.json()["error"] == ("invalid_grant" if code else "invalid_request")


@pytest.mark.parametrize(
    ("verifier", "code"), [(None, 50148), ("wrong" * 10, 501481), ("", 50148), ("é" * 50, 501481)]
)
def test_a_challenge_is_enforced(client: Client, verifier: str | None, code: int) -> None:
    answer = client.sign_in()
    check(client.redeem(answer["code"], code_verifier=verifier), 400, "invalid_grant", code)


def test_a_verifier_without_a_challenge_is_an_error(client: Client) -> None:
    answer = client.sign_in(code_challenge=None, code_challenge_method=None)
    check(client.redeem(answer["code"]), 400, "invalid_grant", 501481)


# Scopes of a token request


def test_one_token_request_names_one_resource(client: Client) -> None:
    code = client.sign_in(scope=BOTH)["code"]
    check(client.redeem(code), 400, "invalid_request", 28003)
    check(client.redeem(code, scope=BOTH), 400, "invalid_request", 28000)
    tokens = client.redeem(code, scope="api://orders/Orders.Read").json()
    assert client.claims(tokens["access_token"])["aud"] == ORDERS_API
    assert tokens["id_token"]
    again = client.refresh(tokens["refresh_token"], scope="User.Read").json()
    assert "User.Read" in again["scope"]


def test_a_code_does_not_give_what_was_not_consented_to(client: Client) -> None:
    code = client.sign_in()["code"]
    body = check(client.redeem(code, scope="Mail.Read"), 400, "invalid_grant", 65001)
    assert body["suberror"] == "consent_required"
    assert client.redeem(code).status_code == 200


# Refresh


def test_each_refresh_brings_a_new_refresh_token_and_the_old_one_still_works(
    client: Client,
) -> None:
    first = client.tokens()["refresh_token"]
    body = client.refresh(first).json()
    assert body["refresh_token"] != first
    assert "nonce" not in client.claims(body["id_token"])
    assert client.refresh(first).status_code == 200
    assert client.refresh(body["refresh_token"]).status_code == 200


def test_in_the_strict_mode_reuse_revokes_the_family(client: Client) -> None:
    client.server.emulator.revoke_reused_refresh_tokens = True
    first = client.tokens()["refresh_token"]
    second = client.refresh(first).json()["refresh_token"]
    body = check(client.refresh(first), 400, "invalid_grant", 70000)
    assert body["suberror"] == "bad_token"
    check(client.refresh(second), 400, "invalid_grant", 50173)
    assert client.refresh(client.tokens()["refresh_token"]).status_code == 200


def test_in_the_strict_mode_one_of_many_refreshes_at_once_wins(client: Client) -> None:
    client.server.emulator.revoke_reused_refresh_tokens = True
    token = client.tokens()["refresh_token"]
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda _: client.refresh(token).status_code, range(6)))
    assert sorted(results) == [200, 400, 400, 400, 400, 400]


def test_a_refresh_may_ask_for_another_resource_if_that_was_consented_to(client: Client) -> None:
    token = client.tokens()["refresh_token"]
    wanted = "api://orders/Orders.Read"
    body = check(client.refresh(token, scope=wanted), 400, "invalid_grant", 65001)
    assert body["suberror"] == "consent_required"
    client.server.emulator.give_consent(ADA, FLASK_SITE, wanted)
    tokens = client.refresh(token, scope=wanted).json()
    assert client.claims(tokens["access_token"])["aud"] == ORDERS_API


@pytest.mark.parametrize("tenant", ["common", "organizations", CONTOSO, "contoso.example"])
def test_a_refresh_token_works_at_every_address_of_its_tenant(client: Client, tenant: str) -> None:
    token = client.tokens()["refresh_token"]
    assert client.refresh(token, tenant=tenant).status_code == 200


def test_a_refresh_token_is_worth_nothing_in_a_tenant_that_does_not_know_the_person(
    client: Client,
) -> None:
    token = client.tokens()["refresh_token"]
    check(client.refresh(token, tenant="fabrikam.example"), 400, "invalid_grant", 50020)


def test_a_guests_refresh_token_gives_tokens_of_the_tenant_it_is_used_at(client: Client) -> None:
    token = client.tokens("hedy@fabrikam.example")["refresh_token"]
    client.server.emulator.give_consent(
        "hedy@fabrikam.example", FLASK_SITE, "openid profile offline_access User.Read"
    )
    body = client.refresh(token, tenant=CONTOSO).json()
    assert client.claims(body["id_token"])["tid"] == CONTOSO


def test_refresh_tokens_are_bound_to_client_and_time(client: Client, clock: Clock) -> None:
    token = client.tokens()["refresh_token"]
    other = {"client_id": DJANGO_SITE, "client_secret": DJANGO_SITE_SECRET}
    check(client.refresh(token, **other), 400, "invalid_grant", 70000)
    check(client.refresh("invented"), 400, "invalid_grant", 70000)
    clock.now += 90 * 86400
    check(client.refresh(token), 400, "invalid_grant", 700082)


def test_a_disabled_account_cannot_refresh(client: Client) -> None:
    token = client.tokens()["refresh_token"]
    client.server.emulator.disable_account(ADA)
    check(client.refresh(token), 400, "invalid_grant", 50057)


def test_withdrawn_consent_ends_refreshing(client: Client) -> None:
    token = client.tokens()["refresh_token"]
    client.server.emulator.withdraw_consent(ADA, FLASK_SITE, "User.Read")
    check(client.refresh(token), 400, "invalid_grant", 65001)
    assert client.refresh(token, scope="openid").status_code == 200


def test_a_test_can_revoke_a_persons_refresh_tokens(client: Client) -> None:
    token = client.tokens()["refresh_token"]
    client.server.emulator.revoke_refresh_tokens(ADA, DJANGO_SITE)
    assert client.refresh(token).status_code == 200
    client.server.emulator.revoke_refresh_tokens(ADA)
    body = check(client.refresh(token), 400, "invalid_grant", 50173)
    assert body["suberror"] == "bad_token"


# Client credentials


def daemon(client: Client, scope: str | None, tenant: str = CONTOSO) -> requests.Response:
    client.client_id, client.secret = NIGHTLY_JOB, NIGHTLY_JOB_SECRET
    return client.token(grant_type="client_credentials", scope=scope, tenant=tenant)


def test_an_application_gets_a_token_with_its_roles_for_itself(client: Client) -> None:
    body = daemon(client, "api://orders/.default").json()
    assert set(body) == {"token_type", "expires_in", "ext_expires_in", "access_token"}
    claims = client.claims(body["access_token"])
    assert claims["aud"] == ORDERS_API
    assert claims["roles"] == ["Orders.Read.All"]
    assert claims["idtyp"] == "app"
    assert claims["azp"] == NIGHTLY_JOB
    assert claims["tid"] == CONTOSO
    assert claims["sub"] == claims["oid"]
    assert not {"scp", "name", "preferred_username"} & set(claims)


def test_an_application_without_grants_gets_a_token_without_roles(client: Client) -> None:
    client.client_id = DJANGO_SITE
    response = client.token(
        grant_type="client_credentials",
        scope=f"{ORDERS_API}/.default",
        client_secret=DJANGO_SITE_SECRET,
        tenant=CONTOSO,
    )
    assert "roles" not in client.claims(response.json()["access_token"])


@pytest.mark.parametrize(
    ("scope", "tenant", "error", "code"),
    [
        ("api://orders/Orders.Read", CONTOSO, "invalid_scope", 1002012),
        ("User.Read", CONTOSO, "invalid_scope", 1002012),
        (None, CONTOSO, "invalid_request", 900144),
        (" ", CONTOSO, "invalid_scope", 1002012),
        ("api://nobody/.default", CONTOSO, "invalid_resource", 500011),
        (
            "api://orders/.default https://graph.microsoft.com/.default",
            CONTOSO,
            "invalid_request",
            28000,
        ),
        ("api://orders/.default", "common", "unauthorized_client", 50194),
        ("api://orders/.default", "fabrikam.example", "unauthorized_client", 700016),
    ],
)
def test_client_credentials_need_a_default_scope_and_a_tenant(
    client: Client, scope: str | None, tenant: str, error: str, code: int
) -> None:
    check(daemon(client, scope, tenant), 400, error, code)


@pytest.mark.parametrize("tenant", ["common", "organizations", "consumers"])
def test_client_credentials_of_a_multi_tenant_application_need_one_tenant(
    client: Client, tenant: str
) -> None:
    scope = "https://graph.microsoft.com/.default"
    response = client.token(grant_type="client_credentials", scope=scope, tenant=tenant)
    check(response, 400, "invalid_request", 50059)


def test_a_public_client_has_no_credentials(client: Client) -> None:
    client.client_id, client.secret = DESKTOP_TOOL, None
    response = client.token(
        grant_type="client_credentials",
        scope="https://graph.microsoft.com/.default",
        tenant=CONTOSO,
    )
    check(response, 401, "invalid_client", 7000218)


# On behalf of


def on_behalf_of(client: Client, assertion: str, **changes: str | None) -> requests.Response:
    data: dict[str, Any] = {
        "client_id": ORDERS_API,
        "client_secret": ORDERS_API_SECRET,
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "requested_token_use": "on_behalf_of",
        "assertion": assertion,
        "scope": "openid offline_access User.Read",
        **changes,
    }
    return client.token(**data)


def called_with(client: Client) -> str:
    return str(client.tokens(scope="openid api://orders/Orders.Read")["access_token"])


def test_an_api_calls_graph_on_behalf_of_its_caller(client: Client) -> None:
    body = on_behalf_of(client, called_with(client), client_info="1").json()
    claims = client.claims(body["access_token"])
    assert (claims["upn"], claims["appid"]) == (ADA, ORDERS_API)
    assert client.graph("/v1.0/me", body["access_token"]).json()["mail"] == ADA
    assert client.claims(body["id_token"])["aud"] == ORDERS_API
    assert body["client_info"]
    client.client_id, client.secret = ORDERS_API, ORDERS_API_SECRET
    assert client.refresh(body["refresh_token"]).status_code == 200


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"assertion": "nonsense"}, "invalid_grant", 50013),
        ({"requested_token_use": None}, "invalid_request", 900144),
        ({"requested_token_use": "other"}, "invalid_request", 90023),
        ({"scope": None}, "invalid_request", 900144),
        ({"scope": "Mail.Read"}, "invalid_grant", 65001),
        (
            {"client_id": FLASK_SITE, "client_secret": FLASK_SITE_SECRET},
            "invalid_grant",
            500131,
        ),
    ],
)
def test_an_on_behalf_of_request_needs_the_apis_own_token_and_consent(
    client: Client, changes: dict[str, str | None], error: str, code: int
) -> None:
    changes = {"assertion": called_with(client), **changes}
    check(on_behalf_of(client, **changes), 400, error, code)  # type: ignore[arg-type]


def test_neither_id_tokens_nor_old_tokens_work_on_behalf_of(client: Client, clock: Clock) -> None:
    tokens = client.tokens(scope="openid api://orders/Orders.Read")
    check(on_behalf_of(client, tokens["id_token"]), 400, "invalid_grant", 50013)
    clock.now += 3599
    check(on_behalf_of(client, tokens["access_token"]), 400, "invalid_grant", 500133)
