"""A web API in Flask."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

pytest.register_assert_rewrite("support.contract_bearer")

from flask import Flask  # noqa: E402

from flask_ext.pages_bearer import make_api  # noqa: E402
from flask_ext.site import running_site  # noqa: E402
from flask_ext.support import configured, get  # noqa: E402
from flask_keyfob import Keyfob, bearer_required, current_caller  # noqa: E402
from support.access_tokens import Mint  # noqa: E402
from support.contract_base import RunningSite  # noqa: E402
from support.contract_bearer import BearerContract, assert_refused, call, settings_of  # noqa: E402
from support.provider import Provider  # noqa: E402


class TestFlaskBearer(BearerContract):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        return partial(running_site, make=make_api)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(entra=True) as provider:
        yield provider


def test_a_preflight_runs_no_view_and_brings_no_token(provider: Provider) -> None:
    with running_site(settings_of(provider), make=make_api) as site:
        answer = call(site, "/orders", method="OPTIONS")
        assert answer.status_code == 200
        assert "POST" in answer.headers["Allow"]
        assert answer.text == ""
        assert provider.requests == []


def test_a_view_that_names_nothing_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="lets nobody in"):
        bearer_required()
    with pytest.raises(TypeError):
        bearer_required(lambda: "x")  # type: ignore[call-arg,misc]
    with pytest.raises(TypeError, match="decorators ="):
        bearer_required(scopes=["x"])(type("Orders", (), {}))


def test_another_apis_scope_is_loud(provider: Provider) -> None:
    def make(*args: object, **more: object) -> Flask:
        app = make_api(*args, **more)

        @app.get("/foreign")
        @bearer_required(scopes=["https://graph.microsoft.com/User.Read"])
        def foreign() -> str:
            return "never"

        return app

    with running_site(settings_of(provider), make=make) as site:
        assert call(site, "/foreign", Mint(provider).person()).status_code == 500
        assert "AUDIENCES" in str(site.errors[0])


def test_current_caller_is_false_outside_of_an_api() -> None:
    app = configured()
    Keyfob(app)

    @app.get("/")
    def home() -> str:
        return str(bool(current_caller))

    answer = get(app, "/")
    assert answer.text == "False"
    assert "Vary" not in answer.headers


def test_async_views_are_guarded_as_well(provider: Provider) -> None:
    pytest.importorskip("asgiref")

    def make(*args: object, **more: object) -> Flask:
        app = make_api(*args, **more)

        @app.get("/async")
        @bearer_required(scopes=["Orders.Read"])
        async def view() -> str:
            return current_caller.name

        return app

    with running_site(settings_of(provider), make=make) as site:
        assert call(site, "/async", Mint(provider).person()).text == "Ada Keyring"
        assert_refused(call(site, "/async"), 401, "missing")
