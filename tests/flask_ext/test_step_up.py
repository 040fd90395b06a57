"""A web API in Flask whose callers must prove more."""

from __future__ import annotations

from functools import partial

import pytest

pytest.register_assert_rewrite("support.contract_step_up", "support.contract_bearer")

from flask_ext.pages_consent import make_consent_app  # noqa: E402
from flask_ext.site import running_site  # noqa: E402
from support.contract_base import RunningSite  # noqa: E402
from support.contract_step_up import StepUpContract  # noqa: E402


class TestFlaskStepUp(StepUpContract):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        return partial(running_site, make=make_consent_app)
