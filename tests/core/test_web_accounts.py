"""Several accounts in one browser's session: added, switched to, taken out, ended together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from keyfob.errors import SignInRefused, StoreUnavailable
from keyfob.web import Answer, Identity
from keyfob.web.stores import MemoryStore
from support.bare_site import BareSite, with_apis
from support.failing_store import FailingStore
from support.provider import HOME_TENANT, OTHER_TENANT, Person, Provider

ADA = Person()
GRACE = Person(sub="person-0002", name="Grace Padlock", preferred_username="grace@contoso.example")
ALAN = Person(sub="person-0003", name="Alan Bolt", preferred_username="alan@contoso.example")


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def site(provider: Provider) -> Iterator[BareSite]:
    with BareSite(with_apis(provider, MAX_ACCOUNTS=3)) as site:
        yield site


def add(site: BareSite, provider: Provider, person: Person) -> Answer:
    provider.person = person
    return site.sign_in("add=1")


def choose(site: BareSite, account: str | None, **more: str) -> Answer:
    form = {"account": account or "", "next": "/orders?x=1", **more}
    request = site.request("/auth/accounts", "POST", form)
    return site._kept(site.app.choose_account(request, site.established.append))


def names(site: BareSite) -> list[str]:
    return [account.name for account in site.app.accounts(site.request("/auth/accounts"))]


def key_of(site: BareSite, name: str) -> str:
    found = site.app.accounts(site.request("/auth/accounts"))
    return next(account.key for account in found if account.name == name)


def test_nobody_has_no_accounts(site: BareSite) -> None:
    assert names(site) == []


def test_an_added_account_is_the_one_that_is_here_and_the_other_waits(
    site: BareSite, provider: Provider
) -> None:
    site.sign_in()
    add(site, provider, GRACE)
    assert site.keyfob.user.name == GRACE.name
    assert names(site) == [GRACE.name, ADA.name]
    (current, waiting) = site.app.accounts(site.request("/auth/accounts"))
    assert (current.is_current, waiting.is_current) == (True, False)
    assert waiting.username == ADA.preferred_username


def test_the_provider_is_asked_to_let_the_person_choose(site: BareSite) -> None:
    site.sign_in()
    asked = parse_qs(urlsplit(site.login("add=1").location).query)
    assert asked["prompt"] == ["select_account"]
    asked = parse_qs(urlsplit(site.login("add=1&prompt=create").location).query)
    assert asked["prompt"] == ["create"]


def test_what_is_known_of_who_is_here_is_not_asked_of_the_account_that_is_added(
    site: BareSite, provider: Provider
) -> None:
    site.sign_in("api=api")
    query = parse_qs(urlsplit(site.login("add=1&api=mail").location).query)
    assert "login_hint" not in query
    assert "orders.read" not in query["scope"][0].split()
    assert "mail.read" in query["scope"][0].split()


def test_a_sign_in_that_adds_nothing_takes_the_place_of_who_was_here(
    site: BareSite, provider: Provider
) -> None:
    site.sign_in()
    add(site, provider, GRACE)
    former = site.session["_keyfob"]["k"]
    provider.person = ALAN
    site.sign_in()
    assert names(site) == [ALAN.name, ADA.name]
    assert site.app.documents.read(former) is None


def test_where_a_session_holds_one_account_nothing_is_added(provider: Provider) -> None:
    with BareSite(with_apis(provider)) as site:
        site.sign_in()
        former = site.session["_keyfob"]["k"]
        add(site, provider, GRACE)
        assert names(site) == [GRACE.name]
        assert "o" not in site.session["_keyfob"]
        assert site.app.documents.read(former) is None


def test_the_same_account_is_there_once_however_often_it_is_added(
    site: BareSite, provider: Provider
) -> None:
    site.sign_in()
    add(site, provider, GRACE)
    first = site.session["_keyfob"]["k"]
    add(site, provider, GRACE)
    add(site, provider, ADA)
    assert names(site) == [ADA.name, GRACE.name]
    assert site.app.documents.read(first) is None


def test_the_oldest_makes_room(site: BareSite, provider: Provider) -> None:
    site.sign_in()
    oldest = site.session["_keyfob"]["k"]
    for number in range(2, 5):
        add(site, provider, replace(GRACE, sub=f"person-{number}", name=f"Person {number}"))
    assert names(site) == ["Person 4", "Person 3", "Person 2"]
    assert site.app.documents.read(oldest) is None


def test_each_account_has_its_own_tokens(site: BareSite, provider: Provider) -> None:
    site.sign_in("api=api")
    ada = site.keyfob.token(api="api")
    provider.person = GRACE
    site.sign_in("add=1&api=api")
    grace = site.keyfob.token(api="api")
    assert grace != ada
    choose(site, key_of(site, ADA.name))
    assert site.keyfob.token(api="api") == ada
    choose(site, key_of(site, GRACE.name))
    assert site.keyfob.token(api="api") == grace


def test_switching_asks_the_provider_nothing_and_lets_the_framework_in(
    site: BareSite, provider: Provider
) -> None:
    site.sign_in()
    add(site, provider, GRACE)
    asked = len(provider.requests)
    answer = choose(site, key_of(site, ADA.name))
    assert (answer.status, answer.location) == (303, "/orders?x=1")
    assert len(provider.requests) == asked
    assert site.established[-1].subject == ADA.sub
    assert names(site) == [ADA.name, GRACE.name]


@pytest.mark.parametrize("hostile", ["//evil.example/", "https://evil.example/", "/\\evil.example"])
def test_a_switch_leads_nowhere_but_into_this_site(
    site: BareSite, provider: Provider, hostile: str
) -> None:
    site.sign_in()
    add(site, provider, GRACE)
    assert choose(site, key_of(site, ADA.name), next=hostile).location == "/"


@pytest.mark.parametrize("account", ["", "nobody", None])
def test_an_account_that_does_not_wait_changes_nothing(
    site: BareSite, provider: Provider, account: str | None
) -> None:
    site.sign_in()
    add(site, provider, GRACE)
    before = dict(site.session["_keyfob"])
    assert choose(site, account).status == 303
    assert site.session["_keyfob"] == before
    assert len(site.established) == 2


def test_whoever_is_signed_out_can_switch_to_nobody(site: BareSite, provider: Provider) -> None:
    site.sign_in()
    add(site, provider, GRACE)
    ada = key_of(site, ADA.name)
    site.logout()
    choose(site, ada)
    assert not site.is_signed_in


def test_an_account_can_be_taken_out(site: BareSite, provider: Provider) -> None:
    site.sign_in()
    record = site.session["_keyfob"]["k"]
    add(site, provider, GRACE)
    choose(site, key_of(site, ADA.name), action="remove")
    assert names(site) == [GRACE.name]
    assert site.app.documents.read(record) is None
    assert "o" not in site.session["_keyfob"]


def test_signing_out_ends_all(site: BareSite, provider: Provider) -> None:
    site.sign_in()
    keys = [site.session["_keyfob"]["k"]]
    add(site, provider, GRACE)
    keys.append(site.session["_keyfob"]["k"])
    site.logout()
    assert [site.app.documents.read(key) for key in keys] == [None, None]


def test_who_was_signed_out_elsewhere_is_left_out(site: BareSite, provider: Provider) -> None:
    site.sign_in()
    add(site, provider, GRACE)
    ada = key_of(site, ADA.name)
    site.app.sign_out_everywhere(ada)
    assert names(site) == [GRACE.name]
    assert "o" not in site.session["_keyfob"]


def test_switching_to_who_was_signed_out_elsewhere_leads_to_a_sign_in(
    site: BareSite, provider: Provider
) -> None:
    site.sign_in()
    add(site, provider, GRACE)
    ada = key_of(site, ADA.name)
    site.app.sign_out_everywhere(ada)
    answer = choose(site, ada)
    assert answer.status == 303
    assert parse_qs(urlsplit(answer.location).query) == {"next": ["/orders?x=1"], "add": ["1"]}
    assert site.keyfob.user.name == GRACE.name


def test_switching_to_who_came_through_a_flow_that_was_taken_out_leads_to_a_sign_in(
    site: BareSite, provider: Provider
) -> None:
    site.sign_in()
    add(site, provider, GRACE)
    (waiting,) = site.keyfob.waiting
    document = site.app.documents.fresh(waiting.key)
    assert document is not None
    document.user_flow = "taken_out"
    assert site.app.documents.replace(document, site.app.document_expiry())
    assert choose(site, waiting.account).location.startswith("/auth/login?next=%2Forders")
    assert site.keyfob.user.name == GRACE.name
    assert site.app.documents.read(waiting.key) is None


def test_the_age_of_a_sign_in_goes_on_while_it_waits(provider: Provider) -> None:
    settings = with_apis(provider, MAX_ACCOUNTS=2, SESSION_MAX_AGE=3600)
    with BareSite(settings) as site:
        site.sign_in()
        site.clock_offset = provider.clock_offset = 3000
        add(site, provider, GRACE)
        ada = key_of(site, ADA.name)
        choose(site, ada)
        assert site.keyfob.user.name == ADA.name
        choose(site, key_of(site, GRACE.name))
        site.clock_offset = 3700
        assert names(site) == [GRACE.name]
        choose(site, ada)
        assert site.keyfob.user.name == GRACE.name


def test_nobody_is_switched_to_whose_tenant_may_not_come_in_any_more() -> None:
    with Provider(entra=True) as provider:
        allowed = {HOME_TENANT, OTHER_TENANT}
        rule = allowed.__contains__
        settings = with_apis(
            provider, MAX_ACCOUNTS=2, ALLOWED_TENANTS=rule, TOKEN_STORE_L1_SECONDS=0
        )
        with BareSite(settings) as site:
            add(site, provider, replace(GRACE, tid=OTHER_TENANT))
            add(site, provider, ADA)
            allowed.remove(OTHER_TENANT)
            (grace,) = site.keyfob.waiting
            site.established.clear()
            answer = choose(site, grace.account)
            assert answer.page is not None
            assert (answer.status, answer.page.code) == (403, "tenant_not_allowed")
            assert site.established == []
            assert site.keyfob.waiting == []
            assert site.get() is None
            assert site.keyfob.user.name == ADA.name


def test_whoever_is_switched_to_stays_while_they_are_busy(provider: Provider) -> None:
    """Their record was last used when they began to wait."""
    offset, settings = [0], with_apis(provider, MAX_ACCOUNTS=2, SESSION_IDLE_AGE=3600)
    store = MemoryStore(clock=lambda: time.time() + offset[0])
    with BareSite(settings, store) as site:
        site.sign_in()
        add(site, provider, GRACE)
        site.clock_offset = offset[0] = 3300
        choose(site, site.keyfob.waiting[0].account)
        for seconds in (3310, 3500, 3700, 6000):
            site.clock_offset = offset[0] = seconds
            assert site.get() is None, seconds


def test_whom_the_framework_refuses_is_not_switched_to(site: BareSite, provider: Provider) -> None:
    site.sign_in()
    add(site, provider, GRACE)
    before = dict(site.session["_keyfob"])

    def refuse(identity: Identity) -> None:
        raise SignInRefused("Your account at this site is not active")

    form = {"account": key_of(site, ADA.name)}
    answer = site.app.choose_account(site.request("/auth/accounts", "POST", form), refuse)
    assert answer.status == 403
    assert site.session["_keyfob"] == before


def test_a_store_that_is_away_switches_nobody(provider: Provider) -> None:
    store = FailingStore()
    with BareSite(with_apis(provider, MAX_ACCOUNTS=2), store) as site:
        site.sign_in()
        add(site, provider, GRACE)
        ada = key_of(site, ADA.name)
        site.app.documents.overlook(site.keyfob.waiting[0].key)
        store.down = "load"
        assert choose(site, ada).status == 503
        assert site.keyfob.named.name == GRACE.name
        with pytest.raises(StoreUnavailable):
            names(site)


@pytest.mark.parametrize(
    "planted",
    [
        "text",
        [["k"]],
        [[1, 2, 3]],
        [["another-sites-key", "a", 1]],
        [None],
        [{"k": 1}],
        {"a": 1},
        [["", "", ""]],
    ],
)
def test_an_entry_that_is_not_of_our_making_names_nobody(site: BareSite, planted: object) -> None:
    site.sign_in()
    site.session["_keyfob"] = {**site.session["_keyfob"], "o": planted}
    assert site.keyfob.waiting == []
    assert names(site) == [ADA.name]


def test_a_renewal_of_the_one_who_is_here_keeps_the_others(
    site: BareSite, provider: Provider
) -> None:
    site.sign_in()
    add(site, provider, GRACE)
    site.sign_in("api=api")
    assert names(site) == [GRACE.name, ADA.name]


def test_no_key_of_a_record_is_shown(site: BareSite, provider: Provider) -> None:
    site.sign_in()
    add(site, provider, GRACE)
    (waiting,) = site.keyfob.waiting
    accounts = site.app.accounts(site.request("/"))
    assert waiting.key not in f"{waiting!r} {accounts!r}"
    assert ADA.name not in repr(accounts)
