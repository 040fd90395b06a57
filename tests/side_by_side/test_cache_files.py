"""A cache file that either library wrote serves the other, at one provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from side_by_side.common import ADA, ALAN, GRAPH, sign_in, site
from side_by_side.sides import Library, Run, application, live_through, world
from side_by_side.steps import Scenario

_HOUR = 3600
_BOTH_WAYS = [("msal", "keyfob"), ("keyfob", "msal")]


class Handover:
    """Two people sign in with one library; the other takes over its cache file."""

    def __init__(self, run: Run, reader: Library) -> None:
        live_through(
            run,
            Scenario("", (site(), *sign_in(), *sign_in(username=ALAN, prompt="login"))),
        )
        self.run = run
        self.written = run.cache.serialize()
        self.cache = self.take(reader, self.written)

    def take(self, reader: Library, written: str) -> Any:
        """From now on the run's application is the reader's, with what was written."""
        run = self.run
        run.library = reader
        run.cache = _cache_of(reader, run, written)
        run.app = application(run, site())
        run.recorder.sent.clear()
        return run.cache

    def silent(self, username: str = ADA) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.run.app.acquire_token_silent(
            GRAPH, self.run.account(username)
        )
        return found

    @property
    def refreshes(self) -> int:
        return sum(request.kind == "refresh_token" for request in self.run.recorder.sent)


def _cache_of(library: Library, run: Run, written: str) -> Any:
    import msal

    import keyfob

    cache = (
        keyfob.SerializableTokenCache(clock=run.clock)
        if library == "keyfob"
        else msal.SerializableTokenCache()
    )
    cache.deserialize(written)
    return cache


@pytest.fixture(params=_BOTH_WAYS, ids=" to ".join)
def handover(request: pytest.FixtureRequest) -> Iterator[Handover]:
    writer, reader = request.param
    # MSAL has the run's clock in both directions.
    with world("msal") as run:
        run.library, run.cache = writer, _cache_of(writer, run, "")
        yield Handover(run, reader)


def test_the_same_people_are_found(handover: Handover) -> None:
    assert {account["username"] for account in handover.run.app.get_accounts()} == {ADA, ALAN}


def test_a_token_of_the_other_serves(handover: Handover) -> None:
    found = handover.silent()
    assert found is not None
    assert found["token_source"] == "cache"
    tokens = json.loads(handover.written)["AccessToken"].values()
    assert found["access_token"] in {token["secret"] for token in tokens}
    assert handover.refreshes == 0


def test_a_refresh_token_of_the_other_serves(handover: Handover) -> None:
    handover.run.clock.now += 2 * _HOUR
    found = handover.silent()
    assert found is not None
    assert found["token_source"] == "identity_provider"
    assert found["id_token_claims"]["preferred_username"] == ADA
    assert handover.refreshes == 1


def test_who_is_removed_is_gone_for_both(handover: Handover) -> None:
    run = handover.run
    run.app.remove_account(run.account(ADA))
    assert [account["username"] for account in run.app.get_accounts()] == [ALAN]
    for reader in ("msal", "keyfob"):
        handover.take(reader, run.cache.serialize())
        assert [account["username"] for account in run.app.get_accounts()] == [ALAN]
        assert (handover.silent(ALAN) or {})["token_source"] == "cache"


def test_what_goes_back_and_forth_stays_the_same(handover: Handover) -> None:
    written = json.loads(handover.written)
    for reader in ("msal", "keyfob", "msal"):
        handover.take(reader, handover.run.cache.serialize())
        assert json.loads(handover.run.cache.serialize()) == written
