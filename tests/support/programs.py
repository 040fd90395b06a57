"""System programs that some tests want: found, or skipped by name, or demanded."""

from __future__ import annotations

import os
import shutil
import socket

import pytest


def require_program(*names: str) -> str:
    """The path of the first of these programs that is there; else the test is skipped.

    With KEYFOB_TEST_REQUIRE=all, which the gate sets, a missing program is a failure.
    """
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    message = f"needs the program {names[0]}, which is not on this machine"
    if os.environ.get("KEYFOB_TEST_REQUIRE") == "all":
        pytest.fail(message)
    pytest.skip(message)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
