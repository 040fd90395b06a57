"""Every scenario, lived through with MSAL for Python 1.39 and with Keyfob, ends the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from side_by_side.abilities import pending
from side_by_side.accepted import ACCEPTED, NOT_YET, Accepted
from side_by_side.compare import differences
from side_by_side.scenarios import SCENARIOS
from side_by_side.steps import Scenario

_PAGE = Path(__file__).parents[2] / "docs" / "migrating-from-msal.md"
_KNOWN = (*ACCEPTED, *NOT_YET)


def covering(scenario: Scenario, place: str) -> list[Accepted]:
    return [row for row in _KNOWN if row.covers(scenario.name, place)]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_keyfob_does_what_msal_does(scenario: Scenario) -> None:
    if reason := pending(scenario):
        pytest.skip(reason)
    unexpected = [
        difference
        for difference in differences(scenario)
        if not covering(scenario, difference.place)
    ]
    assert not unexpected, "\n".join(str(difference) for difference in unexpected)


def test_no_two_scenarios_have_one_name() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)


def test_every_known_difference_is_there() -> None:
    """A row that nothing needs would hide the next difference at its place."""
    waiting = [scenario for scenario in SCENARIOS if pending(scenario)]
    needed = {
        row
        for scenario in SCENARIOS
        if scenario not in waiting
        for difference in differences(scenario)
        for row in covering(scenario, difference.place)
    }
    # Whether a row is needed whose scenarios all wait cannot be known yet.
    may_be_needed = {
        row
        for row in _KNOWN
        if all(scenario in waiting for scenario in SCENARIOS if fits(row, scenario))
    }
    assert not [row for row in _KNOWN if row not in needed | may_be_needed]


def fits(row: Accepted, scenario: Scenario) -> bool:
    return row.covers(scenario.name, row.place)


@pytest.mark.parametrize("row", ACCEPTED, ids=lambda row: f"{row.scenario}, {row.place}")
def test_every_accepted_difference_is_in_the_migration_page(row: Accepted) -> None:
    assert row.documented
    assert f"| {row.documented} |" in _PAGE.read_text(encoding="utf-8")


def test_what_is_pending_is_counted() -> None:
    waiting = {scenario.name: reason for scenario in SCENARIOS if (reason := pending(scenario))}
    for name, reason in waiting.items():
        print(f"pending: {name}: {reason}")
    print(f"{len(waiting)} of {len(SCENARIOS)} scenarios are pending")
    assert len(waiting) < len(SCENARIOS)
