"""A token store in Redis or Valkey, shared by any number of processes and machines."""

from __future__ import annotations

import itertools
import math
import secrets
import time
from collections.abc import Callable
from typing import Any

from keyfob.web.stores.base import Record, first_version
from keyfob.web.stores.redis_client import RedisClients, is_dropped
from keyfob.web.stores.redis_scripts import (
    CLEAR,
    CREATE,
    DELETE,
    EXTEND,
    LOAD,
    REPLACE,
    VERSION,
    Script,
)
from keyfob.web.stores.redis_url import RedisUrl, parse_redis_url

#: A larger value is nobody's of ours, and is not even fetched: twice the most that is stored.
LARGEST_VALUE = 2 * 1024 * 1024

# The server forgets a record by its own clock, so much after the record's end by ours: the two may
# differ, and until then ours decides. No record is kept for longer than a century.
_GRACE = 60.0
_LONGEST = 100 * 365 * 86400.0
_CLEARING_BATCH = 500


class RedisStore:
    """Keeps records on a Redis or Valkey server: standalone, behind sentinels, or a cluster.

    Nothing is connected before the first use. Every wait is bounded (`timeout` in the URL), and
    so is the number of connections (`max_connections`). A call whose connection broke is repeated
    once, on a new one; all are made so that this does no harm. A record that the server evicted, or
    lost in a restart, is a miss.

    Survives a fork at any time.

    :param url: a TOKEN_STORE value, or one that was taken apart.
    :param clock: gives the time in seconds since 1970.
    :raises ConfigurationError: it names no server, or the package `redis` is missing.
    """

    is_local = False

    def __init__(self, url: str | RedisUrl, *, clock: Callable[[], float] = time.time) -> None:
        self._url = parse_redis_url(url) if isinstance(url, str) else url
        self._clients = RedisClients(self._url)
        self._clock = clock

    def __repr__(self) -> str:
        return f"<RedisStore at {self._url}>"

    def load(self, key: str) -> Record | None:
        found = self._run(LOAD, key, LARGEST_VALUE)
        version = _version(found[0]) if found else None
        return None if version is None else Record(found[1], version)

    def version(self, key: str) -> int | None:
        return _version(self._run(VERSION, key))

    def create(self, key: str, value: bytes, expires_at: float) -> bool:
        until = self._until(expires_at)
        return self._does(CREATE, key, _write(), value, first_version(), *until)

    def replace(self, key: str, value: bytes, version: int, expires_at: float) -> bool:
        until = self._until(expires_at)
        return self._does(REPLACE, key, _write(), value, version + 1, *until, version)

    def extend(self, key: str, expires_at: float) -> bool:
        return self._does(EXTEND, key, *self._until(expires_at))

    def delete(self, key: str, version: int | None = None) -> bool:
        """As every store's. Where the connection broke in the middle, False is also said of a
        record that this very call had removed."""
        return self._does(DELETE, key, "" if version is None else version)

    def clear_expired(self) -> int:
        """Remove what has expired by this machine's clock; the server does so by its own, a minute
        later. Looks at every key of the database, without holding others up."""
        with self._clients.client() as client:
            names = client.scan_iter(match=f"{self._url.prefix}:*", count=_CLEARING_BATCH)
            total = 0
            while batch := list(itertools.islice(names, _CLEARING_BATCH)):
                total += self._clear(client, batch)
        return total

    def close(self) -> None:
        self._clients.close()

    def _clear(self, client: Any, names: list[bytes]) -> int:
        now = self._clock()
        with client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.hget(name, "e")
            ends = pipeline.execute(raise_on_error=False)
        expired = [name for name, end in zip(names, ends, strict=True) if _is_past(end, now)]
        # Looked at once more, and in one step with the removal.
        return sum(_evaluate(client, CLEAR, name, (repr(now),)) for name in expired)

    def _until(self, expires_at: float) -> tuple[str, int]:
        """The end, and in how many milliseconds the server may forget the record."""
        seconds = min(max(0.0, expires_at - self._clock()) + _GRACE, _LONGEST)
        return repr(float(expires_at)), math.ceil(seconds * 1000)

    def _does(self, script: Script, key: str, *arguments: Any) -> bool:
        return bool(self._run(script, key, *arguments) == 1)

    def _run(self, script: Script, key: str, *arguments: Any) -> Any:
        name = f"{self._url.prefix}:{key}".encode(errors="surrogatepass")
        everything = (repr(float(self._clock())), *arguments)
        with self._clients.client() as client:
            try:
                return _evaluate(client, script, name, everything)
            except Exception as error:
                if not is_dropped(error):
                    raise
            return _evaluate(client, script, name, everything)


def _evaluate(client: Any, script: Script, name: bytes, arguments: tuple[Any, ...]) -> Any:
    from redis.exceptions import NoScriptError

    try:
        return client.evalsha(script.sha, 1, name, *arguments)
    except NoScriptError:
        # A server that was restarted, or another one by now. It remembers what it evaluates.
        return client.eval(script.text, 1, name, *arguments)


def _write() -> bytes:
    """A name for one write, which nobody else has for theirs."""
    return secrets.token_bytes(12)


def _version(text: Any) -> int | None:
    """What stands where a version should; None where it is none of ours."""
    return int(text) if isinstance(text, bytes) and text.isdigit() and len(text) < 19 else None


def _is_past(end: Any, now: float) -> bool:
    try:
        return isinstance(end, bytes) and float(end) <= now
    except ValueError:
        return False
