"""Both libraries through one scenario, and every place at which they differ."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from keyfob_emulator import sample_directory
from side_by_side.normalise import Normaliser
from side_by_side.sides import Library, Raised, Run, live_through, world
from side_by_side.steps import Scenario

_ABSENT = "(absent)"


@dataclass(frozen=True)
class Difference:
    """`place` names where, as `result 1 acquire_token_silent / expires_in`."""

    place: str
    msal: Any
    keyfob: Any

    def __str__(self) -> str:
        return f"{self.place}\n    msal:   {self.msal!r}\n    keyfob: {self.keyfob!r}"


@dataclass(frozen=True)
class Lived:
    """What a run left behind, normalised: results, requests, the cache's contents."""

    results: tuple[tuple[str, Any], ...]
    requests: tuple[tuple[str, Any], ...]
    cache: dict[str, Any]
    outcomes: tuple[str, ...]


@functools.cache
def lived(library: Library, scenario: Scenario) -> Lived:
    with world(library) as run:
        live_through(run, scenario)
        return _remembered(run, scenario)


def _remembered(run: Run, scenario: Scenario) -> Lived:
    normal = Normaliser(_known())
    results = tuple(
        (call.verb, result if isinstance(result, Raised) else normal(result))
        for call, result in zip(scenario.calls, run.results, strict=True)
    )
    requests = tuple(
        (
            request.kind,
            {
                "method": request.method,
                "url": request.url,
                "query": normal(request.query),
                "form": normal(request.form),
                "header": normal(request.headers),
            },
        )
        for request in run.recorder.for_tokens
    )
    cache = normal(json.loads(run.cache.serialize()))
    outcomes = tuple(_outcome(result) for result in run.results)
    return Lived(results, requests, cache, outcomes)


def _outcome(result: Any) -> str:
    """In `Call.expect`'s words."""
    if isinstance(result, Raised):
        return result.name
    if result is None:
        return "nothing"
    if isinstance(result, dict):
        if "error" in result:
            return str(result["error"])
        return "token" if "access_token" in result else "flow"
    return "url" if isinstance(result, str) else type(result).__name__


def differences(scenario: Scenario) -> list[Difference]:
    msal, keyfob = lived("msal", scenario), lived("keyfob", scenario)
    found = list(_in_lists("result", msal.results, keyfob.results))
    found += _in_lists("request", msal.requests, keyfob.requests)
    found += _in_values("cache", msal.cache, keyfob.cache)
    return found


def _in_lists(
    what: str, msal: tuple[tuple[str, Any], ...], keyfob: tuple[tuple[str, Any], ...]
) -> Iterator[Difference]:
    kinds = [kind for kind, _ in msal], [kind for kind, _ in keyfob]
    if kinds[0] != kinds[1]:
        yield Difference(f"{what}s", *kinds)
        return
    for number, ((kind, theirs), (_, ours)) in enumerate(zip(msal, keyfob, strict=True), 1):
        yield from _in_values(f"{what} {number} {kind}", theirs, ours)


def _in_values(place: str, msal: Any, keyfob: Any) -> Iterator[Difference]:
    if isinstance(msal, dict) and isinstance(keyfob, dict):
        for name in sorted({*msal, *keyfob}):
            yield from _in_values(
                f"{place} / {name}", msal.get(name, _ABSENT), keyfob.get(name, _ABSENT)
            )
    elif isinstance(msal, list) and isinstance(keyfob, list) and len(msal) == len(keyfob):
        for number, (theirs, ours) in enumerate(zip(msal, keyfob, strict=True), 1):
            yield from _in_values(f"{place} / {number}", theirs, ours)
    elif isinstance(msal, Raised) and isinstance(keyfob, Raised):
        if not keyfob.stands_for(msal):
            yield Difference(place, msal.name, keyfob.name)
    elif msal != keyfob:
        yield Difference(place, msal, keyfob)


@functools.cache
def _known() -> frozenset[str]:
    """The GUIDs of the provider's directory."""
    directory = sample_directory()
    people = [
        guid
        for account in directory.accounts
        for guid in (account.object_id, *account.guest_in.values())
    ]
    tenants = [tenant.tenant_id for tenant in directory.tenants]
    applications = [application.client_id for application in directory.applications]
    return frozenset([*people, *tenants, *applications])
