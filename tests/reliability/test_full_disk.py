"""SQLite on a disk that is full: what is there is served, what must be written says so, and room
on the disk is all that it takes to go on."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reliability.processes import Worker, workers
from support.bare_site import with_apis
from support.provider import Provider

ROOM = 2 * 1024 * 1024


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(revoke_reused_refresh_tokens=True) as provider:
        yield provider


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes, in memory; only root can make one."""
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(tmp_path)],
        capture_output=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip("needs the right to mount a small tmpfs")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_a_disk_that_is_full(provider: Provider, small_disk: Path) -> None:
    ballast = small_disk / "ballast"

    def fill(_: Worker) -> None:
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while ballast.stat().st_size <= ROOM:
                file.write(bytes(4096))
        assert os.statvfs(small_disk).f_bavail == 0

    check(provider, small_disk / "keyfob.sqlite3", fill, lambda _: ballast.unlink())


def test_a_file_that_may_not_grow(provider: Provider, tmp_path: Path) -> None:
    """What a quota does; for machines on which nobody is root."""
    path = tmp_path / "keyfob.sqlite3"
    check(
        provider,
        path,
        lambda worker: worker.ask("limit_files", 4096),
        lambda worker: worker.ask("limit_files", None),
    )


def check(
    provider: Provider,
    path: Path,
    fill: Callable[[Worker], object],
    make_room: Callable[[Worker], object],
) -> None:
    with workers(1, settings=with_apis(provider), store=f"sqlite:///{path}") as [worker]:
        session = worker.ask("sign_in")
        [token] = worker.ask("tokens", session, 1)
        fill(worker)
        used = len(provider.requests_to("token"))
        assert worker.ask("page", session)["status"] == 200
        assert worker.ask("tokens", session, 5) == [token] * 5, "it needs no writing"
        assert worker.ask("renew", session) == "error: store_unavailable"
        assert len(provider.requests_to("token")) == used, "nothing is asked that cannot be kept"
        make_room(worker)
        renewed = worker.ask("renew", session)
        assert renewed == provider.last_access_token != token
        assert worker.ask("renew", session) == provider.last_access_token
