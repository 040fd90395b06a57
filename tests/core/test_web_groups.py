"""Groups of whoever is signed in: claims, overage, Graph and its bad days."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from keyfob.cache import SerializableTokenCache
from keyfob.errors import (
    ApiUnreachable,
    ConfigurationError,
    GroupsUnknown,
    InteractionRequired,
)
from keyfob.web.document import Document
from support.bare_site import BareSite
from support.failing_store import FailingStore
from support.provider import HOME_TENANT, PERSONAL_TENANT, Person, Provider
from support.provider_http import Reply, Request, drop

GROUP = "aaaaaaaa-0000-4000-8000-{:012d}".format
APPROVERS, AUDITORS, STRANGERS = GROUP(1), GROUP(2), GROUP(3)
OVERAGE = {
    "_claim_names": {"groups": "src1"},
    "_claim_sources": {
        "src1": {"endpoint": "https://graph.windows.net/x/users/y/getMemberObjects"}
    },
}
NAMED = {"approvers": APPROVERS, "auditors": AUDITORS.upper()}
MEMBER_GROUPS, MEMBERSHIPS = "member_groups", "memberships"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(entra=True, groups=[APPROVERS], extra_claims=dict(OVERAGE)) as provider:
        yield provider


@pytest.fixture
def visit(provider: Provider) -> Iterator[Callable[..., BareSite]]:
    """A signed-in visitor of a site with these settings."""
    sites: list[BareSite] = []

    def visit(**settings: object) -> BareSite:
        site = BareSite({**provider.settings(HOME_TENANT), "GROUPS": NAMED, **settings})
        sites.append(site)
        assert site.sign_in().status == 302
        assert site.is_signed_in
        return site

    yield visit
    for site in sites:
        site.http.close()
        site.app.close()


def asked(provider: Provider) -> list[list[str]]:
    return [json.loads(each.body)["groupIds"] for each in provider.requests_to(MEMBER_GROUPS)]


def busy(seconds: int | None, status: int = 429, times: int = 1) -> Callable[[Request], Reply]:
    """Too many requests, so often; then the regular answer."""
    left = [times]

    def answer(request: Request) -> Any:
        if left[0]:
            left[0] -= 1
            headers = {} if seconds is None else {"Retry-After": str(seconds)}
            return Provider.json({"error": {"code": "TooManyRequests"}}, status, **headers)
        return answer.provider.answer(request.endpoint, request)  # type: ignore[attr-defined]

    return answer


def is_busy(provider: Provider, endpoint: str, *how: Any, **more: Any) -> None:
    answer = busy(*how, **more)
    answer.provider = provider  # type: ignore[attr-defined]
    provider.raw[endpoint] = answer


# Claims


def test_claims_that_have_all_groups_are_believed(
    provider: Provider, visit: Callable[..., BareSite]
) -> None:
    provider.extra_claims = {"groups": [APPROVERS.upper()]}
    keyfob = visit().keyfob
    assert keyfob.in_group("approvers")
    assert keyfob.in_group(APPROVERS)
    assert keyfob.in_group(APPROVERS.upper())
    assert not keyfob.in_group("auditors")
    assert keyfob.all_groups() == {APPROVERS}
    assert asked(provider) == []


def test_names_of_groups_are_compared_exactly(
    provider: Provider, visit: Callable[..., BareSite]
) -> None:
    provider.extra_claims = {"groups": ["CONTOSO\\Staff"]}
    keyfob = visit(GROUPS={"staff": "CONTOSO\\Staff", "other": "contoso\\staff"}).keyfob
    assert keyfob.in_group("staff")
    assert not keyfob.in_group("other")


def test_a_name_that_the_settings_do_not_have_is_the_developers_mistake(
    visit: Callable[..., BareSite],
) -> None:
    site = visit()
    with pytest.raises(ConfigurationError, match="did you mean 'approvers'") as caught:
        site.keyfob.in_group("aprovers")
    assert caught.value.setting == "GROUPS"
    nobody = site.another_browser().keyfob
    with pytest.raises(ConfigurationError):
        nobody.in_group("aprovers")
    assert not nobody.in_group("approvers")
    assert nobody.all_groups() == frozenset()


# Overage


def test_an_overage_is_resolved_by_one_question_for_all_that_the_site_uses(
    provider: Provider, visit: Callable[..., BareSite]
) -> None:
    keyfob = visit().keyfob
    assert keyfob.in_group("approvers")
    assert not keyfob.in_group("auditors")
    assert asked(provider) == [[APPROVERS, AUDITORS]]


def test_a_group_that_is_named_by_its_id_alone_is_asked_about_with_the_others(
    provider: Provider, visit: Callable[..., BareSite]
) -> None:
    keyfob = visit().keyfob
    assert keyfob.groups_among([STRANGERS, "approvers"]) == {"approvers"}
    assert asked(provider) == [[APPROVERS, AUDITORS, STRANGERS]]


def test_twenty_are_asked_about_at_once(provider: Provider, visit: Callable[..., BareSite]) -> None:
    provider.groups = [GROUP(7), GROUP(44)]
    many = [GROUP(number) for number in range(45)]
    assert visit().keyfob.groups_among(many) == {GROUP(7), GROUP(44)}
    assert [len(each) for each in asked(provider)] == [20, 20, 5]


@pytest.mark.parametrize(
    "claims",
    [{"hasgroups": True}, {"_claim_names": ["?"]}, {"hasgroups": "yes"}, {"groups": {"a": 1}}, {}],
)
def test_every_mark_and_silence_asks_graph(
    provider: Provider, visit: Callable[..., BareSite], claims: dict[str, Any]
) -> None:
    provider.extra_claims = claims
    keyfob = visit().keyfob
    assert keyfob.in_group("approvers")
    assert not keyfob.in_group(STRANGERS)


def test_the_address_in_a_token_is_never_called(
    provider: Provider, visit: Callable[..., BareSite]
) -> None:
    attacker = provider.attacker
    for endpoint in (f"{attacker.base}/v1.0/me/checkMemberGroups", "http://169.254.169.254/x", 7):
        sources = {"src1": {"endpoint": endpoint, "access_token": "bait"}}
        provider.extra_claims = {"_claim_names": {"groups": "src1"}, "_claim_sources": sources}
        assert not visit().keyfob.in_group("auditors")
    assert provider.attacker_requests == []
    assert len(asked(provider)) == 3


def test_a_personal_account_is_in_no_group_and_graph_is_not_asked(
    provider: Provider, visit: Callable[..., BareSite]
) -> None:
    provider.extra_claims = {}
    provider.person = Person(tid=PERSONAL_TENANT, oid="00000000-0000-0000-6ace-0a0b0c0d0e0f")
    site = visit(**provider.settings("common"))
    assert not site.keyfob.in_group("approvers")
    assert asked(provider) == []


def test_in_an_overage_names_that_graph_does_not_know_are_no_groups_to_ask_about(
    provider: Provider, visit: Callable[..., BareSite]
) -> None:
    keyfob = visit(GROUPS={"staff": "CONTOSO\\Staff"}).keyfob
    with pytest.raises(GroupsUnknown) as caught:
        keyfob.in_group("staff")
    assert caught.value.code == "groups_not_asked"
    assert asked(provider) == []
    provider.extra_claims = {}
    assert not visit(GROUPS={"staff": "CONTOSO\\Staff"}).keyfob.in_group("staff")


def test_distributed_claims_of_other_providers_are_not_followed() -> None:
    with Provider() as provider:
        attacker = provider.attacker
        provider.extra_claims = {
            "_claim_names": {"groups": "src1"},
            "_claim_sources": {"src1": {"endpoint": f"{attacker.base}/api/me"}},
        }
        with BareSite({**provider.settings(), "GROUPS": {"staff": "/staff"}}) as site:
            site.sign_in()
            for ask in (lambda: site.keyfob.in_group("staff"), site.keyfob.all_groups):
                with pytest.raises(GroupsUnknown) as caught:
                    ask()
                assert caught.value.code == "groups_not_asked"
            provider.extra_claims = {"groups": ["/staff"]}
            site.sign_in()
            assert site.keyfob.in_group("staff")
            provider.extra_claims = {}
            site.sign_in()
            assert not site.keyfob.in_group("staff")
        assert provider.attacker_requests == []


# What is remembered


def test_an_answer_serves_until_its_time_is_over(
    provider: Provider, visit: Callable[..., BareSite]
) -> None:
    site = visit(GROUPS_CACHE_SECONDS=100)
    assert site.keyfob.in_group("approvers")
    provider.groups = [AUDITORS]
    for _ in range(3):
        assert site.keyfob.in_group("approvers")
    assert site.another_machine().keyfob.in_group("approvers")
    assert len(asked(provider)) == 1
    site.clock_offset = 101
    assert not site.keyfob.in_group("approvers")
    assert site.keyfob.in_group("auditors")
    assert len(asked(provider)) == 2


def test_an_answer_dies_with_its_session(
    provider: Provider, visit: Callable[..., BareSite]
) -> None:
    site = visit()
    assert site.keyfob.in_group("approvers")
    provider.groups = []
    site.sign_in()
    assert not site.keyfob.in_group("approvers")
    assert len(asked(provider)) == 2


def test_nothing_is_remembered_where_the_settings_say_so(
    provider: Provider, visit: Callable[..., BareSite]
) -> None:
    site = visit(GROUPS_CACHE_SECONDS=0)
    assert site.keyfob.in_group("approvers")
    provider.groups = []
    assert not site.keyfob.in_group("approvers")


def test_what_is_remembered_has_a_bound(provider: Provider, visit: Callable[..., BareSite]) -> None:
    site = visit()
    for start in range(0, 300, 20):
        site.keyfob.groups_among([GROUP(number) for number in range(start, start + 20)])
    document = site.keyfob.document()
    assert document is not None
    assert len(document.groups) == 200
    assert GROUP(299) in document.groups


def test_a_refresh_keeps_the_answers_and_an_answer_keeps_the_tokens(
    provider: Provider, visit: Callable[..., BareSite]
) -> None:
    site = visit()
    assert site.keyfob.in_group("approvers")
    token = site.keyfob.token(api="graph", force_refresh=True)
    assert site.keyfob.in_group("approvers")
    assert len(asked(provider)) == 1
    site.clock_offset = 301
    assert site.keyfob.in_group("approvers")
    assert site.keyfob.token(api="graph") == token


def test_many_at_once_ask_once(provider: Provider, visit: Callable[..., BareSite]) -> None:
    site = visit()

    def slow(request: Request) -> Reply:
        time.sleep(0.2)
        return provider.answer(MEMBER_GROUPS, request)

    provider.raw[MEMBER_GROUPS] = slow
    found: list[bool] = []
    threads = [
        threading.Thread(target=lambda: found.append(site.keyfob.in_group("approvers")))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 6
    assert len(asked(provider)) == 1


def test_a_store_that_takes_no_answer_does_not_keep_it_from_serving(
    provider: Provider, visit: Callable[..., BareSite], caplog: pytest.LogCaptureFixture
) -> None:
    store = FailingStore()
    site = BareSite({**provider.settings(HOME_TENANT), "GROUPS": NAMED}, store)
    with site, caplog.at_level(logging.WARNING):
        site.sign_in()
        site.keyfob.token(api="graph")
        store.down = "create"
        assert site.keyfob.in_group("approvers")
    assert "could not be kept" in caplog.text


# Graph's bad days


def test_a_little_patience_is_had(provider: Provider, visit: Callable[..., BareSite]) -> None:
    site = visit()
    is_busy(provider, MEMBER_GROUPS, 1)
    started = time.monotonic()
    assert site.keyfob.in_group("approvers")
    assert time.monotonic() - started >= 1
    assert len(asked(provider)) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_graph_is_left_alone_for_as_long_as_it_asks(
    provider: Provider, visit: Callable[..., BareSite], status: int
) -> None:
    site = visit()
    is_busy(provider, MEMBER_GROUPS, 77, status)
    for _ in range(3):
        with pytest.raises(GroupsUnknown) as caught:
            site.keyfob.in_group("approvers")
        assert caught.value.code == "groups_throttled"
        assert 75 <= (caught.value.retry_after or 0) <= 77
    assert len(asked(provider)) == 1
    other = site.another_browser()
    other.sign_in()
    assert other.keyfob.in_group("approvers")


def test_patience_ends(provider: Provider, visit: Callable[..., BareSite]) -> None:
    site = visit()
    is_busy(provider, MEMBER_GROUPS, 2, times=99)
    started = time.monotonic()
    with pytest.raises(GroupsUnknown):
        site.keyfob.in_group("approvers")
    assert time.monotonic() - started < 4
    assert len(asked(provider)) == 2


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "groups_unknown"), (403, "groups_refused"), (404, "groups_unknown"),
     (500, "groups_unknown"), (302, "groups_unknown"), (204, "groups_unknown")],
)  # fmt: skip
def test_a_refusal_is_never_no_groups(
    provider: Provider,
    visit: Callable[..., BareSite],
    caplog: pytest.LogCaptureFixture,
    status: int,
    code: str,
) -> None:
    site = visit()
    headers = {"Location": f"{provider.base}/v1.0/me"} if status == 302 else {}
    provider.raw[MEMBER_GROUPS] = lambda request: Reply(status, headers, b"")
    with caplog.at_level(logging.ERROR), pytest.raises(GroupsUnknown) as caught:
        site.keyfob.in_group("approvers")
    assert caught.value.code == code
    assert ("User.Read" in caplog.text) == (status == 403)
    assert provider.requests_to("api") == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<html>",
        b'{"value": "x"}',
        b'{"value": [7]}',
        b'{"value": [], "more": "%s"}' % (b"x" * 3_000_000),
    ],
    ids=["empty", "no value", "html", "no list", "no texts", "too large"],
)
def test_a_malformed_answer_is_never_no_groups(
    provider: Provider, visit: Callable[..., BareSite], body: bytes
) -> None:
    site = visit()
    provider.raw[MEMBER_GROUPS] = lambda request: Reply(
        200, {"Content-Type": "application/json"}, body
    )
    with pytest.raises(GroupsUnknown):
        site.keyfob.in_group("approvers")
    del provider.raw[MEMBER_GROUPS]
    assert site.keyfob.in_group("approvers")


def test_groups_that_nobody_asked_about_open_nothing(
    provider: Provider, visit: Callable[..., BareSite]
) -> None:
    site = visit()
    provider.raw[MEMBER_GROUPS] = lambda request: Provider.json({"value": [STRANGERS]})
    assert not site.keyfob.in_group("approvers")
    document = site.keyfob.document()
    assert document is not None
    assert STRANGERS not in document.groups


def test_a_graph_that_is_away_is_never_no_groups(
    provider: Provider, visit: Callable[..., BareSite]
) -> None:
    site = visit()
    provider.raw[MEMBER_GROUPS] = lambda request: drop
    with pytest.raises(ApiUnreachable):
        site.keyfob.in_group("approvers")
    with pytest.raises(GroupsUnknown) as caught:
        site.keyfob.in_group("approvers")
    assert caught.value.retry_after == 5
    assert len(provider.requests_to(MEMBER_GROUPS)) == 1


def test_who_waits_for_an_answer_that_fails_does_not_ask_again(
    provider: Provider, visit: Callable[..., BareSite]
) -> None:
    site = visit()

    def slow(request: Request) -> Reply:
        time.sleep(0.3)
        return Reply(500, {}, b"")

    provider.raw[MEMBER_GROUPS] = slow
    failed: list[GroupsUnknown] = []

    def ask() -> None:
        with pytest.raises(GroupsUnknown) as caught:
            site.keyfob.in_group("approvers")
        failed.append(caught.value)

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {error.code for error in failed} == {"groups_unknown"}
    assert len(failed) == 5
    assert len(provider.requests_to(MEMBER_GROUPS)) == 1


@pytest.mark.parametrize(
    "authority",
    [
        "https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1_susi",
        "https://adfs.example/adfs",
    ],
)
def test_where_people_may_not_ask_graph_the_claims_alone_count(authority: str) -> None:
    settings = {"CLIENT_ID": "x", "CLIENT_SECRET": "y" * 20, "AUTHORITY": authority}
    with BareSite({**settings, "GROUPS": NAMED}) as site:

        class Somebody:
            claims: dict[str, Any]

            def document(self) -> Document:
                return Document("key", self.claims, SerializableTokenCache())

            def api(self, name: str) -> Any:
                raise AssertionError("nobody is to be asked")

        somebody = Somebody()
        groups = site.app.groups
        somebody.claims = {"groups": [APPROVERS]}
        assert groups.among(somebody, NAMED) == {"approvers"}
        somebody.claims = {}
        assert groups.among(somebody, NAMED) == frozenset()
        somebody.claims = dict(OVERAGE)
        for ask in (lambda: groups.among(somebody, NAMED), lambda: groups.all_of(somebody)):
            with pytest.raises(GroupsUnknown):
                ask()


def test_without_a_token_for_graph_the_person_is_asked(
    provider: Provider, visit: Callable[..., BareSite]
) -> None:
    site = visit(DOWNSTREAM_APIS={"graph": {"scopes": ["Mail.Read"]}})
    provider.raw["token"] = lambda request: Provider.json({"error": "invalid_grant"}, 400)
    with pytest.raises(InteractionRequired) as caught:
        site.keyfob.in_group("approvers")
    assert caught.value.api == "graph"


# All groups


def test_all_groups_are_read_page_by_page(
    provider: Provider, visit: Callable[..., BareSite]
) -> None:
    provider.groups = [GROUP(number) for number in range(250)]
    provider.groups_page = 100
    assert visit().keyfob.all_groups() == set(provider.groups)
    assert len(provider.requests_to(MEMBERSHIPS)) == 3


def test_patience_is_had_in_the_middle_of_the_pages_too(
    provider: Provider, visit: Callable[..., BareSite]
) -> None:
    provider.groups = [GROUP(number) for number in range(250)]
    provider.groups_page = 100
    site = visit()
    pages: list[int] = []

    def second_page_is_busy(request: Request) -> Reply:
        pages.append(len(pages))
        if len(pages) == 2:
            return Provider.json({}, 429, **{"Retry-After": seconds})
        return provider.answer(MEMBERSHIPS, request)

    provider.raw[MEMBERSHIPS] = second_page_is_busy
    seconds = "1"
    assert len(site.keyfob.all_groups()) == 250
    pages.clear()
    seconds = "60"
    with pytest.raises(GroupsUnknown) as caught:
        site.keyfob.all_groups()
    assert caught.value.retry_after == 60
    assert len(pages) == 2


@pytest.mark.parametrize("address", ["{attacker}/v1.0/me/transitiveMemberOf", "//x", "file:///x"])
def test_a_next_page_elsewhere_is_not_asked_for(
    provider: Provider, visit: Callable[..., BareSite], address: str
) -> None:
    site = visit()
    next_page = address.format(attacker=provider.attacker.base)
    provider.raw[MEMBERSHIPS] = lambda request: Provider.json(
        {"value": [], "@odata.nextLink": next_page}
    )
    with pytest.raises(GroupsUnknown):
        site.keyfob.all_groups()
    assert provider.attacker_requests == []


def test_a_list_without_an_end_is_ended(provider: Provider, visit: Callable[..., BareSite]) -> None:
    site = visit()
    provider.raw[MEMBERSHIPS] = lambda request: Provider.json(
        {"value": [], "@odata.nextLink": f"{provider.base}{request.target}"}
    )
    with pytest.raises(GroupsUnknown, match="no end"):
        site.keyfob.all_groups()
    assert len(provider.requests_to(MEMBERSHIPS)) == 20
