"""Managed identity: what is kept, for how long, and what is waited for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

import keyfob
from keyfob.cache import TokenCache
from keyfob.errors import KeyfobError, ManagedIdentityError, ProviderUnavailable
from keyfob.flows.managed_identity import acquire
from keyfob.managed_identity import UserAssignedManagedIdentity
from keyfob.protocol.managed_identity import identity_of
from keyfob.transport import RequestsTransport, run
from support.managed_identity import (
    LONG,
    RESOURCE,
    SHORT,
    SYSTEM,
    TOKEN,
    Endpoint,
    clients,
    machine,
    reply,
)
from support.provider_http import drop, redirect
from support.sign_in import Clock


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    found = Endpoint()
    found.answer(reply(SHORT))
    yield found
    found.close()


@pytest.fixture
def at(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with clients(endpoint, monkeypatch) as make:
        yield make


class TestCache:
    def test_the_token_is_kept_where_msal_looks(self, at: Any, endpoint: Endpoint) -> None:
        client = at("imds", UserAssignedManagedIdentity(client_id="the-id"))
        client.acquire_token_for_client(resource=RESOURCE)
        found = client.acquire_token_for_client(resource=RESOURCE)
        assert set(found) == {"access_token", "token_type", "expires_in", "token_source"}
        assert (found["access_token"], found["token_source"]) == ("at", "cache")
        assert len(endpoint.requests) == 1
        [entry] = client.token_cache.search("AccessToken")
        assert (
            entry.items()
            >= {
                "home_account_id": None,
                "environment": "localhost",
                "realm": "managed_identity",
                "client_id": "the-id",
                "target": RESOURCE,
            }.items()
        )

    def test_identities_and_resources_do_not_share_a_token(
        self, at: Any, endpoint: Endpoint
    ) -> None:
        cache = TokenCache()
        identities = [
            SYSTEM,
            UserAssignedManagedIdentity(client_id="a"),
            UserAssignedManagedIdentity(client_id="b"),
        ]
        for identity in identities:
            for resource in ("r", "R"):
                found = at("imds", identity, token_cache=cache).acquire_token_for_client(
                    resource=resource
                )
                assert found["token_source"] == "identity_provider"
        assert len(endpoint.requests) == 6

    def test_an_empty_cache_is_a_cache(self, at: Any) -> None:
        cache = TokenCache()
        at("imds", token_cache=cache).acquire_token_for_client(resource=RESOURCE)
        [entry] = cache.search("AccessToken")
        assert entry["client_id"] == "SYSTEM_ASSIGNED_MANAGED_IDENTITY"

    def test_a_token_serves_until_five_minutes_before_its_end(
        self, at: Any, endpoint: Endpoint
    ) -> None:
        clock = Clock()
        client = at("imds", clock=clock)
        client.acquire_token_for_client(resource=RESOURCE)
        clock.offset = 3600 - 310
        assert client.acquire_token_for_client(resource=RESOURCE)["token_source"] == "cache"
        clock.offset = 3600 - 290
        found = client.acquire_token_for_client(resource=RESOURCE)
        assert found["token_source"] == "identity_provider"

    def test_a_long_lived_token_is_renewed_from_the_middle_of_its_life(
        self, at: Any, endpoint: Endpoint
    ) -> None:
        clock = Clock()
        endpoint.answer(reply(LONG))
        client = at("imds", clock=clock)
        first = client.acquire_token_for_client(resource=RESOURCE)
        assert abs(first["refresh_on"] - time.time() - 43200) < 100
        assert "refresh_in" not in first
        found = client.acquire_token_for_client(resource=RESOURCE)
        assert (found["token_source"], found["refresh_on"]) == ("cache", first["refresh_on"])
        clock.offset = 43300
        endpoint.answer(reply({**LONG, "access_token": "new"}))
        found = client.acquire_token_for_client(resource=RESOURCE)
        assert (found["access_token"], found["token_source"]) == ("new", "identity_provider")

    @pytest.mark.parametrize("failure", [
        reply({"error": "invalid_request"}, 400), reply({}, 503), reply({}, 410), reply(b"<html>"),
        reply({"access_token": "a b"}), redirect(302, "http://x/"), drop,
    ])  # fmt: skip
    def test_a_proactive_renewal_that_fails_costs_nothing_and_no_time(
        self, at: Any, endpoint: Endpoint, failure: Any
    ) -> None:
        clock = Clock()
        endpoint.answer(reply(LONG))
        client = at("imds", clock=clock)
        client.acquire_token_for_client(resource=RESOURCE)
        clock.offset = 43300
        endpoint.answer(failure)
        for _ in range(2):
            found = client.acquire_token_for_client(resource=RESOURCE)
            assert (found["access_token"], found["token_source"]) == ("at", "cache")
        assert len(endpoint.requests) == 2, "once, and not again within a minute"
        clock.offset += 70
        endpoint.answer(reply({**LONG, "access_token": "new"}))
        assert client.acquire_token_for_client(resource=RESOURCE)["access_token"] == "new"

    def test_a_machine_that_lost_its_identity_serves_its_token_to_the_end(
        self, at: Any, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = Clock()
        endpoint.answer(reply(LONG))
        client = at("imds", clock=clock)
        client.acquire_token_for_client(resource=RESOURCE)
        clock.offset = 43300
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "nowhere")
        assert client.acquire_token_for_client(resource=RESOURCE)["access_token"] == "at"
        clock.offset = 86400
        with pytest.raises(ManagedIdentityError):
            client.acquire_token_for_client(resource=RESOURCE)

    def test_a_claims_challenge_gets_a_new_token(self, at: Any, endpoint: Endpoint) -> None:
        client = at("imds")
        client.acquire_token_for_client(resource=RESOURCE)
        found = client.acquire_token_for_client(resource=RESOURCE, claims_challenge="foo")
        assert found["token_source"] == "identity_provider"
        assert "token_sha256_to_refresh" not in endpoint.requests[1].query
        endpoint.answer(reply({"error": "x"}, 400))
        found = client.acquire_token_for_client(resource=RESOURCE, claims_challenge="foo")
        assert found == {"error": "x"}
        assert client.acquire_token_for_client(resource=RESOURCE)["token_source"] == "cache"

    @pytest.mark.parametrize(
        ("change", "served"),
        [
            ({}, True),
            ({"expires_on": "soon"}, False),
            ({"secret": ""}, False),
            ({"token_type": "pop"}, False),
            ({"refresh_on": "soon"}, False),
            ({"target": "other"}, False),
        ],
    )
    def test_what_msal_filed_under_no_client_serves_the_machines_own_identity(
        self, at: Any, endpoint: Endpoint, change: dict[str, str], served: bool
    ) -> None:
        cache = keyfob.SerializableTokenCache()
        entry = {
            "credential_type": "AccessToken", "secret": "msals", "home_account_id": None,
            "environment": "localhost", "client_id": None, "target": RESOURCE,
            "realm": "managed_identity", "token_type": "Bearer",
            "cached_at": str(int(time.time())), "expires_on": str(int(time.time()) + 3000),
        }  # fmt: skip
        cache.deserialize(json.dumps({"AccessToken": {"k": {**entry, **change}}}))
        found = at("imds", token_cache=cache).acquire_token_for_client(resource=RESOURCE)
        assert (found["access_token"] == "msals") is served
        if served:
            other = UserAssignedManagedIdentity(client_id="x")
            found = at("imds", other, token_cache=cache).acquire_token_for_client(resource=RESOURCE)
            assert found["access_token"] == "at"

    def test_msals_token_too_is_renewed_in_time(self, at: Any, endpoint: Endpoint) -> None:
        cache, clock = TokenCache(), Clock()
        event = {
            "client_id": None, "scope": [RESOURCE], "environment": "localhost",
            "realm": "managed_identity",
            "response": {**TOKEN, "access_token": "msals", "expires_in": 9000, "refresh_in": 4500},
        }  # fmt: skip
        cache.add(event)
        client = at("imds", token_cache=cache, clock=clock)
        clock.offset = 4600
        endpoint.answer(drop)
        assert client.acquire_token_for_client(resource=RESOURCE)["access_token"] == "msals"
        assert client.acquire_token_for_client(resource=RESOURCE)["access_token"] == "msals"
        assert len(endpoint.requests) == 1
        clock.offset += 70
        endpoint.answer(reply(SHORT))
        assert client.acquire_token_for_client(resource=RESOURCE)["access_token"] == "at"


class TestImdsRetries:
    def fetch(self, endpoint: Endpoint, *answers: Any) -> tuple[Any, list[float]]:
        """What came of it, and the pauses on the way there."""
        endpoint.answer(*answers)
        pauses: list[float] = []
        transport = RequestsTransport()
        flow = acquire(
            identity_of(SYSTEM),
            RESOURCE,
            cache=TokenCache(),
            machine=machine(endpoint.environ("imds")),
        )
        try:
            return run(flow, transport, sleep=pauses.append), pauses
        except KeyfobError as error:
            return error, pauses
        finally:
            transport.close()

    @pytest.mark.parametrize("status", [404, 408, 429, 500, 503, 504])
    def test_what_passes_is_waited_for_a_little_longer_each_time(
        self, endpoint: Endpoint, status: int
    ) -> None:
        busy = reply({"error": "busy"}, status)
        found, pauses = self.fetch(endpoint, busy, busy, busy, reply(SHORT))
        assert found["access_token"] == "at"
        assert pauses == [1, 2, 4]

    def test_an_update_of_imds_is_waited_for(self, endpoint: Endpoint) -> None:
        found, pauses = self.fetch(endpoint, *[reply({}, 410)] * 7, reply(SHORT))
        assert found["access_token"] == "at"
        assert pauses == [10] * 7

    @pytest.mark.parametrize(
        ("status", "kind", "times"),
        [
            (410, ProviderUnavailable, 8),
            (503, ProviderUnavailable, 4),
            (429, ProviderUnavailable, 4),
            (404, dict, 4),
            (408, dict, 4),
            (400, dict, 1),
            (403, dict, 1),
        ],
    )
    def test_but_not_for_ever(
        self, endpoint: Endpoint, status: int, kind: type, times: int
    ) -> None:
        found, pauses = self.fetch(endpoint, reply({"error": "busy"}, status))
        assert isinstance(found, kind)
        assert len(endpoint.requests) == times == len(pauses) + 1
        assert getattr(found, "status", status) == status

    def test_imds_may_ask_for_a_longer_pause_but_nobody_is_held_for_minutes(
        self, endpoint: Endpoint
    ) -> None:
        _, pauses = self.fetch(endpoint, reply({}, 429, Retry_After="7"), reply(SHORT))
        assert pauses == [7]
        found, pauses = self.fetch(endpoint, reply({}, 429, Retry_After="70"))
        assert (found.retry_after, pauses) == (70, [])
