"""MSAL's older pair of verbs: the address, and the code; the site keeps `state` and `nonce`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from keyfob import ConfidentialClientApplication
from keyfob.errors import ConfigurationError, IdTokenError, NonceMismatchError
from support.provider import Provider
from support.sign_in import REDIRECT_URI, application, come_back, query_of


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(entra=True, require_pkce=False) as provider:
        yield provider


@pytest.fixture
def app(provider: Provider) -> Iterator[ConfidentialClientApplication]:
    app = application(provider)
    yield app
    app.close()


def address(app: ConfidentialClientApplication, **more: Any) -> str:
    with pytest.warns(DeprecationWarning, match="initiate_auth_code_flow"):
        return app.get_authorization_request_url(["Read"], redirect_uri=REDIRECT_URI, **more)


def redeem(app: ConfidentialClientApplication, code: str, **more: Any) -> Any:
    with pytest.warns(DeprecationWarning, match="acquire_token_by_auth_code_flow"):
        return app.acquire_token_by_authorization_code(
            code, ["Read"], redirect_uri=REDIRECT_URI, **more
        )


def test_the_address_has_what_was_asked_for_and_no_pkce(
    app: ConfidentialClientApplication,
) -> None:
    query = query_of(
        address(
            app,
            state="the-state",
            nonce="the-nonce",
            login_hint="ada@contoso.example",
            prompt="login",
            domain_hint="contoso.example",
            claims_challenge='{"id_token": {}}',
        )
    )
    assert query == {
        "client_id": app.client_id,
        "response_type": "code",
        "redirect_uri": REDIRECT_URI,
        "scope": "Read offline_access openid profile",
        "state": "the-state",
        "nonce": "the-nonce",
        "login_hint": "ada@contoso.example",
        "prompt": "login",
        "domain_hint": "contoso.example",
        "claims": '{"id_token": {}}',
    }


def test_a_sign_in_goes_through(app: ConfidentialClientApplication) -> None:
    back = come_back(address(app, state="the-state", nonce="the-nonce"))
    assert back["state"] == "the-state"
    result = redeem(app, back["code"], nonce="the-nonce")
    assert result["id_token_claims"]["nonce"] == "the-nonce"
    (account,) = app.get_accounts()
    assert account["account_source"] == "authorization_code"


def test_another_attempts_token_is_refused_and_not_cached(
    app: ConfidentialClientApplication,
) -> None:
    back = come_back(address(app, nonce="this-attempt"))
    with pytest.raises(NonceMismatchError) as caught:
        redeem(app, back["code"], nonce="another-attempt")
    assert isinstance(caught.value, (ValueError, RuntimeError))
    assert isinstance(caught.value, IdTokenError)
    assert app.get_accounts() == []


def test_a_token_that_proves_nothing_is_refused_without_a_nonce_too(
    app: ConfidentialClientApplication, provider: Provider
) -> None:
    provider.mutate_claims = lambda claims: claims.update(iss="https://evil.example")
    back = come_back(address(app))
    with pytest.raises(IdTokenError):
        redeem(app, back["code"])
    assert app.get_accounts() == []


def test_forwarded_claims_keep_the_token_apart(app: ConfidentialClientApplication) -> None:
    back = come_back(address(app))
    redeem(app, back["code"], forwarded_client_claims='{"a": 1}')
    (account,) = app.get_accounts()
    apart = app.acquire_token_silent(["Read"], account, forwarded_client_claims='{"a": 1}')
    assert (apart or {})["token_source"] == "cache"
    plain = app.acquire_token_silent(["Read"], account)
    assert (plain or {})["token_source"] == "identity_provider"


def test_a_code_that_is_none_is_refused(app: ConfidentialClientApplication) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with pytest.raises(ConfigurationError, match="code is missing"):
            app.acquire_token_by_authorization_code("", ["Read"])
