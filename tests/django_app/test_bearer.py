"""A web API in Django."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from traceback import walk_tb
from typing import Any

import pytest

pytest.register_assert_rewrite("support.contract_bearer")

from asgiref.sync import async_to_sync  # noqa: E402
from django.contrib.sessions.models import Session  # noqa: E402
from django.test import AsyncClient, override_settings  # noqa: E402
from django.views import View  # noqa: E402

from django_app.site import RunningSite, running_site  # noqa: E402
from django_keyfob.decorators import bearer_required  # noqa: E402
from django_keyfob.mixins import BearerRequiredMixin, LoginRequiredMixin  # noqa: E402
from support import contract_base  # noqa: E402
from support.access_tokens import Mint  # noqa: E402
from support.contract_bearer import (  # noqa: E402
    BearerContract,
    assert_refused,
    call,
    challenge_of,
    settings_of,
)
from support.provider import Provider  # noqa: E402

PAGES = "django_app.pages_bearer"
GUARD = "django.contrib.auth.middleware.LoginRequiredMiddleware"


def running_api(
    settings: dict[str, object], *, config: dict[str, object] | None = None, **more: Any
) -> AbstractContextManager[RunningSite]:
    return running_site(settings, config={"ROOT_URLCONF": PAGES, **(config or {})}, **more)


class TestDjangoBearer(BearerContract):
    @pytest.fixture
    def running_site(self) -> contract_base.RunningSite:
        return running_api


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(entra=True) as provider:
        yield provider


@pytest.fixture
def mint(provider: Provider) -> Mint:
    return Mint(provider)


@pytest.mark.parametrize("path", ["/async", "/async-class-based"])
def test_async_views(provider: Provider, mint: Mint, path: str) -> None:
    def get(**headers: str) -> Any:
        return async_to_sync(AsyncClient().get)(path, headers=headers)

    with override_settings(KEYFOB=settings_of(provider), ROOT_URLCONF=PAGES):
        answer = get(Authorization=f"Bearer {mint.person()}")
        assert answer.status_code == 200
        assert answer.json()["name"] == "Ada Keyring"
        assert answer.headers["Vary"] == "Authorization"
        refused = get()
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"].startswith("Bearer ")
        assert get(Authorization=f"Bearer {mint.app()}").status_code == 403
        document = async_to_sync(AsyncClient().get)("/.well-known/oauth-protected-resource")
        assert document.json()["resource"] == "http://testserver"


def test_an_options_request_runs_no_view(provider: Provider) -> None:
    with running_api(settings_of(provider)) as site:
        for path in ("/orders", "/class-based"):
            assert_refused(call(site, path, method="OPTIONS"), 401, "missing")


def test_no_session_is_begun(provider: Provider, mint: Mint) -> None:
    with running_api(settings_of(provider)) as site:
        assert call(site, token=mint.person()).status_code == 200
        assert call(site, token="x").status_code == 401
        assert not Session.objects.exists()


def test_django_that_guards_every_page_leaves_the_api_to_us(provider: Provider, mint: Mint) -> None:
    from django.conf import settings

    chain = [*settings.MIDDLEWARE, GUARD]
    with running_api(settings_of(provider), config={"MIDDLEWARE": chain}) as site:
        for path in ("/orders", "/class-based", "/async"):
            assert call(site, path, mint.person()).status_code == 200
            assert_refused(call(site, path), 401, "missing")
        assert call(site, "/whoami", headers={"Accept": "text/html"}).status_code == 302


def test_a_page_of_the_projects_own_comes_first(provider: Provider) -> None:
    with running_api(
        settings_of(provider), config={"ROOT_URLCONF": "django_app.pages_bearer_own"}
    ) as site:
        answer = call(site, "/.well-known/oauth-protected-resource")
        assert answer.text == "the project's own"
        assert call(site, "/.well-known/oauth-protected-resource", method="POST").status_code != 200


def test_another_apis_scope_is_loud(provider: Provider, mint: Mint) -> None:
    with running_api(settings_of(provider)) as site:
        token = mint.person()
        assert call(site, "/foreign", token).status_code == 500
        assert "AUDIENCES" in str(site.errors[0])
        # Error mails show each frame's variables.
        for frame, _ in walk_tb(site.errors[0].__traceback__):
            if "keyfob" in frame.f_globals["__name__"]:
                assert token not in repr(list(frame.f_locals.values())), frame


def test_a_view_that_names_nothing_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="lets nobody in"):
        bearer_required()
    with pytest.raises(TypeError, match="guards a view"):
        bearer_required(scopes=["x"])("view")  # type: ignore[type-var]

    class Open(BearerRequiredMixin, View):
        pass

    with pytest.raises(TypeError, match="BearerRequiredMixin lets nobody in"):
        Open.as_view()
    assert Open.as_view(scopes=["x"])


def test_what_is_missing_is_named(provider: Provider, mint: Mint) -> None:
    with running_api(settings_of(provider)) as site:
        answer = call(site, "/people", mint.person(scp="Orders.Write"))
        assert challenge_of(answer)["scope"] == "Orders.Read"


def test_a_mixin_behind_the_view_would_guard_nothing() -> None:
    class Plain(View):
        pass

    for base in (View, Plain):
        with pytest.raises(TypeError, match="Behind is not guarded: write the mixin before"):
            type("Behind", (base, BearerRequiredMixin), {"scopes": ["x"]})
    guarded = type("Guarded", (LoginRequiredMixin, View), {})
    assert issubclass(type("Twice", (guarded, BearerRequiredMixin), {"scopes": ["x"]}), View)
