"""Many tenants at a Django site."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

pytest.register_assert_rewrite("support.contract_tenants")

from django_app.site import running_site  # noqa: E402
from django_keyfob.signals import tenant_onboarded  # noqa: E402
from support.contract_base import RunningSite  # noqa: E402
from support.contract_tenants import Listening, TenantsContract  # noqa: E402


@contextmanager
def listening(hear: Callable[..., None]) -> Iterator[None]:
    def receiver(*, sender: object, signal: object, request: object, **facts: object) -> None:
        assert request is not None
        hear(**facts)

    tenant_onboarded.connect(receiver)
    try:
        yield
    finally:
        tenant_onboarded.disconnect(receiver)


class TestDjangoTenants(TenantsContract):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        return running_site

    @pytest.fixture
    def listening(self) -> Listening:
        return listening
