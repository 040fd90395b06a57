"""A view that needs more: people are sent to get it, scripts are told where."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from keyfob.errors import (
    ConfigurationError,
    InteractionRequired,
    KeyfobError,
    ProviderUnavailable,
    ProviderUnreachable,
    StoreError,
    TokenResponseError,
)
from keyfob.web import Answer
from support.bare_site import BareSite, with_apis
from support.provider import Provider

PEOPLE: dict[str, dict[str, str]] = {
    "a browser": {
        "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "sec-fetch-dest": "document",
        "sec-fetch-mode": "navigate",
    },
    "an old browser": {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"},
    "a frame": {"accept": "text/html", "sec-fetch-dest": "iframe"},
    "curl": {"accept": "*/*"},
    "a client that says nothing": {},
    "a form with basic credentials": {"accept": "text/html", "authorization": "Basic eDp5"},
}
SCRIPTS: dict[str, dict[str, str]] = {
    "fetch": {"accept": "*/*", "sec-fetch-dest": "empty", "sec-fetch-mode": "cors"},
    "fetch of html": {"accept": "text/html", "sec-fetch-dest": "empty"},
    "an image": {"accept": "image/avif,image/webp,*/*", "sec-fetch-dest": "image"},
    "jquery": {"accept": "*/*", "x-requested-with": "XMLHttpRequest"},
    "htmx": {"accept": "text/html", "hx-request": "true"},
    "a bearer": {"accept": "*/*", "authorization": "Bearer abc"},
    "an api client": {"accept": "application/json"},
    "axios": {"accept": "application/json, text/plain, */*"},
    "a problem reader": {"accept": "application/problem+json"},
    "server-sent events": {"accept": "text/event-stream"},
}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def site(provider: Provider) -> Iterator[BareSite]:
    with BareSite(with_apis(provider)) as site:
        yield site


def get(
    site: BareSite, url: str, headers: dict[str, str], *apis: str, method: str = "GET"
) -> Answer:
    answer = site.get(url, *apis, method=method, **headers)
    assert answer is not None
    return answer


def next_of(location: str) -> str:
    return parse_qs(urlsplit(location).query)["next"][0]


# People


@pytest.mark.parametrize("who", PEOPLE)
def test_people_are_sent_to_sign_in(site: BareSite, who: str) -> None:
    answer = get(site, "/orders?page=2", PEOPLE[who])

    assert answer.status == 302
    assert answer.location == "/auth/login?next=%2Forders%3Fpage%3D2"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.problem is None


def test_the_api_that_a_view_needs_is_asked_for_on_the_way_in(site: BareSite) -> None:
    answer = get(site, "/orders", {}, "api")
    assert answer.location == "/auth/login?next=%2Forders&api=api"
    assert site.sign_in(urlsplit(answer.location).query).location == "/orders"
    assert site.get("/orders", "api") is None


def test_a_hostile_path_of_ours_is_not_come_back_to(site: BareSite) -> None:
    for path in ("//evil.example", "/\\evil.example", "/%2e%2e//evil.example"):
        request = site.request("/x")
        request = type(request)(**{**request.__dict__, "path": path})
        answer = site.guard(request)
        assert answer is not None
        assert next_of(answer.location) == "/"


@pytest.mark.parametrize(
    ("referer", "end"),
    [
        ("http://localhost:5000/cart?x=1", "/cart?x=1"),
        ("http://localhost:5000", "/"),
        ("https://evil.example/cart", "/"),
        ("http://localhost:5000@evil.example/", "/"),
        ("http://localhost:5000//evil.example", "/"),
        ("", "/"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_what_was_posted_to_is_no_page_to_come_back_to(
    site: BareSite, method: str, referer: str, end: str
) -> None:
    answer = get(site, "/orders/7/delete", {"referer": referer}, method=method)

    assert answer.status == 303
    assert next_of(answer.location) == end


def test_behind_a_proxy_the_page_is_known_by_the_public_address(provider: Provider) -> None:
    with BareSite({**provider.settings(), "BASE_URL": "https://site.example"}) as site:
        headers = {"referer": "https://site.example/cart"}
        assert next_of(get(site, "/pay", headers, method="POST").location) == "/cart"


# Scripts


@pytest.mark.parametrize("who", SCRIPTS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_scripts_are_told_and_never_redirected(site: BareSite, who: str, method: str) -> None:
    headers = {**SCRIPTS[who], "referer": "http://localhost:5000/board?x=1"}
    answer = get(site, "/data", headers, method=method)

    assert answer.status == 401
    assert answer.location == ""
    assert answer.page is None
    assert answer.cookies == ()
    assert answer.headers["WWW-Authenticate"] == 'Keyfob error="login_required"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.problem == {
        "type": "about:blank",
        "title": "Sign-in is required",
        "status": 401,
        "code": "login_required",
        "login_url": "/auth/login?next=%2Fboard%3Fx%3D1",
        "scopes": [],
    }


def test_a_script_is_told_when_consent_is_missing(site: BareSite) -> None:
    site.sign_in()
    answer = get(site, "/data", SCRIPTS["fetch"], "api")

    assert answer.status == 401
    assert answer.problem is not None
    assert answer.problem["code"] == "interaction_required"
    assert answer.problem["scopes"] == ["orders.read"]
    assert answer.problem["login_url"] == "/auth/login?next=%2F&api=api"
    # However often it asks, no trip is counted: it makes none.
    for _ in range(5):
        assert get(site, "/data", SCRIPTS["fetch"], "api").status == 401
    assert get(site, "/data", {}, "api").status == 302


def test_a_script_is_told_when_the_tokens_are_lost(site: BareSite) -> None:
    site.sign_in("api=api")
    site.store.close()
    answer = get(site, "/data", SCRIPTS["fetch"], "api")

    assert answer.problem is not None
    assert answer.problem["code"] == "login_required"


# Errors in views


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ProviderUnreachable("no answer", url="https://login.example"), 503),
        (ProviderUnavailable("busy", status=503, retry_after=7), 503),
        (TokenResponseError("refused", code="invalid_client"), 502),
        (StoreError("full"), 503),
        (ConfigurationError("There is no such API", setting="DOWNSTREAM_APIS"), 503),
    ],
)
def test_an_error_is_a_page_for_people_and_a_problem_for_scripts(
    site: BareSite, error: KeyfobError, status: int
) -> None:
    page = site.app.handle(site.request("/orders?x=1"), error)
    assert page.status == status
    assert page.page is not None
    assert page.page.retry_url == "/orders?x=1"
    assert page.page.code == error.code

    site.headers = SCRIPTS["fetch"]
    problem = site.app.handle(site.request("/orders"), error)
    assert problem.status == status
    assert problem.page is None
    assert problem.problem is not None
    assert problem.problem["code"] == error.code
    assert problem.problem["status"] == status
    assert len(problem.problem["correlation_id"]) == 36
    assert "Retry-After" in problem.headers or status != 503


def test_a_providers_wish_for_patience_is_passed_on(site: BareSite) -> None:
    error = ProviderUnavailable("busy", status=429, retry_after=7)
    assert site.app.handle(site.request("/"), error).headers["Retry-After"] == "7"


def test_the_providers_own_number_is_shown(site: BareSite) -> None:
    error = ProviderUnreachable("x", correlation_id="8d7c5f0e-0000-4000-8000-000000000000")
    page = site.app.handle(site.request("/"), error).page
    assert page is not None
    assert page.correlation_id == "8d7c5f0e-0000-4000-8000-000000000000"


def test_a_challenge_of_an_api_goes_sealed_through_the_address(site: BareSite) -> None:
    site.sign_in("api=api")
    error = InteractionRequired("more", api="api", claims='{"access_token":{"acrs":{}}}')
    answer = site.app.handle(site.request("/orders"), error)

    assert "acrs" not in answer.location
    assert "api=api" in answer.location


# Forms


def test_a_form_of_this_session_only_is_one(site: BareSite) -> None:
    site.sign_in()
    token = site.app.csrf_token(site.session)
    assert site.app.is_csrf_token(token, site.session)
    assert site.session["_keyfob"]["k"] not in token

    other = site.another_browser()
    assert not other.app.is_csrf_token(token, other.session)
    assert not other.app.is_csrf_token(other.app.csrf_token(other.session), other.session)
    other.sign_in()
    assert not other.app.is_csrf_token(token, other.session)
    for wrong in (None, "", "x", token[:-1], token + "0", "é", "\udc80"):
        assert not site.app.is_csrf_token(wrong, site.session)
