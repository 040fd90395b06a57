"""The README's quick starts, pasted into empty files, against two identity providers.

One is ours. The other, oidc-provider-mock, was written by somebody else, on another library.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

pytest.importorskip("flask", reason="needs Flask")
pytest.importorskip("django", reason="needs Django")

from support.form_browser import FormBrowser, Page
from support.programs import free_port

README = Path(__file__).resolve().parents[2] / "README.md"


@dataclass
class IdentityProvider:
    """A running provider: the settings for it, and how a person gets through its pages."""

    name: str
    settings: dict[str, str]

    def sign_in(self, page: Page) -> Page:
        if self.name == "ours":
            page = page.submit(button="ada@contoso.example")
            page = page.submit(button="Sign in", password="open-sesame")
            # Consent is asked for once; the other framework's test may have given it.
            return page.submit(button="Accept") if "Accept" in page.text else page
        return page.submit(sub="ada")

    @property
    def greeting(self) -> str:
        return "Hello Ada" if self.name == "ours" else "Hello Ada of Elsewhere"


@pytest.fixture(scope="module", params=["ours", "somebody else's"])
def provider(request: pytest.FixtureRequest) -> Iterator[IdentityProvider]:
    port = free_port()
    if request.param == "ours":
        from keyfob_emulator import sample

        command = ["keyfob_emulator", "--port", str(port)]
        settings = {
            "AUTHORITY": f"http://127.0.0.1:{port}/common",
            "CLIENT_ID": sample.FLASK_SITE,
            "CLIENT_SECRET": sample.FLASK_SITE_SECRET,
        }
        ready = f"{settings['AUTHORITY']}/v2.0/.well-known/openid-configuration"
    else:
        claims = '{"sub": "ada", "name": "Ada of Elsewhere"}'
        command = ["oidc_provider_mock", "--port", str(port), "--user-claims", claims]
        settings = {
            "OIDC_AUTHORITY": f"http://127.0.0.1:{port}",
            "CLIENT_ID": "any-client",
            "CLIENT_SECRET": "any-secret",
        }
        ready = f"{settings['OIDC_AUTHORITY']}/.well-known/openid-configuration"
    with running([sys.executable, "-m", *command], Path.cwd(), {}, ready):
        yield IdentityProvider(request.param, settings)


def test_the_flask_quick_start_works_as_printed(provider: IdentityProvider, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(code_block("## Flask"))
    port = free_port()
    environment = {
        "FLASK_SECRET_KEY": "a-secret-key-for-this-test-alone",
        **{f"FLASK_KEYFOB_{key}": value for key, value in provider.settings.items()},
    }
    command = [sys.executable, "-m", "flask", "run", "--port", str(port)]
    base = f"http://127.0.0.1:{port}"

    with running(command, tmp_path, environment, f"{base}/auth/logged-out"), FormBrowser() as b:
        page = provider.sign_in(b.open(f"{base}/"))

        assert page.url == f"{base}/"
        assert page.text.startswith(provider.greeting)
        if provider.name == "ours":
            page = b.open(f"{base}/me")
            if "Accept" in page.text:
                page = page.submit(button="Accept")
            assert '"userPrincipalName":"ada@contoso.example"' in page.text.replace(" ", "")


def test_the_django_quick_start_works_as_printed(
    provider: IdentityProvider, tmp_path: Path
) -> None:
    settings, urls = code_block("## Django").split("# urls.py\n")
    manage = [sys.executable, "manage.py"]
    start = [sys.executable, "-m", "django", "startproject", "site_of_a_newcomer", "."]
    subprocess.run(start, cwd=tmp_path, env=clean_environment(), check=True, timeout=60)
    project = tmp_path / "site_of_a_newcomer"
    placeholders = r"KEYFOB = \{.*\}"
    assert re.search(placeholders, settings)
    with (project / "settings.py").open("a") as file:
        file.write(re.sub(placeholders, f"KEYFOB = {provider.settings!r}", settings))
    (project / "views.py").write_text(DJANGO_VIEWS)
    with (project / "urls.py").open("a") as file:
        file.write("from django.urls import include\n")
        file.write(urls)
        file.write("from site_of_a_newcomer.views import home, me\n")
        file.write('urlpatterns += [path("", home), path("me", me)]\n')
    migrate = [*manage, "migrate", "--verbosity", "0"]
    subprocess.run(migrate, cwd=tmp_path, env=clean_environment(), check=True, timeout=60)
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    command = [*manage, "runserver", "--noreload", str(port)]

    with running(command, tmp_path, {}, f"{base}/auth/logged-out"), FormBrowser() as browser:
        page = provider.sign_in(browser.open(f"{base}/"))

        assert page.url == f"{base}/"
        assert page.text.startswith(provider.greeting)
        if provider.name == "ours":
            page = browser.open(f"{base}/me")
            if "Accept" in page.text:
                page = page.submit(button="Accept")
            assert "ada@contoso.example" in page.text


DJANGO_VIEWS = """
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse


@login_required
def home(request):
    assert request.user.is_authenticated
    return HttpResponse(f"Hello {request.keyfob.user.name}")


@login_required
def me(request):
    return JsonResponse(request.keyfob.api("graph").get("/me").json())
"""


def code_block(heading: str) -> str:
    """The first Python block below a heading of the README."""
    section = README.read_text().split(f"\n{heading}\n", 1)[1]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


def clean_environment() -> dict[str, str]:
    """The environment without what this suite, or a developer, has set for other sites."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("KEYFOB_", "DJANGO_"))}


@contextmanager
def running(
    command: list[str], folder: Path, environment: Mapping[str, str], ready_url: str
) -> Iterator[None]:
    """A program, until it answers; ended afterwards, whatever happens."""
    log = folder / f"log-{time.monotonic_ns()}.txt"
    if not os.access(folder, os.W_OK) or folder == Path.cwd():
        log = Path(os.devnull)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**clean_environment(), **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(process, ready_url, log)
        yield
    finally:
        process.terminate()
        process.wait(10)


def wait_for(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text(errors="replace")
        try:
            requests.get(url, timeout=5, allow_redirects=False)
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{url} did not answer: {log.read_text(errors='replace')}")
