"""Sign-in by authorization code, with MSAL's verbs, against a real provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from keyfob import ConfidentialClientApplication
from keyfob.errors import (
    AuthorizationResponseError,
    ConfigurationError,
    IdTokenError,
    StateMismatchError,
    TokenResponseError,
    UserInfoError,
)
from support.provider import ABSENT, CLIENT_SECRET, HOME_TENANT, OTHER_TENANT, Provider
from support.provider_http import Reply
from support.provider_jose import b64, dumps
from support.sign_in import (
    REDIRECT_URI,
    Clock,
    application,
    come_back,
    query_of,
    sign_in,
    signed_in,
)

MICROSOFT_HEADERS = {"client-request-id", "x-client-sku", "x-client-ver", "x-client-os"}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as started:
        yield started


@pytest.fixture
def entra() -> Iterator[Provider]:
    with Provider(entra=True) as started:
        yield started


@pytest.fixture
def app(provider: Provider) -> Iterator[ConfidentialClientApplication]:
    found = application(provider)
    yield found
    found.close()


def holds_nothing(app: ConfidentialClientApplication) -> bool:
    cache = app.token_cache
    sections = ("AccessToken", "RefreshToken", "IdToken", "Account", "AppMetadata")
    return not any(list(cache.search(section)) for section in sections)


class TestInitiate:
    def test_the_flow_is_msals_and_fits_into_json(self, app: ConfidentialClientApplication) -> None:
        flow = app.initiate_auth_code_flow(["email"], redirect_uri=REDIRECT_URI)
        assert set(flow) == {
            "state", "redirect_uri", "scope", "auth_uri", "code_verifier", "nonce",
            "claims_challenge",
        }  # fmt: skip
        assert json.loads(json.dumps(flow)) == flow
        assert flow["scope"] == ["email", "offline_access", "openid", "profile"]
        assert len(flow["code_verifier"]) == 43

    def test_the_address_has_what_the_attempt_has_and_no_secret(
        self, app: ConfidentialClientApplication
    ) -> None:
        flow = app.initiate_auth_code_flow(
            ["email"], redirect_uri=REDIRECT_URI, state="s", prompt="none", login_hint="a@b",
            domain_hint="d", max_age=0, response_mode="form_post", claims_challenge='{"a":1}',
        )  # fmt: skip
        query = query_of(flow["auth_uri"])
        assert (query["state"], query["prompt"], query["login_hint"]) == ("s", "none", "a@b")
        assert (query["max_age"], query["response_mode"]) == ("0", "form_post")
        assert (query["claims"], query["domain_hint"]) == ('{"a":1}', "d")
        assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
        assert flow["max_age"] == 0
        for secret in (flow["code_verifier"], flow["nonce"], CLIENT_SECRET):
            assert secret not in flow["auth_uri"]
        assert not {"client_info", "X-AnchorMailbox"} & query.keys()

    def test_microsoft_is_asked_as_msal_asks(self, entra: Provider) -> None:
        app = application(entra)
        query = query_of(app.initiate_auth_code_flow([], login_hint="a@b")["auth_uri"])
        assert (query["client_info"], query["X-AnchorMailbox"]) == ("1", "UPN:a@b")
        assert "redirect_uri" not in query
        app.close()

    def test_no_two_attempts_share_a_secret(self, app: ConfidentialClientApplication) -> None:
        one, other = app.initiate_auth_code_flow([]), app.initiate_auth_code_flow([])
        assert all(one[name] != other[name] for name in ("state", "nonce", "code_verifier"))

    @pytest.mark.parametrize("scopes", ["email", ["openid"], [""], None])
    def test_scopes_are_judged_before_anything_is_fetched(
        self, app: ConfidentialClientApplication, provider: Provider, scopes: Any
    ) -> None:
        with pytest.raises(ConfigurationError):
            app.initiate_auth_code_flow(scopes)
        assert provider.requests == []

    @pytest.mark.parametrize("max_age", [-1, "300", 1.5, True])
    def test_a_max_age_that_is_none_is_refused(
        self, app: ConfidentialClientApplication, max_age: Any
    ) -> None:
        with pytest.raises(ConfigurationError):
            app.initiate_auth_code_flow([], max_age=max_age)

    @pytest.mark.parametrize("claims", ["", "[]", "{", 1, "\ud800", '{"a":NaN}', "[" * 99_999])
    def test_a_claims_challenge_that_is_none_is_refused(
        self, app: ConfidentialClientApplication, claims: Any
    ) -> None:
        with pytest.raises(ConfigurationError):
            app.initiate_auth_code_flow([], claims_challenge=claims)

    def test_offline_access_is_not_asked_of_those_who_do_not_list_it(self) -> None:
        with Provider(scopes_supported=None) as provider:
            app = application(provider)
            result = sign_in(app)
            assert "refresh_token" not in result
            assert result["id_token_claims"]["sub"] == "person-0001"
            app.close()

    def test_what_is_excluded_is_not_asked_for(self, provider: Provider) -> None:
        app = application(provider, exclude_scopes=["offline_access"])
        assert app.initiate_auth_code_flow([])["scope"] == ["openid", "profile"]


class TestRedeem:
    def test_the_result_has_msals_keys(self, app: ConfidentialClientApplication) -> None:
        result = sign_in(app, ["email"])
        assert result["token_source"] == "identity_provider"
        assert set(result) == {
            "access_token", "token_type", "expires_in", "scope", "id_token", "refresh_token",
            "id_token_claims", "token_source",
        }  # fmt: skip
        assert result["id_token_claims"]["preferred_username"] == "ada@contoso.example"
        [account] = app.get_accounts("ADA@contoso.example")
        assert account["home_account_id"] == "person-0001"

    def test_refresh_in_becomes_refresh_on(self, entra: Provider) -> None:
        entra.mutate_token_response = lambda document: document.update(refresh_in=1800, _x=1)
        clock = Clock()
        app = application(entra, clock=clock)
        result = sign_in(app, ["User.Read"])
        assert abs(result["refresh_on"] - (clock() + 1800)) < 5
        assert not {"refresh_in", "_x"} & result.keys()
        app.close()

    def test_the_code_is_exchanged_with_everything_that_binds_it(
        self, app: ConfidentialClientApplication, provider: Provider
    ) -> None:
        flow = app.initiate_auth_code_flow([], redirect_uri=REDIRECT_URI, claims_challenge="{}")
        app.acquire_token_by_auth_code_flow(flow, come_back(flow["auth_uri"]))
        [request] = provider.requests_to("token")
        assert request.form["code_verifier"] == flow["code_verifier"]
        assert request.form["redirect_uri"] == REDIRECT_URI
        assert request.form["claims"] == "{}"
        assert not {"client_info", "client_secret", "client_id"} & request.form.keys()
        assert not MICROSOFT_HEADERS & request.headers.keys()

    def test_microsoft_gets_msals_headers_and_the_anchor(self, entra: Provider) -> None:
        info = b64(dumps({"uid": "uid", "utid": "utid"}))
        entra.mutate_callback = lambda answer: answer.append(("client_info", info))
        app = application(entra, app_name="site", app_version="1")
        sign_in(app)
        [request] = entra.requests_to("token")
        assert request.headers.keys() >= MICROSOFT_HEADERS
        assert (request.headers["x-app-name"], request.headers["x-app-ver"]) == ("site", "1")
        assert request.headers["x-anchormailbox"] == "Oid:uid@utid"
        assert request.form["client_info"] == "1"
        app.close()

    @pytest.mark.parametrize("info", ["x", b64(dumps({"uid": "a\r\nX: y", "utid": "b"}))])
    def test_an_odd_client_info_in_the_callback_is_no_hint(
        self, entra: Provider, info: str
    ) -> None:
        entra.mutate_callback = lambda answer: answer.append(("client_info", info))
        app = application(entra)
        assert "error" not in sign_in(app)
        assert "x-anchormailbox" not in entra.requests_to("token")[0].headers
        app.close()

    def test_a_part_of_the_scopes_may_be_redeemed_and_names_the_person_still(
        self, entra: Provider
    ) -> None:
        app = application(entra)
        flow = app.initiate_auth_code_flow(["User.Read", "Mail.Read"], redirect_uri=REDIRECT_URI)
        result = app.acquire_token_by_auth_code_flow(
            flow, come_back(flow["auth_uri"]), scopes=["User.Read"]
        )
        assert "error" not in result
        asked = entra.requests_to("token")[0].form["scope"]
        assert asked == "User.Read offline_access openid profile"
        app.close()

    def test_other_scopes_than_those_begun_with_are_refused(
        self, app: ConfidentialClientApplication, provider: Provider
    ) -> None:
        flow = app.initiate_auth_code_flow([], redirect_uri=REDIRECT_URI)
        with pytest.raises(AuthorizationResponseError):
            app.acquire_token_by_auth_code_flow(flow, come_back(flow["auth_uri"]), scopes=["email"])
        assert provider.requests_to("token") == []

    @pytest.mark.parametrize("flow", [{}, {"state": ""}, {"state": None}])
    def test_without_an_attempt_nothing_is_asked(
        self, app: ConfidentialClientApplication, provider: Provider, flow: Any
    ) -> None:
        with pytest.raises(ValueError, match="state missing from auth_code_flow"):
            app.acquire_token_by_auth_code_flow(flow, {"code": "c", "state": ""})
        assert provider.requests == []

    def test_another_attempts_response_never_reaches_the_token_endpoint(
        self, app: ConfidentialClientApplication, provider: Provider
    ) -> None:
        one, other = (app.initiate_auth_code_flow([], redirect_uri=REDIRECT_URI) for _ in "ab")
        with pytest.raises(StateMismatchError):
            app.acquire_token_by_auth_code_flow(one, come_back(other["auth_uri"]))
        assert provider.requests_to("token") == []

    def test_the_providers_no_is_msals_error_dict(self, app: ConfidentialClientApplication) -> None:
        flow = app.initiate_auth_code_flow([])
        said = {"error": "access_denied", "error_description": "no", "state": flow["state"]}
        result = app.acquire_token_by_auth_code_flow(flow, {**said, "extra": "x"})
        assert result == {"error": "access_denied", "error_description": "no"}

    def test_a_code_that_was_used_is_an_error_dict(
        self, app: ConfidentialClientApplication
    ) -> None:
        flow = app.initiate_auth_code_flow([], redirect_uri=REDIRECT_URI)
        response = come_back(flow["auth_uri"])
        assert "access_token" in app.acquire_token_by_auth_code_flow(flow, response)
        again = app.acquire_token_by_auth_code_flow(flow, response)
        assert again["error"] == "invalid_grant"

    def test_the_scopes_granted_are_remembered_and_not_those_asked_for(
        self, provider: Provider
    ) -> None:
        provider.narrow_scopes = lambda scopes: [s for s in scopes if s != "email"]
        app = application(provider)
        account = signed_in(app, ["email"])
        assert app.acquire_token_silent(["email"], account) is None
        assert app.acquire_token_silent([], account)
        [token] = app.token_cache.search("RefreshToken")
        assert "email" not in token["target"].split()
        app.close()

    def test_scopes_that_are_not_named_are_those_asked_for(self) -> None:
        with Provider(send_scope=False) as provider:
            app = application(provider)
            found = app.acquire_token_silent(["email"], signed_in(app, ["email"]))
            assert found is not None
            assert found["token_source"] == "cache"
            app.close()


class TestNothingIsKeptOfWhatIsNotProven:
    @pytest.mark.parametrize(
        "change",
        [
            {"aud": "x"},
            {"iss": "https://x"},
            {"exp": 1},
            {"nonce": "x"},
            {"sub": ABSENT},
            {"at_hash": "x"},
        ],
    )
    def test_an_id_token_that_proves_nothing(self, provider: Provider, change: Any) -> None:
        provider.mutate_claims = lambda claims: claims.update(change)
        app = application(provider)
        with pytest.raises(RuntimeError) as caught:  # as MSAL raises
            sign_in(app)
        assert isinstance(caught.value, IdTokenError)
        assert holds_nothing(app)
        app.close()

    @pytest.mark.parametrize("member", ["id_token", "access_token", "token_type"])
    def test_an_answer_that_lacks_something(self, provider: Provider, member: str) -> None:
        provider.mutate_token_response = lambda document: document.pop(member)
        app = application(provider)
        with pytest.raises(TokenResponseError):
            sign_in(app)
        assert holds_nothing(app)
        app.close()

    def test_claims_beside_the_id_token_are_not_believed(self, provider: Provider) -> None:
        provider.mutate_token_response = lambda document: document.update(
            id_token_claims={"sub": "admin"}, client_info=b64(dumps({"uid": "a", "utid": "b"}))
        )
        app = application(provider)
        result = sign_in(app)
        assert result["id_token_claims"]["sub"] == "person-0001"
        assert app.get_accounts()[0]["home_account_id"] == "person-0001"
        app.close()

    def test_a_client_info_that_cannot_be_read(self, entra: Provider) -> None:
        entra.mutate_token_response = lambda document: document.update(client_info="x")
        app = application(entra)
        with pytest.raises(TokenResponseError):
            sign_in(app)
        assert holds_nothing(app)
        app.close()

    def test_max_age_is_held_against_the_token(self, provider: Provider) -> None:
        app = application(provider)
        provider.extra_claims = {"auth_time": 1}
        with pytest.raises(IdTokenError) as caught:
            sign_in(app, max_age=60)
        assert caught.value.code == "auth_time"
        assert holds_nothing(app)
        app.close()

    def test_a_tenant_that_may_not_come_in(self, entra: Provider) -> None:
        app = application(entra, tenant="common", allowed_tenants=[OTHER_TENANT])
        with pytest.raises(IdTokenError) as caught:
            sign_in(app)
        assert caught.value.code == "tenant_not_allowed"
        assert holds_nothing(app)
        good = application(entra, tenant="common", allowed_tenants=[HOME_TENANT.upper()])
        assert "error" not in sign_in(good)
        app.close()
        good.close()


class TestUserInfo:
    def test_it_fills_in_a_profile_the_id_token_lacks(self) -> None:
        with Provider(profile_in_id_token=False) as provider:
            app = application(provider)
            claims = sign_in(app)["id_token_claims"]
            assert claims["name"] == provider.person.name
            assert app.get_accounts()[0]["username"] == "ada@contoso.example"
            app.close()

    def test_it_is_not_asked_without_need(self, app: Any, provider: Provider) -> None:
        sign_in(app)
        assert provider.requests_to("userinfo") == []

    @pytest.mark.parametrize("status", [200, 401, 404])
    def test_an_unusable_one_signs_nobody_in(self, status: int) -> None:
        with Provider(profile_in_id_token=False) as provider:
            provider.raw["userinfo"] = lambda _: Reply(status, {}, b'{"sub": "somebody else"}')
            app = application(provider)
            with pytest.raises(UserInfoError):
                sign_in(app)
            assert holds_nothing(app)
            app.close()
