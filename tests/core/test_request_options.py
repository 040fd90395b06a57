"""What a caller adds to a verb's requests: fields, a query, an SSH key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from keyfob import ConfidentialClientApplication
from keyfob.errors import ConfigurationError, TokenResponseError
from support.provider import Provider
from support.sign_in import application, signed_in

SCOPE = ["api://orders/.default"]
SSH = {"token_type": "ssh-cert", "req_cnf": '{"kty": "RSA"}', "key_id": "key-1"}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(entra=True) as provider:
        yield provider


@pytest.fixture
def app(provider: Provider) -> Iterator[ConfidentialClientApplication]:
    app = application(provider)
    yield app
    app.close()


def for_client(app: ConfidentialClientApplication, **more: Any) -> Any:
    return app.acquire_token_for_client(SCOPE, **more)


def test_fields_and_a_query_are_sent(
    app: ConfidentialClientApplication, provider: Provider
) -> None:
    for_client(app, data={"foo": "bar"}, params={"slice": "test"})
    (request,) = provider.requests_to("token")
    assert request.form["foo"] == "bar"
    assert request.query == {"slice": "test"}


def test_fields_of_ones_own_keep_the_tokens_apart(
    app: ConfidentialClientApplication, provider: Provider
) -> None:
    plain, special = for_client(app), for_client(app, data={"foo": "bar"})
    assert for_client(app)["access_token"] == plain["access_token"]
    assert for_client(app, data={"foo": "bar"})["access_token"] == special["access_token"]
    assert plain["access_token"] != special["access_token"]
    assert len(provider.requests_to("token")) == 2


def test_fmi_path_and_forwarded_claims_do_so_too(
    app: ConfidentialClientApplication, provider: Provider
) -> None:
    first = for_client(app, fmi_path="a/b")
    assert provider.requests_to("token")[0].form["fmi_path"] == "a/b"
    second = for_client(app, forwarded_client_claims='{"x": 1}')
    sent = provider.requests_to("token")[1].form
    assert sent["claims"] == '{"x": 1}'
    assert "client_claims" not in sent
    assert for_client(app)["access_token"] not in (first["access_token"], second["access_token"])
    assert for_client(app, fmi_path="a/b")["token_source"] == "cache"
    assert for_client(app, forwarded_client_claims='{"x": 1}')["token_source"] == "cache"


def test_an_ssh_certificate_is_bound_to_its_key(
    app: ConfidentialClientApplication, provider: Provider
) -> None:
    account = signed_in(app, ["Read"])
    provider.token_type = "ssh-cert"
    found = app.acquire_token_silent(["Read"], account, data=SSH)
    assert found is not None
    assert (found["token_type"], found["token_source"]) == ("ssh-cert", "identity_provider")
    sent = provider.requests_to("token")[-1].form
    assert {name: sent[name] for name in SSH} == SSH
    again = app.acquire_token_silent(["Read"], account, data=SSH)
    assert (again or {})["token_source"] == "cache"
    other = app.acquire_token_silent(["Read"], account, data={**SSH, "key_id": "key-2"})
    assert (other or {})["token_source"] == "identity_provider"
    provider.token_type = "Bearer"
    plain = app.acquire_token_silent(["Read"], account)
    assert (plain or {})["token_type"] == "Bearer"


@pytest.mark.parametrize("missing", ["req_cnf", "key_id"])
def test_a_request_for_one_must_name_the_key(
    app: ConfidentialClientApplication, missing: str
) -> None:
    data = {name: value for name, value in SSH.items() if name != missing}
    with pytest.raises(ConfigurationError, match=missing):
        app.acquire_token_silent(["Read"], {"home_account_id": "a.b"}, data=data)


def test_a_bearer_token_is_no_answer_to_it(app: ConfidentialClientApplication) -> None:
    account = signed_in(app, ["Read"])
    with pytest.raises(TokenResponseError, match="not a ssh-cert token"):
        app.acquire_token_silent(["Read"], account, data=SSH)


@pytest.mark.parametrize("name", ["data", "params"])
def test_what_is_no_dict_is_refused_by_its_name(
    app: ConfidentialClientApplication, name: str
) -> None:
    with pytest.raises(ConfigurationError, match=name):
        for_client(app, **{name: "a=b"})


def test_force_refresh_of_a_clients_token_is_refused_with_the_cure(
    app: ConfidentialClientApplication,
) -> None:
    with pytest.raises(ConfigurationError, match="remove_tokens_for_client"):
        for_client(app, force_refresh=True)


def test_a_clients_tokens_are_forgotten_and_nobody_elses(
    app: ConfidentialClientApplication, provider: Provider
) -> None:
    account = signed_in(app, ["Read"])
    first = for_client(app)
    app.remove_tokens_for_client()
    assert (app.acquire_token_silent(["Read"], account) or {})["token_source"] == "cache"
    assert for_client(app)["access_token"] != first["access_token"]


def test_a_client_of_many_tenants_is_warned(provider: Provider) -> None:
    app = application(provider, tenant="organizations")
    with pytest.warns(DeprecationWarning, match="Name the tenant"):
        for_client(app)
    app.close()
