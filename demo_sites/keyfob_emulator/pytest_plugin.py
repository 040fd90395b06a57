"""A pytest plugin: fixtures with a provider of their own.

Loaded by every pytest run where Keyfob is installed, so nothing but pytest is imported before a
fixture is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import requests

    from keyfob_emulator.server import EmulatorServer
    from keyfob_emulator.state import Emulator


def _need_flask() -> None:
    if find_spec("flask") is None:
        pytest.fail("the local identity provider needs Flask: pip install 'keyfob[emulator]'")


@pytest.fixture
def keyfob_emulator() -> Iterator[EmulatorServer]:
    """A provider on a free loopback port, new for each test."""
    _need_flask()
    from keyfob_emulator.server import EmulatorServer

    with EmulatorServer() as server:
        yield server


@pytest.fixture
def keyfob_emulator_in_process() -> Iterator[tuple[requests.Session, Emulator]]:
    """A ``requests.Session`` in which the provider stands in the place of Microsoft's hosts."""
    _need_flask()
    import requests

    from keyfob_emulator.in_process import mount

    with requests.Session() as session:
        yield session, mount(session)
