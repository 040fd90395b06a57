"""Signing out: here first, then at the provider, and it says which of them it was."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from keyfob.web import Answer
from keyfob.web.stores import MemoryStore
from support.bare_site import BareSite, with_apis
from support.failing_store import FailingStore
from support.provider import Provider, claims_of
from support.provider_http import Reply


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


def asked(answer: Answer) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.location).query).items()}


def test_a_sign_out_ends_the_session_here_and_at_the_provider(provider: Provider) -> None:
    store = MemoryStore()
    with BareSite(with_apis(provider), store) as site:
        site.sign_in("api=api")
        site.session["cart"] = ["book"]
        answer = site.logout()

        assert site.session == {}
        assert not site.keyfob.user
        assert all(len(entry.record.value) < 200 for entry in store._entries.values())
        assert answer.status == 303
        assert answer.location.startswith(provider.url("end_session") + "?")
        assert answer.headers["Cache-Control"] == "no-store"
        query = asked(answer)
        assert claims_of(query["id_token_hint"])["sub"] == provider.person.sub
        assert query["client_id"] == provider.client_id
        assert query["post_logout_redirect_uri"] == "http://localhost:5000/auth/logged-out"
        assert "post_logout_redirect_uri=http%3A%2F%2Flocalhost%3A5000%2Fauth%2F" in answer.location
        assert provider.last_access_token not in answer.location

        back, _ = site.at_provider(answer)
        page = site.logged_out(back).page
        assert page is not None
        assert page.text == "You are signed out of this site and of the sign-in service."
        assert page.retry_url == "/auth/login"
        assert page.retry_label == "Sign in again"


def test_entra_gets_a_hint_instead_of_a_token() -> None:
    with Provider(entra=True, extra_claims={"login_hint": "O.abc=="}) as provider:
        with BareSite(provider.settings()) as site:
            site.sign_in()
            query = asked(site.logout())

        assert query["logout_hint"] == "O.abc=="
        assert "id_token_hint" not in query
        assert query["state"]


@pytest.mark.parametrize("state", ["", "x", "forged"])
def test_without_the_providers_word_the_page_claims_nothing(provider: Provider, state: str) -> None:
    with BareSite(provider.settings()) as site:
        url = f"/auth/logged-out?state={state}" if state else "/auth/logged-out"
        page = site.logged_out(url).page
        assert page is not None
        assert "sign-in service" not in page.text


def test_the_providers_word_lasts_an_hour(provider: Provider) -> None:
    with BareSite(provider.settings()) as site:
        site.sign_in()
        back, _ = site.at_provider(site.logout())
        site.clock_offset = 3700
        page = site.logged_out(back).page
        assert page is not None
        assert "sign-in service" not in page.text


def test_somebody_signed_in_is_not_told_that_they_are_signed_out(provider: Provider) -> None:
    with BareSite(provider.settings()) as site:
        site.sign_in()
        assert site.logged_out().location == "/"


def test_the_site_may_have_a_page_of_its_own(provider: Provider) -> None:
    with BareSite(provider.settings()) as site:
        answer = site.app.logged_out(site.request("/auth/logged-out"), "/bye")
        assert answer.location == "/bye"


def test_a_provider_without_such_an_address_is_not_told(provider: Provider) -> None:
    provider.omit_metadata = ("end_session_endpoint",)
    with BareSite(provider.settings()) as site:
        site.sign_in()
        answer = site.logout()
        assert answer.status == 303
        assert not site.is_signed_in
        page = site.app.logged_out(site.request(answer.location)).page
        assert page is not None
        assert "The sign-in service may still know you" in page.text


@pytest.mark.parametrize("status", [503, 200])
def test_a_provider_that_cannot_be_reached_is_not_told_and_the_page_says_so(
    provider: Provider, status: int
) -> None:
    with BareSite(provider.settings()) as site:
        site.sign_in()
        provider.raw["discovery"] = lambda request: Reply(status, {}, b"no")
        machine = site.another_machine()  # one that does not know the provider yet
        answer = machine.logout()

        assert answer.status == 200
        assert answer.page is not None
        assert answer.page.title == "You are signed out of this site"
        assert "may still be signed in there" in answer.page.text
        assert not machine.is_signed_in
        assert not site.is_signed_in


def test_a_store_that_cannot_be_reached_keeps_nobody_signed_in(provider: Provider) -> None:
    store = FailingStore()
    with BareSite(provider.settings(), store) as site:
        site.sign_in()
        store.down = "all"
        answer = site.logout()

        assert not site.is_signed_in
        assert site.session == {}
        # The provider is told all the same, without a hint.
        assert answer.location.startswith(provider.url("end_session"))
        assert "id_token_hint" not in asked(answer)


def test_lost_tokens_keep_nobody_signed_in(provider: Provider) -> None:
    with BareSite(provider.settings()) as site:
        site.sign_in()
        site.store.close()
        assert site.logout().location.startswith(provider.url("end_session"))
        assert not site.is_signed_in


def test_nobody_can_sign_out_too(provider: Provider) -> None:
    with BareSite(provider.settings()) as site:
        answer = site.logout()
        assert (answer.status, answer.location) == (303, "/auth/logged-out")
        assert provider.requests == []


def test_the_way_back_is_the_public_address(provider: Provider) -> None:
    settings = {**provider.settings(), "BASE_URL": "https://site.example/shop"}
    with BareSite(settings, root_path="/shop") as site:
        site.sign_in()
        query = asked(site.logout())
        assert query["post_logout_redirect_uri"] == "https://site.example/shop/auth/logged-out"


def test_without_a_usable_address_of_ours_there_is_no_way_back(provider: Provider) -> None:
    with BareSite(provider.settings()) as site:
        site.sign_in()
        site.host = "site.example"
        query = asked(site.logout())
        assert "post_logout_redirect_uri" not in query
        assert "state" not in query


def test_a_huge_id_token_is_no_hint(provider: Provider) -> None:
    """Its address would be refused, and the person kept signed in there."""
    provider.extra_claims = {"groups": [f"group-{number}" for number in range(900)]}
    with BareSite(provider.settings()) as site:
        site.sign_in()
        answer = site.logout()
        assert len(answer.location) < 2000
        assert asked(answer)["logout_hint"] == provider.person.preferred_username


def test_the_signed_in_person_elsewhere_stays(provider: Provider) -> None:
    with BareSite(with_apis(provider)) as site:
        site.sign_in("api=api")
        other = site.another_browser()
        other.sign_in("api=api")
        site.logout()

        assert other.keyfob.token(api="api")
