"""ALLOWED_TENANTS on every path: at the sign-in, at a refresh, and while somebody is signed in."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from keyfob.errors import ConfigurationError, IdTokenError, InteractionRequired, TenantRuleError
from keyfob.protocol.id_token import tenant_is_allowed
from keyfob.web.settings import load_settings
from keyfob.web.tenants import TenantGate
from support.bare_site import BareSite, with_apis
from support.provider import HOME_TENANT, OTHER_TENANT, Provider


class Rule:
    """A tenant list that changes, such as one in a database."""

    def __init__(self, *tenants: str) -> None:
        self.tenants: set[str] = set(tenants)
        self.asked: list[str] = []
        self.error: Exception | None = None

    def __call__(self, tenant: str) -> bool:
        self.asked.append(tenant)
        if self.error is not None:
            raise self.error
        return tenant in self.tenants


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(entra=True) as provider:
        yield provider


@pytest.fixture
def rule() -> Rule:
    return Rule(HOME_TENANT)


@pytest.fixture
def site(provider: Provider, rule: Rule) -> Iterator[BareSite]:
    with BareSite(with_apis(provider, ALLOWED_TENANTS=rule, TOKEN_STORE_L1_SECONDS=30)) as site:
        yield site


async def _nobody(_: str) -> bool:
    return False


class _AsyncObject:
    async def __call__(self, _: str) -> bool:
        return False


class TestTheFunction:
    def test_an_awaitable_is_no_answer(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a coroutine that was forgotten would warn
            with pytest.raises(TenantRuleError, match="awaitable"):
                tenant_is_allowed(HOME_TENANT, _nobody)

    def test_what_it_raises_lets_nobody_in(self) -> None:
        cause = LookupError("the database is away")

        def rule(_: str) -> bool:
            raise cause

        with pytest.raises(TenantRuleError) as caught:
            tenant_is_allowed(HOME_TENANT, rule)
        assert caught.value.__cause__ is cause
        assert "database" not in str(caught.value)

    def test_an_answer_that_cannot_be_told_true_or_false_lets_nobody_in(self) -> None:
        class Undecided:
            def __bool__(self) -> bool:
                raise ValueError("neither")

        with pytest.raises(TenantRuleError):
            tenant_is_allowed(HOME_TENANT, lambda _: Undecided())

    def test_an_object_with_an_async_call_is_refused_at_the_start(self) -> None:
        settings = {
            "CLIENT_ID": "11111111-2222-3333-4444-555555555555",
            "CLIENT_SECRET": "a secret",
            "TENANT_ID": "organizations",
            "ALLOWED_TENANTS": _AsyncObject(),
        }
        with pytest.raises(ConfigurationError, match="async"):
            load_settings(settings, {}, source="flask")


class TestSignIn:
    def test_whoever_is_of_no_allowed_tenant_gets_a_page(self, site: BareSite, rule: Rule) -> None:
        rule.tenants.clear()
        answer = site.sign_in()
        assert (answer.status, answer.page and answer.page.code) == (403, "tenant_not_allowed")
        assert not site.is_signed_in
        assert site.established == []

    def test_a_function_that_fails_gets_a_page_and_lets_nobody_in(
        self, site: BareSite, rule: Rule
    ) -> None:
        rule.error = LookupError("the database is away")
        answer = site.sign_in()
        assert answer.page is not None
        assert (answer.status, answer.page.code) == (503, "tenant_rule")
        assert "database" not in f"{answer.page}"
        assert not site.is_signed_in


class TestWhileSignedIn:
    def test_a_tenant_that_is_taken_out_is_out_at_the_next_guarded_page(
        self, site: BareSite, rule: Rule
    ) -> None:
        site.sign_in("api=api")
        assert site.get() is None
        rule.tenants.clear()
        site.clock_offset = 31
        answer = site.get()
        assert answer is not None
        assert (answer.status, answer.page and answer.page.code) == (403, "tenant_not_allowed")
        assert not site.is_signed_in

    @pytest.mark.parametrize("api", [None, "api"])
    def test_nor_does_a_token_at_hand_serve_them(
        self, site: BareSite, rule: Rule, api: str | None
    ) -> None:
        site.sign_in("api=api")
        rule.tenants.clear()
        with pytest.raises(IdTokenError) as caught:
            site.keyfob.require(api=api) if api is None else site.keyfob.token(api=api)
        assert caught.value.code == "tenant_not_allowed"
        with pytest.raises(InteractionRequired):
            site.keyfob.token(api="api")

    def test_guards_that_know_only_the_frameworks_user_see_it_too(
        self, site: BareSite, rule: Rule
    ) -> None:
        site.sign_in()
        rule.tenants.clear()
        with pytest.raises(IdTokenError):
            site.keyfob.keep()
        assert not site.is_signed_in

    def test_a_function_that_fails_shows_nothing_and_ends_nothing(
        self, site: BareSite, rule: Rule
    ) -> None:
        site.sign_in()
        rule.error = LookupError("the database is away")
        answer = site.get()
        assert answer is not None
        assert (answer.status, answer.page and answer.page.code) == (503, "tenant_rule")
        rule.error = None
        assert site.get() is None

    def test_scripts_are_told_why(self, site: BareSite, rule: Rule) -> None:
        site.sign_in()
        rule.tenants.clear()
        answer = site.get(sec_fetch_dest="empty", accept="application/json")
        assert answer is not None
        assert answer.problem is not None
        assert (answer.status, answer.problem["code"]) == (403, "tenant_not_allowed")

    def test_an_admission_is_remembered_and_a_refusal_is_not(
        self, site: BareSite, rule: Rule
    ) -> None:
        site.sign_in()
        rule.asked.clear()
        assert [site.get() for _ in range(5)] == [None] * 5
        assert rule.asked == [HOME_TENANT]
        rule.tenants.clear()
        site.clock_offset = 31
        assert site.get() is not None
        rule.tenants.add(HOME_TENANT)
        site.sign_in()
        assert site.get() is None

    def test_pages_without_a_guard_ask_nothing(self, site: BareSite, rule: Rule) -> None:
        site.sign_in()
        rule.asked.clear()
        assert site.keyfob.user.name == "Ada Keyring"
        assert rule.asked == []

    def test_a_refresh_for_a_tenant_that_was_taken_out_gives_no_token(
        self, site: BareSite, rule: Rule, provider: Provider
    ) -> None:
        site.sign_in("api=api")
        assert site.get() is None  # so that the admission is remembered
        rule.tenants.clear()
        with pytest.raises(IdTokenError) as caught:
            site.keyfob.token(api="api", force_refresh=True)
        assert caught.value.code == "tenant_not_allowed"
        assert not site.is_signed_in
        assert len(provider.requests_to("token")) == 2

    def test_a_silent_renewal_for_them_ends_on_the_page(self, site: BareSite, rule: Rule) -> None:
        site.sign_in("api=api")
        site.store.close()
        rule.tenants.clear()
        rule.tenants.add(OTHER_TENANT)
        answer = site.browse("/orders", "api")
        assert answer is not None
        assert answer.page is not None
        assert (answer.status, answer.page.code) == (403, "tenant_not_allowed")


class TestGate:
    def test_remembers_so_many_tenants_and_no_more(self) -> None:
        gate = TenantGate(lambda _: True, 30, lambda: 0.0)
        for number in range(1500):
            assert gate.admits(str(number))
        assert len(gate._admitted) == 1000

    def test_whoever_has_no_tenant_may_not_stay(self) -> None:
        assert not TenantGate(lambda _: True, 30, lambda: 0.0).admits("")

    @pytest.mark.parametrize("rule", [None, [HOME_TENANT], frozenset({HOME_TENANT})])
    def test_a_list_is_not_asked_here(self, rule: Any) -> None:
        gate = TenantGate(rule, 30, lambda: 0.0)
        assert not gate.has_rule
        assert gate.admits(OTHER_TENANT)

    def test_a_clock_that_went_back_remembers_nothing(self) -> None:
        times = [100.0, 50.0]
        asked: list[str] = []
        gate = TenantGate(lambda tenant: not asked.append(tenant), 30, lambda: times.pop(0))  # type: ignore[func-returns-value]
        assert gate.admits("a")
        assert gate.admits("a")
        assert asked == ["a", "a"]
