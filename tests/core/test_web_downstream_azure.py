"""A session's tokens for Azure SDKs, with azure-core's own pipeline against a real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.core import AsyncPipelineClient, PipelineClient
from azure.core.credentials import SupportsTokenInfo, TokenCredential
from azure.core.credentials_async import AsyncSupportsTokenInfo, AsyncTokenCredential
from azure.core.pipeline.policies import (
    AsyncBearerTokenCredentialPolicy,
    BearerTokenCredentialPolicy,
)
from azure.core.pipeline.transport import AsyncioRequestsTransport
from azure.core.rest import HttpRequest

from keyfob.errors import ConfigurationError, InteractionRequired
from keyfob.web.azure_credentials import AccessToken, AccessTokenInfo
from support.bare_site import BareSite
from support.downstream_api import CLAIMS, Api, challenge, running_api
from support.provider import HOME_TENANT, Provider

SCOPE = "api://one/orders.read"
Call = Callable[..., int]


@pytest.fixture
def api() -> Iterator[Api]:
    with running_api() as api:
        yield api


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(entra=True) as provider:
        yield provider


@pytest.fixture
def site(provider: Provider, api: Api) -> Iterator[BareSite]:
    orders = {"base_url": api.base, "scopes": [SCOPE]}
    with BareSite({**provider.settings(), "DOWNSTREAM_APIS": {"orders": orders}}) as site:
        site.sign_in("api=orders")
        yield site


def plain_call(site: BareSite, url: str, *, api: str | None = None, cae: bool = True) -> int:
    """One call by an SDK's client; the answer's status."""
    policy = BearerTokenCredentialPolicy(site.keyfob.credential(api), SCOPE, enable_cae=cae)
    with PipelineClient(url, policies=[policy]) as client:
        answer = client.send_request(HttpRequest("GET", f"{url}/a"), enforce_https=False)
        return int(answer.status_code)


def awaited_call(site: BareSite, url: str, *, api: str | None = None, cae: bool = True) -> int:
    async def call() -> int:
        credential = site.keyfob.async_credential(api)
        policy = AsyncBearerTokenCredentialPolicy(credential, SCOPE, enable_cae=cae)
        client: Any = AsyncPipelineClient(
            url, policies=[policy], transport=AsyncioRequestsTransport()
        )
        async with client:
            answer = await client.send_request(HttpRequest("GET", f"{url}/a"), enforce_https=False)
            return int(answer.status_code)

    return asyncio.run(call())


@pytest.fixture(params=[plain_call, awaited_call])
def call(request: pytest.FixtureRequest) -> Call:
    found: Call = request.param
    return found


@pytest.mark.parametrize("api_name", [None, "orders"])
def test_an_sdk_calls_with_the_persons_token(
    call: Call, site: BareSite, api: Api, api_name: str | None
) -> None:
    assert call(site, api.base, api=api_name) == 200
    assert api.tokens == [f"Bearer {site.keyfob.token(api='orders')}"]


@pytest.mark.parametrize("cae", [True, False])
def test_the_sdk_answers_a_challenge_with_it(
    call: Call, site: BareSite, api: Api, provider: Provider, cae: bool
) -> None:
    api.first = [challenge()]
    assert call(site, api.base, cae=cae) == 200
    assert len(set(api.tokens)) == 2
    claims = provider.requests_to("token")[-1].form["claims"]
    assert "1604106651" in claims
    assert "cp1" in claims
    assert api.tokens[-1] == f"Bearer {site.keyfob.token(api='orders')}"


def test_what_only_the_person_can_do_passes_through_the_sdk(
    call: Call, site: BareSite, api: Api, provider: Provider
) -> None:
    api.first = [challenge()]
    provider.raw["token"] = lambda request: Provider.json({"error": "interaction_required"}, 400)
    with pytest.raises(InteractionRequired) as caught:
        call(site, api.base)
    assert (caught.value.claims, caught.value.scopes) == (CLAIMS, (SCOPE,))
    assert len(api.requests) == 1


def test_who_is_not_signed_in_calls_nothing(call: Call, site: BareSite, api: Api) -> None:
    with pytest.raises(InteractionRequired):
        call(site.another_browser(), api.base)
    assert api.requests == []


# The protocols


def test_it_is_what_azure_core_looks_for(site: BareSite) -> None:
    plain, awaited = site.keyfob.credential(), site.keyfob.async_credential()
    assert isinstance(plain, TokenCredential)
    assert isinstance(plain, SupportsTokenInfo)
    assert isinstance(awaited, AsyncTokenCredential)
    assert isinstance(awaited, AsyncSupportsTokenInfo)
    with plain as entered:
        assert entered is plain


def test_a_token_comes_with_its_times(site: BareSite, provider: Provider) -> None:
    token = site.keyfob.token(api="orders")
    credential = site.keyfob.credential()
    found = credential.get_token(SCOPE)
    assert found == (token, found.expires_on)
    assert isinstance(found, AccessToken)
    assert abs(found.expires_on - time.time() - 3600) < 60
    info = credential.get_token_info(SCOPE, options={"enable_cae": True})
    assert info == AccessTokenInfo(token, info.expires_on, "Bearer", None)
    assert abs(info.expires_on - found.expires_on) <= 1
    assert token not in f"{found!r}{info!r}{credential!r}{site.keyfob.token_info(api='orders')!r}"


def test_the_time_to_renew_it_is_told_where_the_provider_says_it(provider: Provider) -> None:
    renews = {"refresh_in": 1800}
    provider.mutate_token_response = provider.mutate_refresh_response = lambda d: d.update(renews)
    with BareSite(provider.settings()) as site:
        site.sign_in("api=graph")
        for claims in (None, CLAIMS):  # from the cache, and from the provider
            options = {"claims": claims}
            info = site.keyfob.credential(api="graph").get_token_info("ignored", options=options)
            assert info.refresh_on is not None
            assert abs(info.refresh_on - time.time() - 1800) < 60


@pytest.mark.parametrize("options", [{}, {"tenant_id": None}, {"tenant_id": HOME_TENANT.upper()}])
def test_the_persons_own_tenant_may_be_named(site: BareSite, options: dict[str, Any]) -> None:
    credential = site.keyfob.credential()
    assert credential.get_token(SCOPE, **options).token
    assert credential.get_token_info(SCOPE, options=options).token  # type: ignore[arg-type]


def test_another_tenants_token_is_refused(site: BareSite, provider: Provider) -> None:
    """Or an SDK would send a token of this tenant where another one's was meant."""
    asked = len(provider.requests_to("token"))
    other = "99999999-9999-4999-8999-999999999999"
    for get in (
        lambda: site.keyfob.credential().get_token(SCOPE, tenant_id=other),
        lambda: site.keyfob.credential().get_token_info(SCOPE, options={"tenant_id": other}),
        lambda: asyncio.run(site.keyfob.async_credential().get_token(SCOPE, tenant_id=other)),
    ):
        with pytest.raises(ConfigurationError, match=f"{other}.*{HOME_TENANT}") as raised:
            get()
        assert raised.value.code == "tenant"
    assert len(provider.requests_to("token")) == asked
