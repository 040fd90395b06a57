"""A person's token by their federated identity credential (Microsoft's `user_fic`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from keyfob import ConfidentialClientApplication
from keyfob.errors import ConfigurationError
from support.provider import HOME_TENANT, Person, Provider
from support.sign_in import application


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(entra=True, direct_grants=["user_fic"]) as provider:
        yield provider


@pytest.fixture
def app(provider: Provider) -> Iterator[ConfidentialClientApplication]:
    app = application(provider)
    yield app
    app.close()


def acquire(app: ConfidentialClientApplication, **who: Any) -> Any:
    return app.acquire_token_by_user_federated_identity_credential(["Read"], "credential", **who)


def test_a_user_name_is_sent_and_routed_by(
    app: ConfidentialClientApplication, provider: Provider
) -> None:
    found = acquire(app, username="ada@contoso.example")
    (request,) = provider.requests_to("token")
    assert request.form["grant_type"] == "user_fic"
    assert request.form["user_federated_identity_credential"] == "credential"
    assert request.form["username"] == "ada@contoso.example"
    assert "user_id" not in request.form
    assert request.headers["x-anchormailbox"] == "upn:ada@contoso.example"
    assert request.headers["x-client-current-telemetry"] == "4|950,0|"
    assert found["id_token_claims"]["oid"] == Person().oid


def test_an_object_id_is_sent_and_routed_by(
    app: ConfidentialClientApplication, provider: Provider
) -> None:
    acquire(app, user_object_id=Person().oid)
    (request,) = provider.requests_to("token")
    assert request.form["user_id"] == Person().oid
    assert "username" not in request.form
    assert request.headers["x-anchormailbox"] == f"Oid:{Person().oid}@{HOME_TENANT}"


def test_the_account_says_where_it_came_from_and_is_served_silently(
    app: ConfidentialClientApplication, provider: Provider
) -> None:
    acquire(app, username="ada@contoso.example")
    (account,) = app.get_accounts()
    assert account["account_source"] == "user_fic"
    assert (app.acquire_token_silent(["Read"], account) or {})["token_source"] == "cache"


@pytest.mark.parametrize("who", [{}, {"username": "a", "user_object_id": "b"}])
def test_exactly_one_name_is_needed(app: ConfidentialClientApplication, who: Any) -> None:
    with pytest.raises(ConfigurationError, match="not by both"):
        acquire(app, **who)


def test_a_credential_that_is_none_is_refused(app: ConfidentialClientApplication) -> None:
    with pytest.raises(ConfigurationError, match="assertion is missing"):
        app.acquire_token_by_user_federated_identity_credential(["Read"], "", username="a")


def test_a_user_name_that_fits_no_header_is_no_obstacle(
    app: ConfidentialClientApplication, provider: Provider
) -> None:
    assert "access_token" in acquire(app, username="ädä\r\nX: y@contoso.example")
    assert "x-anchormailbox" not in provider.requests_to("token")[0].headers
