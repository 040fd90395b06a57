"""Pages and APIs that want a stronger proof of who somebody is, or a fresh one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from keyfob.errors import ConfigurationError, InteractionRequired, KeyfobError, StepUpRequired
from keyfob.protocol.www_authenticate import claims_challenge, parse_challenges
from keyfob.web import Answer
from keyfob.web.caller import Caller
from keyfob.web.proofs import context_name, contexts, judge_recent, seconds
from support.bare_site import BareSite, with_apis
from support.provider import ABSENT, Provider


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def site(provider: Provider) -> Iterator[BareSite]:
    with BareSite(with_apis(provider)) as site:
        yield site


def step_up(site: BareSite, url: str = "/pay", **headers: str) -> Answer | None:
    """A page that wants c1; None where it may run."""
    return guard(site, url, lambda: site.keyfob.require_context("c1"), **headers)


def recent(site: BareSite, url: str = "/pay", **headers: str) -> Answer | None:
    """A page that wants a proof of the last five minutes."""
    return guard(site, url, lambda: site.keyfob.require_recent(300), **headers)


def guard(site: BareSite, url: str, check: Any, **headers: str) -> Answer | None:
    site.headers = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        check()
    except KeyfobError as error:
        return site.app.handle(site.request(url), error)
    finally:
        site.headers = {}
    return None


def go(site: BareSite, answer: Answer | None) -> Answer:
    """Follow a redirect to the login view, through the provider, and back."""
    assert answer is not None
    assert answer.status == 302
    return site.sign_in(urlsplit(answer.location).query)


def asked_last(provider: Provider) -> dict[str, str]:
    return provider.requests_to("authorize")[-1].query


# Pages


def test_a_page_is_gone_through_sign_in_to_with_the_context_it_wants(
    site: BareSite, provider: Provider
) -> None:
    site.sign_in()
    assert "claims" not in asked_last(provider) or "acrs" not in asked_last(provider)["claims"]
    assert go(site, step_up(site, "/pay?x=1")).location == "/pay?x=1"
    asked = json.loads(asked_last(provider)["claims"])
    assert asked["id_token"]["acrs"] == {"essential": True, "value": "c1"}
    assert step_up(site) is None
    assert len(provider.requests_to("authorize")) == 2


def test_who_is_not_signed_in_makes_one_trip(site: BareSite, provider: Provider) -> None:
    go(site, step_up(site))
    assert step_up(site) is None
    assert len(provider.requests_to("authorize")) == 1
    site.session.clear()
    go(site, recent(site))
    assert asked_last(provider)["max_age"] == "300"
    assert recent(site) is None


def test_a_context_that_is_never_given_ends_on_a_page(site: BareSite, provider: Provider) -> None:
    provider.contexts = ()
    site.sign_in()
    for _ in range(2):
        go(site, step_up(site))
    answer = step_up(site)
    assert answer is not None
    assert answer.status == 403
    assert answer.page is not None
    assert "stronger proof" in answer.page.title
    assert answer.page.code == "step_up"
    assert len(provider.requests_to("authorize")) == 3


def test_another_context_is_not_the_one_that_is_wanted(site: BareSite, provider: Provider) -> None:
    provider.extra_claims = {"acrs": ["c2", "c11", "C1", "c1 ", 1, None]}
    site.sign_in()
    assert step_up(site) is not None


def test_a_context_lasts_as_long_as_the_id_token(site: BareSite) -> None:
    go(site, step_up(site))
    site.clock_offset = 3600 + 30
    assert step_up(site) is None
    site.clock_offset = 3600 + 120
    assert site.get("/private") is None
    assert step_up(site) is not None


def test_a_later_sign_in_without_it_takes_the_context_away(site: BareSite) -> None:
    go(site, step_up(site))
    site.sign_in("api=api")
    assert step_up(site) is not None


def test_a_refresh_takes_nothing_away_and_gives_nothing(site: BareSite, provider: Provider) -> None:
    go(site, step_up(site))
    site.sign_in()
    provider.mutate_refresh_claims = lambda claims: claims.update(acrs=["c1"])
    site.keyfob.token(scopes=[], force_refresh=True)
    assert step_up(site) is not None


def test_a_page_that_wants_all_makes_a_trip_for_each_and_no_more(
    site: BareSite, provider: Provider
) -> None:
    site.sign_in()
    for _ in range(8):
        answer = site.get("/all", "api", "mail") or step_up(site, "/all") or recent(site, "/all")
        if answer is None:
            break
        go(site, answer)
    else:
        pytest.fail("the page was never reached")
    assert len(provider.requests_to("authorize")) == 4  # sign-in, api, mail, c1


def test_a_script_is_told_what_is_wanted_and_not_its_claims(site: BareSite) -> None:
    site.sign_in()
    answer = step_up(site, sec_fetch_dest="empty", referer="http://localhost:5000/board")
    assert answer is not None
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == 'Keyfob error="step_up_required"'
    assert answer.problem is not None
    assert answer.problem["code"] == "step_up_required"
    assert "essential" not in json.dumps(answer.problem)
    site.sign_in(urlsplit(answer.problem["login_url"]).query)
    assert step_up(site) is None


# How long ago


def test_who_proved_themselves_long_ago_does_it_again(site: BareSite, provider: Provider) -> None:
    provider.proved_at = time.time() - 4000
    site.sign_in()
    assert site.get("/private") is None
    assert go(site, recent(site)).location == "/pay"
    assert asked_last(provider)["max_age"] == "300"
    assert recent(site) is None
    site.clock_offset = 400
    assert recent(site) is not None


def test_a_provider_that_asks_nobody_again_is_refused(site: BareSite, provider: Provider) -> None:
    provider.extra_claims = {"auth_time": int(time.time()) - 4000}
    site.sign_in()
    answer = go(site, recent(site))
    assert answer.status == 403
    assert answer.page is not None
    assert answer.page.title == "This page needs you to sign in anew"
    assert recent(site) is not None


@pytest.mark.parametrize("value", [ABSENT, "soon", True, 99999999999])
def test_a_provider_that_does_not_say_when_is_refused(
    site: BareSite, provider: Provider, value: object
) -> None:
    provider.extra_claims = {"auth_time": value}
    site.sign_in()
    answer = go(site, recent(site))
    assert answer.status == 403
    assert answer.page is not None
    assert answer.page.code == "auth_time"
    assert recent(site) is not None


def test_the_address_cannot_be_told_another_age(site: BareSite, provider: Provider) -> None:
    site.login("next=/pay&max_age=99999")
    answer = site.login("ask=forged&next=/pay")
    assert answer.status == 302
    assert "max_age" not in answer.location


# APIs


def caller(**claims: object) -> Caller:
    return Caller(claims, "a-token", is_app=False, client_id="x", key="k")


@pytest.mark.parametrize("capabilities", [["cp1"], "cp1", ["x", "cp1"]])
def test_an_api_challenges_a_client_that_can_answer(site: BareSite, capabilities: object) -> None:
    session = site.keyfob
    session.act_for(caller(acrs=["c2"], xms_cc=capabilities))
    with pytest.raises(StepUpRequired) as raised:
        session.require_context("c1")
    answer = site.app.handle(site.request("/orders"), raised.value)
    assert answer.status == 401
    header = answer.headers["WWW-Authenticate"]
    [challenge] = parse_challenges([header])
    assert challenge.scheme == "Bearer"
    assert challenge.parameters["error"] == "insufficient_claims"
    wanted = {"access_token": {"acrs": {"essential": True, "value": "c1"}}}
    assert json.loads(claims_challenge([header])) == wanted
    assert answer.problem is not None
    assert answer.problem["code"] == "insufficient_claims"


@pytest.mark.parametrize("capabilities", [None, [], "cp10", ["CP1"], {"cp1": 1}, [["cp1"]]])
def test_an_api_challenges_no_client_that_cannot(site: BareSite, capabilities: object) -> None:
    session = site.keyfob
    session.act_for(caller(xms_cc=capabilities))
    with pytest.raises(StepUpRequired) as raised:
        session.require_context("c1")
    answer = site.app.handle(site.request("/orders"), raised.value)
    assert answer.status == 403
    assert "claims=" not in answer.headers["WWW-Authenticate"]
    assert 'error="insufficient_claims"' in answer.headers["WWW-Authenticate"]


def test_an_application_is_not_challenged(site: BareSite) -> None:
    session = site.keyfob
    session.act_for(Caller({"xms_cc": ["cp1"]}, "t", is_app=True, client_id="x", key="k"))
    with pytest.raises(StepUpRequired) as raised:
        session.require_context("c1")
    assert raised.value.claims == ""


def test_a_caller_whose_token_has_it_is_let_in_and_no_session_is_looked_at(
    site: BareSite,
) -> None:
    session = site.keyfob
    session.act_for(caller(acrs=["c1"]))
    session.require_context("c1")
    session.act_for(caller(acrs="c1"))
    session.require_context("c1")


def test_a_signed_in_person_does_not_vouch_for_a_caller(site: BareSite) -> None:
    go(site, step_up(site))
    session = site.keyfob
    session.act_for(caller())
    with pytest.raises(StepUpRequired):
        session.require_context("c1")


# Values


@pytest.mark.parametrize("value", ["c1", "c9", "c10", "c99"])
def test_a_contexts_name_is_taken(value: str) -> None:
    assert context_name(value) == value


@pytest.mark.parametrize(
    "value", ["", "c", "c0", "c01", "c100", "C1", "c1\n", " c1", "p1", "c\u0661", 1, None, ["c1"]]
)
def test_what_is_no_contexts_name_is_refused(value: object) -> None:
    with pytest.raises(ConfigurationError, match="c1 to c99"):
        context_name(value)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "300", None])
def test_what_is_no_age_is_refused(value: object) -> None:
    with pytest.raises(ConfigurationError, match="max_age"):
        seconds(value)


@pytest.mark.parametrize("value", [None, 1, {}, {"c1": 1}, [["c1"]], [{"c1": 1}], b"c1", True])
def test_odd_claims_prove_nothing(value: object) -> None:
    assert contexts({"acrs": value}) == frozenset()


@pytest.mark.parametrize("value", [None, "1", True, float("nan"), float("inf"), -1, 10**30, []])
def test_odd_times_prove_nothing(value: object) -> None:
    with pytest.raises(InteractionRequired):
        judge_recent({"auth_time": value}, 300, now=time.time(), leeway=60)
