"""Tokens on behalf of whoever called: whose they are, how long they are kept, how many."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from keyfob.errors import (
    CallerMustInteract,
    InteractionRequired,
    PermissionMissing,
    ProviderUnavailable,
    StoreUnavailable,
    TokenResponseError,
)
from keyfob.protocol.www_authenticate import claims_challenge, parse_challenges
from keyfob.web import Answer
from keyfob.web.caller_tokens import MAX_CALLER_AGE
from keyfob.web.session_index import MAX_SESSIONS
from keyfob.web.stores import MemoryStore, SQLiteStore
from keyfob.web.tenant_clients import TenantClients
from support.bare_site import BareSite
from support.callers import ADA, GRACE, ON_BEHALF_OF, apis, called, caller, entra, forms
from support.failing_store import FailingStore
from support.provider import HOME_TENANT, OTHER_TENANT, Provider
from support.sign_in import Clock
from support.store_contract import at_once


@pytest.fixture
def provider() -> Iterator[Provider]:
    with entra() as provider:
        yield provider


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def site(provider: Provider, store: MemoryStore) -> Iterator[BareSite]:
    with BareSite(apis(provider), store) as site:
        yield site


def exchanges(provider: Provider) -> list[dict[str, str]]:
    return forms(provider, ON_BEHALF_OF)


def records(store: MemoryStore) -> int:
    """The documents, which are larger than lists of them and leases."""
    return sum(len(entry.record.value) > 500 for entry in store._entries.values())


# Whose it is


def test_it_is_the_callers(site: BareSite, provider: Provider) -> None:
    session = called(site, caller())
    token = session.token(api="api")
    assert provider._access[token].person == ADA
    (form,) = exchanges(provider)
    assert form["assertion"] == "adas-token"
    assert "orders.read" in form["scope"]
    # A caller brings a new token when this one ends: no refresh token is asked for.
    assert "offline_access" not in form["scope"]
    assert session.api("api").get("/me").json()["id"] == ADA.oid
    assert len(exchanges(provider)) == 1


def test_it_is_had_in_the_callers_tenant(site: BareSite, provider: Provider) -> None:
    """`common` cannot tell whose tenant a token for an API is to be of."""
    assert site.app.settings.authority.tenant == "common"
    called(site, caller()).token(api="api")
    assert provider.requests_to("token")[0].path.startswith(f"/{HOME_TENANT}/")


def test_one_tenants_site_asks_in_its_own(provider: Provider) -> None:
    settings = {**apis(provider), "AUTHORITY": provider.authority(HOME_TENANT)}
    guest = caller(person=replace(ADA, tid=OTHER_TENANT))
    with BareSite(settings) as site:
        called(site, guest).token(api="api")
    assert provider.requests_to("token")[0].path.startswith(f"/{HOME_TENANT}/")


def test_the_session_of_the_browser_has_no_part_in_it(site: BareSite, provider: Provider) -> None:
    site.sign_in("api=api")
    own = site.keyfob.token(api="api")
    session = site.keyfob
    provider.person = GRACE
    session.act_for(caller("graces-token", GRACE))
    assert session.token(api="api") != own
    assert not session.user
    assert site.keyfob.token(api="api") == own


def test_an_azure_sdk_acts_for_the_caller_in_their_tenant(
    site: BareSite, provider: Provider
) -> None:
    found = called(site, caller()).credential("api").get_token("ignored", tenant_id=HOME_TENANT)
    assert provider._access[found.token].person == ADA


def test_a_bearer_token_signs_nobody_in(site: BareSite) -> None:
    with pytest.raises(InteractionRequired) as raised:
        called(site, caller()).require(api="api")
    assert raised.value.code == "not_signed_in"


def test_an_application_has_no_person(site: BareSite, provider: Provider) -> None:
    with pytest.raises(PermissionMissing, match="person"):
        called(site, caller(is_app=True)).token(api="api")
    assert provider.requests_to("token") == []


def test_two_callers_never_share(site: BareSite, provider: Provider) -> None:
    ada = called(site, caller()).token(api="api")
    provider.person = GRACE
    grace = called(site, caller("graces-token", GRACE)).token(api="api")
    assert provider._access[grace].person == GRACE
    assert called(site, caller()).token(api="api") == ada
    assert called(site, caller("graces-token", GRACE)).token(api="api") == grace
    assert len(exchanges(provider)) == 2


# Kept, and for how long


def test_fifty_threads_exchange_once(site: BareSite, provider: Provider) -> None:
    tokens = at_once(50, lambda _: called(site, caller()).token(api="api"))
    assert set(tokens) == {provider.last_access_token}
    assert len(exchanges(provider)) == 1


def test_processes_that_share_a_store_share_it(provider: Provider, tmp_path: object) -> None:
    path = f"{tmp_path}/tokens.sqlite3"
    with (
        BareSite(apis(provider), SQLiteStore(path)) as one,
        BareSite(apis(provider), SQLiteStore(path)) as other,
    ):
        sites = [one, other]
        tokens = at_once(10, lambda number: called(sites[number % 2], caller()).token(api="api"))
    assert len(set(tokens)) == 1
    assert len(exchanges(provider)) == 1


def test_several_apis_are_kept_beside_each_other(site: BareSite, provider: Provider) -> None:
    tokens = {api: called(site, caller()).token(api=api) for api in ("api", "mail")}
    assert {api: called(site, caller()).token(api=api) for api in ("mail", "api")} == tokens
    assert len(exchanges(provider)) == 2


def test_a_token_that_an_api_refused_is_had_anew(site: BareSite, provider: Provider) -> None:
    session = called(site, caller())
    first = session.token(api="api")
    del provider._access[first]
    assert session.api("api").get("/me").status_code == 200
    assert called(site, caller()).token(api="api") == provider.last_access_token
    assert len(exchanges(provider)) == 2


def test_a_claims_challenge_of_the_api_is_asked_for(site: BareSite, provider: Provider) -> None:
    first = called(site, caller()).token(api="api")
    claims = '{"access_token":{"nbf":{"essential":true,"value":"1"}}}'
    assert called(site, caller()).token(api="api", claims=claims) != first
    asked = json.loads(exchanges(provider)[-1]["claims"])["access_token"]
    assert asked["nbf"] == {"essential": True, "value": "1"}


def test_they_end_with_the_callers_token(provider: Provider) -> None:
    clock = Clock()
    store = MemoryStore(clock=clock)
    with BareSite(apis(provider), store) as site:
        called(site, caller(lifetime=600)).token(api="api")
        assert records(store) == 1
        clock.offset = 601
        assert store.clear_expired() >= 1
        assert records(store) == 0


@pytest.mark.parametrize("claimed", [None, "soon", True, 10**12, float("inf")])
def test_a_token_that_never_ends_is_kept_for_a_day(provider: Provider, claimed: object) -> None:
    clock = Clock()
    store = MemoryStore(clock=clock)
    with BareSite(apis(provider), store) as site:
        found = caller()
        found.claims["exp"] = claimed  # type: ignore[index]
        called(site, found).token(api="api")
        clock.offset = MAX_CALLER_AGE + 1
        store.clear_expired()
        assert records(store) == 0


def test_one_person_with_many_tokens_fills_no_store(
    site: BareSite, provider: Provider, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Microsoft's own cache has one entry for each token that ever came."""
    caplog.set_level(logging.ERROR)
    site.sign_in()
    for number in range(MAX_SESSIONS + 20):
        called(site, caller(f"adas-token-{number}", lifetime=600 + number)).token(api="api")
    # Beside them, her session in a browser and the list.
    assert records(store) == MAX_SESSIONS + 2
    # Not at the cost of her session in a browser.
    site.keyfob.require()


def test_a_process_remembers_so_many_and_no_more(
    site: BareSite, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyfob.web.documents.MAX_DOCUMENTS", 5)
    callers = [caller(f"token-{number}") for number in range(12)]
    for _ in range(3):
        for who in callers:
            called(site, who).token(api="api")
    assert len(site.app.documents._remembered) == 5
    assert len(exchanges(provider)) == 12  # the store has the others


def test_a_remembered_one_costs_neither_provider_nor_store(provider: Provider) -> None:
    store = FailingStore()
    store.is_local = False
    with BareSite(apis(provider), store) as site:
        token = called(site, caller()).token(api="api")
        assert called(site, caller()).token(api="api") == token
        store.down = "all"
        assert called(site, caller()).token(api="api") == token
        with pytest.raises(StoreUnavailable):
            called(site, caller("another")).token(api="api")


def test_sign_out_everywhere_ends_them(
    site: BareSite, provider: Provider, store: MemoryStore
) -> None:
    first = called(site, caller()).token(api="api")
    provider.person = GRACE
    grace = called(site, caller("graces-token", GRACE)).token(api="api")
    before = records(store)
    assert site.app.sign_out_everywhere(caller().key) == 0  # no session has ended
    assert records(store) == before - 1
    provider.person = ADA
    assert called(site, caller()).token(api="api") != first
    assert called(site, caller("graces-token", GRACE)).token(api="api") == grace


def test_a_sign_out_during_the_exchange_leaves_nothing(
    site: BareSite, provider: Provider, store: MemoryStore
) -> None:
    index, account = site.app.index, caller().key
    add = index.add

    def ended_meanwhile(*args: Any) -> None:
        add(*args)
        site.app.sign_out_everywhere(account)

    index.add = ended_meanwhile  # type: ignore[method-assign]
    assert called(site, caller()).token(api="api") == provider.last_access_token
    assert records(store) == 0


def test_nothing_of_it_is_shown(
    site: BareSite, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    who = caller()
    session = called(site, who)
    token = session.token(api="api")
    kept = b"".join(entry.record.value for entry in store._entries.values())
    things = (session, session._others, session._others._tokens, site.app.tenants, who)
    shown = f"{things!r} {caplog.text}"
    for secret in (token, "adas-token"):
        assert secret not in shown
        assert secret.encode() not in kept


def test_tenants_are_bounded(site: BareSite) -> None:
    tenants = TenantClients(site.app.client, limit=3)
    for number in range(9):
        tenants.of_person(f"33333333-dddd-4eee-8fff-00000000000{number}", offline=False)
    assert len(tenants._made) == 3
    known = tenants.of_person(OTHER_TENANT, offline=False)
    assert tenants.of_person(OTHER_TENANT, offline=False) is known
    assert tenants.of_person("not a tenant", offline=True) is site.app.client


# Refused


def refused(
    site: BareSite, provider: Provider, answer: dict[str, str], **more: Any
) -> tuple[CallerMustInteract, Answer]:
    provider.raw["token"] = lambda request: Provider.json(answer, 400)
    with pytest.raises(CallerMustInteract) as raised:
        called(site, caller()).token(api="api", **more)
    site.headers = {"authorization": "Bearer adas-token", "accept": "text/html"}
    found = site.app.handle(site.request("/api/orders"), raised.value)
    assert found.page is None
    assert found.location == ""
    assert found.headers["Cache-Control"] == "no-store"
    return raised.value, found


def challenge_of(answer: Answer) -> dict[str, str]:
    (challenge,) = parse_challenges([answer.headers["WWW-Authenticate"]])
    assert challenge.scheme == "Bearer"
    return dict(challenge.parameters)


CLAIMS = '{"access_token":{"polids":{"essential":true,"values":["a \\"quoted\\" one"]}}}'


def test_a_claims_challenge_is_handed_on(site: BareSite, provider: Provider) -> None:
    """In the form that Microsoft's clients read: base64, not the bare JSON."""
    answer = {"error": "interaction_required", "suberror": "basic_action", "claims": CLAIMS}
    error, found = refused(site, provider, answer)
    assert error.claims == CLAIMS
    assert found.status == 401
    assert challenge_of(found)["error"] == "insufficient_claims"
    header = found.headers["WWW-Authenticate"]
    assert json.loads(claims_challenge([header])) == json.loads(CLAIMS)
    assert found.problem is not None
    assert found.problem["code"] == "insufficient_claims"


def test_an_apis_challenge_is_handed_on_where_the_provider_names_none(
    site: BareSite, provider: Provider
) -> None:
    _, found = refused(site, provider, {"error": "interaction_required"}, claims=CLAIMS)
    assert found.status == 401
    assert json.loads(claims_challenge([found.headers["WWW-Authenticate"]])) == json.loads(CLAIMS)


@pytest.mark.parametrize("suberror", ["", "bad_token", "token_expired"])
def test_a_token_that_has_ended_is_to_be_brought_anew(
    site: BareSite, provider: Provider, suberror: str
) -> None:
    answer = {"error": "invalid_grant", "suberror": suberror}
    _, found = refused(site, provider, answer)
    assert found.status == 401
    assert challenge_of(found)["error"] == "invalid_token"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"error": "invalid_grant", "suberror": "consent_required"}, "consent_required"),
        ({"error": "consent_required"}, "consent_required"),
        ({"error": "interaction_required"}, "interaction_required"),
        ({"error": "invalid_grant", "suberror": "message_only"}, "interaction_required"),
    ],
)
def test_consent_is_advised(
    site: BareSite, provider: Provider, answer: dict[str, str], code: str
) -> None:
    _, found = refused(site, provider, answer)
    assert found.status == 403
    assert challenge_of(found)["error"] == code
    assert found.problem is not None
    assert found.problem["scopes"] == ["api://one/orders.read"]
    assert found.problem["api"] == "api"
    address = found.problem["consent_url"]
    assert address == "http://localhost:5000/auth/login?next=%2F&api=api"
    # There the person consents, to this application.
    del provider.raw["token"]
    site.headers = {}
    site.sign_in(address.partition("?")[2])
    assert "api://one/orders.read" in provider.requests_to("authorize")[-1].query["scope"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("invalid_client", TokenResponseError),
        ("invalid_scope", TokenResponseError),
        ("temporarily_unavailable", ProviderUnavailable),
    ],
)
def test_what_is_the_sites_own_is_not_the_callers(
    site: BareSite, provider: Provider, code: str, kind: type[Exception]
) -> None:
    provider.raw["token"] = lambda request: Provider.json({"error": code}, 400)
    with pytest.raises(kind) as raised:
        called(site, caller()).token(api="api")
    assert raised.type is kind


def test_a_refusal_is_not_kept(site: BareSite, provider: Provider, store: MemoryStore) -> None:
    refused(site, provider, {"error": "consent_required"})
    assert records(store) == 0
    del provider.raw["token"]
    site.clock_offset = 61
    assert called(site, caller()).token(api="api") == provider.last_access_token
