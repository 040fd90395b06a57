"""A site's life in figures: sign-ins, reads, refreshes, waits, sign-outs; and nobody is named."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from keyfob.errors import (
    InteractionRequired,
    KeyfobError,
    StoreUnavailable,
    SubjectChangedError,
    TransportError,
)
from keyfob.web.leases import LEASE_SECONDS, Leases
from keyfob.web.metrics import (
    DOCUMENT_READS,
    DOCUMENT_SIZE,
    LOGOUT_REFUSALS,
    REFRESH_DURATION,
    REFRESH_WAIT,
    SIGN_IN_ATTEMPTS,
    SIGN_INS,
    SIGN_OUTS,
    STORE_DURATION,
)
from keyfob.web.stores import MemoryStore, RedisStore
from support.bare_site import BareSite, with_apis
from support.failing_store import FailingStore
from support.instructions import instructions_by_file
from support.logout_tokens import order_by
from support.measurements import Measurements, measured
from support.provider import Provider, claims_of
from support.store_contract import at_once


class Remote(FailingStore):
    """A store across a network."""

    is_local = False


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def site(provider: Provider) -> Iterator[BareSite]:
    with BareSite(with_apis(provider)) as site:
        yield site


@pytest.fixture
def seen() -> Iterator[Measurements]:
    with measured() as seen:
        yield seen


# Signing in and out


def test_a_sign_in_is_an_attempt_and_then_done(site: BareSite, seen: Measurements) -> None:
    site.login()
    assert seen.told(SIGN_INS) == []
    site.sign_in()
    assert seen.told(SIGN_IN_ATTEMPTS) == [{"purpose": "person"}] * 2
    assert seen.told(SIGN_INS) == [{"purpose": "person", "outcome": "done"}]


def test_a_sign_in_that_the_provider_refuses_says_with_which_word(
    site: BareSite, provider: Provider, seen: Measurements
) -> None:
    refusal = {"error": "invalid_client", "error_description": "of ada@contoso.example"}
    provider.raw["token"] = lambda request: Provider.json(refusal, 401)
    site.sign_in()
    assert seen.told(SIGN_INS) == [
        {"purpose": "person", "outcome": "refused", "type": "invalid_client"}
    ]


def test_a_word_of_the_providers_own_is_not_passed_on(
    site: BareSite, provider: Provider, seen: Measurements
) -> None:
    provider.raw["token"] = lambda request: Provider.json({"error": "ada@contoso.example"}, 400)
    site.sign_in()
    assert seen.told(SIGN_INS) == [{"purpose": "person", "outcome": "refused", "type": "_OTHER"}]


def test_a_sign_in_that_fails_at_our_checks_says_at_which(
    site: BareSite, provider: Provider, seen: Measurements
) -> None:
    url, form = site.at_provider(site.login())
    site.come_back(url + "&state=another", form)
    assert seen.told(SIGN_INS) == [
        {"purpose": "person", "outcome": "failed", "type": "authorization_response"}
    ]


def test_an_answer_to_no_attempt_is_told_apart(site: BareSite, seen: Measurements) -> None:
    site.callback("/auth/callback?code=x&state=y")
    assert seen.told(SIGN_INS) == [{"outcome": "unknown"}]


def test_a_sign_out_is_counted_once(site: BareSite, seen: Measurements) -> None:
    site.sign_in()
    site.logout()
    site.logout()
    assert seen.told(SIGN_OUTS) == [{"channel": "site"}]


def test_a_refresh_that_names_somebody_else_ends_the_session(
    site: BareSite, provider: Provider, seen: Measurements
) -> None:
    site.sign_in("api=api")
    site.clock_offset = 3500
    provider.mutate_refresh_claims = lambda claims: claims.update(sub="somebody-else")
    with pytest.raises(SubjectChangedError):
        site.keyfob.token(api="api")
    assert seen.told(SIGN_OUTS) == [{"channel": "renewal"}]
    assert seen.told(REFRESH_DURATION) == [
        {"purpose": "token", "outcome": "failed", "type": "subject_changed"}
    ]


@pytest.fixture
def signed_in() -> Iterator[BareSite]:
    with (
        Provider(extra_claims={"sid": "session-1"}) as provider,
        BareSite(with_apis(provider), Remote()) as site,
    ):
        site.sign_in()
        yield site


def test_the_front_channel_counts_the_sessions_it_ended(
    signed_in: BareSite, seen: Measurements
) -> None:
    issuer = signed_in.app.client.metadata().issuer
    signed_in.front_channel(urlencode({"iss": issuer, "sid": "session-1"}))
    assert [one.value for one in seen.of(SIGN_OUTS, channel="frontchannel")] == [1]


def test_the_back_channel_counts_the_sessions_it_ended_and_the_tokens_it_refused(
    seen: Measurements,
) -> None:
    with (
        Provider(extra_claims={"sid": "session-1"}) as provider,
        BareSite(with_apis(provider), Remote()) as site,
    ):
        site.sign_in()
        order = order_by(provider, sid="session-1")
        assert site.back_channel(order).status == 200
        assert site.back_channel(order).status == 400
        assert site.back_channel("forged").status == 400
        assert site.back_channel().status == 400
    assert [one.value for one in seen.of(SIGN_OUTS, channel="backchannel")] == [1]
    refused = [one["type"] for one in seen.told(LOGOUT_REFUSALS)]
    assert refused == ["replayed", "malformed", "missing"]


def test_a_sign_out_everywhere_counts_every_session(provider: Provider, seen: Measurements) -> None:
    with BareSite(with_apis(provider)) as site:
        site.sign_in()
        other = site.another_browser()
        other.sign_in()
        assert site.app.sign_out_everywhere(site.keyfob.user.key or "") == 2
        other.http.close()
    assert [one.value for one in seen.of(SIGN_OUTS, channel="everywhere")] == [2]


# Reads and sizes


def test_reads_tell_what_they_cost(provider: Provider, seen: Measurements) -> None:
    with BareSite(with_apis(provider), Remote()) as site:
        site.sign_in("api=api")
        seen.clear()
        for _ in range(3):
            site.keyfob.token(api="api")

        assert [one["outcome"] for one in seen.told(DOCUMENT_READS)] == ["miss", "hit", "hit"]
        assert [one["operation"] for one in seen.told(STORE_DURATION)] == ["load"]


def test_a_local_store_is_asked_for_the_version(site: BareSite, seen: Measurements) -> None:
    site.sign_in("api=api")
    seen.clear()
    site.keyfob.token(api="api")
    site.keyfob.token(api="api")
    another = site.another_machine()
    another.keyfob.token(api="api", force_refresh=True)
    another.http.close()
    another.app.client.close()
    site.keyfob.token(api="api")

    outcomes = [one["outcome"] for one in seen.told(DOCUMENT_READS)]
    assert outcomes == ["miss", "revalidated", "stale"]


def test_the_sizes_of_documents_are_told(site: BareSite, seen: Measurements) -> None:
    site.sign_in("api=api")
    site.keyfob.token(api="api", force_refresh=True)

    told = [(one["operation"]) for one in seen.told(DOCUMENT_SIZE)]
    assert told == ["create", "load", "replace"]
    assert all(500 < one.value < 50_000 for one in seen.of(DOCUMENT_SIZE))


# Refreshes


def test_a_refresh_is_renewed_once_and_shared_by_who_waited(
    site: BareSite, seen: Measurements
) -> None:
    site.sign_in("api=api")
    site.clock_offset = 3500
    gate = threading.Barrier(4)

    def token(_: int) -> str:
        session = site.app.session(dict(site.session))
        _ = session.user.claims
        gate.wait()
        return session.token(api="api")

    assert len(set(at_once(4, token))) == 1
    outcomes = sorted(one["outcome"] for one in seen.told(REFRESH_DURATION))
    # Whoever came later found the token at hand.
    assert outcomes[0] == "renewed"
    assert set(outcomes[1:]) <= {"shared"}
    waits = [(one["scope"], one["outcome"]) for one in seen.told(REFRESH_WAIT)]
    assert waits.count(("process", "acquired")) == 4
    # Only who still needs one when it is their turn waits for other machines.
    assert waits.count(("store", "acquired")) == len(outcomes)


@pytest.mark.parametrize(
    ("error", "shown"), [("invalid_grant", "invalid_grant"), ("x" * 5000, "_OTHER")]
)
def test_a_refused_refresh_says_with_which_word(
    site: BareSite, provider: Provider, seen: Measurements, error: str, shown: str
) -> None:
    site.sign_in("api=api")
    site.clock_offset = 3500
    provider.raw["token"] = lambda request: Provider.json({"error": error}, 400)
    with pytest.raises(KeyfobError):
        site.keyfob.token(api="api")
    assert seen.told(REFRESH_DURATION) == [
        {"purpose": "token", "outcome": "refused", "type": shown}
    ]


def test_a_provider_that_is_away_is_told_apart(
    site: BareSite, provider: Provider, seen: Measurements
) -> None:
    site.sign_in("api=api")
    site.clock_offset = 3500
    provider.close()
    with pytest.raises(TransportError):
        site.keyfob.token(api="api")
    assert seen.told(REFRESH_DURATION) == [
        {"purpose": "token", "outcome": "failed", "type": "provider_unreachable"}
    ]


def test_a_check_of_the_account_is_told_apart(provider: Provider, seen: Measurements) -> None:
    with BareSite(with_apis(provider, ACCOUNT_CHECK_INTERVAL=600)) as site:
        site.sign_in("api=api")
        site.clock_offset = 700
        assert site.get() is None
    assert seen.told(REFRESH_DURATION) == [{"purpose": "account_check", "outcome": "renewed"}]


def test_a_wait_that_was_too_long_is_told_with_its_length(seen: Measurements) -> None:
    from keyfob.web.observe import Observer
    from keyfob.web.sealing import KeyRing, Sealer
    from keyfob.web.stores import SealedStore

    now = [1_000.0]
    store = SealedStore(MemoryStore(clock=lambda: now[0]), Sealer(KeyRing(["one"])))
    store.create("lease x", b"", 9e9)

    def sleep(seconds: float) -> None:
        now[0] += seconds

    observer = Observer(clock=lambda: now[0])
    leases = Leases(store, clock=lambda: now[0], sleep=sleep, observer=observer)
    with pytest.raises(StoreUnavailable), leases.hold("x"):
        raise AssertionError("nobody gave it up")
    [wait] = seen.of(REFRESH_WAIT, scope="store", outcome="failed", type="lease_timeout")
    assert 2 * LEASE_SECONDS <= wait.value < 3 * LEASE_SECONDS


# Nobody listens


@pytest.mark.parametrize("store", [MemoryStore, Remote])
def test_a_warm_request_spends_next_to_nothing_on_figures_that_nobody_wants(
    provider: Provider, store: type[MemoryStore]
) -> None:
    with BareSite(with_apis(provider), store()) as site:
        site.sign_in("api=api")

        def warm() -> None:
            site.keyfob.token(api="api")

        warm()
        warm()
        found = instructions_by_file(warm)
    ours = found["observe.py"] + found["observed.py"]
    assert 0 < ours < 0.04 * found.total(), found


# Nobody is named


def test_nothing_that_identifies_anybody_is_in_any_record(
    provider: Provider, seen: Measurements
) -> None:
    store = Remote()
    with BareSite(with_apis(provider), store) as site:
        site.sign_in("api=api")
        first = provider.last_access_token
        keys = {site.session["_keyfob"]["k"], *store._entries}
        site.keyfob.token(api="api")
        site.clock_offset = 3500
        site.keyfob.token(api="api")
        document = site.keyfob.document()
        assert document is not None
        id_token = document.id_token(site.app.client.authority.environment)
        refresh_tokens = {e["secret"] for e in document.cache.search("RefreshToken")}
        provider.raw["token"] = lambda request: Provider.json(
            {"error": "invalid_grant", "error_description": provider.person.email}, 400
        )
        with pytest.raises(InteractionRequired):
            site.keyfob.token(api="api", force_refresh=True)
        site.logout()

    assert id_token is not None
    claims = claims_of(id_token)
    private = {
        *keys,
        *refresh_tokens,
        first,
        provider.last_access_token,
        id_token,
        provider.client_id,
        site.settings["CLIENT_SECRET"],
        *(claims[name] for name in ("sub", "email", "name") if name in claims),
    }
    assert len(private) > 8
    written = [json.dumps(record.__dict__, default=str) for record in seen.records]
    assert len(written) > 20
    for text in written:
        for value in private:
            assert str(value) not in text


def test_a_store_behind_a_network_is_measured_below_its_circuit(provider: Provider) -> None:
    """What was not asked took no time, and would hide how long the rest took."""
    store = Remote()
    with BareSite(with_apis(provider), store) as site, measured() as seen:
        store.down = "all"
        for _ in range(10):
            with pytest.raises(StoreUnavailable):
                site.app.store.load("k")
    assert len(seen.of(STORE_DURATION, outcome="failed")) == 3


def test_a_redis_store_is_shown_as_one(provider: Provider) -> None:
    store = RedisStore("redis://127.0.0.1:1/0?timeout=1")
    with BareSite(with_apis(provider), store) as site:
        with measured() as seen, pytest.raises(StoreUnavailable):
            site.app.store.load("k")
        assert seen.told(STORE_DURATION)[0]["store"] == "redis"
