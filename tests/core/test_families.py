"""Microsoft's family of clients: one application's refresh token serves the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from keyfob import ConfidentialClientApplication, TokenCache
from support.provider import Provider
from support.provider_http import Reply
from support.sign_in import application, signed_in


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(entra=True) as provider:
        provider.mutate_token_response = lambda answer: answer.update(foci="1")
        provider.mutate_refresh_response = lambda answer: answer.update(foci="1")
        yield provider


class Desk:
    """Two applications of one family on one desk, with one cache."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.cache = TokenCache()
        self.first = application(provider, token_cache=self.cache)
        self.account = signed_in(self.first, ["Read"])
        provider.client_id = "another-client-of-the-family"
        self.second = application(provider, token_cache=self.cache)
        provider.requests.clear()

    def silent(self, app: ConfidentialClientApplication) -> Any:
        return app.acquire_token_silent_with_error(["Read"], self.account)

    def refuse(self, **error: Any) -> None:
        self.provider.raw["token"] = lambda _: Provider.json(
            {"error": "invalid_grant", **error}, 400
        )

    @property
    def tried(self) -> list[str]:
        return [r.form["refresh_token"] for r in self.provider.requests_to("token")]


@pytest.fixture
def desk(provider: Provider) -> Iterator[Desk]:
    desk = Desk(provider)
    yield desk
    desk.first.close()
    desk.second.close()


def test_an_application_that_is_new_here_tries_the_familys_refresh_token(desk: Desk) -> None:
    assert desk.silent(desk.second)["token_source"] == "identity_provider"
    environment = desk.second.authority.environment
    known = desk.cache.app_metadata(environment, desk.second.client_id)
    assert known is not None
    assert known["family_id"] == "1"


def test_the_other_applications_token_stays_where_it_is(desk: Desk) -> None:
    desk.silent(desk.second)
    owners = {entry["client_id"] for entry in desk.cache.search("RefreshToken")}
    assert owners == {desk.first.client_id, desk.second.client_id}


def test_one_that_is_not_of_the_family_is_told_so_and_stops(desk: Desk) -> None:
    desk.refuse(error_additional_info=["client_mismatch"])
    assert desk.silent(desk.second)["error"] == "invalid_grant"
    assert len(desk.tried) == 1
    assert len(list(desk.cache.search("RefreshToken"))) == 1


def test_one_that_is_known_not_to_be_of_it_does_not_try(desk: Desk) -> None:
    environment = desk.second.authority.environment
    desk.cache.modify(
        "AppMetadata",
        {"client_id": desk.second.client_id, "environment": environment},
        {"client_id": desk.second.client_id, "environment": environment},
    )
    assert desk.silent(desk.second) is None
    assert desk.tried == []


def test_an_applications_own_token_serves_where_the_familys_is_refused(desk: Desk) -> None:
    desk.silent(desk.second)
    desk.provider.requests.clear()
    served = {"count": 0}

    def first_refused(request: Any) -> Any:
        served["count"] += 1
        if served["count"] == 1:
            return Reply(400, {}, b'{"error": "invalid_grant"}')
        return Provider.json({"token_type": "Bearer", "access_token": "a", "scope": "Write"})

    desk.provider.raw["token"] = first_refused
    found = desk.second.acquire_token_silent(["Write"], desk.account)
    assert (found or {})["access_token"] == "a"
    assert len(set(desk.tried)) == 2


def test_a_generic_provider_knows_no_families() -> None:
    with Provider() as provider:
        provider.mutate_token_response = lambda answer: answer.update(foci="1")
        desk = Desk(provider)
        assert desk.silent(desk.second) is None
        assert desk.tried == []
        desk.first.close()
        desk.second.close()
