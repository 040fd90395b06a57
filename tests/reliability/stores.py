"""The stores that several processes can share, each on a real server of the tests' own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.postgres import PostgresServer, postgres_server
from support.redis_server import RedisServer

__all__ = ["postgres_server", "shared_store"]


@pytest.fixture(params=["sqlite", "redis", "postgresql"])
def shared_store(
    request: pytest.FixtureRequest, tmp_path: Path, redis_server: RedisServer
) -> Iterator[str]:
    """A store's address, for `worker.store_of`."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'keyfob.sqlite3'}"
    elif request.param == "redis":
        yield redis_server.url()
    else:
        pytest.importorskip("psycopg")
        server: PostgresServer = request.getfixturevalue("postgres_server")
        yield f"django-db:{server.host}"
