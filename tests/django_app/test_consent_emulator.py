"""Consent with the local identity provider, in Django."""

from __future__ import annotations

from functools import partial

import pytest

pytest.register_assert_rewrite("support.emulator_consent", "support.contract_kept_forms")

from django_app.site import running_site  # noqa: E402
from support.contract_base import RunningSite  # noqa: E402
from support.emulator_consent import EmulatorConsent  # noqa: E402


class TestDjangoConsentWithTheEmulator(EmulatorConsent):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        config = {"ROOT_URLCONF": "django_app.pages_consent"}
        return partial(running_site, host="localhost", config=config)
