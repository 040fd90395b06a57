"""Sign-in by a person, in an event loop: with the browser here, or on another device."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from keyfob import aio
from keyfob.errors import (
    BrowserInteractionTimeoutError,
    LoopbackUnavailable,
    MissingKeyError,
)
from keyfob.transport.loopback import AuthCodeReceiver
from support.loopback import PATIENCE
from support.managed_identity import Endpoint, reply
from support.programs import free_port
from support.provider import HOME_TENANT, Provider
from support.provider_jose import b64, dumps
from support.verbs import visit

SCOPES = ["User.Read"]
#: No browser is opened: the address goes to `auth_uri_callback`.
NO_BROWSER: dict[str, Any] = {"browser_name": "none-such"}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(entra=True, auth_methods=("none",)) as found:
        yield found


def public(provider: Provider, **options: Any) -> aio.PublicClientApplication:
    return aio.PublicClientApplication(
        provider.client_id, authority=provider.authority(HOME_TENANT), **options
    )


def threads() -> set[str]:
    """Those of ours that are alive."""
    return {one.name for one in threading.enumerate() if one.name.startswith("keyfob")}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name == "keyfob-browser":
            thread.join(PATIENCE)
    assert threads() == set()


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def interactive(provider: Provider, **options: Any) -> Any:
    """What comes of a sign-in; where an exception comes out, that is raised."""
    problems: list[Any] = []

    async def main() -> Any:
        handler = asyncio.get_running_loop().set_exception_handler
        handler(lambda _, context: problems.append(context))
        async with public(provider) as app:
            asked = {"timeout": PATIENCE, **NO_BROWSER, **options}
            return await app.acquire_token_interactive(SCOPES, **asked)

    try:
        return asyncio.run(main())
    finally:
        gc.collect()
        assert problems == []


class TestInteractive:
    @pytest.mark.parametrize("kind", ["function", "coroutine function"])
    def test_somebody_signs_in_while_the_loop_goes_on(self, provider: Provider, kind: str) -> None:
        loop_thread = threading.get_ident()
        called: list[int] = []

        async def visited(uri: str) -> None:
            called.append(threading.get_ident())
            await asyncio.to_thread(visit, uri)

        def visited_too(uri: str) -> None:
            called.append(threading.get_ident())
            visit(uri)

        callback = visited if kind == "coroutine function" else visited_too
        result = interactive(provider, auth_uri_callback=callback)
        assert result["id_token_claims"]["preferred_username"] == "ada@contoso.example"
        assert called == [loop_thread]

    def test_a_coroutine_function_may_come_before_the_browser(self, provider: Provider) -> None:
        order: list[Any] = []

        async def before(ui: str) -> None:
            await asyncio.sleep(0)
            order.append(ui)

        def visited(uri: str) -> None:
            order.append("browser opened")
            visit(uri)

        interactive(provider, on_before_launching_ui=before, auth_uri_callback=visited)
        assert order == ["browser", "browser opened"]

    def test_a_browser_that_brings_nothing_in_time_is_an_error(self, provider: Provider) -> None:
        with pytest.raises(BrowserInteractionTimeoutError, match=r"within 0\.05 seconds"):
            interactive(provider, timeout=0.05, auth_uri_callback=lambda uri: None)

    @pytest.mark.parametrize("kind", ["function", "coroutine function"])
    def test_what_a_callback_raises_comes_out(self, provider: Provider, kind: str) -> None:
        async def fail(uri: str) -> None:
            raise KeyError("mine")

        def fail_too(uri: str) -> None:
            raise KeyError("mine")

        callback: Callable[[str], object] = fail if kind == "coroutine function" else fail_too
        with pytest.raises(KeyError, match="mine"):
            interactive(provider, auth_uri_callback=callback)

    def test_a_port_that_is_taken_is_an_error(self, provider: Provider) -> None:
        with AuthCodeReceiver() as other, pytest.raises(LoopbackUnavailable):
            interactive(provider, port=other.get_port())

    def test_the_callers_receiver_is_used_and_left_open(self, provider: Provider) -> None:
        with AuthCodeReceiver() as receiver:
            interactive(provider, auth_code_receiver=receiver, auth_uri_callback=visit)
            assert not receiver.is_closed
            assert not is_free(receiver.get_port())

    def test_a_receiver_of_another_kind_serves(self, provider: Provider) -> None:
        class Receiver:
            """As MSAL's, whose users have made their own."""

            def get_port(self) -> int:
                return 5000

            def get_auth_response(self, **asked: Any) -> dict[str, str]:
                return {"error": "access_denied", "state": asked["state"]}

        result = interactive(provider, auth_code_receiver=Receiver())
        assert result["error"] == "access_denied"


class TestCancellingTheWait:
    @pytest.mark.parametrize("own", [True, False], ids=["own receiver", "the callers receiver"])
    @pytest.mark.parametrize("callback", ["none", "hangs"])
    def test_it_frees_the_port_and_ends_the_thread(
        self, provider: Provider, own: bool, callback: str
    ) -> None:
        port = free_port()
        receiver = None if own else AuthCodeReceiver(port)

        async def main() -> None:
            told = asyncio.Event()

            async def address(uri: str) -> None:
                told.set()
                if callback == "hangs":
                    await asyncio.Event().wait()

            async with public(provider) as app:
                more = {"port": port} if own else {"auth_code_receiver": receiver}
                task = asyncio.ensure_future(
                    app.acquire_token_interactive(
                        SCOPES, auth_uri_callback=address, **NO_BROWSER, **more
                    )
                )
                await asyncio.wait_for(told.wait(), PATIENCE)
                assert not is_free(port)
                task.cancel()
                await asyncio.wait({task}, timeout=PATIENCE)
                assert task.cancelled()
                assert is_free(port)
                assert "keyfob-interactive" not in threads()
                assert "keyfob-loopback" not in threads()
                assert asyncio.all_tasks() == {asyncio.current_task()}
                # And somebody can sign in with the same port.
                result = await app.acquire_token_interactive(
                    SCOPES, port=port, timeout=PATIENCE, auth_uri_callback=visit, **NO_BROWSER
                )
                assert "access_token" in result

        asyncio.run(main())

    def test_at_whatever_turn_of_the_loop_it_happens(self, provider: Provider) -> None:
        port = free_port()

        async def main() -> None:
            async with public(provider) as app:
                await app.metadata()
                for turns in range(12):
                    task = asyncio.ensure_future(
                        app.acquire_token_interactive(
                            SCOPES, port=port, auth_uri_callback=lambda _: None, **NO_BROWSER
                        )
                    )
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await task
                    assert is_free(port)
                    assert not threads() - {"keyfob-browser"}

        asyncio.run(main())

    def test_a_receiver_that_cannot_be_closed_is_left_to_its_own_time(
        self, provider: Provider
    ) -> None:
        begun, let_go = threading.Event(), threading.Event()

        class Receiver:
            def get_port(self) -> int:
                return 5000

            def get_auth_response(self, **asked: Any) -> None:
                begun.set()
                let_go.wait(PATIENCE)

        async def main() -> None:
            async with public(provider) as app:
                task = asyncio.ensure_future(
                    app.acquire_token_interactive(SCOPES, auth_code_receiver=Receiver())
                )
                await asyncio.to_thread(begun.wait, PATIENCE)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

        asyncio.run(main())
        # The loop is gone by now; its thread ends without a complaint.
        let_go.set()
        for thread in threading.enumerate():
            if thread.name == "keyfob-interactive":
                thread.join(PATIENCE)


class TestDeviceFlow:
    @pytest.mark.parametrize("kind", ["function", "coroutine function"])
    def test_the_condition_may_be_a_coroutine_function(self, provider: Provider, kind: str) -> None:
        provider.device_errors[:] = ["authorization_pending"] * 9
        provider.device_response = {"interval": 1}
        asked: list[Any] = []

        def ended(flow: Any) -> bool:
            asked.append((flow["user_code"], threading.get_ident()))
            return True

        async def ended_too(flow: Any) -> bool:
            await asyncio.sleep(0)
            return ended(flow)

        condition = ended_too if kind == "coroutine function" else ended

        async def main() -> Any:
            async with public(provider) as app:
                flow = await app.initiate_device_flow(SCOPES)
                return await app.acquire_token_by_device_flow(flow, exit_condition=condition)

        assert asyncio.run(main())["error"] == "authorization_pending"
        [(code, thread)] = asked
        assert code == "WDJB-MJHT"
        # What may block is called beside the loop.
        assert (thread == threading.get_ident()) == (kind == "coroutine function")

    def test_the_loop_goes_on_during_the_wait_and_cancelling_ends_it(
        self, provider: Provider
    ) -> None:
        provider.device_errors[:] = ["authorization_pending"]

        async def main() -> Any:
            async with public(provider) as app:
                flow = await app.initiate_device_flow(SCOPES)
                polled = asyncio.Event()

                async def waits(_: Any) -> bool:
                    polled.set()
                    return False

                task = asyncio.ensure_future(
                    app.acquire_token_by_device_flow(flow, exit_condition=waits)
                )
                await asyncio.wait_for(polled.wait(), PATIENCE)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                # The flow serves on: the person has finished meanwhile.
                flow.pop("latest_attempt_at")
                return await app.acquire_token_by_device_flow(flow)

        assert "access_token" in asyncio.run(main())

    def test_a_flow_without_a_code_is_refused(self, provider: Provider) -> None:
        with pytest.raises(MissingKeyError):
            asyncio.run(public(provider).acquire_token_by_device_flow({}))


class TestCloudShell:
    SCOPE = "https://management.azure.com/.default"

    def test_nobody_is_asked(self, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AZUREPS_HOST_ENVIRONMENT", "cloud-shell/1.0")
        endpoint = Endpoint()
        claims = b64(dumps({"oid": "o", "tid": "t", "unique_name": "ada@contoso.example"}))
        endpoint.answer(
            reply({"access_token": f"e30.{claims}.c2ln", "token_type": "Bearer", "expires_in": 99})
        )

        class Client(httpx.AsyncClient):
            """Goes to our endpoint in the place of the one address that it has there."""

            async def post(self, url: Any, **arguments: Any) -> httpx.Response:
                return await super().post(endpoint.url, **arguments)

        async def main() -> list[Any]:
            async with public(provider, async_http_client=Client()) as app:
                first = await app.acquire_token_interactive([self.SCOPE], prompt="none")
                [account] = app.get_accounts()
                return [first, await app.acquire_token_silent([self.SCOPE], account)]

        for result in asyncio.run(main()):
            assert result["access_token"].startswith("e30.")
        assert [request.form["resource"] for request in endpoint.requests] == [
            "https://management.azure.com"
        ] * 2
        endpoint.close()
