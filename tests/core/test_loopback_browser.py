"""Which browser is opened with which address, and what is told where none is."""

from __future__ import annotations

import io
import logging
import platform
import re
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from keyfob.errors import ConfigurationError
from keyfob.transport import browser, loopback
from keyfob.transport.browser import open_browser
from keyfob.transport.loopback import AuthCodeReceiver, receive
from support.loopback import ANSWER, PATIENCE, STATE, ask, waiting
from support.provider import Provider
from support.sign_in import application

URI = f"https://idp.example/authorize?state={STATE}&a=1"


class Controller(webbrowser.BaseBrowser):
    """A browser that is somebody's function."""

    def __init__(self, visit: Callable[[str], object]) -> None:
        super().__init__("test")
        self.visit = visit

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        return self.visit(url) is not False


@pytest.fixture
def browsers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[str], Any]], None]]:
    """Makes a function the one browser of this machine; before that it has none."""
    webbrowser.register("settle", None, None)  # has it look for what is installed now
    monkeypatch.delenv("BROWSER", raising=False)
    monkeypatch.setattr(webbrowser, "_browsers", {})
    monkeypatch.setattr(webbrowser, "_tryorder", [])

    def use(visit: Callable[[str], Any]) -> None:
        webbrowser.register("test", None, Controller(visit), preferred=True)

    yield use
    for thread in threading.enumerate():
        if thread.name == "keyfob-browser":
            thread.join(PATIENCE)


@pytest.fixture
def receiver() -> Iterator[AuthCodeReceiver]:
    with AuthCodeReceiver() as opened:
        yield opened


class Terminal(io.StringIO):
    """Standard error, and when something was said there."""

    def __init__(self) -> None:
        super().__init__()
        self.told = threading.Event()

    def flush(self) -> None:
        super().flush()
        self.told.set()


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[AuthCodeReceiver, threading.Event]]:
    """A receiver that reminds at once, and whether the time for that has passed."""
    monkeypatch.setattr(loopback, "REMINDER_SECONDS", 0.01)
    passed = threading.Event()
    with AuthCodeReceiver(scheduled_actions=[(0.02, passed.set)]) as opened:
        yield opened, passed


def test_the_persons_browser_is_opened_and_its_answer_received(
    receiver: AuthCodeReceiver,
    browsers: Any,
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    visited: list[str] = []

    def visit(url: str) -> None:
        visited.append(url)
        ask(receiver.get_port(), "/", ANSWER)

    browsers(visit)
    assert receiver.get_auth_response(URI, timeout=PATIENCE) == ANSWER
    assert visited == [URI]
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("mode", ["form_post", "query"])
def test_a_whole_sign_in_goes_by_the_loopback_port(
    receiver: AuthCodeReceiver, browsers: Any, mode: str
) -> None:
    def visit(url: str) -> None:
        page = requests.get(url, timeout=PATIENCE)  # which follows the redirect of a query
        form = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text))
        if form:
            requests.post(receiver.redirect_uri, data=form, timeout=PATIENCE)

    browsers(visit)
    with Provider() as provider:
        app = application(provider)
        flow = app.initiate_auth_code_flow(
            ["email"], redirect_uri=receiver.redirect_uri, response_mode=mode
        )
        response = receive(receiver, flow["auth_uri"], state=flow["state"], timeout=PATIENCE)
        result = app.acquire_token_by_auth_code_flow(flow, response)
        app.close()
    assert result["id_token_claims"]["email"] == provider.person.email


def test_a_browser_that_holds_up_its_opener_does_not_hold_up_the_answer(
    receiver: AuthCodeReceiver, browsers: Any
) -> None:
    closed = threading.Event()

    def visit(_: str) -> None:
        ask(receiver.get_port(), "/", ANSWER)
        closed.wait(PATIENCE)

    browsers(visit)
    try:
        assert receiver.get_auth_response(URI, timeout=PATIENCE) == ANSWER
        assert not closed.is_set()
    finally:
        closed.set()


def test_without_a_browser_the_address_is_told_once_on_standard_error_and_not_logged(
    hurried: tuple[AuthCodeReceiver, threading.Event],
    browsers: Any,
    terminal: Terminal,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(sys, "stderr", terminal)
    receiver, passed = hurried
    port = receiver.get_port()
    with waiting(receiver, auth_uri=URI) as future:
        assert terminal.told.wait(PATIENCE)
        assert passed.wait(PATIENCE)
        ask(port, "/", ANSWER)
        assert future.result(PATIENCE) == ANSWER
    told = terminal.getvalue()
    assert told.count(URI) == 1
    assert f"\n  {URI}\n" in told
    assert str(port) in told
    assert STATE not in caplog.text


def test_with_a_browser_that_brings_nothing_the_person_is_reminded_once(
    hurried: tuple[AuthCodeReceiver, threading.Event],
    browsers: Any,
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    browsers(lambda _: None)
    receiver, passed = hurried
    with waiting(receiver, auth_uri=URI):
        assert passed.wait(PATIENCE)
    assert terminal.getvalue().startswith("Waiting for the sign-in")
    assert terminal.getvalue().count(URI) == 1


def test_a_callback_is_told_in_the_place_of_the_terminal(
    hurried: tuple[AuthCodeReceiver, threading.Event],
    browsers: Any,
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    receiver, _ = hurried
    port = receiver.get_port()
    told: list[Any] = []

    def tell(uri: str) -> None:
        told.append((uri, threading.current_thread()))
        ask(port, "/", ANSWER)

    assert receiver.get_auth_response(URI, auth_uri_callback=tell) == ANSWER
    assert told == [(URI, threading.current_thread())]
    assert terminal.getvalue() == ""


def test_a_callback_is_not_bothered_where_a_browser_was_opened(
    hurried: tuple[AuthCodeReceiver, threading.Event],
    browsers: Any,
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    browsers(lambda _: None)
    receiver, passed = hurried
    told: list[str] = []
    with waiting(receiver, auth_uri=URI, auth_uri_callback=told.append):
        assert passed.wait(PATIENCE)
    assert told == []
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("stream", [None, "closed"])
def test_a_program_without_a_console_waits_all_the_same(
    hurried: tuple[AuthCodeReceiver, threading.Event],
    browsers: Any,
    monkeypatch: pytest.MonkeyPatch,
    stream: Any,
) -> None:
    if stream == "closed":
        stream = io.StringIO()
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    receiver, passed = hurried
    with waiting(receiver, auth_uri=URI) as future:
        assert passed.wait(PATIENCE)
        ask(receiver.get_port(), "/", ANSWER)
        assert future.result(PATIENCE) == ANSWER


def test_a_controller_that_fails_is_no_browser(
    receiver: AuthCodeReceiver,
    browsers: Any,
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def visit(_: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sys, "stderr", terminal)
    browsers(visit)
    with waiting(receiver, auth_uri=URI):
        assert terminal.told.wait(PATIENCE)
    assert URI in terminal.getvalue()


def test_the_welcome_page_comes_first_at_an_address_that_nobody_guesses(
    receiver: AuthCodeReceiver, browsers: Any
) -> None:
    port = receiver.get_port()
    seen: list[Any] = []

    def visit(url: str) -> None:
        target = url.removeprefix(f"http://localhost:{port}")
        seen.append((target, ask(port, target), ask(port, "/?welcome=true"), ask(port, "/")))
        links = seen[0][1].text.split("|")
        ask(port, links[1].removeprefix(f"http://localhost:{port}"))

    browsers(visit)
    answer = receiver.get_auth_response(
        URI, timeout=PATIENCE, state=STATE, welcome_template="$auth_uri|$abort_uri"
    )
    target, page, *guessed = seen[0]
    assert page.text.startswith(f"{URI}|")
    assert len(parse_qs(urlsplit(target).query)["welcome"][0]) > 20
    assert [other.status for other in guessed] == [400, 404]
    assert not any(STATE in other.text for other in guessed)
    assert answer == {"error": "abort", "state": STATE}


class TestOpenBrowser:
    @pytest.mark.parametrize("uri", [
        "file:///etc/passwd", "javascript:alert(1)", "ms-settings:", "-x", "", None, "https://",
        "https://x/\n", "https://x/ y", "http://u:p@x/", "HTTPS//x",
    ])  # fmt: skip
    def test_only_web_pages_are_opened(self, browsers: Any, uri: Any) -> None:
        visited: list[str] = []
        browsers(visited.append)
        with pytest.raises(ConfigurationError):
            open_browser(uri)
        assert visited == []

    def test_a_browser_may_be_named(self, browsers: Any) -> None:
        visited: list[str] = []
        browsers(lambda _: None)
        webbrowser.register("other", None, Controller(visited.append))
        assert open_browser(URI, "other")
        assert visited == [URI]
        assert not open_browser(URI, "none-such")

    def test_a_browser_that_runs_in_the_terminal_is_not_taken_by_itself(
        self, browsers: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        visited: list[str] = []
        controller = Controller(visited.append)
        controller.name = "w3m"
        webbrowser.register("w3m", None, controller)
        assert not open_browser(URI)
        monkeypatch.setenv("BROWSER", "w3m")
        assert open_browser(URI)
        assert visited == [URI]

    @pytest.mark.parametrize(
        ("name", "status", "opened"),
        [("wslview", 0, True), ("wslview", 1, False), ("explorer.exe", 1, True)],
    )
    def test_windows_subsystem_hands_the_address_over_to_windows(
        self,
        browsers: Any,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        name: str,
        status: int,
        opened: bool,
    ) -> None:
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\nprintf %s "$1" > "{tmp_path}/got"\nexit {status}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert not open_browser(URI), "this is no Windows"
        monkeypatch.setattr(platform, "system", lambda: "Linux")
        monkeypatch.setattr(platform, "release", lambda: "5.15.90.1-microsoft-standard-WSL2")
        assert open_browser(URI) is opened
        assert (tmp_path / "got").read_text() == URI

    def test_windows_subsystem_without_either_has_no_browser(
        self, browsers: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(browser, "_is_windows_subsystem", lambda: True)
        assert not open_browser(URI)
