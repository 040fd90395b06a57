"""redis-py as the store uses it: one bounded client for each process, and its failures in words."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

from keyfob.errors import ConfigurationError, StoreUnavailable
from keyfob.web.stores.redis_url import RedisUrl

_CODE = re.compile(r"[A-Z]{2,20}\b")
# redis-py takes the code off an answer for which it has a class.
_CODES = {
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "NoPermissionError": "NOPERM",
    "MovedError": "MOVED",
}
# What the server's answer begins with, what that means, and what to do.
_CURES = {
    "OOM": "is full: give it more memory (maxmemory), or let it evict (maxmemory-policy)",
    "READONLY": "is a replica, which takes no writes: name the primary, or its sentinels",
    "NOPERM": (
        "does not let this user do what is needed: allow it +@connection +@scripting +@hash +type "
        "+del +pexpire +scan on keys that begin with the prefix (ACL SETUSER)"
    ),
    "NOAUTH": "wants a password: put it into TOKEN_STORE",
    "WRONGPASS": "refuses the user name or the password in TOKEN_STORE",
    "MISCONF": "takes no writes because it cannot save to its disk: look into its log",
    "MOVED": "is part of a cluster: write redis+cluster:// in TOKEN_STORE",
}
# What keeps the server from writing, while it goes on reading.
_REFUSES_WRITES = frozenset({"OOM", "READONLY", "MISCONF"})


class _Process:
    """One process's client, and how many of its threads may use it now."""

    def __init__(self, url: RedisUrl) -> None:
        self.lock = threading.Lock()
        self.slots = threading.BoundedSemaphore(url.max_connections)
        self.client: Any = None
        self.close: Callable[[], None] = lambda: None


class RedisClients:
    """A client of redis-py for each process that asks, made when it is first needed.

    :param url: the servers.
    :raises ConfigurationError: redis-py is not installed.
    """

    def __init__(self, url: RedisUrl) -> None:
        # Asked without importing it, which takes a while.
        if importlib.util.find_spec("redis") is None:
            raise ConfigurationError(
                "TOKEN_STORE names a Redis or Valkey server, for which the package 'redis' is "
                "needed: pip install keyfob[redis]",
                setting="TOKEN_STORE",
            )
        self._url = url
        # By process id, as in SQLiteStore: a forked child starts its own, and leaves the parent's
        # here, where nothing collects and so closes it.
        self._processes: dict[int, _Process] = {}

    @contextlib.contextmanager
    def client(self) -> Iterator[Any]:
        """The client, to be used by one thread for one call; any failure as `StoreUnavailable`.

        The slots bound the connections, whatever kind of pool the client has: no thread has more
        than one at a time.
        """
        process = self._process()
        if not process.slots.acquire(timeout=self._url.timeout):
            raise StoreUnavailable(
                f"the token store {self._url} did not get to this call in {self._url.timeout:g} s: "
                f"all {self._url.max_connections} connections of this process were in use"
            )
        try:
            with redis_errors(self._url):
                yield self._opened(process)
        finally:
            process.slots.release()

    def close(self) -> None:
        process = self._process()
        with process.lock:
            client, process.client = process.client, None
            if client is not None:
                process.close()

    def _process(self) -> _Process:
        pid = os.getpid()
        process = self._processes.get(pid)
        # setdefault: of several threads that are first at once, all get the same.
        return (
            process if process is not None else self._processes.setdefault(pid, _Process(self._url))
        )

    def _opened(self, process: _Process) -> Any:
        client = process.client
        if client is None:
            # A cluster's client asks the servers when it is made: one thread does, others wait.
            with process.lock:
                client = process.client
                if client is None:
                    client, process.close = _MAKERS[self._url.topology](self._url)
                    process.client = client
        return client


@contextlib.contextmanager
def redis_errors(url: RedisUrl) -> Iterator[None]:
    """What redis-py raises, as `StoreUnavailable`. No text of it has a key or a value in it."""
    from redis import exceptions

    try:
        yield
    except exceptions.TimeoutError as error:
        raise StoreUnavailable(
            f"the token store {url} did not answer in {url.timeout:g} s"
        ) from error
    except exceptions.ResponseError as error:
        raise _refused(url, error) from None  # the server's words may repeat what it was sent
    except (exceptions.AuthenticationError, exceptions.AuthorizationError) as error:
        raise _refused(url, error) from None
    except (exceptions.RedisError, exceptions.RedisClusterException, OSError) as error:
        raise StoreUnavailable(
            f"the token store {url} cannot be reached ({type(error).__name__}: {error})"
        ) from error


def is_dropped(error: BaseException) -> bool:
    """Whether a connection broke, so that the same call may go through on a new one at once.

    Not after a timeout: nobody waits for a second one. Not for redis-py's other connection errors,
    such as a wrong password: they would be the same again.
    """
    from redis.exceptions import ConnectionError as Dropped

    return type(error) is Dropped


def _refused(url: RedisUrl, error: Exception) -> StoreUnavailable:
    said = str(error)
    kind = type(error).__name__
    code = _CODE.match(said)
    word = _CODES.get(kind) or (code[0] if code else "")
    if kind.startswith("Auth"):
        word = "NOAUTH" if "required" in said else "WRONGPASS"
    cure = _CURES.get(word) or f"refused what it was asked ({' '.join(filter(None, (kind, word)))})"
    refused = "store_refused" if word in _REFUSES_WRITES else None
    return StoreUnavailable(f"the token store {url} {cure}", code=refused)


def _connection(url: RedisUrl) -> dict[str, Any]:
    """redis-py's arguments for any connection to a server."""
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return {
        "username": url.username,
        "password": url.password,
        "socket_timeout": url.timeout,
        "socket_connect_timeout": url.timeout,
        "socket_keepalive": True,
        # Whether a call may be repeated is the store's to know.
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        **_tls(url),
    }


def _tls(url: RedisUrl) -> dict[str, Any]:
    return {} if url.tls is None else {"ssl": True, **url.tls}


def _standalone(url: RedisUrl) -> tuple[Any, Callable[[], None]]:
    from redis import Redis

    arguments = _connection(url)
    if url.socket:
        arguments["unix_socket_path"] = url.socket
        del arguments["socket_keepalive"]
    else:
        ((arguments["host"], arguments["port"]),) = url.hosts
    client = Redis(db=url.db, max_connections=_pool_size(url), **arguments)
    return client, client.connection_pool.disconnect


def _sentinel(url: RedisUrl) -> tuple[Any, Callable[[], None]]:
    import redis.sentinel

    untyped: Any = redis.sentinel
    arguments = _connection(url)
    of_sentinels = {
        **arguments,
        "username": url.sentinel_username,
        "password": url.sentinel_password,
    }
    sentinel = untyped.Sentinel(list(url.hosts), sentinel_kwargs=of_sentinels, **arguments)
    # The search sorts the sentinels while it goes through them: of two threads at once, one may ask
    # the same sentinel twice, and another never.
    discover, lock = sentinel.discover_master, threading.Lock()

    def discover_in_turn(service: str) -> Any:
        with lock:
            return discover(service)

    sentinel.discover_master = discover_in_turn
    client = sentinel.master_for(url.service, db=url.db, max_connections=_pool_size(url))

    def close() -> None:
        for each in (client, *sentinel.sentinels):
            each.connection_pool.disconnect()

    return client, close


def _cluster(url: RedisUrl) -> tuple[Any, Callable[[], None]]:
    import redis.cluster
    from redis.backoff import NoBackoff
    from redis.exceptions import ClusterError
    from redis.retry import Retry

    untyped: Any = redis.cluster
    arguments = _connection(url)
    # A cluster's client must repeat, or it would not learn that a slot has moved with its server.
    arguments["retry"] = Retry(NoBackoff(), 1)
    try:
        client = untyped.RedisCluster(
            startup_nodes=[untyped.ClusterNode(host, port) for host, port in url.hosts],
            require_full_coverage=False,
            max_connections=_pool_size(url),
            **arguments,
        )
    except IndexError:
        raise ClusterError("no server of it has any slots") from None

    def close() -> None:
        for node in client.get_nodes():
            if node.redis_connection is not None:
                node.redis_connection.connection_pool.disconnect()

    return client, close


def _pool_size(url: RedisUrl) -> int:
    # One to spare: the slots say who waits, and the pool must never refuse whom they let in.
    return url.max_connections + 1


_MAKERS: dict[str, Callable[[RedisUrl], tuple[Any, Callable[[], None]]]] = {
    "standalone": _standalone,
    "sentinel": _sentinel,
    "cluster": _cluster,
}
