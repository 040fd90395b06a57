"""The application's own tokens: whoever is here or not, asked for once."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from keyfob.errors import (
    ConfigurationError,
    InteractionRequired,
    ProviderUnavailable,
    TokenResponseError,
)
from support.bare_site import BareSite
from support.callers import JOBS, apis, called, caller, entra, forms
from support.provider import HOME_TENANT, OTHER_TENANT, Provider
from support.store_contract import at_once


@pytest.fixture
def provider() -> Iterator[Provider]:
    with entra() as provider:
        yield provider


@pytest.fixture
def site(provider: Provider) -> Iterator[BareSite]:
    with BareSite(apis(provider)) as site:
        yield site


def test_it_needs_nobody_and_no_request(site: BareSite, provider: Provider) -> None:
    token = site.app.app_token(api="jobs")
    assert provider._access[token].person is None
    (form,) = forms(provider, "client_credentials")
    assert form["scope"] == JOBS
    assert provider.requests_to("token")[0].path.startswith(f"/{HOME_TENANT}/")
    assert site.keyfob.token(api="jobs") == token
    assert site.app.app_api("jobs").get("/me").json()["id"] == provider.client_id
    assert site.keyfob.api("jobs").get("/me").json()["id"] == provider.client_id


def test_one_token_serves_all_sessions(site: BareSite, provider: Provider) -> None:
    site.sign_in()
    other = site.another_browser()
    tokens = {
        site.keyfob.token(api="jobs"),
        other.keyfob.token(api="jobs"),
        called(site, caller()).token(api="jobs"),
        called(site, caller(is_app=True)).token(api="jobs"),
    }
    assert tokens == {provider.last_access_token}
    assert len(forms(provider, "client_credentials")) == 1


def test_fifty_threads_ask_once(site: BareSite, provider: Provider) -> None:
    assert len(set(at_once(50, lambda _: site.app.app_token(api="jobs")))) == 1
    assert len(forms(provider, "client_credentials")) == 1


def test_it_is_renewed_when_it_ends(site: BareSite, provider: Provider) -> None:
    first = site.app.app_token(api="jobs")
    site.clock_offset = 3500
    assert site.app.app_token(api="jobs") != first
    assert len(forms(provider, "client_credentials")) == 2


def test_scopes_do_for_what_is_no_api_of_the_settings(site: BareSite, provider: Provider) -> None:
    with BareSite({**provider.settings(HOME_TENANT)}) as one_tenant:
        scopes = ["api://other/.default"]
        token = one_tenant.keyfob.token(scopes=scopes, app_only=True)
        assert one_tenant.app.app_token(scopes=scopes) == token
    assert site.app.app_token(scopes=scopes, tenant=OTHER_TENANT) != token
    assert provider.requests_to("token")[-1].path.startswith(f"/{OTHER_TENANT}/")


def test_two_tenants_never_share_one(site: BareSite) -> None:
    scopes = ["api://other/.default"]
    tokens = [site.app.app_token(scopes=scopes, tenant=t) for t in (HOME_TENANT, OTHER_TENANT)]
    assert len(set(tokens)) == 2
    assert site.app.app_token(scopes=scopes, tenant=HOME_TENANT) == tokens[0]


def test_a_persons_api_has_no_own_token(site: BareSite) -> None:
    for ask in (
        lambda: site.app.app_token(api="api"),
        lambda: site.app.app_api("api"),
        lambda: site.keyfob.token(api="api", app_only=True),
    ):
        with pytest.raises(ConfigurationError, match=r"\['api'\]\['scopes'\].*/\.default"):
            ask()


def test_without_a_tenant_there_is_none(site: BareSite) -> None:
    with pytest.raises(ConfigurationError, match="name the tenant by tenant="):
        site.app.app_token(scopes=["api://other/.default"])
    for wrong in ({}, {"api": "jobs", "scopes": [JOBS]}, {"scopes": JOBS}, {"api": "typo"}):
        with pytest.raises(ConfigurationError):
            site.app.app_token(**wrong)  # type: ignore[arg-type]


def test_it_signs_nobody_in(site: BareSite) -> None:
    """`login_required(api="jobs")` is for people."""
    with pytest.raises(InteractionRequired) as raised:
        site.keyfob.require(api="jobs")
    assert raised.value.code == "not_signed_in"
    answer = site.get("/jobs", "jobs")
    assert answer is not None
    assert answer.location == "/auth/login?next=%2Fjobs"
    site.sign_in()
    assert site.get("/jobs", "jobs") is None


def test_a_sign_in_that_was_ended_elsewhere_is_not_overlooked(site: BareSite) -> None:
    site.sign_in()
    site.app.sign_out_everywhere(site.established[0].key)
    with pytest.raises(InteractionRequired) as raised:
        site.keyfob.require(api="jobs")
    assert raised.value.code == "tokens_lost"


def test_an_api_that_refuses_one_gets_a_new_one(site: BareSite, provider: Provider) -> None:
    first = site.app.app_token(api="jobs")
    del provider._access[first]
    assert site.app.app_api("jobs").get("/me").status_code == 200
    assert len(forms(provider, "client_credentials")) == 2


def test_no_sign_in_asks_a_person_for_it(site: BareSite, provider: Provider) -> None:
    site.sign_in("api=jobs")
    assert JOBS not in provider.requests_to("authorize")[-1].query["scope"]


def test_a_claims_challenge_is_asked_for(site: BareSite, provider: Provider) -> None:
    first = site.app.app_token(api="jobs")
    claims = '{"access_token":{"nbf":{"essential":true}}}'
    assert site.keyfob.token(api="jobs", claims=claims) != first
    asked = json.loads(forms(provider, "client_credentials")[-1]["claims"])["access_token"]
    assert asked["nbf"] == {"essential": True}


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        ("invalid_client", TokenResponseError),
        ("invalid_grant", TokenResponseError),
        ("interaction_required", TokenResponseError),
        ("temporarily_unavailable", ProviderUnavailable),
    ],
)
def test_a_refusal_is_nothing_that_a_person_could_cure(
    site: BareSite, provider: Provider, refusal: str, kind: type[Exception]
) -> None:
    provider.raw["token"] = lambda request: Provider.json({"error": refusal}, 400)
    with pytest.raises(kind) as raised:
        site.app.app_token(api="jobs")
    assert raised.type is kind
    assert not isinstance(raised.value, InteractionRequired)


def test_another_provider_gives_one_too() -> None:
    with Provider() as provider, BareSite(apis(provider)) as site:
        token = site.app.app_token(api="jobs")
        assert provider._access[token].person is None
