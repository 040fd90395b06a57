"""A site whose store goes away and comes back: nobody waits, and nobody has to restart anything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keyfob.web.stores import CircuitStore, MemoryStore, RedisStore
from support.bare_site import BareSite, with_apis
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
        assert isinstance(site.app.store._store, MemoryStore)
    store = RedisStore("redis://cache.example")
    with BareSite(with_apis(provider), store=store) as site:
        assert circuit_of(site)._store is store


def test_pages_answer_503_and_when_to_come_back_until_the_store_is_there_again(
    provider: Provider,
) -> None:
    clock = Clock(0.0)
    with (
        RedisServer() as server,
        BareSite(
            with_apis(provider, TOKEN_STORE_L1_SECONDS=0), store=RedisStore(server.url())
        ) as site,
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
