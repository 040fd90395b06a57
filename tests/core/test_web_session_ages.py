"""How long a sign-in lasts: an absolute limit, an idle one, and whether the account still may."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from keyfob.errors import IdTokenError, InteractionRequired, SubjectChangedError
from support.bare_site import BareSite, with_apis
from support.failing_store import FailingStore
from support.provider import Provider
from support.provider_http import Reply, Wire
from support.sign_in import Clock


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


def code_of(site: BareSite, **wanted: Any) -> str:
    try:
        site.keyfob.require(**wanted)
    except InteractionRequired as error:
        return error.code
    return ""


def test_a_sign_in_ends_at_its_greatest_age_however_busy(provider: Provider) -> None:
    with BareSite(with_apis(provider, SESSION_MAX_AGE=3600)) as site:
        site.sign_in()
        for offset in (1000, 2000, 3400):
            site.clock_offset = offset
            assert code_of(site) == ""
        site.clock_offset = 3700
        assert not site.is_signed_in
        assert code_of(site) == "not_signed_in"


def test_a_new_sign_in_begins_anew(provider: Provider) -> None:
    with BareSite(with_apis(provider, SESSION_MAX_AGE=3600)) as site:
        site.sign_in()
        site.clock_offset = provider.clock_offset = 3000
        site.sign_in()
        site.clock_offset = 6000
        assert site.is_signed_in


@pytest.mark.parametrize("begun", [None, "1", 1.5, -1])
def test_an_entry_that_does_not_say_when_it_began_is_too_old(
    provider: Provider, begun: object
) -> None:
    with BareSite(with_apis(provider, SESSION_MAX_AGE=3600)) as site:
        site.sign_in()
        site.session["_keyfob"] = {**site.session["_keyfob"], "b": begun}
        assert not site.is_signed_in


def test_an_idle_session_ends_with_its_record(provider: Provider) -> None:
    from keyfob.web.stores import MemoryStore

    clock = Clock()
    with BareSite(with_apis(provider, SESSION_IDLE_AGE=600), MemoryStore(clock=clock)) as site:
        site.sign_in()
        for offset in (500, 1000, 1500):
            site.clock_offset = clock.offset = offset
            assert code_of(site) == "", "each request moves the end along"
        site.clock_offset = clock.offset = 2200
        assert code_of(site) == "tokens_lost"


class TestAccountCheck:
    @pytest.fixture
    def site(self, provider: Provider) -> Iterator[BareSite]:
        with BareSite(with_apis(provider, ACCOUNT_CHECK_INTERVAL=900)) as site:
            site.sign_in("api=api")
            provider.requests.clear()
            yield site

    def refreshes(self, provider: Provider) -> int:
        return len(provider.requests_to("token"))

    def test_the_provider_is_asked_once_in_the_interval(
        self, site: BareSite, provider: Provider
    ) -> None:
        for offset in (0, 500, 1000, 1010, 1800):
            site.clock_offset = provider.clock_offset = offset
            assert code_of(site) == ""
        assert self.refreshes(provider) == 1
        site.clock_offset = provider.clock_offset = 2000
        assert code_of(site, api="api") == ""
        assert self.refreshes(provider) == 2

    def test_a_disabled_account_does_not_stay(self, site: BareSite, provider: Provider) -> None:
        provider.revoke_refresh_tokens()
        site.clock_offset = provider.clock_offset = 1000
        assert code_of(site) == "account_check"
        answer = site.get("/orders")
        assert answer is not None
        assert answer.location.startswith("/auth/login?next=%2Forders&ask=")

    def test_an_outage_keeps_nobody_out_and_is_asked_about_again(
        self, site: BareSite, provider: Provider
    ) -> None:
        provider.raw["token"] = lambda _: Reply(503, {}, b"")
        site.clock_offset = provider.clock_offset = 1000
        assert code_of(site) == ""
        assert code_of(site) == ""
        assert self.refreshes(provider) == 1
        del provider.raw["token"]
        site.clock_offset = provider.clock_offset = 1070
        assert code_of(site) == ""
        assert self.refreshes(provider) == 2

    @pytest.mark.parametrize("is_local", [True, False])
    def test_requests_at_once_ask_once_while_the_provider_is_away(
        self, site: BareSite, provider: Provider, is_local: bool
    ) -> None:
        site.store.__dict__["is_local"] = is_local

        def silent(wire: Wire) -> None:
            wire.wait(0.3)

        provider.raw["token"] = lambda _: silent
        site.clock_offset = provider.clock_offset = 1000

        def visit(_: int) -> str:
            site.app.session(dict(site.session)).require()
            return "in"

        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(visit, range(6))) == ["in"] * 6
        assert code_of(site) == ""
        assert self.refreshes(provider) == 1

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (401, b'{"error": "invalid_client"}'),
            (400, b'{"error": "unauthorized_client"}'),
            (503, b'{"error": "temporarily_unavailable"}'),
            (200, b"<html>a proxy</html>"),
            (200, b"[]"),
        ],
    )
    def test_an_answer_that_says_nothing_about_the_person_keeps_nobody_out(
        self, site: BareSite, provider: Provider, status: int, body: bytes
    ) -> None:
        provider.raw["token"] = lambda _: Reply(status, {"Content-Type": "application/json"}, body)
        site.clock_offset = provider.clock_offset = 1000
        assert code_of(site) == ""
        assert code_of(site) == ""
        assert self.refreshes(provider) == 1

    def test_somebody_elses_answer_ends_the_sign_in(
        self, site: BareSite, provider: Provider
    ) -> None:
        provider.mutate_refresh_claims = lambda claims: claims.update(sub="somebody-else")
        site.clock_offset = provider.clock_offset = 1000
        with pytest.raises(SubjectChangedError):
            site.keyfob.require()
        assert not site.is_signed_in

    def test_an_answer_that_proves_nothing_ends_no_sign_in(
        self, site: BareSite, provider: Provider
    ) -> None:
        provider.mutate_refresh_claims = lambda claims: claims.update(aud="another-client")
        site.clock_offset = provider.clock_offset = 1000
        with pytest.raises(IdTokenError):
            site.keyfob.require()
        assert site.is_signed_in

    def test_a_provider_without_refresh_tokens_is_asked_by_a_sign_in(
        self, provider: Provider
    ) -> None:
        provider.refresh_tokens = False
        with BareSite(with_apis(provider, ACCOUNT_CHECK_INTERVAL=900)) as site:
            site.sign_in("api=api")
            site.clock_offset = provider.clock_offset = 1000
            assert code_of(site) == "account_check"

    def test_a_store_that_is_away_keeps_nobody_out(self, provider: Provider) -> None:
        store = FailingStore()
        settings = with_apis(provider, ACCOUNT_CHECK_INTERVAL=900, TOKEN_STORE_L1_SECONDS=0)
        with BareSite(settings, store=store) as site:
            site.sign_in("api=api")
            site.clock_offset = provider.clock_offset = 1000
            provider.requests.clear()
            store.down = "all"
            assert code_of(site) == "", "a page that needs no token"
            store.down = ""
            assert code_of(site) == ""
            assert self.refreshes(provider) == 1

    def test_without_the_setting_nobody_is_asked(self, provider: Provider) -> None:
        with BareSite(with_apis(provider)) as site:
            site.sign_in("api=api")
            provider.requests.clear()
            site.clock_offset = 3000
            assert code_of(site) == ""
            assert self.refreshes(provider) == 0
