"""Tokens for a session: from the store, refreshed once, and no loop where there are none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from keyfob.errors import (
    ConfigurationError,
    InteractionRequired,
    ProviderUnavailable,
    SubjectChangedError,
    TokenResponseError,
)
from keyfob.web import WebSession
from keyfob.web.leases import LEASE_SECONDS
from keyfob.web.stores import MemoryStore, SQLiteStore
from support.bare_site import BareSite, with_apis
from support.failing_store import FailingStore
from support.provider import Person, Provider
from support.sign_in import Clock
from support.store_contract import at_once


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def site(provider: Provider) -> Iterator[BareSite]:
    with BareSite(with_apis(provider)) as site:
        yield site


@pytest.fixture
def entra() -> Iterator[Provider]:
    with Provider(entra=True) as provider:
        yield provider


def refreshes(provider: Provider) -> int:
    return sum(
        request.form.get("grant_type") == "refresh_token"
        for request in provider.requests_to("token")
    )


def another_request(site: BareSite) -> WebSession:
    """As another request of the same browser at the same time sees it."""
    return site.app.session(dict(site.session))


# From the store


def test_a_token_at_hand_is_served_without_the_provider(site: BareSite, provider: Provider) -> None:
    site.sign_in("api=api")
    asked = len(provider.requests)

    assert site.keyfob.token(api="api") == provider.last_access_token
    assert site.keyfob.token(scopes=["orders.read"]) == provider.last_access_token
    assert len(provider.requests) == asked


def test_an_untouched_page_reads_nothing(site: BareSite) -> None:
    site.sign_in()
    site.store.close()
    session = site.keyfob

    assert session.is_signed_in
    assert session.user
    assert session.user.name == Person().name


def test_token_needs_either_an_api_or_scopes(site: BareSite) -> None:
    site.sign_in()
    for wrong in ({}, {"api": "api", "scopes": ["x"]}, {"scopes": "orders.read"}, {"api": "typo"}):
        with pytest.raises(ConfigurationError):
            site.keyfob.token(**wrong)  # type: ignore[arg-type]


def test_nobody_has_no_token(site: BareSite) -> None:
    with pytest.raises(InteractionRequired) as raised:
        site.keyfob.token(api="api")
    assert (raised.value.code, raised.value.api, raised.value.scopes) == (
        "not_signed_in",
        "api",
        ("orders.read",),
    )


# Refreshed once


def test_twenty_threads_with_one_expired_token_refresh_it_once(
    site: BareSite, provider: Provider
) -> None:
    """With rotation: a second use of the old refresh token would be refused."""
    site.sign_in("api=api")
    site.clock_offset = 3500
    gate = threading.Barrier(20)

    def token(number: int) -> str:
        session = another_request(site)
        if number % 2:
            _ = session.user.claims  # this request has read the document earlier
        gate.wait()
        return session.token(api="api")

    with ThreadPoolExecutor(20) as pool:
        tokens = set(pool.map(token, range(20)))

    assert tokens == {provider.last_access_token}
    assert refreshes(provider) == 1


def test_a_request_that_read_early_uses_what_another_refreshed(
    site: BareSite, provider: Provider
) -> None:
    site.sign_in("api=api")
    early = another_request(site)
    _ = early.user.claims
    site.clock_offset = 3500
    fresh = site.keyfob.token(api="api")

    assert early.token(api="api") == fresh
    assert early.token(api="api", force_refresh=True) != fresh


def test_who_stalls_while_another_takes_over_does_not_undo_it(
    provider: Provider, tmp_path: object
) -> None:
    """A process stops in the middle of a refresh for longer than its lease; another one refreshes
    meanwhile. What the first one brings back is older, and is not kept."""
    provider.rotate_refresh_tokens = False
    path = f"{tmp_path}/tokens.sqlite3"
    settings = with_apis(provider)
    clocks = Clock(), Clock()
    with (
        BareSite(settings, SQLiteStore(path, clock=clocks[0])) as one,
        BareSite(settings, SQLiteStore(path, clock=clocks[1])) as other,
    ):
        one.sign_in("api=api")
        other.session = one.session
        slow = provider.answer

        def stalls(request: Any) -> Any:
            del provider.raw["token"]
            late = slow("token", request)
            other.clock_offset += LEASE_SECONDS + 1
            clocks[1].offset = other.clock_offset
            newer.append(other.keyfob.token(api="api", force_refresh=True))
            return late

        newer: list[str] = []
        one.clock_offset = other.clock_offset = 3500
        clocks[0].offset = clocks[1].offset = 3500
        provider.raw["token"] = stalls

        assert one.keyfob.token(api="api") not in newer
        assert refreshes(provider) == 2
        assert one.keyfob.token(api="api") == other.keyfob.token(api="api") == newer[0]


def test_processes_that_share_a_store_refresh_one_after_the_other(
    provider: Provider, tmp_path: object
) -> None:
    path = f"{tmp_path}/tokens.sqlite3"
    settings = with_apis(provider)
    with (
        BareSite(settings, SQLiteStore(path)) as one,
        BareSite(settings, SQLiteStore(path)) as other,
    ):
        one.sign_in("api=api")
        other.session = dict(one.session)
        one.clock_offset = other.clock_offset = 3500
        tokens = at_once(8, lambda number: (one, other)[number % 2].keyfob.token(api="api"))

        assert set(tokens) == {provider.last_access_token}
        assert refreshes(provider) == 1


def test_a_token_with_little_life_left_is_refreshed(site: BareSite, provider: Provider) -> None:
    site.sign_in("api=api")
    first = provider.last_access_token
    site.clock_offset = 3200
    assert site.keyfob.token(api="api") == first
    site.clock_offset = 3400
    assert site.keyfob.token(api="api") != first


def test_a_sign_out_during_a_refresh_is_not_undone(provider: Provider) -> None:
    store = MemoryStore()
    with BareSite(with_apis(provider), store) as site:
        site.sign_in("api=api")
        session = another_request(site)

        def meanwhile(request: Any) -> Any:
            del provider.raw["token"]
            site.logout()
            return provider.answer("token", request)

        provider.raw["token"] = meanwhile
        session.token(api="api", force_refresh=True)

        assert not site.is_signed_in
        assert all(len(entry.record.value) < 200 for entry in store._entries.values())


# Lost, refused, changed


def test_lost_tokens_are_asked_for_by_name(site: BareSite) -> None:
    site.sign_in("api=api")
    site.store.close()  # a memory store forgets everything
    with pytest.raises(InteractionRequired) as raised:
        site.keyfob.token(api="api")

    error = raised.value
    assert (error.code, error.api, error.scopes) == ("tokens_lost", "api", ("orders.read",))
    assert site.is_signed_in
    # One trip brings them back.
    answer = site.get("/orders", "api")
    assert answer is not None
    assert answer.location.startswith("/auth/login?next=%2Forders&api=api&ask=")
    assert site.browse("/orders", "api") is None


def test_an_unreadable_document_is_a_lost_one(provider: Provider) -> None:
    store = MemoryStore()
    with BareSite(with_apis(provider), store) as site:
        site.sign_in("api=api")
        for key, entry in list(store._entries.items()):
            store.replace(key, b"junk", entry.record.version, entry.expires_at)

        assert site.browse("/orders", "api") is None


def test_a_store_that_is_away_is_a_503(provider: Provider) -> None:
    store = FailingStore()
    with BareSite(with_apis(provider), store) as site:
        site.sign_in("api=api")
        store.down = "all"
        answer = site.get("/orders", "api")

        assert answer is not None
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "10"
        assert answer.page is not None
        assert answer.page.retry_url == "/orders"
        store.down = ""
        assert site.get("/orders", "api") is None


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        ({"error": "invalid_grant", "suberror": "bad_token"}, InteractionRequired),
        ({"error": "interaction_required", "claims": '{"access_token":{}}'}, InteractionRequired),
        ({"error": "login_required"}, InteractionRequired),
        ({"error": "consent_required"}, InteractionRequired),
        ({"error": "invalid_client"}, TokenResponseError),
        ({"error": "unauthorized_client"}, TokenResponseError),
        ({"error": "invalid_scope"}, TokenResponseError),
        ({"error": "x" * 5000}, TokenResponseError),
        ({"error": "temporarily_unavailable"}, ProviderUnavailable),
        ({"error": "server_error"}, ProviderUnavailable),
    ],
    ids=lambda value: value.get("error", "")[:20] if isinstance(value, dict) else "",
)
def test_a_refusal_is_the_persons_or_the_sites(
    site: BareSite, provider: Provider, refusal: dict[str, str], kind: type[Exception]
) -> None:
    site.sign_in("api=api")
    site.clock_offset = 3500
    provider.raw["token"] = lambda request: Provider.json(refusal, 400)
    with pytest.raises(kind) as raised:
        site.keyfob.token(api="api")

    assert raised.type is kind
    assert len(str(raised.value)) < 500
    if isinstance(raised.value, InteractionRequired):
        assert raised.value.error == refusal["error"]
        assert raised.value.claims == refusal.get("claims", "")
        assert raised.value.suberror == refusal.get("suberror", "")
    # Nothing is broken for good; a refusal is not asked for again, word for word, for a minute.
    del provider.raw["token"]
    site.clock_offset += 61
    assert site.keyfob.token(api="api") == provider.last_access_token


@pytest.mark.parametrize("claims", ["no json", "[]", '{"a":"' + "x" * 5000 + '"}', 7, None])
def test_a_refusals_challenge_that_is_none_is_not_passed_on(
    site: BareSite, provider: Provider, claims: object
) -> None:
    site.sign_in("api=api")
    site.clock_offset = 3500
    refusal = {"error": "interaction_required", "claims": claims}
    provider.raw["token"] = lambda request: Provider.json(refusal, 400)
    answer = site.get("/orders", "api")

    assert answer is not None
    assert answer.location == "/auth/login?next=%2Forders&api=api"


def test_a_challenge_reaches_the_provider(site: BareSite, provider: Provider) -> None:
    site.sign_in("api=api")
    claims = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
    refusal = {"error": "interaction_required", "claims": claims}
    provider.raw["token"] = lambda request: Provider.json(refusal, 400)
    site.clock_offset = 3500
    answer = site.get("/orders", "api")
    assert answer is not None
    assert "access_token" not in answer.location  # sealed
    site.sign_in(answer.location.partition("?")[2])

    assert provider.requests_to("authorize")[-1].query["claims"] == claims


def test_another_subject_ends_the_session(site: BareSite, provider: Provider) -> None:
    site.sign_in("api=api")
    key = site.session["_keyfob"]["k"]
    provider.mutate_refresh_claims = lambda claims: claims.update(sub="somebody-else")
    with pytest.raises(SubjectChangedError):
        site.keyfob.token(api="api", force_refresh=True)

    assert not site.is_signed_in
    site.session = {"_keyfob": {"k": key, "a": "x", "c": {}}}
    assert site.keyfob.document() is None
