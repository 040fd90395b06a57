"""An API that refuses a token: because it was ended, or because it proves too little."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from keyfob.errors import InteractionRequired
from keyfob.protocol.www_authenticate import MAX_CLAIMS
from keyfob.web.bound_token import AttachedToken
from keyfob.web.downstream_auth import ApiAuth
from keyfob.web.renewals import Renewals
from support.bare_site import BareSite
from support.downstream_api import CLAIMS, Api, Tokens, calling, challenge, running_api
from support.provider import Provider
from support.provider_http import Reply, Request
from support.settings_cases import load

OTHER = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'


@pytest.fixture
def api() -> Iterator[Api]:
    with running_api() as api:
        yield api


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture(params=["our session", "any session"])
def session(request: Any, api: Api, tokens: Tokens) -> Iterator[requests.Session]:
    if request.param == "our session":
        with calling(api.base, tokens) as session:
            yield session
        return
    with requests.Session() as plain:
        plain.auth = ApiAuth(tokens, api.base)
        yield plain


# One answer to a refusal


def test_a_challenge_is_answered_by_a_token_for_its_claims(
    session: requests.Session, api: Api, tokens: Tokens
) -> None:
    api.first = [challenge()]
    answer = session.post(f"{api.base}/orders", json={"a": 1})
    assert answer.ok
    assert tokens.claims == [CLAIMS]
    assert api.tokens == ["Bearer token-1", "Bearer token-2"]
    assert [request.body for request in api.requests] == [b'{"a": 1}'] * 2
    assert [each.status_code for each in answer.history] == [401]


@pytest.mark.parametrize("header", ["", "Bearer", "Basic realm=x", 'Bearer claims="%%%"', "=,;"])
def test_without_a_challenge_it_is_just_a_new_token(
    session: requests.Session, api: Api, tokens: Tokens, header: str
) -> None:
    api.first = [Reply(401, {"WWW-Authenticate": header}, b"")]
    assert session.get(f"{api.base}/orders").ok
    assert tokens.claims == [""]


def test_a_challenge_in_a_header_of_its_own_is_seen(
    session: requests.Session, api: Api, tokens: Tokens
) -> None:
    headers = {"www-authenticate": 'Broken "', **challenge().headers}
    api.first = [Reply(401, headers, b"")]
    assert session.get(f"{api.base}/orders").ok
    assert tokens.claims == [CLAIMS]


def test_an_api_that_is_never_content_is_asked_twice(
    session: requests.Session, api: Api, tokens: Tokens
) -> None:
    api.replies["/orders"] = challenge()
    answer = session.get(f"{api.base}/orders")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == challenge().headers["WWW-Authenticate"]
    assert tokens.claims == [CLAIMS]
    assert session.get(f"{api.base}/orders").status_code == 401
    assert tokens.claims == [CLAIMS]
    assert api.tokens == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]


def test_another_challenge_is_another_reason(
    session: requests.Session, api: Api, tokens: Tokens
) -> None:
    api.first = [challenge(), challenge(OTHER)]
    assert session.get(f"{api.base}/orders").status_code == 401
    api.first = [challenge(OTHER)]
    assert session.get(f"{api.base}/orders").ok
    assert tokens.claims == [CLAIMS, OTHER]


def test_a_while_later_the_same_refusal_is_a_new_one() -> None:
    now = [0.0]
    tokens = Tokens()
    attached = AttachedToken(tokens, "https://api.example", clock=lambda: now[0])
    assert attached.after_refusal("Bearer token-1", []) == "Bearer token-2"
    assert attached.after_refusal("Bearer token-2", []) is None
    assert attached.after_refusal("Bearer token-1", []) == "Bearer token-3"
    now[0] = 61.0
    assert attached.after_refusal("Bearer token-3", []) == "Bearer token-4"


def test_what_cannot_be_sent_again_is_not_and_the_next_call_has_a_new_token(
    session: requests.Session, api: Api, tokens: Tokens
) -> None:
    api.first = [challenge()]
    answer = session.post(f"{api.base}/upload", data=iter([b"a", b"b"]))
    assert answer.status_code == 401
    assert session.post(f"{api.base}/upload", data=iter([b"a", b"b"])).ok
    assert [request.body for request in api.requests] == [b"ab"] * 2
    assert api.tokens == ["Bearer token-1", "Bearer token-2"]
    assert tokens.claims == [CLAIMS]


def test_a_file_is_sent_again_from_where_it_was(
    session: requests.Session, api: Api, tmp_path: Path
) -> None:
    path = tmp_path / "upload"
    path.write_bytes(b"head" + b"x" * 10_000)
    api.first = [challenge()]
    with path.open("rb") as file:
        file.seek(4)
        assert session.post(f"{api.base}/upload", data=file).ok
    assert [request.body for request in api.requests] == [b"x" * 10_000] * 2


def test_an_answer_that_is_streamed_is_answered_too(session: requests.Session, api: Api) -> None:
    api.first = [challenge()]
    with session.get(f"{api.base}/orders", stream=True) as answer:
        assert b"".join(answer.iter_content(3)) == b'{"ok": true}'


def test_hooks_of_the_caller_see_the_final_answer(session: requests.Session, api: Api) -> None:
    api.first = [challenge()]
    seen: list[int] = []

    def look(response: requests.Response, **_: Any) -> None:
        seen.append(response.status_code)

    assert session.get(f"{api.base}/orders", hooks={"response": look}).ok
    assert seen == [200]


def test_a_missing_permission_is_the_views_matter(
    session: requests.Session, api: Api, tokens: Tokens
) -> None:
    header = 'Bearer error="insufficient_scope", scope="orders.write"'
    api.first = [Reply(403, {"WWW-Authenticate": header}, b"")]
    answer = session.get(f"{api.base}/orders")
    assert answer.status_code == 403
    assert answer.headers["WWW-Authenticate"] == header
    assert tokens.claims == []


def test_what_the_person_must_do_passes_through(api: Api) -> None:
    api.first = [challenge()]
    raised = InteractionRequired("The person must sign in", claims=CLAIMS)

    def token(*, new: bool, claims: str = "") -> str:
        if new:
            raise raised
        return "token-1"

    with calling(api.base, token) as session, pytest.raises(InteractionRequired) as caught:
        session.get("/orders")
    assert caught.value is raised


# With a site and its provider


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(entra=True) as provider:
        yield provider


@pytest.fixture
def site(provider: Provider, api: Api) -> Iterator[BareSite]:
    orders = {"base_url": api.base, "scopes": ["api://one/orders.read"]}
    with BareSite({**provider.settings(), "DOWNSTREAM_APIS": {"orders": orders}}) as site:
        site.sign_in("api=orders")
        yield site


def asked_claims(request: Request) -> Any:
    return json.loads(request.form["claims"])


def test_capabilities_are_announced_at_every_step(provider: Provider, site: BareSite) -> None:
    meant = {"access_token": {"xms_cc": {"values": ["cp1"]}}}
    authorize = provider.requests_to("authorize")[-1]
    assert json.loads(authorize.query["claims"]) == meant
    site.keyfob.token(api="orders", force_refresh=True)
    assert [asked_claims(request) for request in provider.requests_to("token")] == [meant] * 2


def test_the_provider_is_asked_for_what_the_api_wants(
    provider: Provider, site: BareSite, api: Api
) -> None:
    first = site.keyfob.token(api="orders")
    api.first = [challenge()]
    assert site.keyfob.api("orders").get("/orders").ok

    asked = provider.requests_to("token")[-1]
    assert asked.form["grant_type"] == "refresh_token"
    assert asked_claims(asked)["access_token"] == {
        "nbf": {"essential": True, "value": "1604106651"},
        "xms_cc": {"values": ["cp1"]},
    }
    # The next request, of this person in any process, begins with the token that was accepted.
    again = site.another_machine()
    assert again.keyfob.api("orders").get("/orders").ok
    again.app.close()
    assert api.tokens[0] == f"Bearer {first}"
    assert api.tokens[1] == api.tokens[2] != api.tokens[0]
    assert len(provider.requests_to("token")) == 2


@pytest.mark.parametrize("error", ["interaction_required", "invalid_grant"])
def test_where_only_the_person_can_the_page_asks_them(
    provider: Provider, site: BareSite, api: Api, error: str
) -> None:
    """A step-up, or a session that was revoked: the page goes through a sign-in and back."""
    api.first = [challenge(OTHER)]
    refusal = {"error": error, "suberror": "basic_action", "error_description": "AADSTS50076"}
    provider.raw["token"] = lambda request: Provider.json(refusal, 400)
    with pytest.raises(InteractionRequired) as caught:
        site.keyfob.api("orders").get("/orders")
    del provider.raw["token"]
    assert (caught.value.claims, caught.value.api) == (OTHER, "orders")
    assert len(api.requests) == 1

    answer = site.app.handle(site.request("/page?x=1"), caught.value)
    assert answer.status == 302
    back = site.sign_in(urlsplit(answer.location).query)
    assert back.location == "/page?x=1"
    claims = json.loads(provider.requests_to("authorize")[-1].query["claims"])
    assert claims["access_token"]["acrs"] == {"essential": True, "value": "c1"}
    assert site.keyfob.api("orders").get("/orders").ok
    assert api.tokens[-1] != api.tokens[0]


def test_a_script_is_told_where_to_go(provider: Provider, site: BareSite, api: Api) -> None:
    api.first = [challenge(OTHER)]
    provider.raw["token"] = lambda request: Provider.json({"error": "interaction_required"}, 400)
    with pytest.raises(InteractionRequired) as caught:
        site.keyfob.api("orders").get("/orders")
    site.headers = {"accept": "application/json", "sec-fetch-dest": "empty"}
    answer = site.app.handle(site.request("/data"), caught.value)
    assert answer.status == 401
    assert answer.problem is not None
    assert "ask" in parse_qs(urlsplit(answer.problem["login_url"]).query)
    assert "essential" not in str(answer.problem)


def test_a_revoked_session_is_renewed_or_ends(provider: Provider, site: BareSite, api: Api) -> None:
    """No more than two trips: after that a page says so."""
    api.replies["/orders"] = challenge()
    refused = {"error": "invalid_grant", "error_description": "AADSTS50173: revoked"}
    answers = []
    for _ in range(4):
        provider.raw["token"] = lambda request: Provider.json(refused, 400)
        try:
            site.keyfob.api("orders").get("/orders")
        except InteractionRequired as error:
            answer = site.app.handle(site.request("/page"), error)
        del provider.raw["token"]
        answers.append(answer.status)
        if answer.page is not None:
            break
        site.sign_in(urlsplit(answer.location).query)
    assert answers == [302, 302, 403]


def test_the_longest_challenge_fits_into_the_address_of_a_sign_in(
    provider: Provider, site: BareSite, api: Api
) -> None:
    text = json.dumps({"access_token": {"x": {"value": ""}}}, separators=(",", ":"))
    longest = text.replace('""', '"' + "y" * (MAX_CLAIMS * 3 // 4 - len(text)) + '"')
    api.first = [challenge(longest)]
    provider.raw["token"] = lambda request: Provider.json({"error": "interaction_required"}, 400)
    with pytest.raises(InteractionRequired) as caught:
        site.keyfob.api("orders").get("/orders")
    del provider.raw["token"]
    assert caught.value.claims == longest
    answer = site.app.handle(site.request("/page"), caught.value)
    assert len(answer.location) < 4000
    assert site.sign_in(urlsplit(answer.location).query).location == "/page"


def test_a_challenge_that_is_too_long_is_none(provider: Provider, site: BareSite, api: Api) -> None:
    api.first = [challenge('{"a":"' + "x" * MAX_CLAIMS + '"}')]
    assert site.keyfob.api("orders").get("/orders").ok
    assert "a" not in asked_claims(provider.requests_to("token")[-1])


@pytest.mark.parametrize("refusal", [Reply(401, {}, b""), challenge()])
def test_an_api_that_refuses_every_token_does_not_wear_the_provider_out(
    provider: Provider, site: BareSite, api: Api, refusal: Reply
) -> None:
    """Each visit of a page would bring a new token: Microsoft ends such loops by throttling."""
    api.replies["/orders"] = refusal
    for _ in range(4):
        assert site.keyfob.api("orders").get("/orders").status_code == 401
    assert len(provider.requests_to("token")) == 2
    assert len(api.requests) == 2 + 3

    other = challenge(OTHER)
    api.first = [other]
    assert site.keyfob.api("orders").get("/orders").status_code == 401
    assert len(provider.requests_to("token")) == 3

    site.clock_offset += 61
    site.keyfob.api("orders").get("/orders")
    assert len(provider.requests_to("token")) == 4


def test_what_is_remembered_of_renewals_is_bounded() -> None:
    renewals = Renewals(lambda: 0.0)
    for number in range(1500):
        renewals.note(f"token-{number}", "")
    assert not renewals.is_recent("token-499", "")
    assert renewals.is_recent("token-500", "")
    assert not renewals.is_recent("token-500", CLAIMS)
    assert repr(renewals) == "<Renewals: 1000>"


def test_the_auth_of_a_session_is_for_any_session(
    provider: Provider, site: BareSite, api: Api
) -> None:
    api.first = [challenge()]
    answer = requests.get(f"{api.base}/orders", auth=site.keyfob.auth("orders"), timeout=5)
    assert answer.ok
    assert "nbf" in asked_claims(provider.requests_to("token")[-1])["access_token"]


# The setting


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, ("cp1",)),
        ({"TENANT_ID": "common"}, ("cp1",)),
        ({"TENANT_ID": "", "AUTHORITY": "https://contoso.ciamlogin.com/contoso"}, ("cp1",)),
        ({"TENANT_ID": "", "AUTHORITY": "https://c.b2clogin.com/c.onmicrosoft.com/B2C_1_x"}, ()),
        ({"TENANT_ID": "", "AUTHORITY": "https://sts.contoso.example/adfs"}, ()),
        ({"TENANT_ID": "", "OIDC_AUTHORITY": "https://id.example"}, ()),
        ({"CLIENT_CAPABILITIES": []}, ()),
        ({"CLIENT_CAPABILITIES": "[]"}, ()),
        ({"CLIENT_CAPABILITIES": "cp1, cp2"}, ("cp1", "cp2")),
    ],
)
def test_cp1_is_announced_where_it_is_understood(
    settings: dict[str, object], found: tuple[str, ...]
) -> None:
    assert load(**settings).client_capabilities == found


def test_a_site_may_announce_nothing(provider: Provider) -> None:
    with BareSite({**provider.settings(), "CLIENT_CAPABILITIES": []}) as site:
        site.sign_in()
    assert "claims" not in provider.requests_to("authorize")[-1].query
    assert "claims" not in provider.requests_to("token")[-1].form
