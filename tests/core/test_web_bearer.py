"""A web API of ours without a framework: what its callers get, and what is remembered of them."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyfob.errors import (
    AccessTokenError,
    ConfigurationError,
    KeyfobError,
    PermissionMissing,
    ProviderUnavailable,
    StepUpRequired,
)
from keyfob.protocol.www_authenticate import claims_challenge, parse_challenges
from keyfob.web.bearer_rule import BearerRule, bearer_rule
from keyfob.web.caller import Caller
from keyfob.web.exchange import Answer
from keyfob.web.metrics import BEARER_REFUSALS
from keyfob.web.remembered_tokens import RememberedTokens
from support.access_tokens import CALLER, Mint, private_pem
from support.bare_site import HOST, BareSite
from support.provider import HOME_TENANT, OTHER_TENANT, Provider
from support.provider_http import Reply
from support.wrong_tokens import WRONG

READ = bearer_rule(scopes=["Orders.Read"])


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(entra=True) as provider:
        yield provider


@pytest.fixture
def mint(provider: Provider) -> Mint:
    return Mint(provider)


@pytest.fixture
def site(provider: Provider) -> Iterator[BareSite]:
    with BareSite(provider.settings("common")) as site:
        yield site


@pytest.fixture(scope="module")
def steady() -> Iterator[tuple[BareSite, Mint]]:
    """A site that knows its provider's keys already, for tests that change nothing."""
    with Provider(entra=True) as provider, BareSite(provider.settings("common")) as site:
        mint = Mint(provider)
        site.app.bearer.caller(f"Bearer {mint.person()}")
        yield site, mint


def caller_of(site: BareSite, token: str) -> Caller:
    return site.app.bearer.caller(f"Bearer {token}")


def code_of(site: BareSite, token: str) -> str:
    with pytest.raises(AccessTokenError) as caught:
        caller_of(site, token)
    return caught.value.code


def answer_to(site: BareSite, authorization: str | None, rule: BearerRule = READ) -> Answer:
    """What an adapter answers in the place of a view."""
    session, request = site.keyfob, site.request("/orders?access_token=x")
    with pytest.raises(KeyfobError) as caught:
        site.app.bearer.require(session, rule, authorization)
    asked = replace(request, caller=session.caller)
    return site.app.handle(asked, caught.value)


def parameters(answer: Answer) -> dict[str, str]:
    [challenge] = parse_challenges([answer.headers["WWW-Authenticate"]])
    assert challenge.scheme == "Bearer"
    return dict(challenge.parameters)


class TestHeader:
    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
    def test_the_scheme_may_be_written_in_any_case(
        self, site: BareSite, mint: Mint, scheme: str
    ) -> None:
        assert site.app.bearer.caller(f"{scheme} {mint.person()}").scopes

    @pytest.mark.parametrize("header", [None, "", "Basic eDp5", "DPoP x", "PoP x", "Bear er", "x"])
    def test_without_a_bearer_token_nothing_came(self, site: BareSite, header: str | None) -> None:
        with pytest.raises(AccessTokenError) as caught:
            site.app.bearer.caller(header)
        assert caught.value.code == "missing"

    @pytest.mark.parametrize(
        "pattern",
        [
            "Bearer", "Bearer ", "Bearer {0},Bearer {0}", "Bearer {0}, Bearer {0}",
            "Bearer {0} {0}", "Bearer {0},", "Bearer\t{0}", "Bearer {0}\n", 'Bearer "{0}"',
            "Bearer token={0}", "Bearer é{0}", "Bearer,Bearer {0}",
        ],
    )  # fmt: skip
    def test_anything_but_one_token_is_malformed(
        self, site: BareSite, mint: Mint, pattern: str
    ) -> None:
        with pytest.raises(AccessTokenError) as caught:
            site.app.bearer.caller(pattern.format(mint.person()))
        assert caught.value.code == "malformed"

    @settings(max_examples=200, deadline=None)
    @given(st.text(max_size=60))
    def test_no_header_does_more_than_be_refused(
        self, steady: tuple[BareSite, Mint], header: str
    ) -> None:
        for text in (header, f"Bearer {header}"):
            with pytest.raises(AccessTokenError):
                steady[0].app.bearer.caller(text)


class TestCaller:
    def test_a_person_has_the_key_that_they_have_when_they_sign_in(
        self, site: BareSite, mint: Mint
    ) -> None:
        caller = caller_of(site, mint.person())
        assert (caller.name, caller.tid, caller.is_app) == ("Ada Keyring", HOME_TENANT, False)
        assert caller.client_id == CALLER
        site.sign_in()
        assert caller.key == site.keyfob.user.key
        assert caller_of(site, mint.v1()).key == caller.key

    def test_the_same_at_a_provider_that_is_not_microsofts(self) -> None:
        with Provider() as provider, BareSite(provider.settings()) as site:
            now = int(provider.now())
            claims = {
                "iss": provider.issuer, "sub": provider.person.sub, "aud": provider.client_id,
                "client_id": "x", "scope": "orders.read", "iat": now, "exp": now + 60,
            }  # fmt: skip
            header = {"alg": "RS256", "typ": "at+jwt", "kid": provider.key.kid}
            token = provider.sign(header, json.dumps(claims).encode())
            caller = caller_of(site, token)
            site.sign_in()
            assert caller.key == site.keyfob.user.key

    def test_of_an_encrypted_token_it_has_the_one_inside(
        self, provider: Provider, mint: Mint
    ) -> None:
        keys = [private_pem("decryption"), private_pem("newer")]
        more = {"TOKEN_DECRYPTION_KEYS": keys}
        with BareSite({**provider.settings("common"), **more}) as site:
            inner = mint.person()
            for key in ("decryption", "newer"):
                for alg in ("RSA-OAEP", "RSA-OAEP-256"):
                    for enc in ("A128CBC-HS256", "A128GCM", "A256GCM", "A256CBC-HS512"):
                        token = mint.encrypted(inner, key=key, alg=alg, enc=enc)
                        assert caller_of(site, token).token == inner
            assert caller_of(site, mint.person()).scopes, "one that is not encrypted is taken, too"

    def test_without_keys_an_encrypted_token_is_refused(self, site: BareSite, mint: Mint) -> None:
        assert code_of(site, mint.encrypted()) == "encrypted"

    def test_audiences_that_are_set_are_there_beside_the_client_id(
        self, provider: Provider, mint: Mint
    ) -> None:
        more = {"AUDIENCES": ["api://orders"]}
        with BareSite({**provider.settings("common"), **more}) as site:
            assert caller_of(site, mint.v1(aud="api://orders"))
            assert caller_of(site, mint.person())
            assert code_of(site, mint.person(aud="api://order")) == "aud"
            rule = bearer_rule(scopes=["api://orders/Orders.Read"])
            site.app.bearer.require(site.keyfob, rule, f"Bearer {mint.person()}")

    def test_at_another_provider_they_stand_alone(self) -> None:
        with Provider() as provider:
            for more, audiences in (({}, provider.client_id), ({"AUDIENCES": "orders"}, "orders")):
                with BareSite({**provider.settings(), **more}) as site:
                    assert site.app.bearer.audiences == {audiences}

    def test_a_browsers_session_counts_no_more(self, site: BareSite, mint: Mint) -> None:
        site.sign_in()
        session = site.keyfob
        assert session.user
        site.app.bearer.require(session, READ, f"Bearer {mint.person()}")
        assert session.caller is not None
        assert not session.user
        assert not session.is_signed_in
        assert site.keyfob.user, "another request is the browser's again"


class TestMemory:
    def test_a_token_is_checked_once(
        self, site: BareSite, mint: Mint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        token, checks = mint.person(), []
        caller_of(site, mint.app())  # fetches the keys
        judge = site.app.client.judge_access_token
        monkeypatch.setattr(
            site.app.client,
            "judge_access_token",
            lambda *args: (checks.append(1), judge(*args))[1],
        )
        first = caller_of(site, token)
        assert caller_of(site, token) is first
        assert len(checks) == 1
        site.clock_offset = 301
        assert caller_of(site, token) is not first
        assert len(checks) == 2

    def test_never_beyond_its_end(self, site: BareSite, mint: Mint) -> None:
        token = mint.person(exp=mint.now() + 100)
        for _ in range(3):
            caller_of(site, token)
        site.clock_offset = 161
        assert code_of(site, token) == "exp"

    def test_nor_when_the_clock_goes_back(self, site: BareSite, mint: Mint) -> None:
        token = mint.person()
        for _ in range(3):
            caller_of(site, token)
        site.clock_offset = -3600
        assert code_of(site, token) == "iat"

    def test_other_keys_of_the_provider_make_all_be_checked_anew(
        self, site: BareSite, provider: Provider, mint: Mint
    ) -> None:
        token = mint.person()
        for _ in range(3):
            caller_of(site, token)
        provider.rotate()
        caller_of(site, mint.person())  # by the new key, which is fetched for it
        assert code_of(site, token) in ("unknown_key", "signature")

    def test_a_rule_about_tenants_is_asked_each_time(self, provider: Provider, mint: Mint) -> None:
        allowed = {HOME_TENANT}
        more = {"ALLOWED_TENANTS": allowed.__contains__}
        with BareSite({**provider.settings("common"), **more}) as site:
            token = mint.person()
            for _ in range(3):
                caller_of(site, token)
            allowed.clear()
            assert code_of(site, token) == "tenant_not_allowed"

    def test_it_holds_so_many_and_no_more(self) -> None:
        caller, keys = Caller({}, "t", is_app=False, client_id="c", key="k"), object()
        memory = RememberedTokens(most=3)
        for number in range(5):
            memory.put(bytes([number]), caller, keys=keys, now=0, expires_at=10)
        found = [memory.get(bytes([number]), keys, 1) for number in range(5)]
        assert found == [None, None, caller, caller, caller]
        assert repr(memory) == "<RememberedTokens: 3>"

    def test_what_is_refused_is_not_remembered(self, site: BareSite, mint: Mint) -> None:
        for _ in range(3):
            assert code_of(site, mint.person(aud="x")) == "aud"
        assert repr(site.app.bearer._remembered) == "<RememberedTokens: 0>"

    def test_threads_get_what_is_right(self, site: BareSite, mint: Mint) -> None:
        tokens = {mint.person(sub=f"s{n}", oid=f"{n:08d}-0000-4000-8000-0000000000aa"): n
                  for n in range(6)}  # fmt: skip
        wrong: list[Any] = []

        def work() -> None:
            for _ in range(20):
                for token, number in tokens.items():
                    caller = caller_of(site, token)
                    if caller.claims["sub"] != f"s{number}" or caller.token != token:
                        wrong.append(caller)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


class TestKeys:
    def test_forged_tokens_make_few_requests(
        self, site: BareSite, provider: Provider, mint: Mint
    ) -> None:
        for number in range(50):
            code_of(site, mint.person(header={"kid": f"k{number}"}))
        assert len(provider.requests_to("keys")) <= 6

    @pytest.mark.parametrize("endpoint", ["discovery", "keys"])
    @pytest.mark.parametrize(
        "reply",
        [Reply(503, {"Retry-After": "7"}, b""), Reply(500, {}, b""), Reply(404, {}, b""),
         Reply(200, {}, b"{}")],
    )  # fmt: skip
    def test_a_provider_without_keys_is_503(
        self, site: BareSite, provider: Provider, mint: Mint, endpoint: str, reply: Reply
    ) -> None:
        provider.raw[endpoint] = lambda _: reply
        site.headers["authorization"] = "Bearer x"
        answer = answer_to(site, f"Bearer {mint.person()}")
        assert answer.status == 503
        assert answer.problem is not None
        assert int(answer.headers["Retry-After"]) > 0
        assert "WWW-Authenticate" not in answer.headers
        with pytest.raises(ProviderUnavailable):
            caller_of(site, mint.person())


class TestAnswers:
    def test_who_brings_nothing_is_told_where_to_begin(self, site: BareSite) -> None:
        answer = answer_to(site, None)
        assert answer.status == 401
        where = f"http://{HOST}/.well-known/oauth-protected-resource"
        assert parameters(answer) == {"resource_metadata": where}
        assert answer.problem is not None
        assert answer.problem["status"] == 401
        assert "detail" not in answer.problem
        assert answer.headers["Vary"] == "Authorization"
        assert answer.headers["Cache-Control"] == "no-store"

    def test_a_wrong_token_is_invalid_and_the_developer_is_told_why(
        self, site: BareSite, mint: Mint
    ) -> None:
        token = mint.person(exp=mint.now() - 3600)
        answer = answer_to(site, f"Bearer {token}")
        found = parameters(answer)
        assert answer.status == 401
        assert found["error"] == "invalid_token"
        assert "The access token expired 36" in found["error_description"]
        assert answer.problem is not None
        assert answer.problem["code"] == "exp"
        assert answer.problem["detail"] == found["error_description"]
        assert token not in repr(answer) + str(answer.problem)

    @pytest.mark.parametrize("name", WRONG)
    def test_every_refusal_fits_into_its_header(
        self, steady: tuple[BareSite, Mint], name: str
    ) -> None:
        site, mint = steady
        token = WRONG[name].make(mint)
        with pytest.raises(KeyfobError) as caught:
            site.app.bearer.require(site.keyfob, bearer_rule(scopes=["No.Such"]), f"Bearer {token}")
        request = replace(site.request("/"), caller=site.keyfob.caller)
        if isinstance(caught.value, PermissionMissing):
            return
        answer = site.app.handle(request, caught.value)
        header = answer.headers["WWW-Authenticate"]
        assert answer.status == 401
        assert header.isascii()
        assert header.isprintable()
        assert "\\" not in header
        assert parameters(answer)["error"] == "invalid_token"

    def test_too_little_is_403_with_what_is_needed(self, site: BareSite, mint: Mint) -> None:
        rule = bearer_rule(scopes=["Orders.Write", "Orders.All"])
        answer = answer_to(site, f"Bearer {mint.person()}", rule)
        assert answer.status == 403
        found = parameters(answer)
        assert found["error"] == "insufficient_scope"
        assert found["scope"] == "Orders.Write Orders.All"
        assert answer.problem is not None
        assert answer.problem["scopes"] == ["Orders.Write", "Orders.All"]

    def test_a_role_that_is_missing_names_no_scope(self, site: BareSite, mint: Mint) -> None:
        rule = bearer_rule(scopes=["Orders.Read"], roles=["Admin"])
        answer = answer_to(site, f"Bearer {mint.person()}", rule)
        assert answer.status == 403
        assert "scope" not in parameters(answer)
        assert answer.problem is not None
        assert (answer.problem["code"], answer.problem["roles"]) == ("role", ["Admin"])

    def test_a_step_up_is_401_with_encoded_claims(self, site: BareSite) -> None:
        claims = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
        answer = site.app.handle(site.request("/"), StepUpRequired("More", claims=claims))
        assert answer.status == 401
        found = parameters(answer)
        assert found["error"] == "insufficient_claims"
        assert base64.b64decode(found["claims"]).decode() == claims
        assert claims_challenge([answer.headers["WWW-Authenticate"]]) == claims

    def test_without_a_caller_a_missing_permission_is_no_challenge(self, site: BareSite) -> None:
        error = PermissionMissing("No", roles=("x",), code="role")
        answer = site.app.handle(site.request("/"), error)
        assert "WWW-Authenticate" not in answer.headers

    def test_what_strangers_can_write_into_the_log_is_bounded(
        self, site: BareSite, caplog: pytest.LogCaptureFixture
    ) -> None:
        for _ in range(100):
            answer_to(site, "Bearer a.b.c")
        told = [r for r in caplog.records if "bearer token was refused" in r.getMessage()]
        assert len(told) == 20

    def test_refusals_are_counted(self, site: BareSite, mint: Mint) -> None:
        counted: list[Any] = []
        count = site.app.observer.count
        site.app.observer.count = lambda metric, **facts: (  # type: ignore[method-assign,assignment]
            counted.append((metric, facts["error"].code)), count(metric, **facts)
        )  # fmt: skip
        answer_to(site, f"Bearer {mint.person(aud='x')}")
        answer_to(site, None)
        assert counted == [(BEARER_REFUSALS, "aud")]


class TestDocument:
    def test_it_says_whose_tokens_are_taken(self, provider: Provider) -> None:
        more = {"API_SCOPES": ["api://orders/Orders.Read"], "BASE_URL": "https://orders.example"}
        with BareSite({**provider.settings("common"), **more}) as site:
            answer = site.app.protected_resource(site.request("/"))
        assert answer.json == {
            "resource": "https://orders.example",
            "authorization_servers": [f"{provider.authority('common')}/v2.0"],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["api://orders/Orders.Read"],
        }
        assert provider.requests == []

    def test_below_a_mount_point_it_is_below_it(self, provider: Provider) -> None:
        with BareSite(provider.settings("common"), root_path="/shop") as site:
            found = parameters(answer_to(site, None))
            document = site.app.protected_resource(site.request("/")).json
        assert found["resource_metadata"] == (
            f"http://{HOST}/shop/.well-known/oauth-protected-resource"
        )
        assert document is not None
        assert document["resource"] == f"http://{HOST}/shop"


class TestRules:
    @pytest.mark.parametrize(
        "names",
        [{}, {"scopes": []}, {"scopes": None}, {"scopes": "Orders.Read"}, {"scopes": [""]},
         {"scopes": ["a b"]}, {"scopes": [1]}, {"app_roles": "x"}, {"roles": ["Admin"]},
         {"all_roles": ["Admin"], "app_roles": ["x"]}, {"scopes": [" a"]}, {"scopes": 5}],
    )  # fmt: skip
    def test_what_lets_nobody_in_is_a_mistake(self, names: dict[str, Any]) -> None:
        with pytest.raises(TypeError, match="bearer_required"):
            bearer_rule(**names)

    @pytest.mark.parametrize(
        ("names", "scopes", "roles", "is_app", "missing"),
        [
            ({"scopes": ["A", "B"]}, "B", "", False, ""),
            ({"scopes": ["A", "B"]}, "C", "", False, "insufficient_scope"),
            ({"scopes": ["A"]}, "", "A", True, "insufficient_scope"),
            ({"all_scopes": ["A", "B"]}, "A B C", "", False, ""),
            ({"all_scopes": ["A", "B"]}, "A C", "", False, "insufficient_scope"),
            ({"scopes": ["A", "B"], "all_scopes": ["C"]}, "A C", "", False, ""),
            ({"scopes": ["A", "B"], "all_scopes": ["C"]}, "A B", "", False, "insufficient_scope"),
            ({"scopes": ["A"], "roles": ["R", "S"]}, "A", "S", False, ""),
            ({"scopes": ["A"], "roles": ["R"]}, "A", "X", False, "role"),
            ({"scopes": ["A"], "all_roles": ["R", "S"]}, "A", "R", False, "role"),
            ({"scopes": ["A"], "all_roles": ["R", "S"]}, "A", "R S", False, ""),
            ({"app_roles": ["R", "S"]}, "", "S", True, ""),
            ({"app_roles": ["R"]}, "", "X", True, "role"),
            ({"app_roles": ["R"]}, "A", "R", False, "role"),
            ({"all_app_roles": ["R", "S"]}, "", "R", True, "role"),
            ({"all_app_roles": ["R", "S"]}, "", "R S", True, ""),
            ({"scopes": ["A"], "roles": ["P"], "app_roles": ["R"]}, "", "R", True, ""),
            ({"scopes": ["A"], "roles": ["P"], "app_roles": ["R"]}, "A", "P", False, ""),
            ({"scopes": ["A"], "roles": ["P"], "app_roles": ["R"]}, "A", "R", False, "role"),
        ],
    )  # fmt: skip
    def test_what_each_combination_means(
        self, names: dict[str, Any], scopes: str, roles: str, is_app: bool, missing: str
    ) -> None:
        caller = Caller(
            {}, "t", is_app=is_app, client_id="c", key="k",
            scopes=frozenset(scopes.split()), roles=frozenset(roles.split()),
        )  # fmt: skip
        rule = bearer_rule(**names)
        if not missing:
            rule.judge(caller)
            return
        with pytest.raises(PermissionMissing) as caught:
            rule.judge(caller)
        assert caught.value.code == missing

    def test_a_scope_may_be_written_short_or_in_full(
        self, site: BareSite, provider: Provider, mint: Mint
    ) -> None:
        own = f"api://{provider.client_id}"
        for scope in ("Orders.Read", f"{own}/Orders.Read", f"{provider.client_id}/Orders.Read"):
            rule = bearer_rule(scopes=[scope])
            site.app.bearer.require(site.keyfob, rule, f"Bearer {mint.person()}")

    def test_of_two_addresses_of_the_api_the_longer_one_is_the_scopes(self) -> None:
        rule = bearer_rule(scopes=["https://contoso.example/orders/Read"])
        both = ["https://contoso.example", "https://contoso.example/orders"]
        for audiences in (both, both[::-1]):
            assert rule.for_api(audiences, is_microsoft=True).scopes == ("Read",)

    def test_another_apis_scope_is_the_developers_mistake(self, site: BareSite, mint: Mint) -> None:
        rule = bearer_rule(scopes=["https://graph.microsoft.com/User.Read"])
        with pytest.raises(ConfigurationError, match="AUDIENCES"):
            site.app.bearer.require(site.keyfob, rule, f"Bearer {mint.person()}")


def test_nothing_shows_a_token_or_a_key(provider: Provider, mint: Mint) -> None:
    pem = private_pem()
    with BareSite({**provider.settings("common"), "TOKEN_DECRYPTION_KEYS": [pem]}) as site:
        token = mint.person()
        session = site.keyfob
        site.app.bearer.require(session, READ, f"Bearer {token}")
        request = replace(site.request("/"), caller=session.caller)
        shown = repr([site.app, site.app.bearer, site.app.settings, session, request,
                      site.app.bearer._decryption_keys, session.caller])  # fmt: skip
    assert token not in shown
    assert "PRIVATE" not in shown
    assert OTHER_TENANT not in shown


def test_a_b2c_sites_api_is_for_the_people_of_its_own_user_flows() -> None:
    authority = "https://contoso.b2clogin.com/contoso.onmicrosoft.com/b2c_1_susi"
    b2c = {"CLIENT_ID": "app", "CLIENT_SECRET": "a-real-secret", "AUTHORITY": authority}
    flows = {"USER_FLOWS": {"edit_profile": "B2C_1_edit"}}
    with BareSite({**b2c, **flows}) as site:
        assert {name.lower() for name in site.app.bearer._policies} == {"b2c_1_susi", "b2c_1_edit"}
    entra = {"CLIENT_ID": "app", "CLIENT_SECRET": "a-real-secret", "TENANT_ID": HOME_TENANT}
    with BareSite(entra) as site:
        assert site.app.bearer._policies == frozenset()
