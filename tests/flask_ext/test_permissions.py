"""Pages for people with a role, or in a group, in Flask."""

from __future__ import annotations

from pathlib import Path
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


def test_the_example_of_the_documentation_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs" / "roles-and-groups.md").read_text(encoding="utf-8")
    example = text.split("```python\n# Flask\n")[1].split("```")[0]
    environ = {"SECRET_KEY": "k" * 40, "KEYFOB_CLIENT_ID": "a", "KEYFOB_CLIENT_SECRET": "b-secret"}
    more = {"KEYFOB_TENANT_ID": "contoso.example", "KEYFOB_TOKEN_STORE": "memory://"}
    for name, value in {**environ, **more}.items():
        monkeypatch.setenv(f"FLASK_{name}", value)
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(example, "roles-and-groups.md", "exec"), names)
    client = names["app"].test_client()
    assert client.get("/").text == "nothing to do"
    for path in ("/orders/approve", "/orders/audit"):
        assert client.get(path).status_code == 302
        assert client.get(path, headers={"Accept": "application/json"}).status_code == 401


def test_a_guarded_view_keeps_its_name() -> None:
    def orders() -> str:
        """What is ordered."""
        return "open"

    guarded = groups_required("a")(roles_required("b")(orders))
    assert (guarded.__name__, guarded.__doc__) == ("orders", "What is ordered.")
