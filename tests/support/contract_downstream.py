"""The adapter contract: an API that refuses, is busy, or is called by other clients.

A site has `/call` (calls the API `api` at `/me` and shows its JSON), and of its own for this:
`/httpx`, an async view that calls it by httpx, and `/azure`, by azure-core's pipeline.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.contract_base import FETCH, ContractBase, Site, once
from support.downstream_api import CLAIMS, Api, challenge, running_api
from support.form_browser import FormBrowser
from support.provider import Provider
from support.provider_http import Reply

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
