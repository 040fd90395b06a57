"""Sign-outs that begin at the local identity provider, and reach a Django site."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("support.emulator_logouts", "support.contract_logouts")

from django_app.site import running_site  # noqa: E402
from support.contract_base import RunningSite  # noqa: E402
from support.emulator_logouts import EmulatorLogouts  # noqa: E402


class TestDjangoLogouts(EmulatorLogouts):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        return running_site
