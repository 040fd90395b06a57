"""An API protected by us refuses every token of a table of wrong ones, each for its own reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from keyfob.errors import AccessTokenError, PermissionMissing
from keyfob.web.bearer_rule import bearer_rule
from support.access_tokens import CALLER, Mint, private_pem
from support.bare_site import BareSite
from support.provider import HOME_TENANT, Provider
from support.wrong_tokens import WRONG

RULE = bearer_rule(scopes=["Orders.Read"], app_roles=["Orders.Read.All"])


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider(entra=True) as provider:
        yield provider


@pytest.fixture(scope="module")
def site(provider: Provider) -> Iterator[BareSite]:
    settings = {
        **provider.settings("common"),
        "ALLOWED_TENANTS": [HOME_TENANT],
        "ALLOWED_CLIENTS": [CALLER],
        "TOKEN_DECRYPTION_KEYS": [private_pem()],
    }
    with BareSite(settings) as site:
        yield site


@pytest.fixture
def mint(provider: Provider) -> Mint:
    return Mint(provider)


def ask(site: BareSite, token: str) -> None:
    site.app.bearer.require(site.keyfob, RULE, f"Bearer {token}")


@pytest.mark.parametrize("kind", ["person", "app", "v1", "encrypted"])
def test_what_the_wrong_ones_are_made_of_is_good(site: BareSite, mint: Mint, kind: str) -> None:
    ask(site, getattr(mint, kind)())


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_token_is_refused_for_its_own_reason(site: BareSite, mint: Mint, name: str) -> None:
    wrong = WRONG[name]
    token = wrong.make(mint)
    with pytest.raises((AccessTokenError, PermissionMissing)) as caught:
        ask(site, token)
    assert caught.value.code == wrong.code, str(caught.value)
    assert token not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_nothing_was_asked_of_an_address_in_a_token(provider: Provider, site: BareSite) -> None:
    for name in ("a jku", "an x5u"):
        with pytest.raises(AccessTokenError):
            ask(site, WRONG[name].make(Mint(provider)))
    assert provider.attacker_requests == []
    assert requests.get(provider.attacker.url("keys"), timeout=10).ok, "nobody was there to ask"
