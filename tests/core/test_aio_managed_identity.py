"""The machine's own identity, in an event loop."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

import keyfob
from keyfob import aio
from keyfob.aio import transports
from keyfob.errors import ConfigurationError, ManagedIdentityError, ProviderUnreachable
from support.managed_identity import (
    RESOURCE,
    SHORT,
    SYSTEM,
    VARIABLES,
    Endpoint,
    reply,
)
from support.provider import HOME_TENANT, Provider
from support.tls import self_signed


class Client:
    """An asynchronous client that cannot be told which certificate to hold to."""

    async def get(self, url: str, **arguments: Any) -> Any:
        raise AssertionError("nothing may be sent this way")

    post = get

    async def aclose(self) -> None: ...


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    found = Endpoint()
    found.answer(reply(SHORT))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in found.environ("app_service").items():
        monkeypatch.setenv(name, value)
    yield found
    found.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    files = self_signed(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    der = ssl.PEM_cert_to_DER_cert(Path(files[0]).read_text())
    return context, hashlib.sha1(der).hexdigest()


@pytest.fixture
def fabric(
    certificate: tuple[ssl.SSLContext, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Endpoint]:
    context, thumbprint = certificate
    endpoint = Endpoint(context)
    endpoint.answer(reply({"access_token": "at", "token_type": "Bearer", "expires_on": 4102444800}))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{endpoint.url}/metadata/identity/oauth2/token")
    monkeypatch.setenv("IDENTITY_HEADER", "s3cret")
    monkeypatch.setenv("IDENTITY_SERVER_THUMBPRINT", thumbprint)
    yield endpoint
    endpoint.close()


class TestManagedIdentity:
    def test_it_asks_and_keeps_what_the_synchronous_client_does(self, endpoint: Endpoint) -> None:
        def one() -> list[Any]:
            client = keyfob.ManagedIdentityClient(SYSTEM)
            challenge = '{"a":1}'
            found = [
                client.acquire_token_for_client(resource=RESOURCE),
                client.acquire_token_for_client(resource=RESOURCE),
                client.acquire_token_for_client(resource=RESOURCE, claims_challenge=challenge),
            ]
            client.close()
            return found

        async def twin() -> list[Any]:
            async with aio.ManagedIdentityClient(SYSTEM) as client:
                challenge = '{"a":1}'
                return [
                    await client.acquire_token_for_client(resource=RESOURCE),
                    await client.acquire_token_for_client(resource=RESOURCE),
                    await client.acquire_token_for_client(
                        resource=RESOURCE, claims_challenge=challenge
                    ),
                ]

        first = one()
        asked = [(r.method, r.target, r.headers["x-identity-header"]) for r in endpoint.requests]
        endpoint.requests.clear()
        second = asyncio.run(twin())
        for result in (*first, *second):
            result.pop("expires_in")
        assert first == second
        assert asked == [
            (r.method, r.target, r.headers["x-identity-header"]) for r in endpoint.requests
        ]
        assert len(asked) == 2

    def test_many_tasks_cause_one_request(self, endpoint: Endpoint) -> None:
        async def main() -> list[Any]:
            async with aio.ManagedIdentityClient(SYSTEM) as client:
                calls = [client.acquire_token_for_client(resource=RESOURCE) for _ in range(20)]
                return list(await asyncio.gather(*calls))

        assert {result["access_token"] for result in asyncio.run(main())} == {"at"}
        assert len(endpoint.requests) == 1

    def test_its_arguments_are_judged(self, endpoint: Endpoint) -> None:
        with pytest.raises(ConfigurationError):
            aio.ManagedIdentityClient(SYSTEM, client_capabilities="CP1")
        with pytest.raises(ConfigurationError, match="exclude"):
            aio.ManagedIdentityClient(
                SYSTEM, http_client=requests.Session(), async_http_client=Client()
            )
        client = aio.ManagedIdentityClient(SYSTEM)
        with pytest.raises(ConfigurationError, match="claims challenge"):
            asyncio.run(
                client.acquire_token_for_client(resource=RESOURCE, claims_challenge={})  # type: ignore[arg-type]
            )
        assert repr(client) == repr(keyfob.ManagedIdentityClient(SYSTEM))


class TestServiceFabric:
    """A server that is known by its certificate's thumbprint, which httpx cannot hold to."""

    def token(self, **options: Any) -> Any:
        async def main() -> Any:
            async with aio.ManagedIdentityClient(SYSTEM, **options) as client:
                return await client.acquire_token_for_client(resource=RESOURCE)

        return asyncio.run(main())

    @pytest.mark.parametrize(
        "make",
        [
            dict,
            lambda: {"http_client": requests.Session()},
            lambda: {"async_http_client": httpx.AsyncClient()},
        ],
        ids=["by itself", "a session", "an httpx client"],
    )
    def test_the_secret_goes_to_the_server_with_that_certificate_only(
        self, fabric: Endpoint, make: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert self.token(**make())["access_token"] == "at"
        assert fabric.requests[0].headers["secret"] == "s3cret"
        fabric.requests.clear()
        monkeypatch.setenv("IDENTITY_SERVER_THUMBPRINT", "0" * 40)
        with pytest.raises(ProviderUnreachable) as caught:
            self.token(**make())
        assert caught.value.code == "certificate"
        assert fabric.requests == []

    def test_without_httpx_too(self, fabric: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(transports, "find_spec", lambda _: None)
        assert self.token()["access_token"] == "at"

    def test_a_client_that_cannot_promise_it_is_refused(self, fabric: Endpoint) -> None:
        with pytest.raises(ManagedIdentityError, match=r"give an httpx\.AsyncClient"):
            self.token(async_http_client=Client())
        assert fabric.requests == []

    def test_it_proves_an_application(self, fabric: Endpoint) -> None:
        with Provider(entra=True) as provider:

            async def main() -> Any:
                async with aio.ConfidentialClientApplication(
                    provider.client_id,
                    {"managed_identity": True},
                    authority=provider.authority(HOME_TENANT),
                ) as app:
                    return await app.acquire_token_for_client(["https://api.example/.default"])

            # The provider knows secrets only.
            assert asyncio.run(main())["error"] == "invalid_client"
            assert provider.requests_to("token")[0].form["client_assertion"] == "at"
