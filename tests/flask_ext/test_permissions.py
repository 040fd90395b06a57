"""Pages for people with a role, or in a group, in Flask."""

from __future__ import annotations

from typing import Any

import pytest

pytest.register_assert_rewrite("support.contract_permissions", "support.emulator_permissions")

from flask_ext.pages_permissions import permissions_site  # noqa: E402
from flask_keyfob import groups_required, roles_required  # noqa: E402
from support.contract_base import RunningSite  # noqa: E402
from support.contract_permissions import (  # noqa: E402
    PermissionContract,
    UnknownGroupContract,
)
from support.emulator_permissions import EmulatorPermissions  # noqa: E402


class TestFlaskPermissions(PermissionContract, UnknownGroupContract):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        site: RunningSite = permissions_site
        return site


class TestFlaskPermissionsWithTheEmulator(EmulatorPermissions):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        site: RunningSite = permissions_site
        return site


@pytest.mark.parametrize("guard", [roles_required, groups_required])
def test_a_decorator_that_names_nothing_is_refused_where_it_stands(guard: Any) -> None:
    for named in ({}, {"all_of": []}, {"all_of": "Admin"}):
        with pytest.raises(TypeError, match=guard.__name__):
            guard(**named)
    with pytest.raises(TypeError, match="was given <function"):

        @guard
        def view() -> str:
            return "open"

    with pytest.raises(TypeError, match="guards a view"):
        guard("a")("not a view")
    with pytest.raises(TypeError, match="inside View"):
        guard("a")(type("View", (), {}))


def test_a_guarded_view_keeps_its_name() -> None:
    def orders() -> str:
        """What is ordered."""
        return "open"

    guarded = groups_required("a")(roles_required("b")(orders))
    assert (guarded.__name__, guarded.__doc__) == ("orders", "What is ordered.")
