"""The adapter contract: an API that refuses, is busy, or is called by other clients.

A site has `/call` (calls the API `api` at `/me` and shows its JSON), and of its own for this:
`/httpx`, an async view that calls it by httpx, and `/azure`, by azure-core's pipeline.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from keyfob_emulator import EmulatorServer
from keyfob_emulator.sample import DJANGO_SITE, DJANGO_SITE_SECRET
from support.contract_base import FETCH, ContractBase, RunningSite, Site, once
from support.downstream_api import CLAIMS, Api, challenge, running_api
from support.emulator_logouts import ADA, sign_in
from support.form_browser import FormBrowser
from support.provider import Provider
from support.provider_http import Reply, Request

STEP_UP = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
SCOPE = "api://one/orders.read"


def azure_call(keyfob: Any, url: str) -> Any:
    """What a view does with an SDK; the API's JSON."""
    from azure.core import PipelineClient
    from azure.core.pipeline.policies import BearerTokenCredentialPolicy
    from azure.core.rest import HttpRequest

    policy = BearerTokenCredentialPolicy(keyfob.credential(), SCOPE, enable_cae=True)
    with PipelineClient(url, policies=[policy]) as client:
        answer = client.send_request(HttpRequest("GET", f"{url}/me"), enforce_https=False)
        answer.raise_for_status()
        return answer.json()


async def httpx_call(keyfob: Any, url: str) -> Any:
    """What an async view does with httpx; the API's JSON."""
    import httpx

    async with httpx.AsyncClient(auth=keyfob.httpx_auth("api")) as client:
        answer = await client.get(f"{url}/me")
        answer.raise_for_status()
        return answer.json()


class DownstreamContract(ContractBase):
    @pytest.fixture
    def provider(self) -> Iterator[Provider]:
        with Provider(entra=True) as provider:
            yield provider

    @pytest.fixture
    def api(self) -> Iterator[Api]:
        with running_api() as api:
            api.replies["/me"] = Reply(
                200, {"Connection": "keep-alive", "Set-Cookie": "who=ada"}, b'{"ok": true}'
            )
            yield api

    @pytest.fixture
    def site(self, start: Callable[..., Site], provider: Provider, api: Api) -> Site:
        apis = {"api": {"base_url": api.base, "scopes": [SCOPE]}}
        return start({**provider.settings(), "DOWNSTREAM_APIS": apis})

    @pytest.mark.parametrize("path", ["/call", "/httpx", "/azure"])
    def test_a_challenge_is_answered_without_the_person(
        self, site: Site, provider: Provider, api: Api, browser: FormBrowser, path: str
    ) -> None:
        browser.open(f"{site.url}/call")
        trips = len(provider.requests_to("authorize"))
        api.first = [challenge()]
        page = browser.open(site.url + path)
        assert page.response.json() == {"ok": True}
        assert len(provider.requests_to("authorize")) == trips
        claims = json.loads(provider.requests_to("token")[-1].form["claims"])["access_token"]
        assert claims == {**json.loads(CLAIMS)["access_token"], "xms_cc": {"values": ["cp1"]}}

    @pytest.mark.parametrize("path", ["/call", "/httpx", "/azure"])
    def test_where_only_the_person_can_they_are_asked(
        self, site: Site, provider: Provider, api: Api, browser: FormBrowser, path: str
    ) -> None:
        browser.open(f"{site.url}/call")
        api.first = [challenge(STEP_UP)]
        refusals = [{"error": "interaction_required", "error_description": "AADSTS50076"}]

        def refuse_once(request: Any) -> Any:
            if len(refusals) == 1:
                del provider.raw["token"]
            return Provider.json(refusals.pop(), 400)

        provider.raw["token"] = refuse_once
        page = browser.open(f"{site.url}{path}?x=1")
        assert page.url == f"{site.url}{path}?x=1"
        assert page.response.json() == {"ok": True}
        claims = json.loads(provider.requests_to("authorize")[-1].query["claims"])["access_token"]
        assert claims["acrs"] == {"essential": True, "value": "c1"}

    @pytest.mark.parametrize("path", ["/call", "/httpx", "/azure"])
    def test_a_script_is_told_where_the_person_must_go(
        self, site: Site, provider: Provider, api: Api, browser: FormBrowser, path: str
    ) -> None:
        browser.open(f"{site.url}/call")
        api.first = [challenge(STEP_UP)]
        provider.raw["token"] = lambda request: Provider.json({"error": "invalid_grant"}, 400)
        answer = once(browser, site.url + path, headers=FETCH)
        assert answer.status_code == 401
        assert answer.json()["code"] == "interaction_required"
        assert answer.json()["login_url"].startswith("/auth/login?")

    def test_a_busy_api_is_asked_again(self, site: Site, api: Api, browser: FormBrowser) -> None:
        browser.open(f"{site.url}/call")
        api.first = [Reply(503, {}, b""), Reply(429, {"Retry-After": "0"}, b"")]
        before = len(api.requests)
        assert browser.open(f"{site.url}/call").response.json() == {"ok": True}
        assert len(api.requests) == before + 3

    def test_requests_share_connections_and_no_cookies(
        self, site: Site, api: Api, browser: FormBrowser
    ) -> None:
        for _ in range(5):
            assert browser.open(f"{site.url}/call").response.json() == {"ok": True}
        assert api.server.connections == 1
        assert all("cookie" not in request.headers for request in api.requests)


class EmulatorDownstream:
    """The same with the local identity provider, which writes what it is asked for into tokens."""

    @pytest.fixture
    def running_site(self) -> RunningSite:
        raise NotImplementedError

    @pytest.fixture
    def server(self) -> Iterator[EmulatorServer]:
        with EmulatorServer() as server:
            server.emulator.give_consent(
                ADA, DJANGO_SITE, "openid profile offline_access User.Read"
            )
            yield server

    @pytest.fixture
    def api(self) -> Iterator[Api]:
        with running_api() as api:
            yield api

    @pytest.fixture
    def site(self, running_site: RunningSite, server: EmulatorServer, api: Api) -> Iterator[Site]:
        settings = {
            "AUTHORITY": server.authority("common"),
            "CLIENT_ID": DJANGO_SITE,
            "CLIENT_SECRET": DJANGO_SITE_SECRET,
            "DOWNSTREAM_APIS": {"api": {"base_url": api.base, "scopes": ["User.Read"]}},
        }
        with running_site(settings) as site:
            yield site
            assert not site.errors

    @pytest.fixture
    def one(self, site: Site) -> Iterator[FormBrowser]:
        with FormBrowser() as browser:
            sign_in(site, browser, ADA)
            yield browser

    def test_tokens_from_before_an_event_are_replaced(
        self, site: Site, api: Api, one: FormBrowser
    ) -> None:
        """Continuous access evaluation: whoever can handle it is told so in the token."""
        since = int(time.time()) - 30  # the emulator's tokens start earlier than they are made
        wanted = {"access_token": {"nbf": {"essential": True, "value": str(since)}}}

        def judge(request: Request) -> Reply:
            api.requests.append(request)
            token = told(request)
            assert token["xms_cc"] == ["cp1"]
            return Reply(200, {}, b"{}") if token["nbf"] >= since else challenge(json.dumps(wanted))

        api.requests.clear()
        api.answer = judge
        assert one.open(f"{site.url}/call").response.json() == {}
        assert [told(request)["nbf"] >= since for request in api.requests] == [False, True]
        assert one.open(f"{site.url}/call").response.json() == {}
        assert len(api.requests) == 3

    def test_a_revoked_person_must_sign_in_again(
        self, site: Site, server: EmulatorServer, api: Api, one: FormBrowser
    ) -> None:
        assert one.open(f"{site.url}/call").url == f"{site.url}/call"
        """And is, where their session at the provider goes on, without a page."""
        server.emulator.revoke_refresh_tokens(ADA)
        api.requests.clear()
        api.first = [challenge()]
        page = one.open(f"{site.url}/call?x=1")
        assert page.url == f"{site.url}/call?x=1"
        assert len(set(api.tokens)) == len(api.tokens) == 2
        assert told(api.requests[1])["nbf"] > 1604106651


def told(request: Request) -> Any:
    """What the token of a request says."""
    payload = request.headers["authorization"].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
