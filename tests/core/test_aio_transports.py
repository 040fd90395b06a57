"""How an asynchronous application sends its requests, and what of the application's it awaits."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests

from keyfob import aio
from keyfob.aio import transports
from keyfob.aio.transports import choose_transport
from keyfob.errors import ConfigurationError, CredentialError, ProviderUnreachable
from keyfob.protocol.http import HttpRequest
from support.loopback import PATIENCE
from support.provider import HOME_TENANT, Provider
from support.provider_http import hang

SCOPES = ["https://api.example/.default"]


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider(entra=True) as found:
        yield found


@pytest.fixture(autouse=True)
def fresh(provider: Provider) -> Iterator[None]:
    provider.requests.clear()
    yield
    provider.raw.clear()


def confidential(
    provider: Provider, credential: Any = None, **options: Any
) -> aio.ConfidentialClientApplication:
    return aio.ConfidentialClientApplication(
        provider.client_id,
        provider.client_secret if credential is None else credential,
        authority=provider.authority(HOME_TENANT),
        **options,
    )


def own_token(provider: Provider, credential: Any = None, **options: Any) -> Any:
    """One token in the application's own name, and what it sent."""
    asked = options.pop("asked", {})

    async def main() -> Any:
        async with confidential(provider, credential, **options) as app:
            return await app.acquire_token_for_client(SCOPES, **asked)

    return asyncio.run(main())


@pytest.fixture
def without_httpx(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        transports, "find_spec", lambda name: None if name == "httpx" else real(name)
    )


class Answer:
    def __init__(self, answer: requests.Response) -> None:
        self.status_code, self.text, self.headers = answer.status_code, answer.text, answer.headers


class Client:
    """An asynchronous client of the application's own, with MSAL's duck type."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.closed = False

    async def get(self, url: str, params: Any = None, headers: Any = None) -> Answer:
        return Answer(await asyncio.to_thread(requests.get, url, params=params, headers=headers))

    async def post(self, url: str, **arguments: Any) -> Answer:
        self.calls.append(dict(arguments))
        arguments.pop("trace", None)
        return Answer(await asyncio.to_thread(requests.post, url, **arguments))

    async def aclose(self) -> None:
        self.closed = True


class TestTheChoice:
    def agent(self, provider: Provider) -> str:
        return provider.requests_to("token")[0].headers["user-agent"].partition("/")[0]

    def test_httpx_where_it_is_installed(self, provider: Provider) -> None:
        assert "access_token" in own_token(provider)
        assert self.agent(provider) == "python-httpx"

    @pytest.mark.usefixtures("without_httpx")
    def test_requests_in_threads_where_it_is_not(self, provider: Provider) -> None:
        assert "access_token" in own_token(provider)
        assert self.agent(provider) == "python-requests"

    def test_a_synchronous_client_is_used_in_threads_and_closed(self, provider: Provider) -> None:
        seen: list[int] = []

        class Session(requests.Session):
            def post(self, *args: Any, **arguments: Any) -> Any:
                seen.append(threading.get_ident())
                return super().post(*args, **arguments)

            def close(self) -> None:
                seen.append(0)
                super().close()

        assert "access_token" in own_token(provider, http_client=Session())
        assert seen[0] != threading.get_ident()
        assert seen[-1] == 0

    def test_an_httpx_client_of_the_applications_own(self, provider: Provider) -> None:
        client = httpx.AsyncClient(headers={"User-Agent": "mine/1"})
        assert "access_token" in own_token(provider, async_http_client=client)
        assert self.agent(provider) == "mine"
        assert client.is_closed

    def test_an_object_with_coroutine_functions(self, provider: Provider) -> None:
        client = Client()
        result = own_token(provider, async_http_client=client, asked={"trace": 7})
        assert "access_token" in result
        assert client.calls[0]["trace"] == 7
        assert client.closed

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"http_client": requests.Session(), "async_http_client": Client()}, "exclude"),
            ({"http_client": httpx.AsyncClient()}, "give it as async_http_client"),
            ({"http_client": Client()}, "give it as async_http_client"),
            ({"async_http_client": requests.Session()}, "give it as http_client"),
            ({"async_http_client": httpx.Client()}, "give it as http_client"),
            ({"timeout": 0}, "timeout"),
            ({"verify": "/no/such/bundle"}, "verify"),
        ],
    )
    def test_what_cannot_be_is_said_when_the_application_is_made(
        self, provider: Provider, options: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=message):
            confidential(provider, **options)

    def test_a_synchronous_object_in_the_place_of_an_asynchronous_one_is_told(
        self, provider: Provider
    ) -> None:
        class Synchronous:
            def get(self, url: str, **arguments: Any) -> Any:
                return requests.get(url, **arguments, timeout=PATIENCE)

            post = get

            def close(self) -> None: ...

        with pytest.raises(ConfigurationError, match="give it as http_client"):
            own_token(provider, async_http_client=Synchronous())

    @pytest.mark.parametrize("kind", ["httpx", "threads"])
    def test_options_of_one_call_reach_the_transport(
        self, provider: Provider, kind: str, request: pytest.FixtureRequest
    ) -> None:
        if kind == "threads":
            request.getfixturevalue("without_httpx")
        provider.raw["token"] = lambda _: hang(5)
        with pytest.raises(ProviderUnreachable, match="in time"):
            own_token(provider, asked={"timeout": 0.2})

    @pytest.mark.parametrize("asynchronous", [True, False])
    def test_a_post_of_the_callers_own_takes_the_place_of_ours(
        self, provider: Provider, asynchronous: bool
    ) -> None:
        class Given:
            status_code, text = 200, '{"access_token": "mine", "token_type": "Bearer"}'

        async def post(url: str, **arguments: Any) -> Given:
            return Given()

        def post_too(url: str, **arguments: Any) -> Given:
            return Given()

        result = own_token(provider, asked={"post": post if asynchronous else post_too})
        assert result["access_token"] == "mine"
        assert provider.requests_to("token") == []

    def test_a_refused_grant_is_not_tried_again_at_once_word_for_word(
        self, provider: Provider
    ) -> None:
        provider.raw["token"] = lambda _: Provider.json({"error": "invalid_scope"}, 400)

        async def main() -> list[Any]:
            async with confidential(provider) as app:
                return [await app.acquire_token_for_client(SCOPES) for _ in range(2)]

        first, second = asyncio.run(main())
        assert first["error"] == second["error"] == "invalid_scope"
        assert len(provider.requests_to("token")) == 1


class TestCredentials:
    """A function that makes assertions; the provider, which knows secrets only, refuses them."""

    def refused(self, provider: Provider, function: Any) -> dict[str, str]:
        result = own_token(provider, {"client_assertion": function})
        assert result["error"] == "invalid_client"
        form: dict[str, str] = provider.requests_to("token")[0].form
        return form

    def test_a_function_is_called_beside_the_loop(self, provider: Provider) -> None:
        threads: list[int] = []

        def assertion() -> str:
            threads.append(threading.get_ident())
            return "head.body.sign"

        assert self.refused(provider, assertion)["client_assertion"] == "head.body.sign"
        assert threads[0] != threading.get_ident()

    @pytest.mark.parametrize("context", [True, False])
    def test_a_coroutine_function_is_awaited(self, provider: Provider, context: bool) -> None:
        async def assertion() -> str:
            await asyncio.sleep(0)
            return "head.body.sign"

        async def assertion_for(given: Any) -> str:
            await asyncio.sleep(0)
            return f"head.{given['client_id']}.sign"

        form = self.refused(provider, assertion_for if context else assertion)
        middle = provider.client_id if context else "body"
        assert form["client_assertion"] == f"head.{middle}.sign"

    def test_what_it_returns_is_judged(self, provider: Provider) -> None:
        async def nothing() -> None: ...

        with pytest.raises(CredentialError, match="must return an assertion"):
            own_token(provider, {"client_assertion": nothing})
        assert provider.requests_to("token") == []

    def test_whoever_is_cancelled_while_it_is_made_leaves_the_next_call_alone(
        self, provider: Provider
    ) -> None:
        calls: list[Any] = []

        async def main() -> Any:
            asked = asyncio.Event()

            async def assertion() -> str:
                calls.append(1)
                asked.set()
                if len(calls) == 1:
                    await asyncio.Event().wait()
                return "head.body.sign"

            async with confidential(provider, {"client_assertion": assertion}) as app:
                task = asyncio.ensure_future(app.acquire_token_for_client(SCOPES))
                await asyncio.wait_for(asked.wait(), PATIENCE)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert asyncio.all_tasks() == {asyncio.current_task()}
                call = app.acquire_token_for_client(SCOPES)
                return await asyncio.wait_for(call, PATIENCE)

        assert asyncio.run(main())["error"] == "invalid_client"
        assert len(calls) == 2


def test_a_repr_says_how_it_is_sent() -> None:
    assert repr(choose_transport(None, None, timeout=3)) == "<HttpxTransport timeout=3>"
    assert repr(choose_transport(None, Client())) == "<AsyncHttpClientTransport Client>"


def test_what_needs_a_certificate_takes_no_options_of_the_clients_own(provider: Provider) -> None:
    async def main() -> int:
        transport = choose_transport(None, httpx.AsyncClient())
        derived = transport.with_options({"timeout": 5})  # type: ignore[attr-defined]
        request = HttpRequest("GET", provider.url("discovery", HOME_TENANT), "metadata")
        status: int = (await derived.send(request)).status
        await transport.aclose()
        return status

    assert asyncio.run(main()) == 200
