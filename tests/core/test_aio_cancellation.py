"""Whoever is cancelled leaves nothing behind: no lock, no task, no connection that hangs."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest
import requests

import keyfob
from keyfob import aio
from support.loopback import PATIENCE
from support.provider import HOME_TENANT, Provider
from support.provider_http import hang
from support.sign_in import REDIRECT_URI, Clock, come_back

SCOPES = ["User.Read"]
WAITERS = 4
#: Which of the waiters are cancelled.
VICTIMS = {
    "the first": [0],
    "the last": [WAITERS - 1],
    "all but the last": list(range(WAITERS - 1)),
    "all": list(range(WAITERS)),
}


class Client:
    """An asynchronous HTTP client that takes the same number of turns of the loop each time."""

    def __init__(self) -> None:
        self.session = requests.Session()

    async def get(self, url: str, **arguments: Any) -> Any:
        return await self._exchange(self.session.get, url, arguments)

    async def post(self, url: str, **arguments: Any) -> Any:
        return await self._exchange(self.session.post, url, arguments)

    async def _exchange(self, send: Callable[..., Any], url: str, arguments: Any) -> Any:
        for _ in range(2):
            await asyncio.sleep(0)
        answer = send(url, **arguments, allow_redirects=False, timeout=PATIENCE)
        for _ in range(2):
            await asyncio.sleep(0)
        return answer

    async def aclose(self) -> None:
        self.session.close()


class Site:
    """Somebody who signed in at a provider, whose refresh token serves again."""

    def __init__(self, provider: Provider, **options: Any) -> None:
        self.provider = provider
        self.clock = Clock()
        self.cache = keyfob.TokenCache()
        self.app = aio.ConfidentialClientApplication(
            provider.client_id,
            provider.client_secret,
            authority=provider.authority(HOME_TENANT),
            token_cache=self.cache,
            clock=self.clock,
            **options,
        )

    async def sign_in(self) -> None:
        flow = await self.app.initiate_auth_code_flow(SCOPES, redirect_uri=REDIRECT_URI)
        response = await asyncio.to_thread(come_back, flow["auth_uri"])
        assert "access_token" in await self.app.acquire_token_by_auth_code_flow(flow, response)

    def forget_the_provider(self) -> None:
        """So that the next refresh asks for its metadata and keys as well."""
        provider = self.app._client.provider
        provider._metadata = provider._keys = None

    def let_tokens_expire(self) -> None:
        self.clock.offset += 7200
        self.provider.clock_offset += 7200

    def refresh(self) -> Coroutine[Any, Any, Any]:
        [account] = self.app.get_accounts()
        return self.app.acquire_token_silent(SCOPES, account, force_refresh=True)

    def assert_nothing_is_held(self) -> None:
        assert not self.app._flights._flights
        assert not self.app._flights._waiting
        assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
def provider() -> Iterator[Provider]:
    # An answer that nobody received would otherwise take the refresh token with it.
    with Provider(entra=True, rotate_refresh_tokens=False) as found:
        yield found


def driven(main: Callable[[], Awaitable[None]]) -> None:
    """In a loop whose complaints, such as of destroyed tasks, are failures."""
    complaints: list[Any] = []

    async def watched() -> None:
        handler = asyncio.get_running_loop().set_exception_handler
        handler(lambda _, context: complaints.append(context))
        await main()
        gc.collect()

    asyncio.run(watched())
    gc.collect()
    assert complaints == []


async def cancelled_after(site: Site, turns: int, victims: list[int]) -> bool:
    """Several refreshes at once, some cancelled after so many turns; whether that was in time."""
    site.forget_the_provider()
    tasks = [asyncio.ensure_future(site.refresh()) for _ in range(WAITERS)]
    for _ in range(turns):
        await asyncio.sleep(0)
    in_time = not all(tasks[index].done() for index in victims)
    for index in victims:
        tasks[index].cancel()
    # And somebody comes before those have ended.
    gathered = asyncio.gather(*tasks, site.refresh(), return_exceptions=True)
    results: list[Any] = await asyncio.wait_for(gathered, PATIENCE)
    for index, result in enumerate(results):
        if isinstance(result, asyncio.CancelledError):
            assert index in victims
        else:
            assert "access_token" in result
    site.assert_nothing_is_held()
    return in_time


@pytest.mark.parametrize("victims", VICTIMS)
def test_at_whatever_point_waiters_are_cancelled_the_others_and_the_next_call_are_served(
    provider: Provider, victims: str
) -> None:
    client = Client()
    site = Site(provider, async_http_client=client)

    async def main() -> None:
        await site.sign_in()
        turns = 0
        async with site.app:
            while await cancelled_after(site, turns, VICTIMS[victims]):
                assert "access_token" in await asyncio.wait_for(site.refresh(), PATIENCE)
                site.assert_nothing_is_held()
                turns += 1
        # Metadata, keys and the refresh, each with four turns of its own.
        assert turns > 12

    driven(main)


def test_the_others_share_one_refresh_when_the_one_who_began_it_is_cancelled(
    provider: Provider,
) -> None:
    site = Site(provider, async_http_client=Client())

    async def main() -> None:
        async with site.app:
            await site.sign_in()
            provider.requests.clear()
            tasks = [asyncio.ensure_future(site.refresh()) for _ in range(WAITERS)]
            for _ in range(3):
                await asyncio.sleep(0)
            tasks[0].cancel()
            results: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(results[0], asyncio.CancelledError)
            assert len({one["access_token"] for one in results[1:]}) == 1

    driven(main)
    assert len(provider.requests_to("token")) == 1


@pytest.mark.parametrize("endpoint", ["discovery", "token", "keys"])
@pytest.mark.parametrize("kind", ["httpx", "thread"])
def test_an_exchange_that_hangs_is_broken_off(provider: Provider, kind: str, endpoint: str) -> None:
    begun = threading.Event()
    # Neither the provider nor our own limit ends it. In a thread it goes on, so it is short there.
    options: dict[str, Any] = {"timeout": 10 * PATIENCE}
    if kind == "thread":
        options = {"http_client": requests.Session()}
    site = Site(provider, **options)

    def hanging(_: Any) -> Any:
        begun.set()
        return hang(10 * PATIENCE if kind == "httpx" else 0.2)

    async def main() -> None:
        async with site.app:
            await site.sign_in()
            site.forget_the_provider()
            provider.raw[endpoint] = hanging
            task = asyncio.ensure_future(site.refresh())
            await asyncio.to_thread(begun.wait, PATIENCE)
            task.cancel()
            await asyncio.wait({task}, timeout=PATIENCE)
            assert task.cancelled()
            site.assert_nothing_is_held()
            del provider.raw[endpoint]
            assert "access_token" in await asyncio.wait_for(site.refresh(), PATIENCE)

    driven(main)


def test_a_time_limit_of_the_callers_own_ends_a_call(provider: Provider) -> None:
    site = Site(provider)

    async def main() -> None:
        async with site.app:
            await site.sign_in()
            provider.raw["token"] = lambda _: hang(PATIENCE)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(site.refresh(), 0.05)
            site.assert_nothing_is_held()

    driven(main)


class TestSharing:
    def test_many_tasks_cause_one_request_whichever_twin_they_ask(self, provider: Provider) -> None:
        site = Site(provider)

        async def main() -> None:
            async with site.app:
                await site.sign_in()
                site.let_tokens_expire()
                site.forget_the_provider()
                provider.requests.clear()
                twins = [site.app.with_cache(site.cache) for _ in range(20)]
                [account] = site.app.get_accounts()
                results = await asyncio.gather(
                    *(twin.acquire_token_silent(SCOPES, account) for twin in twins)
                )
                assert len({one["access_token"] for one in results if one}) == 1
                assert all(results)

        driven(main)
        assert len(provider.requests_to("token")) == 1
        assert len(provider.requests_to("discovery")) == 1

    @pytest.mark.parametrize("kind", ["httpx", "thread"])
    def test_several_event_loops_and_threads_share_one_application(
        self, provider: Provider, kind: str
    ) -> None:
        options: dict[str, Any] = {"http_client": requests.Session()} if kind == "thread" else {}
        site = Site(provider, **options)
        asyncio.run(site.sign_in())
        site.let_tokens_expire()
        site.forget_the_provider()
        provider.requests.clear()
        loops = 4
        together = threading.Barrier(loops)

        def loop(number: int) -> list[Any]:
            found: list[Any] = []

            async def main() -> None:
                async with site.app:
                    together.wait(PATIENCE)
                    [account] = site.app.get_accounts()
                    calls = [site.app.acquire_token_silent(SCOPES, account) for _ in range(5)]
                    calls += [
                        site.app.acquire_token_for_client([f"https://api{number}.example/.default"])
                    ]
                    found.extend(await asyncio.gather(*calls))
                    site.app.get_accounts()

            driven(main)
            return found

        with concurrent.futures.ThreadPoolExecutor(loops) as pool:
            results = [one for each in pool.map(loop, range(loops)) for one in each]
        assert len(results) == loops * 6
        assert all("access_token" in result for result in results)
        # Each loop asks for itself at most once.
        assert loops < len(provider.requests_to("token")) <= 2 * loops
        assert not site.app._flights._flights

    def test_an_application_serves_one_loop_after_the_other(self, provider: Provider) -> None:
        site = Site(provider)
        for _ in range(3):
            asyncio.run(site.sign_in())
        asyncio.run(site.app.aclose())
