"""A call to an API in a person's name, beside the same call by a bare `requests.Session`."""

from __future__ import annotations

import multiprocessing
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import requests
from measure import Row, duration, say
from requests.adapters import HTTPAdapter
from sessions import Ours, cache_with
from world import ASKED, Wire

from keyfob.web.downstream_adapter import POOL_SIZE
from keyfob.web.settings_apis import DEFAULT_TIMEOUT, DownstreamApi
from keyfob.web.stores import MemoryStore

#: Calls of each side, in pairs.
CALLS = 2000
MOST = 1.05
BODY = b'{"value": [' + b'{"id": 1, "name": "an order"}, ' * 20 + b"{}]}"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)


def rows(wire: Wire) -> Iterator[Row]:
    say(f"{CALLS} calls to an API")
    with running_server() as base:
        site = Ours(MemoryStore(), wire, cache_with(0).serialize())
        orders = DownstreamApi("orders", base, tuple(ASKED))
        apis = {**site.app.settings.downstream_apis, "orders": orders}
        object.__setattr__(site.app.settings, "downstream_apis", apis)
        bare = bare_session(site.app.session(site.session).token(api="orders"))
        url = f"{base}/orders"

        def theirs() -> None:
            assert bare.get(url, timeout=DEFAULT_TIMEOUT).status_code == 200

        # A request whose view needs the token: `login_required(api="orders")` has looked.
        session = site.app.session(site.session)
        session.require(api="orders")

        def ours() -> None:
            """What a view writes: `downstream_api("orders").get("/orders")`."""
            assert session.api("orders").get("/orders").status_code == 200

        def whole_request() -> None:
            """And all that a request of the site begins with: reading its session's tokens."""
            session = site.app.session(site.session)
            session.require(api="orders")
            assert session.api("orders").get("/orders").status_code == 200

        yield beside("a call to an API, a bare requests.Session:", ours, theirs, MOST)
        yield beside("... and the session's tokens read first", whole_request, theirs)
        bare.close()
        site.app.close()


def bare_session(token: str) -> requests.Session:
    """One that lives as long as the program, with the token of one person: the least there is."""
    bare = requests.Session()
    bare.headers["Authorization"] = f"Bearer {token}"
    for prefix in ("http://", "https://"):
        bare.mount(prefix, HTTPAdapter(pool_maxsize=POOL_SIZE))
    return bare


def beside(
    name: str, ours: Callable[[], None], theirs: Callable[[], None], most: float | None = None
) -> Row:
    """Of pairs of calls, whose order changes, how much longer ours take: the whole time, with
    what the server needs."""
    mine, other = [], []
    for number in range(CALLS):
        if number % 2:
            mine.append(timed(ours))
            other.append(timed(theirs))
        else:
            other.append(timed(theirs))
            mine.append(timed(ours))
    ratio = statistics.median(mine) / statistics.median(other)
    return Row(
        name,
        duration(statistics.median(mine)),
        duration(statistics.median(other)),
        f"{ratio:.3f} of it",
        "" if most is None else f"<= {most}",
        None if most is None else ratio <= most,
    )


def timed(call: Callable[[], None]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


@contextmanager
def running_server() -> Iterator[str]:
    """A server in a process of its own, which takes as little time as one can."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.terminate()
        process.join()


def serve(told: Connection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        told.send(server.getsockname()[1])
        while True:
            connection, _ = server.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()


def answer(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        while connection.recv(65_536):
            connection.sendall(ANSWER)
