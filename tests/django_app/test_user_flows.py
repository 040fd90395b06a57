"""Azure AD B2C's user flows at a Django site."""

from __future__ import annotations

from functools import partial

import pytest

pytest.register_assert_rewrite("support.contract_user_flows")

from django_app.site import running_site  # noqa: E402
from support.contract_base import RunningSite  # noqa: E402
from support.contract_user_flows import UserFlowsContract  # noqa: E402


class TestDjangoUserFlows(UserFlowsContract):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        return partial(running_site, config={"ROOT_URLCONF": "django_app.pages_user_flows"})
