"""App Service's own authentication in front of a Flask site."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("support.contract_app_service")

from flask_ext.site import running_site  # noqa: E402
from support.contract_app_service import AppServiceContract  # noqa: E402
from support.contract_base import RunningSite  # noqa: E402


class TestFlaskAppService(AppServiceContract):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        return running_site
