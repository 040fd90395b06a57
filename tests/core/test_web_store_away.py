"""A site whose store goes away and comes back: nobody waits, and nobody has to restart anything."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from keyfob.errors import StoreUnavailable
from keyfob.web.stores import CircuitStore, ObservedStore, RedisStore, sealed
from support.bare_site import BareSite, with_apis
from support.failing_store import FailingStore
from support.provider import Provider
from support.redis_server import RedisServer
from support.store_contract import Clock


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


def circuit_of(site: BareSite) -> CircuitStore:
    circuit = site.app.store._store
    assert isinstance(circuit, CircuitStore)
    return circuit


def test_a_store_behind_a_network_has_a_circuit_and_a_local_one_has_none(
    provider: Provider,
) -> None:
    with BareSite(with_apis(provider)) as site:
        assert isinstance(site.app.store._store, ObservedStore)
        assert site.app.store._store._store is site.store
    store = RedisStore("redis://cache.example")
    with BareSite(with_apis(provider), store=store) as site:
        assert circuit_of(site)._store._store is store


def test_pages_answer_503_and_when_to_come_back_until_the_store_is_there_again(
    provider: Provider,
) -> None:
    clock = Clock(0.0)
    settings = with_apis(provider, TOKEN_STORE_L1_SECONDS=0)  # nothing is remembered meanwhile
    with (
        RedisServer() as server,
        BareSite(settings, store=RedisStore(server.url())) as site,
    ):
        circuit_of(site)._clock = clock
        assert site.browse("/me", "api") is None
        server.stop()
        waits = []
        for _ in range(6):
            answer = site.get("/me", "api")
            assert answer is not None
            assert answer.status == 503
            waits.append(answer.headers["Retry-After"])
        assert waits[0] == "10", "nobody knows"
        assert waits[-1] == "5", "when it is asked next"
        server.start()
        answer = site.get("/me", "api")
        assert answer is not None
        assert answer.status == 503, "not asked yet"
        clock.advance(5)
        assert site.browse("/me", "api") is None, "signed in again, for the store had lost it"
        assert site.get("/me", "api") is None


class OneSaveFails(FailingStore):
    saves_to_fail = 0

    def replace(self, key: str, value: bytes, version: int, expires_at: float) -> bool:
        if self.saves_to_fail:
            self.saves_to_fail -= 1
            raise StoreUnavailable("one write timed out")
        return super().replace(key, value, version, expires_at)


@pytest.mark.parametrize("is_local", [True, False])
@pytest.mark.parametrize("seconds", [0, 30])
def test_one_save_that_fails_signs_nobody_out(is_local: bool, seconds: int) -> None:
    store = OneSaveFails()
    store.__dict__["is_local"] = is_local
    with (
        Provider(revoke_reused_refresh_tokens=True) as provider,
        BareSite(with_apis(provider, TOKEN_STORE_L1_SECONDS=seconds), store=store) as site,
    ):
        site.sign_in("api=api")
        provider.requests.clear()
        site.clock_offset = provider.clock_offset = 4000
        store.saves_to_fail = 1

        def visit(_: int) -> bool:
            return bool(site.app.session(dict(site.session)).token(api="api"))

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(visit, range(4)))
        assert len(provider.requests_to("token")) == 1
        site.clock_offset = provider.clock_offset = 8000
        assert visit(0), "what could not be saved at first is what is refreshed"


def test_a_refreshed_token_serves_that_its_store_does_not_take(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with BareSite(with_apis(provider)) as site:
        site.sign_in("api=api")
        site.clock_offset = provider.clock_offset = 4000
        monkeypatch.setattr(sealed, "MAX_VALUE_SIZE", 100)
        assert site.get("/orders", "api") is None
        assert site.get("/orders", "api") is None
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "100 is the most" in errors[0].getMessage()
