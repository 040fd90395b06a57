"""Taking over a refresh token from elsewhere, account and all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from keyfob.errors import ConfigurationError, IdTokenError
from support.provider import Provider
from support.sign_in import application, sign_in


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as started:
        yield started


@pytest.fixture
def entra() -> Iterator[Provider]:
    with Provider(entra=True) as started:
        yield started


def foreign_token(provider: Provider, *scopes: str) -> str:
    app = application(provider)
    token: str = sign_in(app, scopes)["refresh_token"]
    app.close()
    return token


def test_the_account_comes_along(entra: Provider) -> None:
    token = foreign_token(entra)
    app = application(entra)
    result = app.acquire_token_by_refresh_token(token, ["User.Read"])
    assert result["token_source"] == "identity_provider"
    assert entra.requests_to("token")[-1].form["scope"] == (
        "User.Read offline_access openid profile"
    )
    [account] = app.get_accounts()
    assert account["username"] == entra.person.preferred_username
    assert account["home_account_id"] == f"{entra.person.oid}.{entra.person.tid}"
    found = app.acquire_token_silent(["User.Read"], account)
    assert (found or {})["token_source"] == "cache"
    assert app.acquire_token_silent(["User.Read"], account, force_refresh=True)
    app.close()


@pytest.mark.parametrize(("scopes", "asked"), [(["email"], "email openid"), ([], None)])
def test_of_another_provider_no_more_is_asked_than_is_named(
    provider: Provider, scopes: list[str], asked: str | None
) -> None:
    token = foreign_token(provider, "email")
    app = application(provider)
    result = app.acquire_token_by_refresh_token(token, scopes)
    assert result["id_token_claims"]["sub"] == provider.person.sub
    assert provider.requests_to("token")[-1].form.get("scope") == asked
    [account] = app.get_accounts()
    assert app.acquire_token_silent(["email"], account)
    app.close()


def test_a_refusal_is_an_error_dict(provider: Provider) -> None:
    app = application(provider)
    assert app.acquire_token_by_refresh_token("unknown", [])["error"] == "invalid_grant"
    assert app.get_accounts() == []
    app.close()


@pytest.mark.parametrize("change", [{"aud": "x"}, {"exp": 1}, {"iss": "https://x"}, {"sub": ""}])
def test_what_is_not_proven_is_not_kept(provider: Provider, change: dict[str, Any]) -> None:
    token = foreign_token(provider)
    provider.mutate_refresh_claims = lambda claims: claims.update(change)
    app = application(provider)
    with pytest.raises(IdTokenError):
        app.acquire_token_by_refresh_token(token, [])
    assert app.get_accounts() == []
    assert not list(app.token_cache.search("RefreshToken"))
    app.close()


@pytest.mark.parametrize(("token", "scopes"), [("", []), ("rt", "email"), ("rt", ["openid"])])
def test_what_cannot_be_is_refused_before_anything_is_sent(
    provider: Provider, token: str, scopes: Any
) -> None:
    app = application(provider)
    with pytest.raises(ConfigurationError):
        app.acquire_token_by_refresh_token(token, scopes)
    assert provider.requests == []
