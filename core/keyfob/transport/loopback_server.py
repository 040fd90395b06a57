"""Serves a few browsers' connections in one thread, within bounds, until it is told to stop.

Nobody can hold it up: every connection has a deadline and a size, there are only so many of them,
and the oldest goes when there would be more. So the memory it takes is bounded as well.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from keyfob.transport.loopback_pages import Reply, bad_request_reply
from keyfob.transport.loopback_requests import (
    MAX_REQUEST_BYTES,
    BadRequest,
    BrowserRequest,
    body_length,
    head_length,
    read_request,
)

if TYPE_CHECKING:
    from typing_extensions import Self

#: Connections at once. Browsers open two or three ahead, some of which they never use.
MAX_CONNECTIONS = 32
#: Seconds for one connection to send its request.
CONNECTION_SECONDS = 10.0
#: Seconds for a client to take its answer; who waits for what it brought waits no longer.
_ANSWER_SECONDS = 3.0
#: Seconds in which a client that has its answer may hang up first, so that it reads all of it.
_FAREWELL_SECONDS = 1.0
_CHUNK = 16_384
#: Seconds until accepting is tried again where this process has no more files.
_RETRY = 0.05

#: Answers a request; the function beside the reply is called when the browser has it.
Respond = Callable[[BrowserRequest], "tuple[Reply, Callable[[], None] | None]"]


class LoopbackServer:
    """One thread that answers on these listeners, for as long as the `with` block.

    The listeners stay open; every other connection is closed at its end.

    :param fail: is given what ended the thread before.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        respond: Respond,
        fail: Callable[[BaseException], object],
    ) -> None:
        self._listeners = tuple(listeners)
        self._respond = respond
        self._fail = fail
        self._connections: dict[socket.socket, _Connection] = {}
        self._stopping = False

    def __enter__(self) -> Self:
        self._selector = selectors.DefaultSelector()
        self._waker, self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="keyfob-loopback", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        with contextlib.suppress(OSError):
            self._wake.send(b"x")
        self._thread.join()
        self._wake.close()
        self._waker.close()
        self._selector.close()

    def _serve(self) -> None:
        try:
            for readable in (*self._listeners, self._waker):
                self._selector.register(readable, selectors.EVENT_READ)
            while not self._stopping:
                for key, _ in self._selector.select(self._patience()):
                    self._attend(key.fileobj)
                self._drop_the_late()
        except BaseException as error:  # noqa: BLE001 - raised where the answer is waited for
            self._fail(error)
        finally:
            for sock in list(self._connections):
                self._drop(sock)

    def _attend(self, ready: object) -> None:
        if not isinstance(ready, socket.socket) or ready is self._waker:
            return
        connection = self._connections.get(ready)
        if connection is not None:
            self._continue(ready, connection)
        elif ready in self._listeners:
            self._accept(ready)

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError:
            time.sleep(_RETRY)
            return
        sock.settimeout(0)
        if len(self._connections) >= MAX_CONNECTIONS:
            self._drop(next(iter(self._connections)))
        self._connections[sock] = _Connection(sock, self._respond)
        self._selector.register(sock, selectors.EVENT_READ)

    def _continue(self, sock: socket.socket, connection: _Connection) -> None:
        try:
            connection.proceed()
        except BlockingIOError:
            return
        except OSError:
            self._drop(sock)
            return
        if connection.is_over:
            self._drop(sock)
        else:
            wanted = selectors.EVENT_WRITE if connection.has_output else selectors.EVENT_READ
            self._selector.modify(sock, wanted)

    def _patience(self) -> float | None:
        deadlines = [connection.deadline for connection in self._connections.values()]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _drop_the_late(self) -> None:
        now = time.monotonic()
        for sock, connection in list(self._connections.items()):
            if connection.deadline <= now:
                self._drop(sock)

    def _drop(self, sock: socket.socket) -> None:
        connection = self._connections.pop(sock)
        self._selector.unregister(sock)
        sock.close()
        connection.finish()


class _Connection:
    """One client: its request comes in, its answer goes out, and it hangs up."""

    def __init__(self, sock: socket.socket, respond: Respond) -> None:
        self._socket = sock
        self._respond = respond
        self._input = bytearray()
        self._head_length: int | None = None
        self._wanted = MAX_REQUEST_BYTES
        self._output = memoryview(b"")
        self._answered = False
        self._finished: Callable[[], None] | None = None
        self.deadline = time.monotonic() + CONNECTION_SECONDS
        self.is_over = False

    @property
    def has_output(self) -> bool:
        return len(self._output) > 0

    def proceed(self) -> None:
        """Do what can be done without waiting.

        :raises OSError: the client is gone.
        """
        if self.has_output:
            self._send()
            return
        chunk = self._socket.recv(_CHUNK)
        if not chunk:
            self.is_over = True
        elif not self._answered:
            self._take(chunk)

    def finish(self) -> None:
        """The browser has its answer, or never will: say so, once."""
        finished, self._finished = self._finished, None
        if finished is not None:
            finished()

    def _take(self, chunk: bytes) -> None:
        searched = max(0, len(self._input) - 3)
        self._input += chunk
        try:
            if self._head_length is None:
                self._head_length = head_length(self._input, searched)
                if self._head_length is None:
                    if len(self._input) > MAX_REQUEST_BYTES:
                        raise BadRequest(431)
                    return
                self._wanted = self._head_length + body_length(
                    bytes(self._input[: self._head_length])
                )
            if len(self._input) < self._wanted:
                return
            head = bytes(self._input[: self._head_length])
            request = read_request(head, bytes(self._input[self._head_length : self._wanted]))
        except BadRequest as problem:
            self._answer(bad_request_reply(problem.status).to_bytes())
            return
        reply, self._finished = self._respond(request)
        self._answer(reply.to_bytes(with_body=request.method != "HEAD"))

    def _answer(self, data: bytes) -> None:
        self._answered = True
        self._input.clear()
        self._output = memoryview(data)
        self.deadline = time.monotonic() + _ANSWER_SECONDS
        self._send()

    def _send(self) -> None:
        with contextlib.suppress(BlockingIOError):
            sent = self._socket.send(self._output)
            self._output = self._output[sent:]
        if not self.has_output:
            # What the client still sends is read, and not kept: closing before would reset the
            # connection, and the page with it.
            self._socket.shutdown(socket.SHUT_WR)
            self.deadline = min(self.deadline, time.monotonic() + _FAREWELL_SECONDS)
            self.finish()
