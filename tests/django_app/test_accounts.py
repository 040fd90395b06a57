"""Several accounts in one browser, in Django."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("support.contract_accounts")

from django_app.site import running_site  # noqa: E402
from support.contract_accounts import AccountsContract  # noqa: E402
from support.contract_base import RunningSite  # noqa: E402


class TestDjangoAccounts(AccountsContract):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        return running_site
