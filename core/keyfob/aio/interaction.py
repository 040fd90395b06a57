"""The wait for the person's browser, in a thread that ends with the task that awaits it."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from keyfob.transport.loopback import receive

T = TypeVar("T")


async def awaited(result: T | Awaitable[T]) -> T:
    """What a function returned that may be a coroutine function."""
    outcome: Any = result
    if inspect.isawaitable(result):
        outcome = await result
    found: T = outcome
    return found


async def receive_async(
    receiver: Any,
    auth_uri: str,
    *,
    state: str,
    auth_uri_callback: Callable[[str], object] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """As `receive`. Where the task is cancelled the receiver is closed, and its thread has ended.

    :param receiver: one that cannot be closed is left to its own time.
    :param auth_uri_callback: is called in the event loop, and may be a coroutine function.
    """
    loop = asyncio.get_running_loop()
    callback = None if auth_uri_callback is None else _LoopCallback(auth_uri_callback, loop)
    if callback is not None:
        options["auth_uri_callback"] = callback
    outcome: asyncio.Future[_Outcome] = loop.create_future()

    def work() -> None:
        came = _outcome(lambda: receive(receiver, auth_uri, state=state, **options))
        # A loop that was closed meanwhile has nobody who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(outcome.set_result, came)

    thread = threading.Thread(target=work, name="keyfob-interactive", daemon=True)
    thread.start()
    try:
        await asyncio.wait({outcome})
    except asyncio.CancelledError:
        if _end(receiver, callback):
            await asyncio.wait({outcome})
            thread.join()
        raise
    finally:
        if not outcome.done():
            _end(receiver, callback)
    thread.join()
    error, answer = outcome.result()
    if error is not None:
        raise error
    return answer


_Outcome = tuple[BaseException | None, dict[str, Any]]


def _outcome(function: Callable[[], dict[str, Any]]) -> _Outcome:
    try:
        return None, function()
    except BaseException as error:  # noqa: BLE001 - raised where it is awaited
        return error, {}


def _end(receiver: Any, callback: _LoopCallback | None) -> bool:
    """End the thread's wait; whether that can be done."""
    if callback is not None:
        callback.cancel()
    close = getattr(receiver, "close", None)
    if close is None:
        return False
    close()
    return True


class _LoopCallback:
    """Calls a function in an event loop, for a thread that waits until it is done."""

    def __init__(self, function: Callable[[str], object], loop: asyncio.AbstractEventLoop) -> None:
        self._function = function
        self._loop = loop
        self._cancelled = False
        # Known to the loop alone: the thread may learn of it after it began.
        self._task: asyncio.Task[Any] | None = None

    def __call__(self, uri: str) -> None:
        if self._cancelled:
            return
        asyncio.run_coroutine_threadsafe(self._call(uri), self._loop).result()

    def cancel(self) -> None:
        """Called in the loop. What has not begun by then never does."""
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()

    async def _call(self, uri: str) -> None:
        if not self._cancelled:
            self._task = asyncio.current_task()
            await awaited(self._function(uri))
