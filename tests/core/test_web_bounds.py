"""What a sign-in is bound to: this site, as it is set up now, until it is ended anywhere."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from keyfob.errors import InteractionRequired, StoreUnavailable
from keyfob.web import WebApplication, load_settings
from keyfob.web.stores import MemoryStore
from support.bare_site import BareSite, with_apis
from support.failing_store import FailingStore
from support.provider import HOME_TENANT, OTHER_TENANT, Provider


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def site(provider: Provider) -> Iterator[BareSite]:
    with BareSite(with_apis(provider)) as site:
        yield site


def code_of(site: BareSite, **asked: str) -> str:
    with pytest.raises(InteractionRequired) as caught:
        site.keyfob.require(**asked)  # type: ignore[arg-type]
    return caught.value.code


def test_a_guarded_view_wants_somebody(site: BareSite) -> None:
    assert code_of(site) == "not_signed_in"
    site.sign_in()
    site.keyfob.require()


def test_a_copy_of_the_session_opens_no_guarded_view_after_the_sign_out(site: BareSite) -> None:
    site.sign_in()
    copied = copy.deepcopy(site.session)
    site.logout()

    site.session.update(copied)

    assert code_of(site) == "tokens_lost"
    assert code_of(site, api="api") == "tokens_lost"


def test_a_guarded_view_without_tokens_works_while_the_store_is_away(provider: Provider) -> None:
    store = FailingStore()
    with BareSite(with_apis(provider), store) as site:
        site.sign_in()
        store.down = "all"

        site.keyfob.require()
        with pytest.raises(StoreUnavailable):
            site.keyfob.require(api="api")


def test_who_signed_in_at_one_site_is_nobody_at_another_with_the_same_key_and_store(
    site: BareSite, provider: Provider
) -> None:
    site.sign_in("api=api")
    with Provider() as elsewhere, BareSite(with_apis(elsewhere), site.store) as other:
        other.session.update(site.session)

        assert not other.is_signed_in
        assert not other.keyfob.user
        assert code_of(other, api="api") == "not_signed_in"
        assert site.keyfob.token(api="api")


def test_a_session_ends_when_its_tenant_may_no_longer_sign_in() -> None:
    with Provider(entra=True) as provider:
        allowed = {**provider.settings(), "ALLOWED_TENANTS": [HOME_TENANT, OTHER_TENANT]}
        with BareSite(allowed) as site:
            site.sign_in()
            with BareSite({**allowed, "ALLOWED_TENANTS": [OTHER_TENANT]}, site.store) as stricter:
                stricter.session.update(site.session)
                assert not stricter.is_signed_in


def test_a_new_key_ends_no_session_no_attempt_and_no_form(site: BareSite) -> None:
    settings = load_settings(site.settings, {}, source="flask")
    old = "a secret of the test's own, long enough to be one"
    site.sign_in()
    form = site.app.csrf_token(site.session)
    started = site.login("next=/later")
    back = site.at_provider(started)
    site.app.client.close()

    site.app = WebApplication(settings, store=site.store, secrets=[old, "a newer secret, as long"])

    assert site.app.is_csrf_token(form, site.session)
    assert site.keyfob.user.claims
    assert site.come_back(*back).location == "/later"


def test_a_form_of_one_session_is_none_of_another(site: BareSite) -> None:
    site.sign_in()
    form = site.app.csrf_token(site.session)
    assert site.app.is_csrf_token(form, site.session)
    site.sign_in()
    assert not site.app.is_csrf_token(form, site.session)
    assert not site.app.is_csrf_token("", site.session)
    assert not site.app.is_csrf_token(form, {})


@pytest.mark.parametrize("ending", ["(", "é", " ", "/", "0" * 11, "0" * 13, "ABCDEF012345"])
def test_planted_cookies_of_impossible_names_are_left_alone(site: BareSite, ending: str) -> None:
    planted = f"keyfob_{site.app.cookie_site}_{ending}"
    site.cookies[planted] = "x"

    answer = site.login()

    assert answer.status == 302
    assert planted not in {cookie.name for cookie in answer.cookies}


def test_many_planted_cookies_do_not_make_a_response_too_long(site: BareSite) -> None:
    for number in range(180):
        site.cookies[f"keyfob_{site.app.cookie_site}_{number:012x}"] = "x"

    assert len(site.login().cookies) <= 13


def test_a_session_that_slides_along_keeps_its_record(provider: Provider) -> None:
    with BareSite(with_apis(provider)) as site:
        site.app._session_lifetime = lambda: 1800.0
        site.sign_in()
        for minutes in (10, 20, 29, 35, 40, 60):
            site.clock_offset = minutes * 60
            site.keyfob.require()


def test_a_session_that_is_left_alone_ends(provider: Provider) -> None:
    clock = [time.time()]
    with BareSite(with_apis(provider), MemoryStore(clock=lambda: clock[0])) as site:
        site.app._session_lifetime = lambda: 1800.0
        site.sign_in()
        clock[0] += 1900
        site.clock_offset = 1900
        assert code_of(site) == "tokens_lost"


def test_an_api_that_refuses_every_token_sends_nobody_in_circles() -> None:
    with Provider(refresh_tokens=False) as provider, BareSite(with_apis(provider)) as site:
        site.sign_in("api=api")
        trips = 0
        while True:
            site.keyfob.require(api="api")
            with pytest.raises(InteractionRequired) as caught:
                site.keyfob.token(api="api", force_refresh=True)
            answer = site.app.handle(site.request("/me"), caught.value)
            if answer.page is not None:
                break
            trips += 1
            assert trips <= 3
            site.sign_in(urlsplit(answer.location).query)
        assert answer.status == 403


def test_a_refusal_is_not_saved(site: BareSite, provider: Provider) -> None:
    site.sign_in("api=api")
    provider.revoke_refresh_tokens()
    site.clock_offset = 4000
    before = site.app.store.load(f"session {site.session['_keyfob']['k']}")
    asked = len(provider.requests_to("token"))

    assert code_of(site, api="api") == "interaction_required"

    assert site.app.store.load(f"session {site.session['_keyfob']['k']}") == before
    assert len(provider.requests_to("token")) == asked + 1
