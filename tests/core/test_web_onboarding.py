"""Another organisation joins: consent, a sign-in that proves the tenant, and only then the site."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from keyfob.errors import ConfigurationError, SignInRefused
from keyfob.web import Answer, Onboarding
from keyfob.web.settings import load_settings
from support.bare_site import BareSite
from support.provider import HOME_TENANT, OTHER_TENANT, PERSONAL_TENANT, Provider

ADMIN = "62e90394-69f5-4237-9190-012177145e10"
BASIC = {"CLIENT_ID": "11111111-2222-3333-4444-555555555555", "CLIENT_SECRET": "a secret"}


class Tenants:
    """The site's own list, which grows where a tenant joins."""

    def __init__(self) -> None:
        self.known: set[str] = set()

    def __call__(self, tenant: str) -> bool:
        return tenant in self.known

    def add(self, joined: Onboarding) -> None:
        self.known.add(joined.tenant)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(entra=True) as provider:
        provider.mutate_metadata = lambda document: document.update(
            msgraph_host="graph.microsoft.com"
        )
        yield provider


@pytest.fixture
def tenants() -> Tenants:
    return Tenants()


@pytest.fixture
def site(provider: Provider, tenants: Tenants) -> Iterator[BareSite]:
    settings = {**provider.settings(), "ALLOWED_TENANTS": tenants, "ADMIN_CONSENT": True}
    with BareSite(settings) as site:
        yield site


def asked(answer: Answer) -> dict[str, str]:
    return {name: v[0] for name, v in parse_qs(urlsplit(answer.location).query).items()}


def consent(site: BareSite, query: str = "", **response: str) -> Answer:
    """An administrator goes to the consent page, and comes back with this."""
    state = asked(site.admin_consent(query))["state"]
    given = {"admin_consent": "True", "tenant": HOME_TENANT, "state": state, **response}
    return site.callback(f"/auth/callback?{urlencode(given)}")


def join(site: BareSite, query: str = "", **response: str) -> Answer:
    """The whole way."""
    answer = consent(site, query, **response)
    assert answer.status == 302, answer
    return site.come_back(*site.at_provider(answer))


def code_of(answer: Answer) -> tuple[int, str]:
    assert answer.page is not None, answer
    return answer.status, answer.page.code


class TestTheView:
    def test_sends_to_the_consent_page_of_any_organisation(
        self, site: BareSite, provider: Provider
    ) -> None:
        answer = site.admin_consent()
        assert answer.location.startswith(f"{provider.base}/organizations/v2.0/adminconsent?")
        sent = asked(answer)
        assert sent["scope"] == "https://graph.microsoft.com/.default"
        assert sent["redirect_uri"] == "http://localhost:5000/auth/callback"
        assert len(answer.cookies) == 1

    def test_asks_for_the_scopes_of_the_setting(self, provider: Provider) -> None:
        settings = {**provider.settings(), "ADMIN_CONSENT": ["User.Read", "Mail.Read"]}
        with BareSite(settings) as site:
            assert asked(site.admin_consent())["scope"] == "User.Read Mail.Read"

    def test_names_a_tenant_where_it_is_asked_to(self, site: BareSite) -> None:
        assert f"/{OTHER_TENANT}/v2.0/" in site.admin_consent(f"tenant={OTHER_TENANT}").location
        assert "/organizations/v2.0/" in site.admin_consent("tenant=../evil").location

    @pytest.mark.parametrize("setting", [{}, {"ADMIN_CONSENT": False}])
    def test_is_not_there_unless_it_is_set(
        self, provider: Provider, setting: dict[str, Any]
    ) -> None:
        with BareSite({**provider.settings(), **setting}) as site:
            assert code_of(site.admin_consent())[0] == 404

    def test_without_graph_the_scopes_must_be_named(self, provider: Provider) -> None:
        provider.mutate_metadata = lambda document: document.pop("msgraph_host", None)
        with BareSite({**provider.settings(), "ADMIN_CONSENT": True}) as site:
            answer = site.admin_consent()
            assert code_of(answer) == (503, "configuration")
            assert answer.page is not None
            assert "ADMIN_CONSENT" in answer.page.text


class TestJoining:
    def test_the_site_hears_of_the_tenant_and_lets_its_administrator_in(
        self, site: BareSite, tenants: Tenants, provider: Provider
    ) -> None:
        provider.extra_claims = {"wids": [ADMIN]}
        site.onboarded = _Calls(tenants.add)
        answer = join(site, "next=/start")
        assert answer.status == 200
        assert answer.page is not None
        assert (answer.page.title, answer.page.retry_url) == (
            "Your organisation can use this site",
            "/start",
        )
        assert site.is_signed_in
        [joined] = site.onboarded
        assert (joined.tenant, joined.administrator) == (HOME_TENANT, True)
        assert joined.identity.claims["name"] == "Ada Keyring"
        assert site.get() is None

    def test_a_token_without_roles_leaves_open_whether_it_is_an_administrator(
        self, site: BareSite, tenants: Tenants
    ) -> None:
        site.onboarded = _Calls(tenants.add)
        assert join(site).status == 200
        assert site.onboarded[0].administrator is None

    def test_who_holds_no_role_that_may_agree_is_not_believed(
        self, site: BareSite, provider: Provider
    ) -> None:
        provider.extra_claims = {"wids": ["b79fbf4d-3ef9-4689-8143-76b194e85509"]}
        assert code_of(join(site)) == (403, "onboarding_role")
        assert site.onboarded == []
        assert not site.is_signed_in

    def test_a_tenant_the_site_does_not_add_stays_out(self, site: BareSite) -> None:
        answer = join(site)
        assert answer.page is not None
        assert (answer.status, answer.page.title) == (200, "Your organisation has agreed")
        assert [joined.tenant for joined in site.onboarded] == [HOME_TENANT]
        assert not site.is_signed_in
        assert site.established == []

    def test_a_site_that_refuses_says_why(self, site: BareSite) -> None:
        def refuse(_: Onboarding) -> None:
            raise SignInRefused("Your contract has ended.")

        site.onboarded = _Calls(refuse)
        answer = join(site)
        assert answer.page is not None
        assert (answer.status, answer.page.text) == (403, "Your contract has ended.")
        assert not site.is_signed_in

    def test_what_goes_wrong_in_the_site_lets_nobody_in(self, site: BareSite) -> None:
        def fail(_: Onboarding) -> None:
            raise LookupError("the database is away")

        site.onboarded = _Calls(fail)
        with pytest.raises(LookupError):
            join(site)
        assert not site.is_signed_in

    def test_form_post_sites_can_be_joined_as_well(
        self, provider: Provider, tenants: Tenants
    ) -> None:
        settings = {
            **provider.settings(),
            "ALLOWED_TENANTS": tenants,
            "ADMIN_CONSENT": True,
            "RESPONSE_MODE": "form_post",
        }
        with BareSite(settings) as site:
            site.onboarded = _Calls(tenants.add)
            assert join(site).status == 200
            assert site.is_signed_in


class TestHostileResponses:
    def test_the_parameter_proves_no_tenant(self, site: BareSite, tenants: Tenants) -> None:
        """Anybody may write another tenant into the address: the sign-in says which it is."""
        site.onboarded = _Calls(tenants.add)
        assert code_of(join(site, tenant=OTHER_TENANT)) == (403, "onboarding_tenant")
        assert site.onboarded == []
        assert not site.is_signed_in

    def test_personal_accounts_are_no_organisation(
        self, site: BareSite, provider: Provider
    ) -> None:
        provider.person = replace(provider.person, tid=PERSONAL_TENANT)
        assert code_of(join(site, tenant=PERSONAL_TENANT)) == (403, "onboarding_tenant")
        assert site.onboarded == []

    @pytest.mark.parametrize(
        "response",
        [
            {"admin_consent": "False"},
            {"tenant": "contoso.example"},
            {"code": "a-code"},
        ],
    )
    def test_a_malformed_response_leads_to_no_sign_in(
        self, site: BareSite, response: dict[str, str]
    ) -> None:
        assert code_of(consent(site, **response))[0] == 400

    def test_a_parameter_that_comes_twice_is_refused(self, site: BareSite) -> None:
        state = asked(site.admin_consent())["state"]
        url = f"/auth/callback?admin_consent=True&tenant={HOME_TENANT}&tenant={OTHER_TENANT}"
        assert code_of(site.callback(f"{url}&state={state}")) == (400, "repeated_parameter")

    def test_a_response_nobody_asked_for_is_no_attempt(self, site: BareSite) -> None:
        answer = site.callback(
            f"/auth/callback?admin_consent=True&tenant={HOME_TENANT}&state=forged"
        )
        assert code_of(answer) == (400, "no_attempt")

    def test_in_another_browser_it_is_no_attempt(self, site: BareSite) -> None:
        state = asked(site.admin_consent())["state"]
        other = site.another_browser()
        url = f"/auth/callback?admin_consent=True&tenant={HOME_TENANT}&state={state}"
        assert code_of(other.callback(url)) == (400, "no_attempt")

    def test_it_is_used_once(self, site: BareSite) -> None:
        state = asked(site.admin_consent())["state"]
        kept = dict(site.cookies)
        url = f"/auth/callback?admin_consent=True&tenant={HOME_TENANT}&state={state}"
        assert site.callback(url).status == 302
        site.cookies.update(kept)
        assert code_of(site.callback(url)) == (400, "no_attempt")

    def test_a_consent_response_finishes_no_sign_in(self, site: BareSite) -> None:
        state = asked(site.login())["state"]
        url = f"/auth/callback?admin_consent=True&tenant={HOME_TENANT}&state={state}"
        assert code_of(site.callback(url)) == (400, "no_code")
        assert not site.is_signed_in

    def test_a_sign_in_that_follows_no_consent_is_held_to_the_rule(self, site: BareSite) -> None:
        assert code_of(site.sign_in()) == (403, "tenant_not_allowed")

    @pytest.mark.parametrize("error", ["access_denied", "consent_required", "x\r\nSet-Cookie: a"])
    def test_a_refusal_is_told_on_a_page(self, site: BareSite, error: str) -> None:
        answer = consent(site, error=error, error_subcode="cancel", error_description="no <b>")
        assert code_of(answer) == (403, "admin_consent")
        assert answer.page is not None
        assert answer.page.retry_url == "/auth/admin-consent?next=%2F"
        assert "<b>" not in f"{answer.page}"
        assert site.onboarded == []

    @pytest.mark.parametrize(
        "next_path", ["//evil.example", "https://evil.example/", "/auth/admin-consent"]
    )
    def test_it_ends_within_the_site(
        self, site: BareSite, tenants: Tenants, next_path: str
    ) -> None:
        site.onboarded = _Calls(tenants.add)
        answer = join(site, urlencode({"next": next_path}))
        assert answer.page is not None
        assert answer.page.retry_url == "/"


class TestWhoIsRefused:
    def test_is_told_of_the_way_for_their_administrator(self, site: BareSite) -> None:
        answer = site.sign_in()
        assert answer.page is not None
        assert answer.page.more_url == "/auth/admin-consent?next=%2F"
        assert "administrator" in answer.page.advice

    def test_is_not_told_of_a_way_that_is_not_there(
        self, provider: Provider, tenants: Tenants
    ) -> None:
        with BareSite({**provider.settings(), "ALLOWED_TENANTS": tenants}) as site:
            answer = site.sign_in()
            assert answer.page is not None
            assert answer.page.more_url == ""

    def test_whose_organisation_must_approve_is_told_too(self, site: BareSite) -> None:
        state = asked(site.login())["state"]
        answer = site.callback(f"/auth/callback?error=access_denied&state={state}")
        assert answer.page is not None
        assert answer.page.more_url == "/auth/admin-consent?next=%2F"


class TestSetting:
    @pytest.mark.parametrize(
        ("value", "scopes"),
        [
            (True, ()),
            ("true", ()),
            ("1", ()),
            (1, ()),
            (["User.Read"], ("User.Read",)),
            ("User.Read, Mail.Read", ("User.Read", "Mail.Read")),
        ],
    )
    def test_may_be_written_in_several_ways(self, value: object, scopes: tuple[str, ...]) -> None:
        settings = load_settings(
            {**BASIC, "TENANT_ID": "common", "ADMIN_CONSENT": value}, {}, source="flask"
        )
        assert settings.admin_consent is not None
        assert settings.admin_consent.scopes == scopes

    @pytest.mark.parametrize("value", [False, "false", "no", "0", 0, ""])
    def test_may_say_no(self, value: object) -> None:
        settings = load_settings(
            {**BASIC, "TENANT_ID": "contoso.example", "ADMIN_CONSENT": value}, {}, source="flask"
        )
        assert settings.admin_consent is None

    @pytest.mark.parametrize("value", [None, {}, 1.5, 2, ["openid"], ["a b"]])
    def test_refuses_what_is_neither(self, value: object) -> None:
        with pytest.raises(ConfigurationError) as caught:
            load_settings(
                {**BASIC, "TENANT_ID": "common", "ADMIN_CONSENT": value}, {}, source="flask"
            )
        assert caught.value.setting == "ADMIN_CONSENT"

    @pytest.mark.parametrize(
        "authority",
        [
            {"TENANT_ID": "contoso.example"},
            {"TENANT_ID": "consumers"},
            {"OIDC_AUTHORITY": "https://id.example"},
            {"AUTHORITY": "https://x.ciamlogin.com/"},
        ],
    )
    def test_is_for_authorities_of_many_tenants(self, authority: dict[str, str]) -> None:
        with pytest.raises(ConfigurationError, match="organizations"):
            load_settings({**BASIC, **authority, "ADMIN_CONSENT": True}, {}, source="django")


class _Calls(list[Onboarding]):
    """Remembers what the site was told, and what it does about it."""

    def __init__(self, act: Any) -> None:
        super().__init__()
        self._act = act

    def append(self, joined: Onboarding) -> None:
        super().append(joined)
        self._act(joined)
