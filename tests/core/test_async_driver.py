"""The asynchronous driver runs the same flows, and survives being cancelled."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from keyfob.errors import ProviderUnreachable
from keyfob.flows import Flow, call, pause, send
from keyfob.protocol.http import HttpRequest, HttpResponse
from keyfob.transport import run
from keyfob.transport.async_driver import ThreadedTransport, run_async

REQUEST = HttpRequest("GET", "https://provider.example/x", "something")


class Sent:
    """A transport that answers each request, fails, or never answers."""

    def __init__(self, error: Exception | None = None, *, hangs: bool = False) -> None:
        self.error, self.hangs = error, hangs
        self.begun = asyncio.Event()
        self.broken_off = 0

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.begun.set()
        if self.error is not None:
            raise self.error
        if self.hangs:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                self.broken_off += 1
                raise
        return HttpResponse(200, {}, b"body", request.url)

    async def aclose(self) -> None: ...


def driven(flow: Flow[Any], **options: Any) -> Any:
    async def main() -> Any:
        return await run_async(flow, Sent(), **options)

    return asyncio.run(main())


def test_a_request_is_sent_and_its_answer_received() -> None:
    assert driven(send(REQUEST)).body == b"body"


def test_a_pause_is_slept() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    driven(pause(5), sleep=sleep)
    assert slept == [5]


def test_a_pause_does_not_block_the_loop() -> None:
    async def main() -> list[str]:
        order: list[str] = []

        async def paused() -> None:
            await run_async(pause(0.01), Sent())
            order.append("paused")

        async def other() -> None:
            order.append("other")

        await asyncio.gather(paused(), other())
        return order

    assert asyncio.run(main()) == ["other", "paused"]


class TestCalls:
    def test_a_function_is_called_in_a_thread(self) -> None:
        thread = driven(call(threading.get_ident))
        assert thread != threading.get_ident()

    def test_a_function_that_blocks_does_not_block_the_loop(self) -> None:
        blocked = threading.Event()

        async def main() -> Any:
            async def release() -> None:
                blocked.set()

            return (
                await asyncio.gather(run_async(call(lambda: blocked.wait(30)), Sent()), release())
            )[0]

        assert asyncio.run(main()) is True

    def test_a_coroutine_function_is_awaited_in_the_loop(self) -> None:
        async def here(number: int) -> tuple[int, int]:
            return threading.get_ident(), number

        class Object:
            async def __call__(self) -> tuple[int, int]:
                return await here(1)

        async def unbound() -> tuple[int, int]:
            return await here(1)

        ways: list[Callable[[], Any]] = [
            unbound,
            functools.partial(here, 1),
            Object(),
            lambda: here(1),
        ]
        for function in ways:
            assert driven(call(function)) == (threading.get_ident(), 1)

    def test_what_they_raise_is_raised_in_the_flow(self) -> None:
        def fail() -> None:
            raise KeyError("x")

        async def fail_too() -> None:
            raise KeyError("x")

        def flow(function: Any) -> Flow[str]:
            try:
                yield from call(function)
            except KeyError as error:
                return repr(error)
            return "nothing"

        assert driven(flow(fail)) == driven(flow(fail_too)) == "KeyError('x')"

    def test_a_stray_stop_iteration_does_not_hang(self) -> None:
        def fail() -> None:
            raise StopIteration

        with pytest.raises(RuntimeError):
            driven(call(fail))


def test_a_failure_is_raised_in_the_flow_where_it_may_be_handled() -> None:
    def flow() -> Flow[str]:
        try:
            yield from send(REQUEST)
        except ProviderUnreachable as error:
            yield from pause(0)
            return str(error)
        return "nothing"

    async def main() -> str:
        return await run_async(flow(), Sent(ProviderUnreachable("gone")))

    assert asyncio.run(main()) == "gone"


def test_a_failure_that_the_flow_does_not_handle_comes_out() -> None:
    async def main() -> None:
        await run_async(send(REQUEST), Sent(ProviderUnreachable("gone")))

    with pytest.raises(ProviderUnreachable, match="gone"):
        asyncio.run(main())


@pytest.mark.parametrize("by", ["cancel", "timeout"])
def test_whoever_is_cancelled_closes_the_flow_and_breaks_off_the_exchange(by: str) -> None:
    closed: list[str] = []

    def flow() -> Flow[None]:
        try:
            yield from send(REQUEST)
        except Exception:
            closed.append("an error that it could handle")
        finally:
            closed.append("closed")

    async def main() -> None:
        transport = Sent(hangs=True)
        if by == "timeout":
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(run_async(flow(), transport), 0.01)
        else:
            task = asyncio.ensure_future(run_async(flow(), transport))
            await transport.begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert transport.broken_off == 1
        # It serves on.
        transport.hangs = False
        assert (await run_async(send(REQUEST), transport)).status == 200

    asyncio.run(main())
    assert closed == ["closed"]


def test_both_drivers_bring_the_same() -> None:
    def flow() -> Flow[tuple[int, str]]:
        answer = yield from send(REQUEST)
        yield from pause(0)
        return answer.status, (yield from call(lambda: "called"))

    class Synchronous:
        def send(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse(200, {}, b"body", request.url)

        def close(self) -> None: ...

    assert driven(flow()) == run(flow(), Synchronous()) == (200, "called")


class TestThreadedTransport:
    class Blocking:
        """A synchronous transport whose exchanges last until they are let go."""

        def __init__(self) -> None:
            self.let_go = threading.Event()
            self.threads: set[int] = set()
            self.options: dict[str, Any] = {}
            self.closed = False

        def send(self, request: HttpRequest) -> HttpResponse:
            self.threads.add(threading.get_ident())
            if request.method == "POST":
                raise ProviderUnreachable("gone")
            self.let_go.wait(30)
            return HttpResponse(200, {}, b"", request.url)

        def with_options(self, options: Any) -> Any:
            self.options = dict(options)
            return self

        def close(self) -> None:
            self.closed = True

    def test_exchanges_run_beside_the_loop_and_each_other(self) -> None:
        inner = self.Blocking()

        async def main() -> list[HttpResponse]:
            transport = ThreadedTransport(inner)
            tasks = [asyncio.ensure_future(transport.send(REQUEST)) for _ in range(2)]
            while len(inner.threads) < 2:
                await asyncio.sleep(0.001)
            inner.let_go.set()
            found = await asyncio.gather(*tasks)
            await transport.aclose()
            return found

        assert [answer.status for answer in asyncio.run(main())] == [200, 200]
        assert threading.get_ident() not in inner.threads
        assert inner.closed

    def test_errors_and_options_pass_through(self) -> None:
        inner = self.Blocking()

        async def main() -> None:
            transport = ThreadedTransport(inner).with_options({"timeout": 3})
            await transport.send(HttpRequest("POST", "https://x", "x"))

        with pytest.raises(ProviderUnreachable):
            asyncio.run(main())
        assert inner.options == {"timeout": 3}

    def test_a_task_that_is_cancelled_ends_at_once(self) -> None:
        inner = self.Blocking()

        async def main() -> float:
            task = asyncio.ensure_future(ThreadedTransport(inner).send(REQUEST))
            while not inner.threads:
                await asyncio.sleep(0.001)
            started = time.monotonic()
            task.cancel()
            await asyncio.wait({task})
            took = time.monotonic() - started
            inner.let_go.set()
            return took

        assert asyncio.run(main()) < 10
