"""The table of scenarios: name, application, steps. MSAL and Keyfob live through each of them."""

from __future__ import annotations

from side_by_side.steps import Scenario
from side_by_side.table_authorities import AUTHORITIES
from side_by_side.table_services import SERVICES
from side_by_side.table_sign_in import SIGN_IN
from side_by_side.table_silent import SILENT

SCENARIOS: tuple[Scenario, ...] = (*SIGN_IN, *SILENT, *SERVICES, *AUTHORITIES)
