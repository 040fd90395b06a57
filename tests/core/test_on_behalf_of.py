"""On behalf of: a token for another API, in the name of who called this one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import keyfob
from keyfob.errors import ConfigurationError, IdTokenError
from support.provider import Person, Provider
from support.provider_http import Reply
from support.sign_in import Clock, application

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ADA = Person()
GRACE = replace(ADA, oid="77777777-0000-4000-8000-888888888888", sub="person-0002", name="Grace")


class Api:
    """A web API that calls another."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.clock = Clock()
        self.cache = keyfob.SerializableTokenCache()
        self.app = application(provider, clock=self.clock, token_cache=self.cache)

    def called_with(self, assertion: str, *scopes: str, **more: Any) -> Any:
        return self.app.acquire_token_on_behalf_of(assertion, list(scopes or ("Read",)), **more)

    @property
    def requests(self) -> list[dict[str, str]]:
        return [request.form for request in self.provider.requests_to("token")]


@pytest.fixture
def api() -> Iterator[Api]:
    with Provider(entra=True, direct_grants=[GRANT]) as provider:
        found = Api(provider)
        yield found
        found.app.close()


def test_the_request_is_microsofts(api: Api) -> None:
    api.called_with("caller-token", claims_challenge='{"access_token": {"a": null}}')
    (form,) = api.requests
    assert form["grant_type"] == GRANT
    assert form["assertion"] == "caller-token"
    assert form["requested_token_use"] == "on_behalf_of"
    assert form["scope"] == "Read offline_access openid profile"
    assert form["claims"] == '{"access_token": {"a": null}}'
    assert form["client_info"] == "1"


def test_the_same_assertion_is_served_from_the_cache(api: Api) -> None:
    first = api.called_with("caller-token")
    second = api.called_with("caller-token")
    assert (first["token_source"], second["token_source"]) == ("identity_provider", "cache")
    assert first["access_token"] == second["access_token"]
    assert first["id_token_claims"]["oid"] == ADA.oid
    assert len(api.requests) == 1


def test_another_callers_assertion_never_is(api: Api) -> None:
    first = api.called_with("adas-token")
    api.provider.person = GRACE
    second = api.called_with("graces-token")
    assert second["token_source"] == "identity_provider"
    assert first["access_token"] != second["access_token"]
    assert api.called_with("adas-token")["access_token"] == first["access_token"]
    assert api.called_with("graces-token")["access_token"] == second["access_token"]


def test_the_assertion_itself_is_not_in_the_cache(api: Api) -> None:
    api.called_with("caller-token")
    assert "caller-token" not in api.cache.serialize()


def test_what_a_person_got_by_signing_in_is_not_served_on_behalf(api: Api) -> None:
    """And the other way about: `acquire_token_silent` does not find what was got on behalf."""
    api.called_with("caller-token")
    (account,) = api.app.get_accounts()
    silent = api.app.acquire_token_silent(["Read"], account)
    assert silent is not None
    assert silent["token_source"] == "identity_provider"
    assert api.requests[-1]["grant_type"] == "refresh_token"


def test_other_scopes_and_other_claims_are_asked_for(api: Api) -> None:
    api.called_with("caller-token", "Read")
    api.called_with("caller-token", "Write")
    api.called_with("caller-token", "Read", forwarded_client_claims='{"a": 1}')
    api.called_with("caller-token", "Read", forwarded_client_claims='{"a": 1}')
    assert [form.get("claims") for form in api.requests] == [None, None, '{"a": 1}']


def test_a_claims_challenge_is_answered_by_a_new_token(api: Api) -> None:
    api.called_with("caller-token")
    api.called_with("caller-token", claims_challenge="{}")
    assert len(api.requests) == 2


def test_an_expired_token_is_asked_for_again(api: Api) -> None:
    api.called_with("caller-token")
    api.clock.offset = api.provider.clock_offset = 3500
    assert api.called_with("caller-token")["token_source"] == "identity_provider"


def test_an_aging_token_outlives_an_outage(api: Api) -> None:
    api.provider.mutate_token_response = lambda answer: answer.update(refresh_in=10)
    first = api.called_with("caller-token")
    api.clock.offset = 20
    api.provider.raw["token"] = lambda _: Reply(503, {}, b"")
    assert api.called_with("caller-token")["access_token"] == first["access_token"]


def test_a_refusal_comes_back(api: Api) -> None:
    body = b'{"error": "interaction_required", "suberror": "consent_required", "claims": "{}"}'
    api.provider.raw["token"] = lambda _: Reply(400, {}, body)
    found = api.called_with("caller-token")
    assert (found["error"], found["suberror"]) == ("interaction_required", "consent_required")
    assert api.app.get_accounts() == []


def test_a_forged_id_token_caches_nothing(api: Api) -> None:
    api.provider.mutate_claims = lambda claims: claims.update(aud="somebody-else")
    with pytest.raises(IdTokenError):
        api.called_with("caller-token")
    assert api.cache.serialize() == "{}"


def test_an_answer_that_names_nobody_serves_and_is_not_cached(api: Api) -> None:
    def anonymous(answer: dict[str, Any]) -> None:
        del answer["id_token"], answer["client_info"]

    api.provider.mutate_token_response = anonymous
    assert "access_token" in api.called_with("caller-token")
    api.called_with("caller-token")
    assert len(api.requests) == 2


@pytest.mark.parametrize("assertion", ["", None, b"bytes", 1])
def test_an_assertion_that_is_none_is_refused(api: Api, assertion: Any) -> None:
    with pytest.raises(ConfigurationError, match="user_assertion"):
        api.called_with(assertion)
    assert api.requests == []


def test_the_assertion_does_not_print() -> None:
    from keyfob.flows import on_behalf_of

    assert "caller-token" not in repr(on_behalf_of.need("caller-token", ["Read"]))
