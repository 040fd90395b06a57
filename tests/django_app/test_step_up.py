"""A web API in Django whose callers must prove more."""

from __future__ import annotations

from functools import partial

import pytest

pytest.register_assert_rewrite("support.contract_step_up", "support.contract_bearer")

from django_app.site import running_site  # noqa: E402
from support.contract_base import RunningSite  # noqa: E402
from support.contract_step_up import StepUpContract  # noqa: E402


class TestDjangoStepUp(StepUpContract):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        return partial(running_site, config={"ROOT_URLCONF": "django_app.pages_consent"})
