"""A sign-in in doubt is renewed without a page, once; or it is over, with a page that says so."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from keyfob.web import Answer
from keyfob.web.asked import seal_asked
from support.bare_site import BareSite, with_apis
from support.provider import Person, Provider


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def site(provider: Provider) -> Iterator[BareSite]:
    with BareSite(with_apis(provider)) as site:
        site.sign_in("api=api")
        provider.requests.clear()
        yield site


def trip(site: BareSite, answer: Answer) -> tuple[Answer, dict[str, str]]:
    """Where the login view sends the browser, and what is asked there."""
    sent = site.login(urlsplit(answer.location).query)
    query = parse_qs(urlsplit(sent.location).query)
    return sent, {name: values[0] for name, values in query.items()}


def lose_tokens(site: BareSite) -> None:
    site.store.close()


def test_lost_tokens_come_back_without_a_page(site: BareSite) -> None:
    lose_tokens(site)
    answer = site.get("/orders", "api")
    assert answer is not None
    _, asked = trip(site, answer)
    assert asked["prompt"] == "none"
    assert asked["login_hint"] == "ada@contoso.example"
    assert site.browse("/orders", "api") is None


def test_a_refresh_token_that_was_ended_is_renewed_in_the_same_way(
    site: BareSite, provider: Provider
) -> None:
    provider.revoke_refresh_tokens()
    site.clock_offset = 3500
    answer = site.get("/orders", "api")
    assert answer is not None
    _, asked = trip(site, answer)
    assert asked["prompt"] == "none"
    assert site.browse("/orders", "api") is None


def test_where_the_provider_would_show_a_page_the_session_is_over(
    site: BareSite, provider: Provider
) -> None:
    lose_tokens(site)
    answer = site.get("/orders", "api")
    assert answer is not None
    sent, asked = trip(site, answer)
    back = site.callback(f"/auth/callback?error=login_required&state={asked['state']}")
    assert back.status == 401
    assert back.page is not None
    assert back.page.title == "Your sign-in has ended"
    assert back.page.retry_url == "/auth/login?next=%2Forders&api=api"
    assert not site.is_signed_in
    assert "prompt" not in trip(site, Answer(302, location=back.page.retry_url))[1]
    assert sent.status == 302


@pytest.mark.parametrize("error", ["consent_required", "interaction_required"])
def test_whom_the_provider_knows_but_must_ask_is_asked(site: BareSite, error: str) -> None:
    lose_tokens(site)
    answer = site.get("/orders", "api")
    assert answer is not None
    _, asked = trip(site, answer)
    back = site.callback(f"/auth/callback?error={error}&state={asked['state']}")
    assert (back.status, back.location) == (302, "/auth/login?next=%2Forders&api=api")
    assert site.is_signed_in
    assert "prompt" not in trip(site, back)[1]


def test_a_missing_consent_is_asked_for_with_a_page_at_once(
    site: BareSite, provider: Provider
) -> None:
    refusal = {"error": "invalid_grant", "suberror": "consent_required"}
    provider.raw["token"] = lambda _: Provider.json(refusal, 400)
    site.clock_offset = 3500
    answer = site.get("/orders", "api")
    assert answer is not None
    assert answer.location == "/auth/login?next=%2Forders&api=api"


def test_an_outage_of_the_provider_ends_no_session(site: BareSite) -> None:
    lose_tokens(site)
    answer = site.get("/orders", "api")
    assert answer is not None
    _, asked = trip(site, answer)
    back = site.callback(f"/auth/callback?error=temporarily_unavailable&state={asked['state']}")
    assert back.status == 503
    assert site.is_signed_in


@pytest.mark.parametrize("error", ["invalid_client", "unauthorized_client"])
def test_the_sites_own_expired_secret_ends_no_session(
    site: BareSite, provider: Provider, error: str
) -> None:
    lose_tokens(site)
    answer = site.get("/orders", "api")
    assert answer is not None
    _, asked = trip(site, answer)
    provider.raw["token"] = lambda _: Provider.json({"error": error}, 401)
    back = site.callback(f"/auth/callback?code=any&state={asked['state']}")
    assert back.status == 502
    assert back.page is not None
    assert back.page.title == "The sign-in service refused"
    assert site.is_signed_in


def test_a_link_that_asks_for_no_page_ends_no_session(site: BareSite) -> None:
    """Anybody may lead a browser to the login view, with any prompt."""
    sent = site.login("next=/orders&prompt=none")
    state = parse_qs(urlsplit(sent.location).query)["state"][0]
    back = site.callback(f"/auth/callback?error=login_required&state={state}")
    assert back.status in (400, 401, 403)
    assert site.is_signed_in


def test_nor_does_a_link_that_was_made_for_another_session(site: BareSite) -> None:
    foreign = seal_asked(site.app, [], "", renews="another-mark")
    sent = site.login(f"next=/orders&ask={foreign}")
    query = parse_qs(urlsplit(sent.location).query)
    assert "prompt" not in query
    site.callback(f"/auth/callback?error=login_required&state={query['state'][0]}")
    assert site.is_signed_in


def test_a_form_is_told_that_it_did_not_arrive(site: BareSite) -> None:
    lose_tokens(site)
    answer = site.get("/orders", "api", method="POST")
    assert answer is not None
    assert answer.status == 401
    assert answer.page is not None
    assert answer.page.title == "Nothing was sent"
    assert answer.headers["WWW-Authenticate"] == 'Keyfob error="login_required"'
    assert site.is_signed_in


def test_a_script_is_told_that_a_sign_in_is_needed(site: BareSite) -> None:
    lose_tokens(site)
    site.headers = {"sec-fetch-mode": "cors", "accept": "application/json"}
    answer = site.get("/orders", "api")
    assert answer is not None
    assert answer.status == 401
    assert (answer.problem or {})["code"] == "login_required"


def test_two_trips_that_bring_nothing_are_enough(site: BareSite) -> None:
    statuses = []
    for _ in range(3):
        lose_tokens(site)
        answer = site.get("/orders", "api")
        assert answer is not None
        statuses.append(answer.status)
        if answer.status == 302:
            site.sign_in(urlsplit(answer.location).query)
            lose_tokens(site)
    assert statuses[:3] == [302, 302, 403]


def test_nobody_goes_on_as_somebody_else_without_a_page(site: BareSite, provider: Provider) -> None:
    lose_tokens(site)
    provider.person = Person(sub="person-0002", name="Grace Padlock")
    answer = site.browse("/orders", "api")
    assert answer is not None
    assert answer.page is not None
    assert answer.page.title == "Your sign-in has ended"
    assert not site.is_signed_in
    site.sign_in(urlsplit(answer.page.retry_url).query)
    assert site.keyfob.user.name == "Grace Padlock"
