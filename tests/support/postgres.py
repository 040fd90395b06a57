"""A real PostgreSQL of the tests' own: in a folder of its own, on a socket there, on no port.

with PostgresServer() as server:
    connect(host=server.host, user=server.user, dbname="postgres")
    server.restart()
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.programs import require_program

if TYPE_CHECKING:
    from typing_extensions import Self

# Commits survive `stop`, and need not survive a power failure: nobody waits for the disk.
_FAST = "fsync = off\nfull_page_writes = off\n"
# A hundred threads, each with its own, are more than the default.
_MANY = "max_connections = 200\n"
# Debian has the programs beside the PATH, in a folder for each version.
_FOLDERS = Path("/usr/lib/postgresql")


class PostgresServer:
    """A server that is started by `with`, and may be stopped and started again meanwhile."""

    user = "keyfob"

    def __init__(self) -> None:
        self._programs = _programs()
        self.folder = Path(tempfile.mkdtemp(prefix="kf-pg-"))
        self._data = self.folder / "data"
        # PostgreSQL refuses to run as root.
        self._account = "postgres" if os.geteuid() == 0 else None
        if self._account:
            shutil.chown(self.folder, self._account)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """The socket's folder, which libpq takes for a host."""
        return str(self.folder)

    def __enter__(self) -> Self:
        try:
            self._run("initdb", "-U", self.user, "--auth=trust", "-N", "-E", "UTF8", "--locale=C")
            with (self._data / "postgresql.conf").open("a") as configuration:
                configuration.write(f"listen_addresses = ''\n{_FAST}{_MANY}")
                configuration.write(f"unix_socket_directories = '{self.folder}'\n")
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        self._run("pg_ctl", "start", "-w", "-t", "60", "-l", str(self.folder / "log"))

    def stop(self) -> None:
        """At once; connections break."""
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "-m", "immediate", "-w", "-t", "60")

    def restart(self) -> None:
        self.stop()
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), "-D", str(self._data), *arguments],
            # Not a pipe: the server inherits it, and would keep it open.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            cwd=self.folder,
            user=self._account,
            group=pwd.getpwnam(self._account).pw_gid if self._account else None,
            extra_groups=[] if self._account else None,
            check=False,
        )
        if done.returncode != 0:
            log = self.folder / "log"
            said = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            pytest.fail(f"{program} failed with {done.returncode}:\n{said}")


def _programs() -> Path:
    """Where PostgreSQL's programs are: of the newest version, where there are several."""
    versions = sorted(
        _FOLDERS.glob("*/bin/initdb"), key=lambda path: _number(path.parent.parent.name)
    )
    return versions[-1].parent if versions else Path(require_program("initdb")).parent


def _number(version: str) -> float:
    try:
        return float(version)
    except ValueError:
        return 0.0


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One that all tests of a process share. It may be restarted, and runs at a test's end."""
    with PostgresServer() as server:
        yield server
