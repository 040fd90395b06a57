"""Pages for people with a role, or in a group, in Django."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("support.contract_permissions", "support.emulator_permissions")

from asgiref.sync import async_to_sync, iscoroutinefunction  # noqa: E402
from django.contrib.auth import get_user_model  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.test import AsyncClient, Client  # noqa: E402
from django.views import View  # noqa: E402

from django_app.pages_permissions import permissions_site  # noqa: E402
from django_keyfob.decorators import groups_required, roles_required  # noqa: E402
from django_keyfob.mixins import GroupsRequiredMixin, RolesRequiredMixin  # noqa: E402
from support.contract_base import RunningSite, Site  # noqa: E402
from support.contract_permissions import (  # noqa: E402
    GROUP_ID,
    OTHER_ID,
    OVERAGE,
    PermissionContract,
    UnknownGroupContract,
)
from support.emulator_permissions import EmulatorPermissions  # noqa: E402
from support.form_browser import FormBrowser  # noqa: E402
from support.provider import Provider  # noqa: E402


class TestDjangoPermissions(PermissionContract, UnknownGroupContract):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        site: RunningSite = permissions_site
        return site

    def test_async_views_ask_as_well(
        self, site: Site, provider: Provider, browser: FormBrowser
    ) -> None:
        provider.extra_claims = {"roles": ["Orders.Approve"], **OVERAGE}
        provider.groups = [GROUP_ID]
        assert browser.open(f"{site.url}/async-class-based-permissions").text == "open"
        client = AsyncClient()
        client.cookies["sessionid"] = browser.session.cookies["sessionid"]

        def get(path: str) -> Any:
            return async_to_sync(client.get)(path, headers={"accept": "text/html"})

        assert get("/async-shown").content.decode() == (
            f"[True, True] ['approvers'] ['{GROUP_ID}']"
        )
        for path in ("/async-class-based-permissions", "/both", "/async-group", "/async-role"):
            assert get(path).content == b"open"
        assert get("/all-groups").status_code == 403

    def test_mixins_all_count(self, site: Site, provider: Provider, browser: FormBrowser) -> None:
        page = f"{site.url}/async-class-based-permissions"
        for claims in ({"roles": ["Orders.Approve"], "groups": []}, {"groups": [OTHER_ID]}):
            provider.extra_claims = dict(claims)
            browser.open(f"{site.url}/auth/login")
            assert browser.open(page).status == 403
            assert browser.open(f"{site.url}/class-based").status == 403

    def test_who_came_by_another_backend_has_no_roles_and_is_sent_to_sign_in(
        self, site: Site
    ) -> None:
        user = get_user_model().objects.create_superuser("local", password="x")
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        answer = client.get("/role", headers={"accept": "text/html"})
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/auth/login?next=%2Frole")
        assert client.get("/shown").content == b"False False"

    def test_a_template_without_a_request_shows_nothing(self, site: Site) -> None:
        assert Client().get("/without-request").content == b"False False"


class TestDjangoPermissionsWithTheEmulator(EmulatorPermissions):
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
        def view(request: HttpRequest) -> HttpResponse:
            return HttpResponse("open")

    with pytest.raises(TypeError, match="guards a view"):
        guard("a")("not a view")


def test_the_example_of_the_documentation_runs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "roles-and-groups.md").read_text(encoding="utf-8")
    example = text.split("```python\n# Django\n")[1].split("```")[0]
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(example, "roles-and-groups.md", "exec"), names)
    assert iscoroutinefunction(names["approve"])
    assert names["Orders"].as_view()


@pytest.mark.parametrize("mixin", [RolesRequiredMixin, GroupsRequiredMixin])
def test_a_mixin_that_names_nothing_is_refused_in_the_urlconf(mixin: Any) -> None:
    kind = "roles" if mixin is RolesRequiredMixin else "groups"

    class Orders(mixin, View):  # type: ignore[misc]
        pass

    with pytest.raises(TypeError, match="the view Orders guards nothing"):
        Orders.as_view()
    for wrong in ({f"any_of_{kind}": "Admin"}, {f"all_of_{kind}": []}, {f"all_of_{kind}": [7]}):
        with pytest.raises(TypeError, match="the view Orders"):
            Orders.as_view(**wrong)
    assert Orders.as_view(**{f"any_of_{kind}": ["Admin"]})
