"""Many tenants at a Flask site."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

pytest.register_assert_rewrite("support.contract_tenants")

from flask_ext.site import running_site  # noqa: E402
from flask_keyfob.signals import tenant_onboarded  # noqa: E402
from support.contract_base import RunningSite  # noqa: E402
from support.contract_tenants import Listening, TenantsContract  # noqa: E402


@contextmanager
def listening(hear: Callable[..., None]) -> Iterator[None]:
    def receiver(_sender: object, **facts: object) -> None:
        hear(**facts)

    with tenant_onboarded.connected_to(receiver):
        yield


class TestFlaskTenants(TenantsContract):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        return running_site

    @pytest.fixture
    def listening(self) -> Listening:
        return listening
