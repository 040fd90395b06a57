"""Stores that go away under load and come back: no wrong answer, nobody waits long, no restart."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from reliability.processes import Worker, ask_all, workers
from reliability.stores import postgres_server
from reliability.visits import CrowdProvider, person_of
from support.bare_site import with_apis
from support.postgres import PostgresServer
from support.redis_server import RedisServer

__all__ = ["postgres_server"]

PEOPLE = 4
THREADS = 4
#: Requests of each kind that a phase waits for, and seconds until it is given up.
ENOUGH, PATIENCE = 20, 60.0
#: Seconds that a circuit stays open, here.
CIRCUIT = 1.0
#: Seconds that no request may take: Redis' answers are waited for two seconds, thrice at most,
#: and this machine may be busy.
LONGEST = 30.0

#: What may come of a request while all is well, and while the store is away.
WELL = {"page", "token"}
AWAY = {"page", "token", "token 503 Retry-After", "view error: store_unavailable"}


@pytest.fixture
def provider() -> Iterator[CrowdProvider]:
    """Its tokens live for seconds, so that many are refreshed all the time; it takes a refresh
    token again, as Microsoft does."""
    with CrowdProvider(rotate_refresh_tokens=False, signing_alg="ES256", expires_in=4) as provider:
        yield provider


class Site:
    """Two processes under load, and what has come of it."""

    def __init__(self, processes: Sequence[Worker]) -> None:
        self.processes = processes
        self.sessions = [processes[0].ask("sign_in", str(number)) for number in range(PEOPLE)]
        ask_all(processes, "start_load", self.sessions, THREADS)

    def phase(self, name: str, *kinds: str) -> None:
        """Go on like this until every process has had enough of each kind."""
        ask_all(self.processes, "phase", name)
        self.wait_for(name, *kinds)

    def wait_for(self, name: str, *kinds: str) -> None:
        deadline = time.monotonic() + PATIENCE
        for kind in kinds:
            while min(ask_all(self.processes, "count", name, kind)) < ENOUGH:
                assert time.monotonic() < deadline, (name, kind, self.stop())
                time.sleep(0.05)

    def stop(self) -> list[dict[str, Any]]:
        return ask_all(self.processes, "stop_load")


def seen(reports: list[dict[str, Any]], phase: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for report in reports:
        found.update(report["counts"].get(phase, {}))
    return found


def check_tokens(provider: CrowdProvider, reports: list[dict[str, Any]]) -> None:
    """Whatever anybody got was their own."""
    for report in reports:
        assert report["errors"] == []
        assert report["longest"] < LONGEST
        for username, tokens in report["tokens"].items():
            person = person_of(username.partition("@")[0])
            assert {provider._access[token].person for token in tokens} == {person}


def settings(provider: CrowdProvider, **more: object) -> dict[str, object]:
    # Nothing remembered: all that a request needs is asked of the store.
    return with_apis(provider, TOKEN_STORE_L1_SECONDS=0, **more)


def test_a_redis_that_keeps_its_data_goes_and_comes_back(provider: CrowdProvider) -> None:
    with RedisServer("appendonly yes") as server:
        check_outage(provider, server.url(), server.stop, server.start)


def test_a_redis_that_no_longer_answers_is_not_waited_for(provider: CrowdProvider) -> None:
    with RedisServer() as server:
        check_outage(provider, f"{server.url()}&timeout=0.5", server.freeze, server.thaw)


def test_a_postgresql_that_is_stopped_and_started(
    provider: CrowdProvider, postgres_server: PostgresServer
) -> None:
    pytest.importorskip("psycopg")
    store = f"django-db:{postgres_server.host}"
    check_outage(provider, store, postgres_server.stop, postgres_server.start)


def check_outage(
    provider: CrowdProvider, store: str, stop: Callable[[], None], start: Callable[[], None]
) -> None:
    options = {"settings": settings(provider), "store": store, "circuit": CIRCUIT}
    with workers(2, **options) as processes:
        site = Site(processes)
        site.wait_for("before", "page", "token")
        ask_all(processes, "phase", "going")
        stop()
        site.phase("away", "page", "token 503 Retry-After")
        ask_all(processes, "phase", "coming")
        start()
        site.wait_for("coming", "token")
        site.phase("after", "page", "token")
        reports = site.stop()
    check_tokens(provider, reports)
    assert set(seen(reports, "before")) <= WELL
    assert set(seen(reports, "away")) <= AWAY
    assert set(seen(reports, "going") + seen(reports, "coming") + seen(reports, "between")) <= AWAY
    # One process may still wait for its circuit's probe when the other is through.
    assert set(seen(reports, "after")) <= AWAY
    assert seen(reports, "after")["token"] >= ENOUGH


def test_what_a_redis_lost_is_renewed_without_a_page_and_nothing_else_is(
    provider: CrowdProvider,
) -> None:
    with RedisServer() as server:
        options = {"settings": settings(provider), "store": server.url(), "circuit": CIRCUIT}
        with workers(2, **options) as processes:
            site = Site(processes)
            site.wait_for("before", "page", "token")
            ask_all(processes, "phase", "lost")
            server.restart()
            site.wait_for("lost", "token 302", "page 302")
            renewed = [
                processes[number % 2].ask("comes_back", session)
                for number, session in enumerate(site.sessions)
            ]
            reports = site.stop()
            assert all(renewed)
            for session in renewed:
                assert [page["status"] for page in ask_all(processes, "page", session, "api")] == [
                    200,
                    200,
                ]
    check_tokens(provider, reports)
    assert set(seen(reports, "before")) <= WELL
    # Until it is seen that the records are gone, the server was away.
    assert set(seen(reports, "lost")) <= AWAY | {"page 302", "token 302"}
