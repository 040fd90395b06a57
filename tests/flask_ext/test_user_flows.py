"""Azure AD B2C's user flows at a Flask site."""

from __future__ import annotations

from functools import partial

import pytest

pytest.register_assert_rewrite("support.contract_user_flows")

from flask_ext.pages_user_flows import add_pages  # noqa: E402
from flask_ext.site import running_site  # noqa: E402
from support.contract_base import RunningSite  # noqa: E402
from support.contract_user_flows import UserFlowsContract  # noqa: E402


class TestFlaskUserFlows(UserFlowsContract):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        return partial(running_site, before_init=add_pages)
