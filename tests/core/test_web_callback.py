"""What comes back from the provider: every failure has a page, and nobody is signed in by one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from keyfob.errors import SignInRefused
from keyfob.web import Answer, Identity
from keyfob.web.stores import MemoryStore
from support.bare_site import BareSite, with_apis
from support.failing_store import FailingStore
from support.provider import Person, Provider
from support.provider_http import Reply

STRANGER = Person(
    sub="person-0002", name="Grace Padlock", oid="7" * 8 + "-0000-4000-8000-" + "7" * 12
)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def site(provider: Provider) -> Iterator[BareSite]:
    with BareSite(with_apis(provider)) as site:
        yield site


def state_of(answer: Answer) -> str:
    return parse_qs(urlsplit(answer.location).query)["state"][0]


def come_back_with(site: BareSite, query: str = "", **response: str) -> Answer:
    """A callback that answers a real attempt, with these parameters."""
    response = {"state": state_of(site.login(query)), **response}
    return site.callback(f"/auth/callback?{urlencode(response)}")


# Pages


def test_an_unknown_callback_gets_a_page_that_offers_to_start(site: BareSite) -> None:
    for query in ("", "?state=x&code=y", "?code=y", "?state=&code=", "?posted=x", "?error=x"):
        answer = site.callback(f"/auth/callback{query}")

        assert answer.status == 400
        assert answer.page is not None
        assert answer.page.code == "no_attempt"
        assert answer.page.retry_url == "/auth/login"
        assert answer.page.home_url == "/"
        assert answer.page.correlation_id
        assert answer.headers["Cache-Control"] == "no-store"


def test_a_foreign_error_description_is_never_shown_nor_logged(
    site: BareSite, caplog: pytest.LogCaptureFixture
) -> None:
    hostile = "Call 555-EVIL and tell them your password"
    response = {"error": "access_denied", "error_description": hostile, "state": "unknown"}
    answer = site.callback(f"/auth/callback?{urlencode(response)}")

    assert answer.status == 400
    assert "555-EVIL" not in repr(answer)
    assert "555-EVIL" not in caplog.text


def test_even_an_attempts_own_error_description_is_only_logged(
    site: BareSite, caplog: pytest.LogCaptureFixture
) -> None:
    answer = come_back_with(
        site,
        "next=/orders",
        error="access_denied",
        error_description="AADSTS65004: User declined\r\n2026 WARNING forged line",
    )

    assert answer.status == 403
    assert answer.page is not None
    assert answer.page.title == "Sign-in was cancelled"
    assert answer.page.code == "access_denied"
    assert answer.page.retry_url == "/auth/login?next=%2Forders"
    assert "AADSTS" not in repr(answer)
    assert "AADSTS65004" in caplog.text
    assert answer.page.correlation_id in caplog.text
    assert not any("\n" in record.getMessage() for record in caplog.records)
    assert site.cookies == {}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("access_denied", 403),
        ("login_required", 401),
        ("interaction_required", 401),
        ("account_selection_required", 401),
        ("consent_required", 403),
        ("temporarily_unavailable", 503),
        ("server_error", 502),
        ("invalid_scope", 502),
        ("<script>", 502),
        ("x" * 5000, 502),
    ],
)
def test_each_refusal_has_a_page(site: BareSite, error: str, status: int) -> None:
    answer = come_back_with(site, error=error)

    assert answer.status == status
    assert answer.page is not None
    assert len(answer.page.code) <= 100
    assert answer.page.retry_url
    assert ("Retry-After" in answer.headers) == (status == 503)


def test_a_token_endpoints_refusal_has_a_page_with_its_number(
    provider: Provider, site: BareSite, caplog: pytest.LogCaptureFixture
) -> None:
    number = "0f0f0f0f-1111-4222-8333-444444444444"
    refusal = {
        "error": "invalid_grant",
        "error_description": "AADSTS54005: OAuth2 Code was already redeemed.\r\nTrace",
        "correlation_id": number,
    }
    provider.raw["token"] = lambda request: Provider.json(refusal, 400)
    answer = site.sign_in()

    assert answer.page is not None
    assert (answer.page.correlation_id, answer.page.code) == (number, "invalid_grant")
    assert "AADSTS54005" in caplog.text
    assert not any("\n" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("number", ["x" * 500, "a b", "<b>", 7, None, ""])
def test_a_number_that_is_none_is_replaced(
    provider: Provider, site: BareSite, number: object
) -> None:
    refusal = {"error": "invalid_grant", "correlation_id": number}
    provider.raw["token"] = lambda request: Provider.json(refusal, 400)
    page = site.sign_in().page

    assert page is not None
    assert page.correlation_id != number
    assert len(page.correlation_id) == 36


def test_a_response_with_a_parameter_twice_is_refused(site: BareSite) -> None:
    url, _ = site.at_provider(site.login())
    answer = site.callback(f"{url}&code=another")

    assert answer.status == 400
    assert not site.is_signed_in


def test_whoever_may_not_come_in_is_told_why(provider: Provider) -> None:
    with BareSite(provider.settings()) as site:
        url, _ = site.at_provider(site.login("next=/x"))

        def refuse(identity: Identity) -> None:
            raise SignInRefused("This account is deactivated.")

        answer = site.app.callback(site.request(url), refuse)

        assert answer.status == 403
        assert answer.page is not None
        assert answer.page.text == "This account is deactivated."
        assert not site.is_signed_in


def test_a_tenant_that_is_not_allowed_gets_a_page() -> None:
    with Provider(entra=True) as provider:
        settings = {
            **provider.settings(),
            "ALLOWED_TENANTS": ["9" * 8 + "-9999-4999-8999-" + "9" * 12],
        }
        with BareSite(settings) as site:
            answer = site.sign_in()

            assert answer.status == 403
            assert answer.page is not None
            assert "organisation" in answer.page.text
            assert not site.is_signed_in


# Replays


def test_a_replay_of_a_signed_in_person_goes_on_to_the_site(
    provider: Provider, site: BareSite
) -> None:
    url, form = site.at_provider(site.login("next=/orders"))
    cookies = dict(site.cookies)
    site.come_back(url, form)

    # The back button: the browser has deleted the attempt's cookie.
    assert site.come_back(url, form).location == "/"
    # Two windows at once: it still had the cookie when it asked.
    site.cookies = cookies
    assert site.come_back(url, form).location == "/orders"
    assert len(provider.requests_to("token")) == 1
    assert len(site.established) == 1


def test_a_failed_sign_in_leaves_the_former_one_alone(provider: Provider, site: BareSite) -> None:
    site.sign_in()
    key = site.keyfob.user.key
    answer = come_back_with(site, "api=mail", error="access_denied")

    assert answer.status == 403
    assert site.keyfob.user.key == key
    assert site.keyfob.user.claims


# A new sign-in


def test_a_new_sign_in_ends_the_former_ones_tokens(provider: Provider) -> None:
    store = MemoryStore()
    with BareSite(provider.settings(), store) as site:
        site.sign_in()
        former = dict(site.session)
        provider.person = STRANGER
        site.sign_in()

        assert site.keyfob.user.name == "Grace Padlock"
        assert site.session["_keyfob"]["k"] != former["_keyfob"]["k"]
        site.session = former
        assert site.keyfob.document() is None


def test_what_the_framework_refuses_leaves_no_tokens_behind(provider: Provider) -> None:
    store = MemoryStore()
    with BareSite(provider.settings(), store) as site:
        url, _ = site.at_provider(site.login())

        def fail(identity: Identity) -> None:
            raise RuntimeError("the site's database is down")

        with pytest.raises(RuntimeError):
            site.app.callback(site.request(url), fail)
        assert not site.is_signed_in
        assert all(len(entry.record.value) < 200 for entry in store._entries.values())


def test_without_the_store_nobody_is_signed_in(provider: Provider) -> None:
    store = FailingStore()
    with BareSite(provider.settings(), store) as site:
        store.down = "create"
        answer = site.sign_in("next=/orders")

        assert answer.status == 503
        assert "Retry-After" in answer.headers
        assert not site.is_signed_in
        assert provider.requests_to("token") == []
        store.down = ""
        assert site.sign_in("next=/orders").location == "/orders"


def test_a_former_session_that_cannot_be_removed_does_not_spoil_the_new_one(
    provider: Provider,
) -> None:
    store = FailingStore()
    with BareSite(provider.settings(), store) as site:
        site.sign_in()
        store.down = "delete"
        answer = site.sign_in("next=/orders")

        assert answer.location == "/orders"
        assert len(site.established) == 2


# form_post


@pytest.fixture
def posting(provider: Provider) -> Iterator[BareSite]:
    with BareSite({**provider.settings(), "RESPONSE_MODE": "form_post"}) as site:
        yield site


def test_a_posted_response_signs_in_without_any_cookie_on_the_post(posting: BareSite) -> None:
    url, form = posting.at_provider(posting.login("next=/orders"))
    assert form is not None
    bounce = posting.callback(url, form)

    assert bounce.status == 303
    assert bounce.cookies == ()
    assert form["code"] not in bounce.location
    assert form["state"] not in bounce.location
    assert len(bounce.location) < 2000
    assert posting.callback(bounce.location).location == "/orders"
    assert posting.is_signed_in


def test_a_bounce_lasts_a_minute(posting: BareSite) -> None:
    url, form = posting.at_provider(posting.login())
    bounce = posting.callback(url, form)
    posting.clock_offset = 62

    assert posting.callback(bounce.location).status == 400
    assert not posting.is_signed_in


def test_a_bounce_works_in_its_own_browser_only(posting: BareSite) -> None:
    """Whoever posts their own code from a page of theirs gets a victim nowhere."""
    bounce = posting.callback(*posting.at_provider(posting.login()))
    victim = posting.another_browser()

    assert victim.callback(bounce.location).status == 400
    assert not victim.is_signed_in


def test_a_tampered_bounce_is_no_attempt(posting: BareSite) -> None:
    bounce = posting.callback(*posting.at_provider(posting.login()))
    for location in (bounce.location[:-1], bounce.location + "A", bounce.location.upper()):
        assert posting.callback(location).status == 400
    assert posting.callback(f"{bounce.location}&state=x&code=y").status == 302


def test_a_posted_response_that_is_too_large_gets_a_page(posting: BareSite) -> None:
    posting.login()
    for form in ({"code": "x" * 7000}, {f"p{n}": "v" for n in range(2000)}, {"é" * 2000: ""}):
        answer = posting.callback("/auth/callback", form)

        assert answer.status == 400
        assert answer.page is not None
        assert answer.page.code == "too_large"


def test_an_empty_post_is_no_attempt(posting: BareSite) -> None:
    bounce = posting.callback("/auth/callback", {})
    assert posting.callback(bounce.location).status == 400


def test_a_posted_refusal_gets_its_page(posting: BareSite) -> None:
    state = state_of(posting.login())
    bounce = posting.callback("/auth/callback", {"error": "access_denied", "state": state})

    assert posting.callback(bounce.location).status == 403


# Logs


def test_nothing_secret_is_logged_in_a_whole_conversation(
    provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.DEBUG),
        BareSite(with_apis(provider, RESPONSE_MODE="form_post")) as site,
    ):
        url, form = site.at_provider(site.login("api=api"))
        assert form is not None
        site.come_back(url, form)
        site.keyfob.token(api="api", force_refresh=True)
        assert site.keyfob.api("api").get("/me").ok
        site.come_back(url, form)
        key = site.session["_keyfob"]["k"]
        provider.raw["token"] = lambda request: Reply(503, {}, b"busy")
        failed = site.at_provider(site.login())
        site.come_back(*failed)
        out = site.logout()

        requests = [r for r in provider.requests if r.endpoint == "token"]
        secrets = {
            key,
            form["code"],
            provider.client_secret,
            parse_qs(urlsplit(out.location).query)["id_token_hint"][0],
        }
        secrets |= {
            r.form[n]
            for r in requests
            for n in ("code", "code_verifier", "refresh_token")
            if n in r.form
        }
        secrets |= set(provider._access) | set(provider._refresh)
        logged = "\n".join(
            [
                record.getMessage() + repr(record.args)
                for record in caplog.records
                if record.name.startswith("keyfob")
            ]
        )
        assert logged
        assert not [secret for secret in secrets if secret in logged]
        others = caplog.text
        assert not [s for s in secrets - {form["code"]} if s in others and s not in out.location]
