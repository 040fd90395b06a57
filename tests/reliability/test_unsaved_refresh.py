"""The store goes away between a refresh and its saving: what the provider gave is not lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.bare_site import BareSite, with_apis
from support.failing_store import FailingStore
from support.provider import Provider


class RemoteStore(FailingStore):
    is_local = False


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(revoke_reused_refresh_tokens=True) as provider:
        yield provider


@pytest.fixture(params=[FailingStore, RemoteStore])
def store(request: pytest.FixtureRequest) -> FailingStore:
    made: FailingStore = request.param()
    return made


@pytest.fixture
def site(provider: Provider, store: FailingStore) -> Iterator[BareSite]:
    with BareSite(with_apis(provider), store=store) as site:
        site.sign_in("api=api")
        yield site


def refreshed_in_vain(site: BareSite, store: FailingStore) -> str:
    store.down = "replace"
    return site.keyfob.token(api="api", force_refresh=True)


def test_the_token_serves_this_request_and_the_next_ones(
    site: BareSite, store: FailingStore, provider: Provider
) -> None:
    token = refreshed_in_vain(site, store)
    assert token == provider.last_access_token
    assert [site.keyfob.token(api="api") for _ in range(3)] == [token] * 3


def test_it_is_saved_as_soon_as_the_store_is_there(
    site: BareSite, store: FailingStore, provider: Provider
) -> None:
    token = refreshed_in_vain(site, store)
    store.down = ""
    assert site.keyfob.token(api="api") == token
    other = site.another_machine()
    try:
        other.app.client = site.app.client
        assert other.keyfob.token(api="api") == token
        # With the old refresh token the whole sign-in would be over.
        assert other.keyfob.token(api="api", force_refresh=True) == provider.last_access_token
    finally:
        other.http.close()


def test_who_was_signed_out_meanwhile_stays_so(site: BareSite, store: FailingStore) -> None:
    refreshed_in_vain(site, store)
    store.down = ""
    machine = site.another_machine()
    try:
        session = dict(site.session)
        machine.keyfob.forget()
    finally:
        machine.http.close()
    site.session = session
    assert site.get("/orders", "api") is not None
    assert store._entries == {} or site.app.documents.fresh(session["_keyfob"]["k"]) is None
