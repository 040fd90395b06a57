"""Consent with the local identity provider, in Flask."""

from __future__ import annotations

from functools import partial

import pytest

pytest.register_assert_rewrite("support.emulator_consent", "support.contract_kept_forms")

from flask_ext.pages_consent import make_consent_app  # noqa: E402
from flask_ext.site import running_site  # noqa: E402
from support.contract_base import RunningSite  # noqa: E402
from support.emulator_consent import EmulatorConsent  # noqa: E402


class TestFlaskConsentWithTheEmulator(EmulatorConsent):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        return partial(running_site, host="localhost", make=make_consent_app)
