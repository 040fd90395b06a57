"""The adapter contract: a web API that takes bearer tokens.

A site has these addresses, in whichever way its framework has views:

    GET, POST /orders     scopes=["Orders.Read"], app_roles=["Orders.Read.All"]: who calls, as JSON
    GET /people           scopes=["Orders.Read"]
    GET /daemons          app_roles=["Orders.Read.All"]
    GET /admins           scopes=["Orders.Read"], roles=["Admin"]
    GET /class-based      as /orders, as a class
    GET /stepped-up       a view that raises StepUpRequired
    GET /whoami           whether a person is signed in, unguarded
"""

from __future__ import annotations

from typing import Any

import pytest
import requests

from keyfob.protocol.www_authenticate import claims_challenge, parse_challenges
from support.access_tokens import CALLER, Mint, private_pem
from support.contract_base import ContractBase, RunningSite, Site
from support.form_browser import FormBrowser
from support.provider import HOME_TENANT, Provider
from support.wrong_tokens import WRONG

#: A claims challenge, as a view raises it.
CHALLENGE = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'


def settings_of(provider: Provider, **more: object) -> dict[str, object]:
    return {
        **provider.settings("common"),
        "ALLOWED_TENANTS": [HOME_TENANT],
        "ALLOWED_CLIENTS": [CALLER],
        "TOKEN_DECRYPTION_KEYS": [private_pem()],
        **more,
    }


def call(
    site: Site, path: str = "/orders", token: str | None = None, method: str = "GET", **more: Any
) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    headers |= more.pop("headers", {})
    return requests.request(
        method, f"{site.url}{path}", headers=headers, allow_redirects=False, timeout=20, **more
    )


def challenge_of(answer: requests.Response) -> dict[str, str]:
    [challenge] = parse_challenges([answer.headers["WWW-Authenticate"]])
    assert challenge.scheme == "Bearer"
    return dict(challenge.parameters)


def assert_refused(answer: requests.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.json()["code"] == code
    assert answer.json()["status"] == status
    assert "no-store" in answer.headers["Cache-Control"]
    assert "authorization" in answer.headers["Vary"].lower()
    assert "Set-Cookie" not in answer.headers
    assert "resource_metadata" in challenge_of(answer)


class BearerContract(ContractBase):
    @pytest.fixture
    def provider(self) -> Any:
        with Provider(entra=True) as provider:
            yield provider

    @pytest.fixture
    def mint(self, provider: Provider) -> Mint:
        return Mint(provider)

    @pytest.fixture
    def site(self, start: RunningSite, provider: Provider) -> Any:
        return start(settings_of(provider))

    @pytest.mark.parametrize("path", ["/orders", "/class-based"])
    def test_a_person_and_an_application_may_call(self, site: Site, mint: Mint, path: str) -> None:
        for token in (mint.person(), mint.v1(), mint.encrypted()):
            answer = call(site, path, token)
            assert answer.status_code == 200, answer.text
            assert answer.json()["name"] == "Ada Keyring"
            assert answer.json()["scopes"] == ["Orders.List", "Orders.Read"]
            assert answer.json()["is_app"] is False
            assert answer.json()["user"] is False
        answer = call(site, path, mint.app())
        assert answer.json()["is_app"] is True
        assert answer.json()["roles"] == ["Orders.Read.All"]
        assert "authorization" in answer.headers["Vary"].lower()
        assert "cookie" not in answer.headers["Vary"].lower()
        assert "Set-Cookie" not in answer.headers

    @pytest.mark.parametrize("path", ["/orders", "/class-based"])
    def test_a_post_needs_no_forms_token(self, site: Site, mint: Mint, path: str) -> None:
        assert call(site, path, mint.person(), "POST", json={"a": 1}).status_code == 200
        assert_refused(call(site, path, None, "POST", json={"a": 1}), 401, "missing")

    @pytest.mark.parametrize(
        ("path", "kind", "code"),
        [
            ("/people", "app", "insufficient_scope"),
            ("/daemons", "person", "role"),
            ("/admins", "person", "role"),
            ("/admins", "app", "insufficient_scope"),
        ],
    )
    def test_who_is_not_meant_is_403(
        self, site: Site, mint: Mint, path: str, kind: str, code: str
    ) -> None:
        answer = call(site, path, getattr(mint, kind)())
        assert_refused(answer, 403, code)
        assert challenge_of(answer)["error"] == "insufficient_scope"

    def test_who_is_meant_is_let_in(self, site: Site, mint: Mint) -> None:
        assert call(site, "/people", mint.person()).status_code == 200
        assert call(site, "/daemons", mint.app()).status_code == 200
        assert call(site, "/admins", mint.person(roles=["Admin"])).status_code == 200

    def test_the_whole_table_of_wrong_tokens_is_refused(self, site: Site, mint: Mint) -> None:
        for name, wrong in WRONG.items():
            token = wrong.make(mint)
            answer = call(site, token=token) if len(token) < 30_000 else None
            if answer is None:
                continue  # the server itself refuses so long a header, or may
            status = 403 if wrong.code in ("insufficient_scope", "role") else 401
            assert answer.status_code == status, name
            assert_refused(answer, status, wrong.code)
            assert token not in answer.text
        assert call(site, token=mint.person()).status_code == 200

    def test_without_a_token_nobody_comes_in(
        self, site: Site, mint: Mint, browser: FormBrowser
    ) -> None:
        answer = call(site)
        assert_refused(answer, 401, "missing")
        where = f"{site.url}/.well-known/oauth-protected-resource"
        assert challenge_of(answer) == {"resource_metadata": where}
        token = mint.person()
        assert_refused(call(site, f"/orders?access_token={token}"), 401, "missing")
        form = {"access_token": token}
        assert_refused(call(site, "/orders", None, "POST", data=form), 401, "missing")
        assert_refused(call(site, headers={"Authorization": f"DPoP {token}"}), 401, "missing")
        assert_refused(call(site, headers={"Accept": "text/html"}), 401, "missing")

    def test_a_browsers_session_opens_no_api(
        self, site: Site, mint: Mint, browser: FormBrowser
    ) -> None:
        browser.open(f"{site.url}/auth/login?next=/whoami")
        cookies = browser.session.cookies.get_dict()
        assert call(site, "/whoami", cookies=cookies).json()["user"] is True
        assert_refused(call(site, cookies=cookies), 401, "missing")
        assert_refused(call(site, token="x", cookies=cookies), 401, "malformed")
        answer = call(site, token=mint.person(), cookies=cookies)
        assert answer.status_code == 200
        assert answer.json()["user"] is False, "a caller acts with a cookie's rights"
        assert "Set-Cookie" not in answer.headers

    def test_two_tokens_are_none(self, site: Site, mint: Mint) -> None:
        token = mint.person()
        both = {"Authorization": f"Bearer {token},Bearer {token}"}
        assert_refused(call(site, headers=both), 401, "malformed")

    def test_a_step_up_is_asked_of_the_caller(self, site: Site, mint: Mint) -> None:
        answer = call(site, "/stepped-up", mint.person())
        assert_refused(answer, 401, "insufficient_claims")
        assert claims_challenge([answer.headers["WWW-Authenticate"]]) == CHALLENGE

    def test_a_provider_that_is_away_is_503(
        self, site: Site, provider: Provider, mint: Mint
    ) -> None:
        provider.raw["keys"] = lambda _: Provider.json({}, 503)
        answer = call(site, token=mint.person())
        assert answer.status_code == 503
        assert answer.headers["Content-Type"].startswith("application/problem+json")
        assert "Retry-After" in answer.headers
        del provider.raw["keys"]
        assert call(site, token=mint.person()).status_code == 200

    def test_the_site_says_what_it_is(self, start: RunningSite, provider: Provider) -> None:
        site = start(settings_of(provider, API_SCOPES=["api://orders/Orders.Read"]))
        answer = call(site, "/.well-known/oauth-protected-resource")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("application/json")
        assert answer.json() == {
            "resource": site.url,
            "authorization_servers": [f"{provider.authority('common')}/v2.0"],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["api://orders/Orders.Read"],
        }

    def test_below_a_mount_point_as_well(
        self, start: RunningSite, provider: Provider, mint: Mint
    ) -> None:
        site = start(settings_of(provider), script_name="/shop")
        assert call(site, token=mint.person()).status_code == 200
        where = challenge_of(call(site))["resource_metadata"]
        assert where == f"{site.url}/.well-known/oauth-protected-resource"
        assert requests.get(where, timeout=20).json()["resource"] == site.url

    def test_a_head_is_as_a_get(self, site: Site, mint: Mint) -> None:
        assert call(site, "/orders", mint.person(), "HEAD").status_code == 200
        assert call(site, "/orders", None, "HEAD").status_code == 401
