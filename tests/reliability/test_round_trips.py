"""What a request costs of the network, counted by the Redis server itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from keyfob.web.stores import RedisStore
from support.bare_site import BareSite, with_apis
from support.provider import Provider
from support.redis_server import RedisServer


@dataclass
class Redis:
    """A server that nobody else asks, and how many commands it was sent since the last look."""

    server: RedisServer
    counted: int = 0

    def commands(self) -> dict[str, int]:
        found: dict[str, int] = {
            name.removeprefix("cmdstat_"): values["calls"]
            for name, values in self.server.command("INFO", "commandstats").items()
        }
        self.server.command("CONFIG", "RESETSTAT")
        # What a script does in the server is no round trip, and what the looking costs is ours.
        sent = {"evalsha", "eval", "get", "set", "del", "hget", "hmget", "pexpire", "exists"}
        scripts = found.get("evalsha", 0) + found.get("eval", 0)
        return {"evalsha": scripts} if scripts else {n: c for n, c in found.items() if n in sent}


@pytest.fixture
def redis() -> Iterator[Redis]:
    with RedisServer() as server:
        yield Redis(server)


@pytest.fixture
def site(redis: Redis) -> Iterator[BareSite]:
    with (
        Provider() as provider,
        BareSite(with_apis(provider), store=RedisStore(redis.server.url())) as site,
    ):
        site.sign_in("api=api")
        assert site.get("/orders", "api") is None
        redis.commands()
        yield site


def test_a_request_whose_session_is_remembered_makes_no_round_trip(
    site: BareSite, redis: Redis
) -> None:
    for _ in range(10):
        assert site.get("/orders", "api") is None
        assert site.keyfob.token(api="api")
    assert redis.commands() == {}


def test_a_request_whose_session_is_not_remembered_makes_one(site: BareSite, redis: Redis) -> None:
    other = site.another_machine()
    try:
        # It must know the provider, as every machine does that has served a sign-in.
        other.app.client = site.app.client
        # The connection and the script are made with the first request of a process.
        other.app.documents.holds("another session")
        redis.commands()
        assert other.get("/orders", "api") is None
        assert other.keyfob.token(api="api")
        assert redis.commands() == {"evalsha": 1}
    finally:
        other.http.close()


def test_what_did_not_change_is_not_saved(site: BareSite, redis: Redis) -> None:
    before = site.app.store.version("session " + site.session["_keyfob"]["k"])
    for _ in range(5):
        site.app.documents.overlook(site.session["_keyfob"]["k"])
        assert site.get("/orders", "api") is None
    assert site.app.store.version("session " + site.session["_keyfob"]["k"]) == before
