"""Tokens in the application's own name (RFC 6749 §4.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from keyfob import ConfidentialClientApplication
from keyfob.errors import ConfigurationError, ProviderUnavailable, TokenResponseError
from support.provider import Provider
from support.provider_http import Reply
from support.provider_jose import b64, dumps
from support.sign_in import Clock, application, signed_in

SCOPE = ["https://graph.microsoft.com/.default"]


@pytest.fixture
def entra() -> Iterator[Provider]:
    with Provider(entra=True) as started:
        yield started


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(entra: Provider, clock: Clock) -> Iterator[ConfidentialClientApplication]:
    found = application(entra, clock=clock)
    yield found
    found.close()


def answers(document: dict[str, Any], status: int = 200) -> Any:
    return lambda _: Provider.json(document, status)


TOKEN = {"access_token": "at", "token_type": "Bearer", "expires_in": 3600}


def test_the_token_is_fetched_once_and_kept(app: Any, entra: Provider) -> None:
    first = app.acquire_token_for_client(SCOPE)
    assert first["token_source"] == "identity_provider"
    [request] = entra.requests_to("token")
    assert request.form["grant_type"] == "client_credentials"
    assert request.form["scope"] == SCOPE[0]
    assert request.form["client_secret"] == entra.client_secret

    again = app.acquire_token_for_client(SCOPE)
    assert set(again) == {"access_token", "token_type", "expires_in", "token_source"}
    assert (again["access_token"], again["token_source"]) == (first["access_token"], "cache")
    assert len(entra.requests_to("token")) == 1


def test_it_is_no_persons(app: Any, entra: Provider) -> None:
    account = signed_in(app, ["User.Read"])
    app.acquire_token_for_client(SCOPE)
    assert len(app.get_accounts()) == 1
    assert app.acquire_token_for_client(SCOPE)["token_source"] == "cache"
    found = app.acquire_token_silent(SCOPE, account)
    assert found["token_source"] == "identity_provider"


def test_what_would_make_it_a_persons_is_dropped(app: Any, entra: Provider) -> None:
    person = {
        "refresh_token": "rt",
        "id_token": "e30.e30.e30",
        "client_info": b64(dumps({"uid": "u", "utid": "t"})),
        "id_token_claims": {"sub": "s"},
    }
    entra.raw["token"] = answers({**TOKEN, **person})
    assert not person.keys() & app.acquire_token_for_client(SCOPE).keys()
    assert app.get_accounts() == []
    assert not list(app.token_cache.search("RefreshToken"))
    assert app.acquire_token_for_client(SCOPE)["token_source"] == "cache"


def test_a_claims_challenge_passes_the_cache_by(app: Any, entra: Provider) -> None:
    app.acquire_token_for_client(SCOPE)
    found = app.acquire_token_for_client(SCOPE, claims_challenge='{"a":1}')
    assert found["token_source"] == "identity_provider"
    assert entra.requests_to("token")[1].form["claims"] == '{"a":1}'


def test_an_error_is_returned_and_not_kept(app: Any, entra: Provider) -> None:
    error = {"error": "invalid_client", "error_codes": [7000215], "correlation_id": "c"}
    entra.raw["token"] = answers(error, 401)
    assert app.acquire_token_for_client(SCOPE) == error
    del entra.raw["token"]
    assert "access_token" in app.acquire_token_for_client(SCOPE)


def test_a_token_near_its_end_is_renewed(app: Any, clock: Clock) -> None:
    first = app.acquire_token_for_client(SCOPE)
    clock.offset = 3310
    assert app.acquire_token_for_client(SCOPE)["access_token"] != first["access_token"]


def test_a_proactive_renewal_that_fails_costs_nothing(
    app: Any, entra: Provider, clock: Clock
) -> None:
    entra.raw["token"] = answers({**TOKEN, "refresh_in": 60})
    first = app.acquire_token_for_client(SCOPE)
    assert "refresh_on" in first
    clock.offset = 120
    for failure in (answers({"error": "x"}, 400), lambda _: Reply(503, {}, b"")):
        entra.raw["token"] = failure
        found = app.acquire_token_for_client(SCOPE)
        assert (found["access_token"], found["token_source"]) == ("at", "cache")
        asked = len(entra.requests_to("token"))
        assert app.acquire_token_for_client(SCOPE)["access_token"] == "at"
        assert len(entra.requests_to("token")) == asked, "not again within a minute"
        clock.offset += 70
    with pytest.raises(ProviderUnavailable):
        app.acquire_token_for_client(SCOPE, claims_challenge="{}")
    entra.raw["token"] = answers({**TOKEN, "access_token": "new"})
    assert app.acquire_token_for_client(SCOPE)["access_token"] == "new"


def test_a_bad_answer_is_refused_and_not_kept(app: Any, entra: Provider) -> None:
    entra.raw["token"] = answers({**TOKEN, "token_type": "mac"})
    with pytest.raises(TokenResponseError):
        app.acquire_token_for_client(SCOPE)
    assert not list(app.token_cache.search("AccessToken"))


@pytest.mark.parametrize("scopes", [None, "a", [], [""], [1], ["a b"], ["a\n"]])
def test_scopes_that_are_none_are_refused(app: Any, entra: Provider, scopes: Any) -> None:
    with pytest.raises(ConfigurationError):
        app.acquire_token_for_client(scopes)
    assert entra.requests == []


def test_at_another_provider_the_secret_goes_the_way_it_names() -> None:
    with Provider(auth_methods=["client_secret_basic"]) as provider:
        app = application(provider)
        assert "access_token" in app.acquire_token_for_client(["api"])
        assert "client_secret" not in provider.requests_to("token")[0].form
        app.close()
