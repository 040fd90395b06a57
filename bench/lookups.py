"""Tokens and accounts from a cache with one person in it, and with ten thousand."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import msal
from measure import Row, faster, say
from world import ASKED, Pair, Wire, event, filled, name_of, pair

import keyfob

CROWD = 10_000


def rows(wire: Wire) -> Iterator[Row]:
    say("a cache with one person")
    yield silent(pair(1, wire), 1, at_least=3)
    say(f"caches with {CROWD:,} people")
    crowd = pair(CROWD, wire)
    yield silent(crowd, CROWD, at_least=500)
    yield by_name(crowd)
    say("all accounts, changes, serialised caches")
    yield faster(
        f"get_accounts(), {CROWD:,} people", crowd.ours.get_accounts, crowd.theirs.get_accounts
    )
    one = event(CROWD // 2)
    yield faster(
        f"TokenCache.add, {CROWD:,} people",
        lambda: crowd.our_cache.add(one),
        lambda: crowd.their_cache.add(json.loads(json.dumps(one))),
    )
    text = crowd.our_cache.serialize()
    yield faster(
        f"serialize, {CROWD:,} people", crowd.our_cache.serialize, crowd.their_cache.serialize
    )
    yield faster(
        f"deserialize, {CROWD:,} people",
        lambda: keyfob.SerializableTokenCache().deserialize(text),
        lambda: msal.SerializableTokenCache().deserialize(text),
    )


def silent(both: Pair, people: int, at_least: float) -> Row:
    name = name_of(people // 2)

    def hit(app: Any) -> Callable[[], None]:
        [account] = app.get_accounts(username=name)

        def call() -> None:
            found = app.acquire_token_silent(ASKED, account)
            assert found["token_source"] == "cache"

        return call

    noun = "one person" if people == 1 else f"{people:,} people"
    return faster(f"silent cache hit, {noun}", hit(both.ours), hit(both.theirs), at_least)


def by_name(both: Pair) -> Row:
    name = name_of(CROWD // 2)

    def named(app: Any) -> Callable[[], None]:
        def call() -> None:
            [account] = app.get_accounts(username=name)
            assert account["username"] == name

        return call

    label = f"get_accounts(username=), {CROWD:,} people"
    return faster(label, named(both.ours), named(both.theirs), at_least=100)


def memory_rows(people: int = 2_000) -> Iterator[Row]:
    """Bytes per person of a cache that was read from its serialised form."""
    say(f"memory of caches with {people:,} people")
    text = filled(people).serialize()

    def size(new: Callable[[], Any]) -> float:
        tracemalloc.start()
        try:
            cache = new()
            cache.deserialize(text)
            return tracemalloc.get_traced_memory()[0] / people
        finally:
            tracemalloc.stop()

    ours, theirs = size(keyfob.SerializableTokenCache), size(msal.SerializableTokenCache)
    yield Row(
        "memory of one person in a cache",
        f"{ours / 1024:.1f} KiB",
        f"{theirs / 1024:.1f} KiB",
        f"{ours / theirs:.2f} of msal's",
    )
