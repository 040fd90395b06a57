"""Which requests have tokens ready, and what holds them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import ConfigurationError, InteractionRequired
from keyfob.web.attached import AttachedApis
from keyfob.web.settings_apis import DownstreamApi
from support.bare_site import BareSite
from support.callers import ADA, attached_apis, caller, entra
from support.provider import Provider


def attached(**prefixes: tuple[str, ...]) -> AttachedApis:
    return AttachedApis.of(
        {
            name: DownstreamApi(name, "https://x.example", ("x",), attach_to=found)
            for name, found in prefixes.items()
        }
    )


ORDERS = attached(orders=("/orders", "/api/orders"), stock=("/api",), nothing=())


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/orders", ("orders",)),
        ("/orders/", ("orders",)),
        ("/orders/7/lines", ("orders",)),
        ("/api/orders/7", ("orders", "stock")),
        ("/api/x", ("stock",)),
        ("/", ()),
        ("/orderships", ()),
        ("/orders.html", ()),
        ("/x/orders", ()),
        ("/ORDERS", ()),
        ("/ord", ()),
        ("", ()),
        ("//orders", ("orders",)),
        ("/x/../orders/7", ("orders",)),
        ("/orders/../x", ()),
        ("/./orders", ("orders",)),
        ("///api//orders", ("orders", "stock")),
        ("/../orders", ("orders",)),
    ],
)
def test_a_path_matches_by_whole_segments(path: str, names: tuple[str, ...]) -> None:
    assert set(ORDERS.names(path)) == set(names)
    assert len(ORDERS.names(path)) == len(names)


def test_the_root_is_everything() -> None:
    everything = attached(api=("",))
    assert everything
    for path in ("/", "/x", "/x/y", ""):
        assert everything.names(path) == ("api",)


def test_a_site_that_attaches_nothing_says_so() -> None:
    assert not attached(api=())
    assert not AttachedApis({})
    assert not AttachedApis.of_all([])
    assert attached(api=()).names("/orders") == ()


@pytest.mark.parametrize(
    ("method", "authorization", "ready"),
    [
        ("GET", None, True),
        ("HEAD", None, True),
        ("POST", None, True),
        ("GET", "Basic eDp5", True),
        ("OPTIONS", None, False),
        ("GET", "Bearer x", False),
        ("GET", "bearer x", False),
    ],
)
def test_neither_a_preflight_nor_a_bearer_token_has_any(
    method: str, authorization: str | None, ready: bool
) -> None:
    assert ORDERS.are_for(method, authorization) == ready


@given(st.text(alphabet="/.orders%\\ \x00", max_size=30))
def test_whatever_a_path_is_there_is_an_answer(path: str) -> None:
    found = ORDERS.names(path)
    if path.startswith("/orders/") and "/." not in path and "//" not in path:
        assert found == ("orders",)
    assert set(found) <= {"orders", "stock"}


def test_a_request_that_is_attached_to_nothing_pays_next_to_nothing() -> None:
    """Microseconds, with a good margin for a busy machine: 0.5 were measured for 50 prefixes."""
    many = attached(**{f"api{n}": (f"/area{n}/api", f"/other{n}") for n in range(25)})
    best = 1.0
    for _ in range(20):
        begin = time.perf_counter()
        for _ in range(500):
            many.names("/some/page/of/the/site")
        best = min(best, (time.perf_counter() - begin) / 500)
    assert best < 20e-6


# What holds them


@pytest.fixture
def provider() -> Iterator[Provider]:
    with entra() as provider:
        yield provider


@pytest.fixture
def site(provider: Provider) -> Iterator[BareSite]:
    with BareSite(attached_apis(provider)) as site:
        yield site


def test_they_are_a_mapping_that_shows_names_only(site: BareSite) -> None:
    site.sign_in("api=api")
    session = site.keyfob
    session.attach("/both")
    assert list(session.tokens) == ["api", "jobs"]
    assert len(session.tokens) == 2
    assert session.tokens["api"] == session.token(api="api")
    assert session.tokens["jobs"] == site.app.app_token(api="jobs")
    assert repr(session.tokens) == "<AttachedTokens: api, jobs ready>"
    assert session.tokens["api"] not in f"{session.tokens!r}{session.tokens}"


def test_another_is_had_when_it_is_asked_for_and_then_kept(site: BareSite) -> None:
    site.sign_in("api=api")
    session = site.keyfob
    assert "mail" not in session.tokens
    assert repr(session.tokens) == "<AttachedTokens: none ready>"
    mail = session.tokens["mail"]
    assert "mail" in session.tokens
    assert session.tokens["mail"] == mail
    assert session.tokens.get("mail") == mail
    with pytest.raises(ConfigurationError):
        session.tokens["typo"]


def test_nobody_has_one(site: BareSite) -> None:
    session = site.keyfob
    with pytest.raises(InteractionRequired):
        session.attach("/both")
    with pytest.raises(InteractionRequired):
        session.tokens["api"]
    assert list(session.tokens) == []
    session.attach("/jobs")
    assert list(session.tokens) == ["jobs"]


def test_a_new_token_takes_the_old_ones_place(site: BareSite, provider: Provider) -> None:
    site.sign_in("api=api")
    session = site.keyfob
    session.attach("/orders")
    old = session.tokens["api"]
    del provider._access[old]
    assert session.api("api").get("/me").json()["id"] == ADA.oid
    assert session.tokens["api"] == provider.last_access_token != old


def test_a_caller_never_gets_what_was_ready_for_the_browser(
    site: BareSite, provider: Provider
) -> None:
    site.sign_in("api=api")
    session = site.keyfob
    session.attach("/orders")
    own = session.tokens["api"]
    session.act_for(caller())
    assert session.tokens["api"] != own


# Several authorities


@pytest.fixture
def shop() -> Iterator[Provider]:
    with Provider() as shop:
        yield shop


@pytest.fixture
def two(provider: Provider, shop: Provider) -> Iterator[BareSite]:
    """A site whose customers have an API of their own under /both, and under /shop."""
    api = {"base_url": f"{shop.base}/api", "scopes": ["shop.read"]}
    entry = {**shop.settings(), "DOWNSTREAM_APIS": {"shop": {**api, "attach_to": ["/shop"]}}}
    with BareSite(attached_apis(provider, AUTHORITIES={"customers": entry})) as site:
        yield site


def test_a_stranger_is_sent_to_whose_people_the_path_is_for(two: BareSite) -> None:
    for path, login in (("/shop/1", "/auth/login/customers"), ("/orders/1", "/auth/login")):
        with pytest.raises(InteractionRequired) as raised:
            two.keyfob.attach(path)
        answer = two.app.handle(two.request(path), raised.value)
        assert answer.location.partition("?")[0] == login
        assert f"api={raised.value.api}" in answer.location


def test_each_has_the_tokens_of_their_own_authority(
    two: BareSite, provider: Provider, shop: Provider
) -> None:
    two.sign_in("api=shop", authority="customers")
    session = two.keyfob
    session.attach("/shop/1")
    assert session.tokens["shop"] == shop.last_access_token
    # The others' API is not theirs; the site's own token is nobody's.
    session.attach("/both")
    assert sorted(session.tokens) == ["jobs", "shop"]
    assert provider._access[session.tokens["jobs"]].person is None
    assert session.api("jobs").get("/me").json()["id"] == provider.client_id
    with pytest.raises(ConfigurationError):
        session.tokens["api"]


def test_a_caller_is_the_sites_own_authoritys(two: BareSite, provider: Provider) -> None:
    two.sign_in(authority="customers")
    session = two.keyfob
    session.act_for(caller())
    assert provider._access[session.token(api="api")].person == ADA
    assert session.api("api").get("/me").json()["id"] == ADA.oid
    key = two.app.start_long_running(session, api="api")
    assert provider._access[two.app.long_running(key).token(api="api")].person == ADA


def test_work_is_of_the_authority_that_signed_in_the_person(two: BareSite, shop: Provider) -> None:
    two.sign_in("api=shop", authority="customers")
    key = two.app.start_long_running(two.keyfob, api="shop")
    assert two.app.long_running(key).token(api="shop") == shop.last_access_token
    two.app.end_long_running(key)
    with pytest.raises(InteractionRequired):
        two.app.long_running(key).token(api="shop")


def test_a_sign_out_takes_them_along(site: BareSite) -> None:
    site.sign_in("api=api")
    session = site.keyfob
    session.attach("/orders")
    session.forget()
    assert list(session.tokens) == []
