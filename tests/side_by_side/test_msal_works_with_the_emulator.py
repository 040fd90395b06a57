"""Real MSAL for Python signs people in at the local identity provider, in every flow."""

from __future__ import annotations

import msal
import pytest

from side_by_side.abilities import provider_lacks
from side_by_side.compare import lived
from side_by_side.scenarios import SCENARIOS
from side_by_side.steps import Scenario


def test_it_is_the_msal_whose_behaviour_is_promised() -> None:
    assert msal.__version__.startswith("1.39.")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_msal_gets_what_it_should(scenario: Scenario) -> None:
    for need in scenario.needs:
        if reason := provider_lacks(need):
            pytest.skip(reason)
    assert lived("msal", scenario).outcomes == tuple(call.expect for call in scenario.calls)
