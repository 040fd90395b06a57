"""Calls to APIs from a Django site."""

from __future__ import annotations

from functools import partial

import pytest

pytest.register_assert_rewrite("support.contract_downstream", "support.emulator_logouts")

from django_app.site import running_site  # noqa: E402
from support.contract_base import RunningSite  # noqa: E402
from support.contract_downstream import DownstreamContract, EmulatorDownstream  # noqa: E402


class TestDjangoDownstream(DownstreamContract):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        return partial(running_site, config={"ROOT_URLCONF": "django_app.pages_downstream"})


class TestDjangoAtTheEmulator(EmulatorDownstream):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        return running_site
