"""Several authorities in one site, in Flask."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("support.contract_authorities")

from flask_ext.site import running_site  # noqa: E402
from support.contract_authorities import AuthoritiesContract  # noqa: E402
from support.contract_base import RunningSite  # noqa: E402


class TestFlaskAuthorities(AuthoritiesContract):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        return running_site
