"""The quick start's settings in a new project, with Django's own commands."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from support.form_browser import FormBrowser
from support.provider import Provider

SETTINGS = """
INSTALLED_APPS += ["django_keyfob"]
MIDDLEWARE += ["django_keyfob.middleware.KeyfobMiddleware"]        # after AuthenticationMiddleware
AUTHENTICATION_BACKENDS = ["django_keyfob.backends.KeyfobBackend"]
LOGIN_URL = "keyfob:login"
KEYFOB = {settings!r}
"""
URLS = """
from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls)]
urlpatterns += [path("auth/", include("django_keyfob.urls"))]
"""


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *command],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    roots = [path for path in sys.path if path and not path.endswith("tests")]
    return {**kept, "PYTHONPATH": os.pathsep.join(roots)}


@pytest.fixture
def project(tmp_path: Path, provider: Provider) -> Path:
    """A project as `startproject` makes it, with the quick start pasted in."""
    done = run(tmp_path, "-m", "django", "startproject", "shop", ".")
    assert done.returncode == 0, done.stderr
    settings: dict[str, Any] = provider.settings()
    with (tmp_path / "shop" / "settings.py").open("a") as file:
        file.write(SETTINGS.format(settings=settings))
    (tmp_path / "shop" / "urls.py").write_text(URLS)
    return tmp_path


@contextmanager
def running(folder: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
            cwd=folder,
            env=environment(),
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                requests.get(f"{url}/nothing", timeout=5)
                break
            except requests.ConnectionError:
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.05)
        yield url
    finally:
        server.terminate()  # a background shell's children ignore SIGINT
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(10)


def test_djangos_own_commands_have_nothing_to_complain_about(project: Path) -> None:
    # That people can sign in then is tests/demo_sites/test_quick_starts.py's.
    done = run(project, "manage.py", "check")
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout
    done = run(project, "manage.py", "check", "--deploy")
    assert "keyfob" not in done.stderr
    done = run(project, "manage.py", "migrate")
    assert done.returncode == 0, done.stderr
    assert "django_keyfob.0001_initial" in done.stdout


def test_without_migrate_the_log_names_the_cure(project: Path, browser: FormBrowser) -> None:
    with running(project) as url:
        page = browser.open(f"{url}/auth/login")
        assert page.status in (500, 503)
    assert "manage.py migrate" in (project / "log").read_text()


def test_a_wrong_setting_stops_every_start(project: Path) -> None:
    with (project / "shop" / "settings.py").open("a") as file:
        file.write('KEYFOB = {"TENANT_ID": "common", "CLIENTID": "x"}\n')
    done = run(project, "manage.py", "check")
    assert done.returncode == 1
    assert "keyfob.E001" in done.stderr
    assert "CLIENT_ID" in done.stderr
    done = run(project, "-c", "import shop.wsgi")
    assert done.returncode == 1
    assert "ImproperlyConfigured" in done.stderr
    assert 'KEYFOB["CLIENTID"]' in done.stderr
    done = run(project, "-c", "import shop.asgi")
    assert "ImproperlyConfigured" in done.stderr
