"""Sign-in attempts: several at once, each complete in itself, used once, in one browser."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from keyfob.web import Answer
from keyfob.web.attempts import MAX_ATTEMPTS, MAX_COOKIE_BYTES
from keyfob.web.stores import MemoryStore, SQLiteStore
from support.bare_site import BareSite, with_apis
from support.provider import Provider

ATTEMPT = {"state", "nonce", "code_challenge"}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def site(provider: Provider) -> Iterator[BareSite]:
    with BareSite(with_apis(provider)) as site:
        yield site


def asked(answer: Answer) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.location).query).items()}


def test_each_tab_has_its_own_state_nonce_and_challenge(site: BareSite) -> None:
    one, other = asked(site.login()), asked(site.login())

    assert all(one[name] != other[name] for name in ATTEMPT)
    assert len(site.cookies) == 2


def test_tabs_come_back_in_any_order_each_to_its_own_page(site: BareSite) -> None:
    ways_back = [site.at_provider(site.login(f"next=/page{number}")) for number in range(3)]

    for number in (1, 2, 0):
        assert site.come_back(*ways_back[number]).location == f"/page{number}"
    assert not [name for name in site.cookies if name.startswith("keyfob_")]
    assert site.is_signed_in


def test_tabs_do_not_mix_their_scopes(site: BareSite, provider: Provider) -> None:
    first = site.at_provider(site.login("api=api"))
    second = site.at_provider(site.login("api=mail"))

    site.come_back(*first)
    assert provider.requests_to("token")[-1].form["scope"].split()[-1] == "profile"
    assert "orders.read" in provider.requests_to("token")[-1].form["scope"]
    assert "mail.read" not in provider.requests_to("token")[-1].form["scope"]
    assert site.keyfob.token(api="api")

    site.come_back(*second)
    assert site.keyfob.token(api="mail")


def test_ten_attempts_are_kept_and_the_eleventh_ends_the_oldest(site: BareSite) -> None:
    ways_back = []
    for number in range(MAX_ATTEMPTS + 1):
        site.clock_offset = number
        ways_back.append(site.at_provider(site.login(f"next=/page{number}")))

    assert len(site.cookies) == MAX_ATTEMPTS
    assert site.come_back(*ways_back[0]).status == 400
    for number in range(1, MAX_ATTEMPTS + 1):
        assert site.come_back(*ways_back[number]).location == f"/page{number}"


def test_long_attempts_are_fewer(site: BareSite) -> None:
    for number in range(8):
        site.clock_offset = number
        site.login(f"next=/{'x' * 1000}{number}")

        assert sum(map(len, site.cookies.values())) <= MAX_COOKIE_BYTES
    assert 2 <= len(site.cookies) < 8


@pytest.mark.parametrize("character", ["x", "é", "汉", "😀"])
def test_no_attempt_is_larger_than_a_cookie_may_be(site: BareSite, character: str) -> None:
    """RFC 6265 §6.1: 4096 bytes with name and attributes. Browsers drop larger ones silently."""
    long_path = "/" + character * 2000
    answer = site.login(urlencode({"next": long_path}))

    for cookie in answer.cookies:
        assert len(cookie.name) + len(cookie.value) < 4000
    assert site.come_back(*site.at_provider(answer)).location in (long_path, "/")
    assert site.is_signed_in


def test_an_attempt_lasts_ten_minutes(site: BareSite, provider: Provider) -> None:
    way_back = site.at_provider(site.login("next=/page"))
    site.clock_offset = 599
    assert site.come_back(*way_back).location == "/page"

    site.session.clear()
    site.clock_offset = 0
    way_back = site.at_provider(site.login("next=/page"))
    site.clock_offset = 601
    answer = site.come_back(*way_back)

    assert answer.status == 400
    assert answer.page is not None
    assert answer.page.retry_url == "/auth/login"
    assert answer.page.correlation_id
    assert not site.is_signed_in
    assert len(provider.requests_to("token")) == 1


def test_an_expired_attempt_makes_room(site: BareSite) -> None:
    site.login()
    old = set(site.cookies)
    site.clock_offset = 601
    answer = site.login()

    assert {cookie.name for cookie in answer.cookies if not cookie.value} == old


def test_an_attempt_is_used_once(site: BareSite, provider: Provider) -> None:
    url, form = site.at_provider(site.login())
    cookies = dict(site.cookies)
    assert site.come_back(url, form).status == 302

    # Somebody who got hold of it all, cookies too, but not of the session.
    thief = site.another_browser()
    thief.cookies = cookies
    answer = thief.come_back(url, form)

    assert answer.status == 400
    assert not thief.is_signed_in
    assert thief.established == []
    assert len(provider.requests_to("token")) == 1


def test_an_attempt_is_used_once_by_all_machines_that_share_a_store(
    provider: Provider, tmp_path: object
) -> None:
    path = f"{tmp_path}/tokens.sqlite3"
    with BareSite(provider.settings(), SQLiteStore(path)) as site:
        url, form = site.at_provider(site.login())
        with BareSite(provider.settings(), SQLiteStore(path)) as other:
            other.cookies = dict(site.cookies)
            assert other.come_back(url, form).status == 302
            assert site.come_back(url, form).status == 400
    assert len(provider.requests_to("token")) == 1


def test_of_two_callbacks_at_once_exactly_one_signs_in(provider: Provider) -> None:
    store = MemoryStore()
    with BareSite(provider.settings(), store) as site:
        site.app.client.metadata()
        for _ in range(5):
            url, form = site.at_provider(site.login())
            rivals = [site.another_browser(), site.another_machine(), site.another_browser()]
            for rival in rivals:
                rival.cookies, rival.session = dict(site.cookies), {}
            answers: list[Answer] = []
            gate = threading.Barrier(len(rivals))

            def come_back(
                rival: BareSite,
                url: str = url,
                form: dict[str, str] | None = form,
                answers: list[Answer] = answers,
                gate: threading.Barrier = gate,
            ) -> None:
                gate.wait()
                answers.append(rival.come_back(url, form))

            threads = [threading.Thread(target=come_back, args=(rival,)) for rival in rivals]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

            assert sorted(answer.status for answer in answers) == [302, 400, 400]
            assert sum(rival.is_signed_in for rival in rivals) == 1
            assert sum(len(rival.established) for rival in rivals) == 1


def test_a_callback_in_another_browser_signs_nobody_in(site: BareSite, provider: Provider) -> None:
    way_back = site.at_provider(site.login())
    victim = site.another_browser()
    answer = victim.come_back(*way_back)

    assert answer.status == 400
    assert not victim.is_signed_in
    assert provider.requests_to("token") == []
    # It is still good where it began.
    assert site.come_back(*way_back).status == 302


def test_two_browsers_attempts_do_not_mix(site: BareSite) -> None:
    victim, attacker = site, site.another_browser()
    victim.login()
    url, form = attacker.at_provider(attacker.login())

    assert victim.come_back(url, form).status == 400
    assert not victim.is_signed_in


def test_the_state_of_one_attempt_does_not_fit_another(site: BareSite) -> None:
    """A code that belongs to another tab's attempt proves nothing: its nonce is another's."""
    one, _ = site.at_provider(site.login())
    other, _ = site.at_provider(site.login())
    code = parse_qs(urlsplit(one).query)["code"][0]
    state = parse_qs(urlsplit(other).query)["state"][0]
    answer = site.callback(f"/auth/callback?{urlencode({'code': code, 'state': state})}")

    assert answer.page is not None
    assert not site.is_signed_in


def test_a_renamed_attempt_is_not_found(site: BareSite) -> None:
    """Whoever could set one cookie must not make an attempt pass for another."""
    url, _ = site.at_provider(site.login())
    other, _ = site.at_provider(site.login())
    first, second = site.cookies
    site.cookies = {second: site.cookies[first]}

    assert site.callback(other).status == 400
    assert site.callback(url).status == 400


@pytest.mark.parametrize("junk", ["", "x", "A" * 5000, "é", "\x00", "null", "e30.e30.x"])
def test_junk_in_an_attempts_cookie_is_no_attempt(site: BareSite, junk: str) -> None:
    way_back = site.at_provider(site.login())
    site.cookies = dict.fromkeys(site.cookies, junk)

    assert site.come_back(*way_back).status == 400
    assert site.login().status == 302


@pytest.mark.parametrize("change", ["cut", "swapped", "appended"])
def test_an_altered_attempt_is_no_attempt(site: BareSite, change: str) -> None:
    way_back = site.at_provider(site.login())
    (name, value), *_ = site.cookies.items()
    middle = len(value) // 2
    flipped = "A" if value[middle] != "A" else "B"
    site.cookies[name] = {
        "cut": value[:-1],
        "swapped": value[:middle] + flipped + value[middle + 1 :],
        "appended": value + "A",
    }[change]

    assert site.come_back(*way_back).status == 400
    assert not site.is_signed_in


def test_two_sites_on_one_host_leave_each_others_attempts_alone(provider: Provider) -> None:
    settings = provider.settings()
    with (
        BareSite(settings) as one,
        BareSite({**settings, "CLIENT_ID": "another"}, host="localhost:8000") as other,
    ):
        other.cookies = one.cookies  # cookies know no ports
        one.login()
        for _ in range(MAX_ATTEMPTS + 2):
            other.login()

        mine = {name for name in one.cookies if one.app.cookie_site in name}
        assert len(mine) == 1


def test_the_attempts_cookie_is_for_our_own_routes_and_no_script(site: BareSite) -> None:
    (cookie,) = site.login().cookies

    assert (cookie.path, cookie.max_age, cookie.same_site, cookie.secure) == (
        "/auth",
        600,
        "Lax",
        False,
    )


@pytest.mark.parametrize("base_url", [None, "https://site.example/app"])
def test_the_attempts_cookie_is_secure_where_the_site_is(
    provider: Provider, base_url: str | None
) -> None:
    settings = {**provider.settings(), "BASE_URL": base_url} if base_url else provider.settings()
    scheme, host = ("http", "localhost:5000") if base_url else ("https", "site.example")
    with BareSite(settings, scheme=scheme, host=host) as site:
        (cookie,) = site.login().cookies
        assert cookie.secure


def test_an_attempts_end_has_the_path_it_began_with(site: BareSite) -> None:
    """A cookie is deleted only by one of the same name, host and path."""
    (began,) = site.login("next=/x").cookies
    way_back = site.at_provider(site.login())
    ended = [cookie for cookie in site.come_back(*way_back).cookies if not cookie.value]

    assert [(cookie.path, cookie.max_age) for cookie in ended] == [(began.path, 0)]
    assert began.name in site.cookies


def test_nothing_of_an_attempt_can_be_read_in_its_cookie(site: BareSite) -> None:
    # Each secret is long: three letters stand in a few hundred of base64 once in a thousand runs.
    answer = site.login("next=/secret-page&login_hint=ada.lovelace@contoso.example")
    (cookie,) = answer.cookies
    parameters = asked(answer)
    decoded = base64.urlsafe_b64decode(cookie.value + "=" * (-len(cookie.value) % 4))

    for secret in ("secret-page", "ada.lovelace", parameters["state"], parameters["nonce"]):
        assert secret not in cookie.value
        assert secret.encode() not in decoded
    assert "value" not in repr(cookie)
    assert cookie.value not in repr(answer)
