"""Threads that need the same token at once cause one request, and share what came of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from keyfob import ConfidentialClientApplication
from keyfob.errors import ProviderUnavailable
from support.managed_identity import RESOURCE, SHORT, SYSTEM, Endpoint, clients, reply
from support.provider import Provider
from support.provider_http import Reply, Request
from support.sign_in import Clock, application, signed_in
from support.store_contract import at_once

THREADS = 50
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Slow:
    """A provider whose token endpoint answers only when every thread has asked."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.clock = Clock()
        self.app: ConfidentialClientApplication = application(provider, clock=self.clock)
        self.go = threading.Event()

    def hold(self, reply: Reply | None = None) -> None:
        self.provider.requests.clear()

        def answer(request: Request) -> Reply:
            # All who are going to ask are waiting by then, on the slowest machine.
            self.go.wait(0.5)
            return self.provider.answer("token", request) if reply is None else reply

        self.provider.raw["token"] = answer

    def together(self, call: Callable[[], Any]) -> list[Any]:
        def one(_: int) -> Any:
            try:
                return call()
            except ProviderUnavailable as error:
                return error

        return at_once(THREADS, one)

    @property
    def requests(self) -> int:
        return len(self.provider.requests_to("token"))


@pytest.fixture
def slow() -> Iterator[Slow]:
    with Provider(entra=True, direct_grants=[GRANT]) as provider:
        found = Slow(provider)
        yield found
        found.app.close()


def tokens(results: list[Any]) -> set[str]:
    return {result["access_token"] for result in results}


def test_of_an_expired_token_of_a_person(slow: Slow) -> None:
    account = signed_in(slow.app, ["Read"])
    slow.clock.offset = slow.provider.clock_offset = 3590
    slow.hold()
    results = slow.together(lambda: slow.app.acquire_token_silent(["Read"], account))
    assert (slow.requests, len(tokens(results))) == (1, 1)


def test_of_the_applications_own(slow: Slow) -> None:
    slow.hold()
    results = slow.together(lambda: slow.app.acquire_token_for_client(["api://x/.default"]))
    assert (slow.requests, len(tokens(results))) == (1, 1)


def test_on_behalf_of_one_caller(slow: Slow) -> None:
    slow.hold()
    results = slow.together(lambda: slow.app.acquire_token_on_behalf_of("caller", ["Read"]))
    assert (slow.requests, len(tokens(results))) == (1, 1)


def test_metadata_and_keys_are_fetched_once_as_well(slow: Slow) -> None:
    slow.together(lambda: slow.app.acquire_token_on_behalf_of("caller", ["Read"]))
    assert len(slow.provider.requests_to("discovery")) == 1
    assert len(slow.provider.requests_to("keys")) == 1


def test_an_error_is_shared_too(slow: Slow) -> None:
    account = signed_in(slow.app, ["Read"])
    slow.clock.offset = 3590
    slow.hold(Reply(503, {"Retry-After": "7"}, b""))
    results = slow.together(lambda: slow.app.acquire_token_silent(["Read"], account))
    assert slow.requests == 1
    assert {type(result) for result in results} == {ProviderUnavailable}
    assert len({id(result) for result in results}) == THREADS, "each has an error of its own"


def test_results_are_everybodys_own(slow: Slow) -> None:
    slow.hold()
    results = slow.together(lambda: slow.app.acquire_token_for_client(["api://x/.default"]))
    results[0]["access_token"] = "changed"
    assert "changed" not in tokens(results[1:])


def test_needs_that_differ_share_nothing(slow: Slow) -> None:
    scopes = [f"api://{number}/.default" for number in range(5)]
    slow.hold()
    slow.go.set()
    at_once(5, lambda number: slow.app.acquire_token_for_client([scopes[number]]))
    assert slow.requests == 5


def test_two_peoples_caches_share_nothing(slow: Slow) -> None:
    account = signed_in(slow.app, ["Read"])
    from keyfob import SerializableTokenCache

    twins = []
    for _ in range(2):
        cache = SerializableTokenCache()
        twin = slow.app.with_cache(cache)
        signed_in(twin, ["Read"])
        twins.append(twin)
    slow.clock.offset = slow.provider.clock_offset = 3590
    slow.hold()
    at_once(2, lambda number: twins[number].acquire_token_silent(["Read"], account))
    assert slow.requests == 2


def test_of_a_managed_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = Endpoint()
    endpoint.answer(reply(SHORT))
    try:
        with clients(endpoint, monkeypatch) as make:
            client = make("imds", SYSTEM)

            def one(_: int) -> Any:
                return client.acquire_token_for_client(resource=RESOURCE)

            results = at_once(THREADS, one)
        assert len(tokens(results)) == 1
        assert len(endpoint.requests) == 1
    finally:
        endpoint.close()
