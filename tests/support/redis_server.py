"""A real redis-server of the tests' own: on a free port, in a folder of its own, keeping nothing.

with RedisServer() as server:
    store = RedisStore(server.url())
    server.stop()
    server.start()
"""

from __future__ import annotations

import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.programs import free_port, require_program

if TYPE_CHECKING:
    from typing_extensions import Self

#: Seconds for a server to be ready; a machine that is busy with something else is no bug of ours.
PATIENCE = 30.0


class RedisServer:
    """A server that is started by `with`, and may be stopped and started again meanwhile.

    :param options: lines of redis.conf, such as `cluster-enabled yes`.
    :param sentinel: run as a sentinel; `options` then are a sentinel's.
    """

    def __init__(self, *options: str, sentinel: bool = False) -> None:
        self._program = require_program("redis-server")
        # Short, for a socket's path may have no more than 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="kf-redis-"))
        self.socket = self.folder / "s"
        self.port = free_port()
        self.bus_port = 0
        self._options = options
        self._sentinel = sentinel
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, scheme: str = "redis", *, prefix: str = "") -> str:
        """A TOKEN_STORE value for this server, with a prefix that nobody else uses."""
        return f"{scheme}://{self.address}?prefix={prefix or secrets.token_hex(8)}"

    def start(self) -> None:
        """On the same port as before, with nothing in it."""
        configuration = self.folder / "redis.conf"
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {self.folder}",
            "daemonize no",
            *([] if self._sentinel else [f"unixsocket {self.socket}", 'save ""', "appendonly no"]),
            *self._options,
        ]
        configuration.write_text("\n".join(lines) + "\n")
        command = [self._program, str(configuration), *(["--sentinel"] if self._sentinel else [])]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                log_text = (self.folder / "log").read_text(errors="replace")
                pytest.fail(f"redis-server did not start:\n{log_text[-2000:]}")
            time.sleep(0.01)

    def stop(self) -> None:
        """At once, as in a power failure. Connections are refused from then on."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def freeze(self) -> None:
        """It accepts connections, and answers nothing, until it is thawed."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def client(self, **arguments: Any) -> Any:
        """redis-py's own client, to look at what is there; the caller closes it."""
        import redis

        return redis.Redis(host="127.0.0.1", port=self.port, protocol=2, **arguments)

    def command(self, *words: object, **arguments: Any) -> Any:
        with self.client(**arguments) as client:
            return client.execute_command(*words)

    def limit_memory(self, more_bytes: int, policy: str) -> None:
        """Let it use so many bytes more than it does now. 0 for no limit."""
        used = int(self.command("INFO", "memory")["used_memory"]) if more_bytes else -more_bytes
        self.command("CONFIG", "SET", "maxmemory-policy", policy)
        self.command("CONFIG", "SET", "maxmemory", used + more_bytes)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _answers(self) -> bool:
        import redis

        try:
            return bool(self.command("PING", socket_timeout=2))
        except redis.AuthenticationError:
            return True  # it has a password, and is there
        except redis.RedisError:
            return False


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One that all tests of a process share. It stays as it is: whoever stops or fills one has an
    own."""
    with RedisServer() as server:
        yield server


def cluster_server() -> RedisServer:
    """A server for `make_cluster`."""
    # Its second port would else be 10000 above the first, which may be none.
    bus_port = free_port()
    server = RedisServer("cluster-enabled yes", f"cluster-port {bus_port}")
    server.bus_port = bus_port
    return server


def make_cluster(*servers: RedisServer) -> None:
    """Make started `cluster_server`s one cluster, each with its share of the slots."""
    share = -(-16384 // len(servers))
    for number, server in enumerate(servers):
        first, last = number * share, min((number + 1) * share, 16384) - 1
        server.command("CLUSTER", "ADDSLOTSRANGE", first, last)
        server.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
    for server in servers[1:]:
        servers[0].command("CLUSTER", "MEET", "127.0.0.1", server.port, server.bus_port)
    deadline = time.monotonic() + PATIENCE
    while not all(_is_up(server, len(servers)) for server in servers):
        assert time.monotonic() < deadline, "the cluster did not come up"
        time.sleep(0.02)


def _is_up(server: RedisServer, size: int) -> bool:
    said = server.command("CLUSTER", "INFO")
    return b"cluster_state:ok" in said and b"cluster_size:%d\r" % size in said
