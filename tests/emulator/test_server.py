"""The command and the server: what they print, where they listen, how they end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

import keyfob_emulator
from keyfob_emulator import EmulatorServer, PortTaken
from keyfob_emulator.__main__ import main
from keyfob_emulator.sample import FLASK_SITE, PASSWORD

ROOT = str(Path(keyfob_emulator.__file__).parent.parent)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@contextmanager
def command(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The command, running, with the lines up to ``Ready.``"""
    path = os.pathsep.join(filter(None, (ROOT, os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        [sys.executable, "-m", "keyfob_emulator", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    with process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if lines[-1] == "Ready.":
                break
        yield process, lines
        if process.poll() is None:
            process.kill()


def url_in(lines: list[str]) -> str:
    (url,) = re.findall(r"at (http://\S+) ", lines[0])
    return str(url)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_command_says_what_it_serves_and_ends_cleanly(how: signal.Signals) -> None:
    with command("--port", "0") as (process, lines):
        url = url_in(lines)
        assert lines[-1] == "Ready."
        text = "\n".join(lines)
        assert f"KEYFOB_AUTHORITY={url}/common" in text
        assert f"KEYFOB_CLIENT_ID={FLASK_SITE}" in text
        assert "KEYFOB_CLIENT_SECRET=flask-site-development-secret" in text
        assert re.search(rf"ada@contoso\.example +{PASSWORD}", text)
        assert requests.get(url, timeout=10).status_code == 200
        process.send_signal(how)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, out, err) == (0, "", "")


def test_a_taken_port_is_one_line_that_names_it(server: EmulatorServer) -> None:
    with command("--port", str(server.port)) as (process, lines):
        _, err = process.communicate(timeout=10)
        assert lines == []
        assert err == f"keyfob_emulator: port {server.port} is already in use\n"
        assert process.returncode == 1


@pytest.mark.parametrize(
    "arguments", [["--host", "0.0.0.0"], ["--port", "70000"], ["--port", "x"], ["--host", ""]]
)
def test_other_hosts_and_impossible_ports_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_verbose_shows_requests_without_their_query() -> None:
    with command("--port", "0", "--verbose", "--host", "127.0.0.1") as (process, lines):
        requests.get(url_in(lines) + "/error?code=50011", timeout=10)
        process.terminate()
        out, _ = process.communicate(timeout=10)
        assert out == "GET /error 200\n"


def test_the_server_refuses_to_listen_elsewhere() -> None:
    with pytest.raises(ValueError, match="localhost"):
        EmulatorServer(host="0.0.0.0")


def test_the_server_answers_on_both_loopback_addresses(server: EmulatorServer) -> None:
    hosts = ["127.0.0.1", "localhost", *(["[::1]"] if has_ipv6() else [])]
    for host in hosts:
        assert requests.get(f"http://{host}:{server.port}/", timeout=10).status_code == 200


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")
def test_a_port_that_is_taken_on_ipv6_only_is_taken() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as other:
        other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.bind(("::1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTaken) as taken, EmulatorServer(port=port):
            pass
        assert taken.value.port == port


def test_two_servers_do_not_know_each_other(server: EmulatorServer) -> None:
    with EmulatorServer() as other:
        assert other.port != server.port
        other.emulator.disable_account("ada@contoso.example")
        assert server.emulator.account("ada@contoso.example").enabled


def test_a_stopped_server_is_gone_and_can_be_started_again() -> None:
    server = EmulatorServer()
    with server:
        url = server.url
        with pytest.raises(RuntimeError):
            server.start()
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=10)
    with server:
        assert server.url == url
        assert requests.get(url, timeout=10).status_code == 200
    server.stop()


def test_the_authority_is_the_address_and_the_tenant(server: EmulatorServer) -> None:
    assert server.authority() == f"{server.url}/organizations"
    assert server.authority("common") == f"{server.url}/common"
