"""The adapter contract, held by Flask."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "adapter_contract",
    "support.contract_apis",
    "support.contract_callbacks",
    "support.contract_logouts",
)

from adapter_contract import AdapterContract, RunningSite  # noqa: E402
from flask_ext.site import running_site  # noqa: E402


class TestFlask(AdapterContract):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        return running_site
