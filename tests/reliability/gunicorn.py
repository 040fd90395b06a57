"""A site under a real Gunicorn with two workers.

with running_gunicorn("reliability.flask_site:app", {...}) as url:
    browser.open(url + "/private")
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests

from support.programs import free_port

WORKERS, THREADS = 2, 8
PATIENCE = 60.0


def environment(given: Mapping[str, Any], **more: str) -> dict[str, str]:
    path = os.pathsep.join(filter(None, sys.path))
    return {**os.environ, "PYTHONPATH": path, "RELIABILITY_SITE": json.dumps(given), **more}


@contextlib.contextmanager
def running_gunicorn(site: str, env: Mapping[str, str]) -> Iterator[str]:
    pytest.importorskip("gunicorn")
    url = f"http://127.0.0.1:{free_port()}"
    arguments = ["--workers", str(WORKERS), "--threads", str(THREADS), "--log-level", "warning"]
    bind = ["--bind", url.removeprefix("http://"), "--graceful-timeout", "5", "--no-control-socket"]
    process = subprocess.Popen([sys.executable, "-m", "gunicorn", *arguments, *bind, site], env=env)
    try:
        deadline = time.monotonic() + PATIENCE
        while not _answers(url):
            assert process.poll() is None, "Gunicorn ended"
            assert time.monotonic() < deadline, "Gunicorn does not answer"
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        requests.get(f"{url}/user", timeout=10)
    except requests.ConnectionError:
        return False
    return True
