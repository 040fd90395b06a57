"""`make demo`, as a newcomer and as a supervisor see it."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("flask", reason="needs Flask")
pytest.importorskip("django", reason="needs Django")

from support.demo import Demo, running_demo, start_demo
from support.form_browser import FormBrowser
from support.programs import free_port

PASSWORD = "open-sesame"
PORTS = ("EMULATOR_PORT", "ORDERS_PORT", "FLASK_PORT", "DJANGO_PORT")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo


def test_it_prints_addresses_people_and_at_last_that_it_is_ready(demo: Demo) -> None:
    printed = "\n".join(demo.lines)

    assert demo.flask in printed
    assert demo.django in printed
    assert demo.emulator in printed
    assert demo.orders in printed
    assert "ada@contoso.example" in printed
    assert PASSWORD in printed
    assert demo.lines[-1] == "Ready."
    # Progress comes first: each part is named before it is waited for.
    assert printed.index("Starting the Flask site") < printed.index(demo.flask)


@pytest.mark.parametrize("site", ["flask", "django"])
def test_a_plain_http_client_signs_in_reads_its_profile_and_signs_out(
    demo: Demo, site: str
) -> None:
    base = demo.site(site)
    with FormBrowser() as browser:
        page = browser.open(f"{base}/").follow("Sign in")
        page = page.submit(button="ada@contoso.example")
        page = page.submit(button="Sign in", password=PASSWORD)
        page = page.submit(button="Accept")
        assert page.url == f"{base}/"
        assert "Hello Ada" in page.text

        page = browser.open(f"{base}/me")
        if page.url != f"{base}/me":
            page = page.submit(button="Accept")
        assert page.url == f"{base}/me"
        assert "ada@contoso.example" in page.text

        page = page.submit(button="Sign out")
        assert "You are signed out" in page.text
        assert browser.open(f"{base}/me").url.startswith(demo.emulator)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_it_started(tmp_path: Path, number: int) -> None:
    with running_demo(tmp_path) as demo:
        urls = (demo.flask, demo.django, demo.emulator, demo.orders)
        ports = [int(url.rpartition(":")[2]) for url in urls]

        assert demo.end(number) == 0

        for port in ports:
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("variable", PORTS)
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_taken_port_is_named_in_one_line(tmp_path: Path, variable: str, host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as taken:
        try:
            taken.bind((host, 0))
        except OSError:
            pytest.skip("needs IPv6 on this machine")
        taken.listen()
        port = taken.getsockname()[1]
        free = {name: str(free_port()) for name in PORTS}

        status, printed = finished({**free, variable: str(port), "DEMO_DATA": str(tmp_path)})

    assert status == 1
    assert len(printed.splitlines()) == 1
    assert str(port) in printed
    assert f"make demo {variable}=" in printed


@pytest.mark.parametrize("value", ["http", "0", "70000", "-1"])
def test_a_port_that_is_none_is_named_in_one_line(tmp_path: Path, value: str) -> None:
    status, printed = finished({"FLASK_PORT": value, "DEMO_DATA": str(tmp_path)})

    assert status == 1
    assert printed.startswith(f"FLASK_PORT is '{value}'")
    assert len(printed.splitlines()) == 1


def test_two_parts_cannot_have_one_port(tmp_path: Path) -> None:
    port, other = str(free_port()), str(free_port())

    status, printed = finished(
        {
            "EMULATOR_PORT": other,
            "ORDERS_PORT": str(free_port()),
            "FLASK_PORT": port,
            "DJANGO_PORT": port,
            "DEMO_DATA": str(tmp_path),
        }
    )

    assert status == 1
    assert "must differ" in printed


def test_a_part_that_ends_by_itself_ends_the_demo_with_its_last_words(tmp_path: Path) -> None:
    free = {name: str(free_port()) for name in PORTS}

    # A setting that stops the Flask site's start.
    status, printed = finished(
        {**free, "DEMO_DATA": str(tmp_path), "KEYFOB_RESPONSE_MODE": "pigeon"}
    )

    assert status == 1
    assert "RESPONSE_MODE" in printed


def finished(environment: dict[str, str]) -> tuple[int, str]:
    process = start_demo(environment)
    try:
        printed, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.communicate(timeout=20)
        raise
    return process.returncode, printed
