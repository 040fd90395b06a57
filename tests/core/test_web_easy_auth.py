"""App Service's authentication: believed where it is there and proves itself, and nowhere else."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from keyfob.errors import ConfigurationError, InteractionRequired
from keyfob.web import Answer
from keyfob.web.accounts import add_url
from keyfob.web.settings import load_settings
from support.app_service import ENVIRON, ID_TOKEN, PRINCIPAL, REFRESH_TOKEN, AppService
from support.bare_site import BareSite, with_apis
from support.provider import ABSENT, HOME_TENANT, OTHER_TENANT, Person, Provider

GRACE = Person(
    sub="person-0002",
    name="Grace Padlock",
    preferred_username="grace@contoso.example",
    oid="55555555-0000-4000-8000-777777777777",
)
BASIC = {
    "CLIENT_ID": "11111111-2222-3333-4444-555555555555",
    "CLIENT_SECRET": "a secret",
    "TENANT_ID": "contoso.example",
}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(entra=True) as provider:
        yield provider


@pytest.fixture
def platform(provider: Provider) -> AppService:
    return AppService(provider)


@pytest.fixture
def site(provider: Provider) -> Iterator[BareSite]:
    with BareSite(with_apis(provider, EASY_AUTH=True), environ=ENVIRON) as site:
        yield site


def is_platform_login(answer: Answer | None) -> bool:
    return answer is not None and answer.location.startswith("/.auth/login/aad?")


class TestSignIn:
    def test_whom_the_platform_signed_in_is_let_in_without_a_trip(
        self, site: BareSite, platform: AppService, provider: Provider
    ) -> None:
        site.headers = platform.headers()
        answer = site.login("next=/orders")
        assert (answer.status, answer.location) == (302, "/orders")
        assert site.keyfob.user.name == "Ada Keyring"
        assert site.get("/orders") is None
        assert [each.key for each in site.established] == [site.keyfob.user.key]
        assert provider.requests_to("authorize") == provider.requests_to("token") == []

    def test_a_further_account_is_the_providers_to_add(
        self, platform: AppService, provider: Provider
    ) -> None:
        settings = with_apis(provider, EASY_AUTH=True, MAX_ACCOUNTS=2)
        with BareSite(settings, environ=ENVIRON) as site:
            site.headers = platform.headers()
            site.login()
            provider.person = GRACE
            query = urlsplit(add_url(site.app, site.request("/auth/accounts"), "/")).query
            site.sign_in(query)
            assert site.keyfob.user.name == GRACE.name
            assert len(site.keyfob.waiting) == 1
            assert site.get() is None

    def test_they_are_the_same_person_as_by_a_sign_in_of_our_own(
        self, site: BareSite, platform: AppService, provider: Provider
    ) -> None:
        site.headers = platform.headers()
        site.login()
        with BareSite(provider.settings()) as elsewhere:
            elsewhere.sign_in()
            assert elsewhere.keyfob.user.key == site.keyfob.user.key

    def test_whom_it_has_not_signed_in_is_sent_to_its_login_and_back(self, site: BareSite) -> None:
        answer = site.login("next=/orders")
        assert is_platform_login(answer)
        back = parse_qs(urlsplit(answer.location).query)["post_login_redirect_uri"][0]
        assert back == "/auth/login?next=%2Forders&platform=1"

    def test_a_token_that_has_run_out_is_renewed_there(
        self, site: BareSite, platform: AppService
    ) -> None:
        site.headers = platform.headers()
        site.clock_offset = 4000
        assert is_platform_login(site.login())
        assert not site.is_signed_in

    @pytest.mark.parametrize("headers", ["none", "old"])
    def test_who_has_just_been_there_in_vain_goes_to_the_provider(
        self, site: BareSite, platform: AppService, provider: Provider, headers: str
    ) -> None:
        if headers == "old":
            site.headers = platform.headers()
            site.clock_offset = 4000
        assert site.login("next=/&platform=1").location.startswith(provider.base)

    @pytest.mark.parametrize("query", ["api=api", "prompt=select_account", "prompt=login"])
    def test_what_only_the_provider_can_do_is_asked_of_it(
        self, site: BareSite, platform: AppService, provider: Provider, query: str
    ) -> None:
        site.headers = platform.headers()
        assert site.login(query).location.startswith(provider.base)

    def test_a_browser_that_keeps_no_session_does_not_go_in_circles(
        self, site: BareSite, platform: AppService
    ) -> None:
        site.headers = platform.headers()
        assert site.login("next=/private").location == "/private"
        site.session.clear()
        answer = site.login("next=/private")
        assert answer.page is not None
        assert answer.page.code == "session_not_kept"

    def test_a_tenant_that_may_not_come_in_gets_the_page(
        self, provider: Provider, platform: AppService
    ) -> None:
        settings = {**provider.settings(), "EASY_AUTH": True, "ALLOWED_TENANTS": [OTHER_TENANT]}
        with BareSite(settings, environ=ENVIRON) as site:
            site.headers = platform.headers()
            answer = site.login()
            assert answer.page is not None
            assert (answer.status, answer.page.code) == (403, "tenant_not_allowed")
            assert not site.is_signed_in


def forged(provider: Provider, platform: AppService, how: str) -> str:
    """A token that somebody could put into the header."""
    good = platform.headers()[ID_TOKEN]
    head, payload, signature = good.split(".")
    if how == "another key":
        return AppService(provider.attacker).headers()[ID_TOKEN]
    if how == "no signature":
        none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
        return f"{none}.{payload}."
    if how == "altered":
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        claims["oid"] = GRACE.oid
        altered = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        return f"{head}.{altered}.{signature}"
    if how == "two in one":
        return f"{good},{good}"
    if how == "text":
        return "not a token"
    changes: dict[str, dict[str, Any]] = {
        "another audience": {"aud": "another application"},
        "another issuer": {"iss": f"{provider.attacker.base}/{HOME_TENANT}/v2.0"},
        "version 1": {"iss": f"https://sts.windows.net/{HOME_TENANT}/"},
        "another tenant": {"tid": OTHER_TENANT},
        "from the future": {"iat": int(provider.now()) + 9000, "exp": int(provider.now()) + 9999},
        "nobody": {"sub": ABSENT},
        "no issuer": {"iss": ABSENT},
    }
    provider.mutate_claims = lambda claims: claims.update(changes[how])
    try:
        return platform.headers()[ID_TOKEN]
    finally:
        provider.mutate_claims = None


HOW = [
    "another key",
    "no signature",
    "altered",
    "two in one",
    "text",
    "another audience",
    "another issuer",
    "version 1",
    "another tenant",
    "from the future",
    "nobody",
    "no issuer",
]


class TestForgedHeaders:
    @pytest.mark.parametrize("how", HOW)
    def test_a_token_that_proves_nothing_signs_nobody_in(
        self, site: BareSite, platform: AppService, provider: Provider, how: str
    ) -> None:
        site.headers = {**platform.headers(), ID_TOKEN: forged(provider, platform, how)}
        answer = site.login()
        assert answer.page is not None
        assert answer.status == 502
        assert not site.is_signed_in
        assert site.established == []

    @pytest.mark.parametrize(
        ("setting", "environ"),
        [
            ({}, ENVIRON),
            ({"EASY_AUTH": False}, ENVIRON),
            ({"EASY_AUTH": True}, {}),
            ({"EASY_AUTH": True}, {"WEBSITE_AUTH_ENABLED": "False"}),
            ({"EASY_AUTH": True}, {"WEBSITE_AUTH_ENABLED": ""}),
        ],
    )
    def test_good_headers_mean_nothing_where_the_setting_or_the_platform_is_missing(
        self,
        provider: Provider,
        platform: AppService,
        setting: dict[str, object],
        environ: dict[str, str],
    ) -> None:
        with BareSite({**provider.settings(), **setting}, environ=environ) as site:
            site.headers = platform.headers(refresh=True)
            assert site.login().location.startswith(provider.base)
            assert not site.is_signed_in
            site.sign_in()
            site.headers = {}
            assert site.is_signed_in, "nor does a header that is missing end anything"

    def test_the_readable_headers_alone_sign_nobody_in(
        self, site: BareSite, platform: AppService
    ) -> None:
        principal = base64.b64encode(b'{"auth_typ":"aad","claims":[]}').decode()
        site.headers = {
            PRINCIPAL: "55555555-0000-4000-8000-666666666666",
            "x-ms-client-principal-name": "ada@contoso.example",
            "x-ms-client-principal": principal,
            "x-ms-token-aad-access-token": platform.headers()[ID_TOKEN],
        }
        assert is_platform_login(site.login())
        assert not site.is_signed_in


class TestWhileSignedIn:
    @pytest.fixture
    def signed_in(self, site: BareSite, platform: AppService) -> BareSite:
        site.headers = platform.headers()
        site.login()
        assert site.is_signed_in
        return site

    def test_who_signed_out_at_the_platform_is_out_here(self, signed_in: BareSite) -> None:
        signed_in.headers = {}
        assert not signed_in.is_signed_in
        answer = signed_in.get("/orders")
        assert answer is not None
        assert answer.location == "/auth/login?next=%2Forders"

    def test_somebody_else_at_the_platform_is_somebody_else_here(
        self, signed_in: BareSite, platform: AppService
    ) -> None:
        signed_in.headers = platform.headers(GRACE)
        assert not signed_in.is_signed_in
        assert signed_in.get() is not None
        signed_in.login()
        assert signed_in.keyfob.user.name == "Grace Padlock"

    def test_the_same_person_with_newer_headers_stays(
        self, signed_in: BareSite, platform: AppService
    ) -> None:
        signed_in.headers = platform.headers()
        assert signed_in.get() is None

    def test_a_session_that_began_without_the_platform_does_not_count_behind_it(
        self, provider: Provider, site: BareSite, platform: AppService
    ) -> None:
        with BareSite(provider.settings(), site.store) as before:
            before.sign_in()
            assert before.is_signed_in
            site.session.update(before.session)
        site.headers = platform.headers()
        assert not site.is_signed_in

    def test_signing_out_is_told_to_the_platform(self, signed_in: BareSite) -> None:
        answer = signed_in.logout()
        assert (answer.status, urlsplit(answer.location).path) == (303, "/.auth/logout")
        back = parse_qs(urlsplit(answer.location).query)["post_logout_redirect_uri"][0]
        assert back.startswith("/auth/logged-out?state=")
        assert not signed_in.session
        signed_in.headers = {}
        page = signed_in.logged_out(back).page
        assert page is not None
        assert "of the sign-in service" in page.text


class TestTokens:
    def test_the_platforms_refresh_token_gives_tokens_for_each_api(
        self, site: BareSite, platform: AppService, provider: Provider
    ) -> None:
        site.headers = platform.headers(refresh=True)
        site.login()
        assert site.keyfob.token(api="api")
        assert site.keyfob.token(api="mail")
        assert site.keyfob.token(api="api", force_refresh=True)
        assert provider.requests_to("authorize") == []

    def test_without_one_the_first_token_sends_the_browser_to_the_provider(
        self, site: BareSite, platform: AppService
    ) -> None:
        site.headers = platform.headers()
        site.login()
        with pytest.raises(InteractionRequired):
            site.keyfob.token(api="api")
        assert site.browse("/orders", "api") is None
        assert site.keyfob.token(api="api")
        assert site.is_signed_in

    def test_another_persons_refresh_token_is_not_taken(
        self, site: BareSite, platform: AppService
    ) -> None:
        graces = platform.headers(GRACE, refresh=True)[REFRESH_TOKEN]
        site.headers = {**platform.headers(), REFRESH_TOKEN: graces}
        site.login()
        assert site.keyfob.user.name == "Ada Keyring"
        with pytest.raises(InteractionRequired):
            site.keyfob.token(api="api")

    @pytest.mark.parametrize("token", ["nonsense", "x" * 9000, "ü"])
    def test_one_that_is_refused_changes_nothing_about_who_is_here(
        self,
        site: BareSite,
        platform: AppService,
        token: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        site.headers = {**platform.headers(), REFRESH_TOKEN: token}
        site.login()
        assert site.keyfob.user.name == "Ada Keyring"
        assert "refresh token" in caplog.text
        assert token not in caplog.text

    def test_a_provider_that_is_away_does_not_keep_them_out(
        self, site: BareSite, platform: AppService, provider: Provider
    ) -> None:
        site.headers = platform.headers(refresh=True)
        site.app.client.judge_id_token(site.headers[ID_TOKEN])  # metadata and keys are at hand
        provider.raw["token"] = lambda _: Provider.json({"error": "server_error"}, 503)
        site.login()
        assert site.is_signed_in


class TestSetting:
    @pytest.mark.parametrize(
        ("value", "environ", "on"),
        [
            (True, ENVIRON, True),
            ("true", {"WEBSITE_AUTH_ENABLED": "true"}, True),
            (True, {}, False),
            (True, {"WEBSITE_AUTH_ENABLED": "1"}, False),
            (False, ENVIRON, False),
            ("no", ENVIRON, False),
        ],
    )
    def test_counts_where_the_platform_is(
        self, value: object, environ: dict[str, str], on: bool
    ) -> None:
        settings = load_settings({**BASIC, "EASY_AUTH": value}, environ, source="flask")
        assert settings.easy_auth is on

    def test_both_must_be_one_application(self) -> None:
        environ = {**ENVIRON, "WEBSITE_AUTH_CLIENT_ID": "another"}
        with pytest.raises(ConfigurationError, match="WEBSITE_AUTH_CLIENT_ID"):
            load_settings({**BASIC, "EASY_AUTH": True}, environ, source="flask")
        environ["WEBSITE_AUTH_CLIENT_ID"] = BASIC["CLIENT_ID"].upper()
        assert load_settings({**BASIC, "EASY_AUTH": True}, environ, source="flask").easy_auth

    @pytest.mark.parametrize("value", ["maybe", None, 2, []])
    def test_is_true_or_false(self, value: object) -> None:
        with pytest.raises(ConfigurationError, match="EASY_AUTH"):
            load_settings({**BASIC, "EASY_AUTH": value}, ENVIRON, source="flask")

    def test_is_for_microsoft_entra(self) -> None:
        settings = {**BASIC, "OIDC_AUTHORITY": "https://id.example", "EASY_AUTH": True}
        del settings["TENANT_ID"]
        with pytest.raises(ConfigurationError, match="Entra"):
            load_settings(settings, {}, source="flask")


def test_people_of_one_name_are_told_apart_by_their_ids(
    site: BareSite, platform: AppService, provider: Provider
) -> None:
    twin = replace(provider.person, sub="person-0009", oid=GRACE.oid)
    site.headers = platform.headers()
    site.login()
    first = site.keyfob.user.key
    site.headers = platform.headers(twin)
    site.login()
    assert site.keyfob.user.key != first
