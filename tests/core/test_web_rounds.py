"""Trips to the provider: as few as can be, and never in circles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from keyfob.errors import InteractionRequired
from keyfob.web.stores import MemoryStore
from support.bare_site import BareSite, with_apis
from support.provider import Person, Provider


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def site(provider: Provider) -> Iterator[BareSite]:
    with BareSite(with_apis(provider)) as site:
        yield site


@pytest.fixture
def entra() -> Iterator[Provider]:
    with Provider(entra=True) as provider:
        yield provider


# Never a loop


def test_an_api_that_is_never_granted_gets_a_page_after_two_rounds(
    site: BareSite, provider: Provider
) -> None:
    provider.narrow_scopes = lambda scopes: [s for s in scopes if s != "orders.read"]
    answer = site.browse("/orders", "api")

    assert answer is not None
    assert answer.status == 403
    assert answer.page is not None
    assert answer.page.retry_url == "/auth/login?next=%2Forders&api=api"
    assert len(provider.requests_to("authorize")) <= 3  # the sign-in, and two rounds
    assert site.is_signed_in
    # Trying again begins to count anew, and works once it is granted.
    provider.narrow_scopes = None
    assert site.browse("/orders", "api") is None


def test_a_view_of_two_apis_one_of_which_is_never_granted_does_not_loop(
    site: BareSite, provider: Provider
) -> None:
    provider.narrow_scopes = lambda scopes: [s for s in scopes if s != "mail.read"]
    answer = site.browse("/orders", "api", "mail")

    assert answer is not None
    assert answer.status == 403
    assert len(provider.requests_to("authorize")) <= 5


def test_apis_that_take_each_others_grants_do_not_loop(site: BareSite, provider: Provider) -> None:
    """A provider that grants but the one that it was asked for last."""
    asked: list[str] = []

    def narrow(scopes: list[str]) -> list[str]:
        new = [s for s in ("orders.read", "mail.read") if s in scopes and s not in asked[-1:]]
        asked.extend(new[:1])
        return [s for s in scopes if s not in ("orders.read", "mail.read")] + new[:1]

    provider.narrow_scopes = narrow
    answer = site.browse("/orders", "api", "mail", rounds=12)
    assert answer is not None
    assert answer.status == 403


def test_a_store_that_forgets_everything_does_not_loop(site: BareSite) -> None:
    """As memory:// in several processes."""

    class Forgetful(MemoryStore):
        def load(self, key: str) -> None:
            return None

    with BareSite(site.settings, Forgetful()) as forgetful:
        answer = forgetful.browse("/orders", "api")
        assert answer is not None
        assert answer.status == 403


def test_nor_are_those_of_a_page_that_needs_no_token(site: BareSite) -> None:
    """Nothing tells that such a trip brought what was missing, but that time passes."""
    site.sign_in()
    lost = InteractionRequired("lost", code="tokens_lost")
    for minutes in (0, 1, 15, 16, 60):
        site.clock_offset = minutes * 60
        assert site.app.handle(site.request("/claims"), lost).status == 302
    assert site.app.handle(site.request("/claims"), lost).status == 302
    assert site.app.handle(site.request("/claims"), lost).status == 403


def test_losses_that_are_far_apart_are_no_loop(site: BareSite, provider: Provider) -> None:
    for hour in range(5):
        site.clock_offset = provider.clock_offset = hour * 3600
        assert site.browse("/orders", "api") is None
        site.store.close()


@pytest.mark.parametrize("came_from", ["none", "cross-site", "same-site"])
def test_a_browser_that_keeps_no_session_is_told_so(
    site: BareSite, provider: Provider, came_from: str
) -> None:
    site.keeps_session = False
    site.headers = {"sec-fetch-site": came_from, "sec-fetch-dest": "document"}
    answer = site.browse("/orders")

    assert answer is not None
    assert answer.status == 400
    assert answer.page is not None
    assert answer.page.code == "session_not_kept"
    assert answer.page.retry_url == "/auth/login?next=%2Forders"
    assert len(provider.requests_to("authorize")) == 1
    site.keeps_session = True
    assert site.browse("/orders") is None


@pytest.mark.parametrize("came_from", ["none", "cross-site", "same-origin", ""])
def test_signing_in_and_out_often_is_no_loop(site: BareSite, came_from: str) -> None:
    site.headers = {"sec-fetch-site": came_from} if came_from else {}
    for _ in range(5):
        assert site.browse("/orders") is None
        site.logout()


def test_a_link_of_ours_is_no_loop(site: BareSite) -> None:
    """Whatever became of the session: somebody has pressed it."""
    for _ in range(3):
        site.headers = {"sec-fetch-site": "none"}
        site.sign_in()
        site.session.clear()
        site.headers = {"sec-fetch-site": "same-origin"}
        assert site.sign_in().location == "/"
        site.cookies.clear()
        site.session.clear()


# Several APIs


def test_two_apis_of_one_session_do_not_take_each_others_tokens(
    site: BareSite, provider: Provider
) -> None:
    for _ in range(3):
        assert site.browse("/orders", "api") is None
        assert site.browse("/mail", "mail") is None
    assert len(provider.requests_to("authorize")) == 2
    assert site.browse("/both", "api", "mail") is None


def test_nor_without_refresh_tokens(provider: Provider) -> None:
    provider.scopes_supported = ("openid", "profile")
    with BareSite(with_apis(provider)) as site:
        for _ in range(3):
            assert site.browse("/orders", "api") is None
            assert site.browse("/mail", "mail") is None
        assert len(provider.requests_to("authorize")) == 2


@pytest.mark.parametrize("scope", ['orders.read bad"scope', "orders.read b\\d", "orders.read é"])
def test_grants_that_nobody_can_ask_for_are_not_asked_for(
    site: BareSite, provider: Provider, scope: str
) -> None:
    provider.mutate_token_response = lambda document: document.update(scope=scope)
    assert site.browse("/orders", "api") is None
    site.browse("/mail", "mail")
    assert provider.requests_to("authorize")[-1].query["scope"].isascii()
    assert "bad" not in provider.requests_to("authorize")[-1].query["scope"]


def test_in_entra_a_code_is_redeemed_for_one_resource(entra: Provider) -> None:
    def strict(request: Any) -> Any:
        scopes = set(request.form.get("scope", "").split()) - {
            "openid",
            "profile",
            "offline_access",
        }
        assert len({scope.rpartition("/")[0] for scope in scopes}) <= 1, scopes
        return entra.answer("token", request)

    entra.raw["token"] = strict
    with BareSite(with_apis(entra, SCOPES=["User.Read", "api://two/x"])) as site:
        assert site.browse("/orders", "api") is None
        assert "api://one/orders.read" in entra.requests_to("token")[0].form["scope"]
        asked = entra.requests_to("authorize")[0].query["scope"].split()
        assert {"api://one/orders.read", "User.Read", "api://two/x"} <= set(asked)
        # The others come by the refresh token.
        assert site.browse("/graph", "graph", "mail", "api") is None
        assert site.keyfob.token(scopes=["api://two/x"])
        assert len(entra.requests_to("authorize")) == 1


def test_scopes_of_no_api_are_asked_for_sealed(site: BareSite, provider: Provider) -> None:
    site.sign_in()
    answer = site.guard(site.request("/x"), scopes=["files.read"])
    assert answer is not None
    assert "files" not in answer.location
    assert site.sign_in(answer.location.partition("?")[2]).location == "/x"
    assert site.keyfob.token(scopes=["files.read"]) == provider.last_access_token


def test_what_was_asked_for_sealed_lasts_an_hour(site: BareSite, provider: Provider) -> None:
    site.sign_in()
    answer = site.guard(site.request("/x"), scopes=["files.read"])
    assert answer is not None
    site.clock_offset = 3700
    site.login(answer.location.partition("?")[2])
    assert "files.read" not in site.login(answer.location.partition("?")[2]).location


def test_the_person_of_the_refresh_is_the_sessions(site: BareSite, provider: Provider) -> None:
    """Two people in two browsers never get each other's token."""
    site.sign_in("api=api")
    mine = site.keyfob.token(api="api")
    provider.person = Person(sub="person-0002", name="Grace Hopper")
    other = site.another_browser()
    other.sign_in("api=api")

    assert other.keyfob.token(api="api") != mine
    assert site.keyfob.token(api="api") == mine
    renewed = site.keyfob.token(api="api", force_refresh=True)
    assert provider._access[renewed].person == Person()
