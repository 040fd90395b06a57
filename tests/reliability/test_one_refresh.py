"""One refresh per token, whoever asks from wherever: threads, processes, survivors of a crash."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from reliability.processes import Worker, ask_all, workers
from reliability.stores import postgres_server, shared_store
from support.bare_site import with_apis
from support.provider import Provider
from support.provider_http import Answer, Request, Wire
from support.redis_server import RedisServer

__all__ = ["postgres_server", "shared_store"]

PROCESSES, THREADS = 4, 25
#: Seconds. Short for a test, long for a machine that has other things to do.
LEASE = 2.0


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A refresh token that comes twice ends the whole sign-in."""
    with Provider(revoke_reused_refresh_tokens=True) as provider:
        yield provider


def expired_session(provider: Provider, site: Sequence[Worker]) -> dict[str, Any]:
    """A sign-in whose token is over, while the next ones will live long."""
    provider.expires_in = 60
    session: dict[str, Any] = site[0].ask("sign_in")
    provider.expires_in = 3600
    ask_all(site, "later", 60)
    return session


def refreshes(provider: Provider) -> list[Request]:
    return [
        request
        for request in provider.requests_to("token")
        if request.form["grant_type"] == "refresh_token"
    ]


def test_a_hundred_requests_of_four_processes_are_one_refresh(
    provider: Provider, shared_store: str
) -> None:
    with workers(PROCESSES, settings=with_apis(provider), store=shared_store) as site:
        session = expired_session(provider, site)
        answers = [
            token for tokens in ask_all(site, "tokens", session, THREADS) for token in tokens
        ]
        assert len(answers) == PROCESSES * THREADS
        assert set(answers) == {provider.last_access_token}
        assert len(refreshes(provider)) == 1
        # What the store has is what the provider takes the next time.
        assert site[1].ask("renew", session) == provider.last_access_token
        assert len(refreshes(provider)) == 2
        assert [each["status"] for each in ask_all(site, "page", session)] == [200] * PROCESSES


class Held:
    """A token endpoint that lets its first refresh wait, before it redeems it or after."""

    def __init__(self, provider: Provider, *, redeemed: bool) -> None:
        self.arrived = threading.Event()
        self._provider = provider
        self._redeemed = redeemed
        provider.raw["token"] = self._answer

    def _answer(self, request: Request) -> Answer:
        if self.arrived.is_set():
            return self._provider.answer("token", request)
        if self._redeemed:
            self._provider.answer("token", request)
        self.arrived.set()
        return self._hang

    @staticmethod
    def _hang(wire: Wire) -> None:
        wire.wait(60)


def test_who_is_killed_while_refreshing_is_followed_within_the_lease(
    provider: Provider, shared_store: str
) -> None:
    options = {"settings": with_apis(provider), "store": shared_store, "lease": LEASE}
    with workers(3, **options) as site:
        first, *others = site
        session = expired_session(provider, site)
        held = Held(provider, redeemed=False)
        first.tell("tokens", session, 5)
        assert held.arrived.wait(30)
        first.kill()
        answers = [token for tokens in ask_all(others, "tokens", session, 10) for token in tokens]
        assert len(answers) == 20
        assert set(answers) == {provider.last_access_token}
        assert len(refreshes(provider)) == 2, "the dead one's, which nobody answered, and one more"


def test_a_refresh_whose_answer_died_with_its_process_is_made_good_without_a_page(
    provider: Provider, redis_server: RedisServer
) -> None:
    """Nobody can know the new refresh token, and the old one is used up: the provider, which knows
    the browser, gives others."""
    options = {"settings": with_apis(provider), "store": redis_server.url(), "lease": LEASE}
    with workers(2, **options) as site:
        first, second = site
        session = expired_session(provider, site)
        held = Held(provider, redeemed=True)
        first.tell("tokens", session, 1)
        assert held.arrived.wait(30)
        first.kill()
        page = second.ask("page", session, "api")
        assert page["status"] == 302
        assert page["location"].startswith("/auth/login?")
        renewed = second.ask("comes_back", session)
        assert renewed is not None
        assert second.ask("tokens", renewed, 1) == [provider.last_access_token]
