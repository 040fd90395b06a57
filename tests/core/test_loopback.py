"""Waiting for the browser's answer, on real sockets (RFC 8252 §7.3)."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyfob.errors import (
    BrowserInteractionTimeoutError,
    ConfigurationError,
    KeyfobError,
    LoopbackUnavailable,
)
from keyfob.transport import loopback_server, loopback_sockets
from keyfob.transport import waiting as waiting_module
from keyfob.transport.loopback import AuthCodeReceiver, receive
from keyfob.transport.loopback_pages import Reply
from keyfob.transport.loopback_requests import Awaited, BrowserRequest
from support.loopback import ANSWER, PATIENCE, STATE, ask, send_raw, waiting

HOSTS = ["127.0.0.1", "::1"]
each_host = pytest.mark.parametrize("host", HOSTS)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.fixture
def receiver() -> Iterator[AuthCodeReceiver]:
    with AuthCodeReceiver() as opened:
        yield opened


def reachable(host: str) -> None:
    if host == "::1" and not has_ipv6():
        pytest.skip("this machine has no ::1")


class TestAnswers:
    @each_host
    def test_a_posted_answer_is_received(self, receiver: AuthCodeReceiver, host: str) -> None:
        reachable(host)
        with waiting(receiver) as future:
            page = ask(receiver.get_port(), "/", ANSWER, host=host)
            assert future.result(PATIENCE) == ANSWER
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")

    @each_host
    def test_an_answer_in_the_address_is_received(
        self, receiver: AuthCodeReceiver, host: str
    ) -> None:
        reachable(host)
        with waiting(receiver) as future:
            page = ask(receiver.get_port(), f"/?code=a%20b&state={STATE}&iss=x", host=host)
            assert future.result(PATIENCE) == {"code": "a b", "state": STATE, "iss": "x"}
        assert page.status == 200

    def test_the_providers_refusal_is_an_answer(self, receiver: AuthCodeReceiver) -> None:
        answer = {"error": "access_denied", "error_description": "No.", "state": STATE}
        with waiting(receiver) as future:
            page = ask(receiver.get_port(), "/", answer)
            assert future.result(PATIENCE) == answer
        assert "You were not signed in" in page.text

    def test_the_state_is_taken_from_the_address_where_it_is_not_given(
        self, receiver: AuthCodeReceiver
    ) -> None:
        uri = f"https://idp.example/authorize?state={STATE}"
        with waiting(receiver, state=None, auth_uri=uri, browser_name="none-such",
                     auth_uri_callback=lambda _: None) as future:  # fmt: skip
            assert ask(receiver.get_port(), "/", {"code": "c", "state": "other"}).status == 400
            assert ask(receiver.get_port(), "/", ANSWER).status == 200
            assert future.result(PATIENCE) == ANSWER

    def test_without_a_state_any_answer_is_taken(self, receiver: AuthCodeReceiver) -> None:
        with waiting(receiver, state=None) as future:
            ask(receiver.get_port(), "/", {"code": "c"})
            assert future.result(PATIENCE) == {"code": "c"}

    def test_an_answer_that_came_before_the_wait_is_not_lost(
        self, receiver: AuthCodeReceiver
    ) -> None:
        port = receiver.get_port()
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as early:
            early.sendall(f"GET /?code=c&state={STATE} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"
                          .encode())  # fmt: skip
            assert receiver.get_auth_response(state=STATE, timeout=PATIENCE) == {
                "code": "c", "state": STATE,
            }  # fmt: skip

    def test_one_receiver_serves_one_wait_after_the_other(self, receiver: AuthCodeReceiver) -> None:
        for state in ("first", "second"):
            browser = threading.Thread(
                target=ask, args=(receiver.get_port(), "/", {"code": "c", "state": state})
            )
            browser.start()
            answer = receiver.get_auth_response(state=state, timeout=PATIENCE)
            browser.join()
            assert answer == {"code": "c", "state": state}

    def test_two_waits_at_once_are_refused(self, receiver: AuthCodeReceiver) -> None:
        with waiting(receiver) as future:
            # Whoever gets a page knows that the wait has begun.
            assert ask(receiver.get_port(), "/x").status == 404
            with pytest.raises(ConfigurationError):
                receiver.get_auth_response(state=STATE, timeout=1)
            assert not future.done()

    def test_the_answer_ends_the_wait_without_a_clocks_help(
        self, receiver: AuthCodeReceiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(waiting_module, "_SLICE", 3600.0)
        with waiting(receiver, timeout=None) as future:
            assert ask(receiver.get_port(), "/x").status == 404
            ask(receiver.get_port(), "/", ANSWER)
            assert future.result(PATIENCE) == ANSWER


class TestOtherRequests:
    @pytest.mark.parametrize("form", [
        {"code": "stolen", "state": "other"}, {"code": "stolen"}, {"code": "c", "state": ""},
        {"error": "access_denied", "state": STATE + "x"}, {"error": "abort"},
    ])  # fmt: skip
    def test_another_attempts_answer_gets_a_400_and_the_wait_goes_on(
        self, receiver: AuthCodeReceiver, form: dict[str, str]
    ) -> None:
        with waiting(receiver) as future:
            page = ask(receiver.get_port(), "/", form)
            assert (page.status, "not the answer" in page.text) == (400, True)
            assert not future.done()
            ask(receiver.get_port(), "/", ANSWER)
            assert future.result(PATIENCE) == ANSWER

    @pytest.mark.parametrize(
        ("target", "form", "method", "headers", "status"),
        [
            ("/favicon.ico", None, None, {}, 404),
            ("/", None, None, {}, 404),
            ("/", None, "HEAD", {}, 404),
            (f"/?code=c&state={STATE}", None, "HEAD", {}, 404),
            (f"/?code=c&error=e&state={STATE}", None, None, {}, 400),
            (f"/?state={STATE}", None, None, {}, 400),
            (f"/?code=a&code=b&state={STATE}", None, None, {}, 400),
            ("/", ANSWER, "PUT", {}, 405),
            ("/", None, "OPTIONS", {}, 405),
            ("/", ANSWER, None, {"Content-Type": "text/plain"}, 415),
            ("/", ANSWER, None, {"Host": "evil.example"}, 400),
            ("/", ANSWER, None, {"Host": "localhost"}, 400),
            ("/", ANSWER, None, {"Host": "localhost:1"}, 400),
            ("/", {**ANSWER, "junk": "x" * 70_000}, None, {}, 413),
            ("/", {**ANSWER, **{f"p{i}": "" for i in range(60)}}, None, {}, 400),
            ("/", None, None, {"Cookie": "x" * 70_000}, 431),
        ],
    )  # fmt: skip
    def test_what_is_no_answer_gets_its_status_and_the_wait_goes_on(
        self,
        receiver: AuthCodeReceiver,
        target: str,
        form: Any,
        method: str | None,
        headers: dict[str, str],
        status: int,
    ) -> None:
        with waiting(receiver) as future:
            page = ask(receiver.get_port(), target, form, method=method, headers=headers)
            assert page.status == status
            assert not future.done()
            ask(receiver.get_port(), "/", ANSWER)
            assert future.result(PATIENCE) == ANSWER

    @each_host
    def test_each_name_of_this_machine_is_served(
        self, receiver: AuthCodeReceiver, host: str
    ) -> None:
        port = receiver.get_port()
        name = f"[{host}]" if ":" in host else host
        with waiting(receiver) as future:
            assert ask(port, "/", ANSWER, headers={"Host": f"{name}:{port}"}).status == 200
            assert future.result(PATIENCE) == ANSWER

    def test_a_page_never_repeats_the_code(self, receiver: AuthCodeReceiver) -> None:
        with waiting(receiver):
            page = ask(receiver.get_port(), "/", ANSWER)
        assert ANSWER["code"] not in page.text
        assert STATE not in page.text

    def test_connections_that_say_nothing_do_not_hold_up_the_answer(
        self, receiver: AuthCodeReceiver
    ) -> None:
        port = receiver.get_port()
        silent = []
        try:
            with waiting(receiver) as future:
                for number in range(loopback_server.MAX_CONNECTIONS + 8):
                    sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
                    silent.append(sock)
                    if number % 2:
                        sock.sendall(b"POST / HTTP/1.1\r\nHost: loc")
                assert ask(port, "/", ANSWER).status == 200
                assert future.result(PATIENCE) == ANSWER
        finally:
            for sock in silent:
                sock.close()

    def test_the_oldest_connection_goes_when_there_are_too_many(
        self, receiver: AuthCodeReceiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loopback_server, "MAX_CONNECTIONS", 2)
        monkeypatch.setattr(loopback_server, "CONNECTION_SECONDS", 3600.0)
        address = ("127.0.0.1", receiver.get_port())
        with contextlib.ExitStack() as opened, waiting(receiver, timeout=None) as future:
            first, *_ = [
                opened.enter_context(socket.create_connection(address, timeout=PATIENCE))
                for _ in range(3)
            ]
            assert first.recv(1) == b""
            assert not future.done()

    def test_who_sends_too_much_still_reads_the_answer_and_is_not_reset(
        self, receiver: AuthCodeReceiver
    ) -> None:
        address = ("127.0.0.1", receiver.get_port())
        with waiting(receiver), socket.create_connection(address, timeout=PATIENCE) as sock:
            sock.sendall(b"POST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n" + b"x" * 99_999)
            sock.shutdown(socket.SHUT_WR)
            received = b""
            while chunk := sock.recv(65536):
                received += chunk
        assert received.startswith(b"HTTP/1.1 413")

    @pytest.mark.parametrize(
        ("lines", "status"),
        [
            (["Transfer-Encoding: chunked"], 411),
            (["Host: evil.example", "Host: localhost:1"], 400),
            (["Content-Length: 1", "Content-Length: 2"], 400),
            (["Content-Length: +1"], 400),
            ([" folded: x"], 400),
            (["No colon"], 400),
        ],
    )
    def test_heads_that_two_readers_might_read_differently_are_refused(
        self, receiver: AuthCodeReceiver, lines: list[str], status: int
    ) -> None:
        head = "\r\n".join(["GET / HTTP/1.1", *lines, "", ""])
        with waiting(receiver):
            received = send_raw(receiver.get_port(), head.encode())
        assert received.startswith(f"HTTP/1.1 {status} ".encode())

    def test_a_request_that_never_ends_is_hung_up_on(
        self, receiver: AuthCodeReceiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loopback_server, "CONNECTION_SECONDS", 0.1)
        with waiting(receiver) as future:
            with socket.create_connection(
                ("127.0.0.1", receiver.get_port()), timeout=PATIENCE
            ) as slow:
                slow.sendall(b"POST / HTTP/1.1\r\n")
                # Reset, where nobody came to read it in that time.
                with contextlib.suppress(ConnectionResetError):
                    assert slow.recv(1) == b""
            assert not future.done()

    def test_a_browser_that_does_not_read_its_page_does_not_hold_back_the_answer(
        self, receiver: AuthCodeReceiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loopback_server, "_ANSWER_SECONDS", 0.1)
        port = receiver.get_port()
        with (
            waiting(receiver, success_template="x" * 20_000_000) as future,
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as deaf,
        ):
            target = f"/?code=the-code&state={STATE}"
            deaf.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
            assert future.result(PATIENCE) == ANSWER

    def test_a_request_in_single_bytes_is_read(self, receiver: AuthCodeReceiver) -> None:
        port = receiver.get_port()
        with waiting(receiver) as future:
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                body = f"code=the-code&state={STATE}"
                for byte in (
                    f"POST / HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: {len(body)}\r\n"
                    f"Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}"
                ).encode():
                    sock.send(bytes([byte]))
                assert sock.recv(12) == b"HTTP/1.1 200"
            assert future.result(PATIENCE) == ANSWER


HOSTILE = st.one_of(
    st.binary(max_size=400),
    st.builds(
        lambda method, target, version, lines, body: b"\r\n".join(
            [b" ".join([method, target, version]), *lines, b"", body]
        ),
        st.sampled_from([b"GET", b"POST", b"HEAD", b"get", b"\x00", b"PRI", b"CONNECT"]),
        st.sampled_from([b"/", b"*", b"//x", b"http://evil/", b"/?a=%ff", b"/\x80", b"/?code=1"])
        | st.binary(max_size=40),
        st.sampled_from([b"HTTP/1.1", b"HTTP/2.0", b"", b"HTTP/1.0"]),
        st.lists(
            st.sampled_from(
                [
                    b"Host: localhost", b"Host: \xff", b"Host:", b"Content-Length: -1",
                    b"Content-Length: 99999999999999", b"Content-Length: 5", b" folded",
                    b"Transfer-Encoding: chunked", b"no colon", b": no name", b"X" * 3000,
                    b"Content-Type: application/x-www-form-urlencoded",
                ]
            )
            | st.binary(max_size=30),
            max_size=6,
        ),
        st.binary(max_size=60),
    ),
)  # fmt: skip


@settings(max_examples=60)
@given(st.lists(HOSTILE, min_size=1, max_size=5))
def test_whatever_is_sent_the_wait_goes_on_and_the_answer_arrives(requests: list[bytes]) -> None:
    with AuthCodeReceiver() as receiver, waiting(receiver) as future:
        port = receiver.get_port()
        for request in requests:
            received = send_raw(port, request)
            assert received == b"" or received.startswith(b"HTTP/1.1 4")
        assert not future.done()
        assert ask(port, "/", ANSWER).status == 200
        assert future.result(PATIENCE) == ANSWER


class TestEndings:
    def test_a_wait_ends_with_its_time(self, receiver: AuthCodeReceiver) -> None:
        assert receiver.get_auth_response(state=STATE, timeout=0.05) is None
        assert receiver.get_auth_response(state=STATE, timeout=0) is None

    def test_receive_raises_what_msal_raises_then(self, receiver: AuthCodeReceiver) -> None:
        uri = "https://idp.example/"
        with pytest.raises(BrowserInteractionTimeoutError, match=r"0\.05 seconds") as caught:
            receive(receiver, uri, state=STATE, timeout=0.05, browser_name="none-such",
                    auth_uri_callback=lambda _: None)  # fmt: skip
        assert isinstance(caught.value, RuntimeError)
        assert caught.value.code == "interaction_timeout"

    def test_receive_returns_the_answer(self, receiver: AuthCodeReceiver) -> None:
        port = receiver.get_port()
        answer = receive(
            receiver, "https://idp.example/", state=STATE, browser_name="none-such",
            auth_uri_callback=lambda _: ask(port, "/", ANSWER),
        )  # fmt: skip
        assert answer == ANSWER

    def test_receive_takes_msals_receivers_too(self) -> None:
        class Theirs:
            def get_auth_response(self, **options: Any) -> dict[str, str] | None:
                return {"code": options["state"]}

        assert receive(Theirs(), "https://x", state="s") == {"code": "s"}

    def test_closing_from_another_thread_ends_the_wait(self, receiver: AuthCodeReceiver) -> None:
        with waiting(receiver, timeout=None) as future:
            assert ask(receiver.get_port(), "/x").status == 404
            receiver.close()
            assert future.result(PATIENCE) is None
        assert receiver.is_closed

    def test_receive_says_that_it_was_ended(self, receiver: AuthCodeReceiver) -> None:
        with pytest.raises(BrowserInteractionTimeoutError) as caught:
            receive(receiver, "https://idp.example/", state=STATE, browser_name="none-such",
                    auth_uri_callback=lambda _: receiver.close())  # fmt: skip
        assert caught.value.code == "interaction_ended"

    def test_a_closed_receiver_waits_for_nothing(self) -> None:
        receiver = AuthCodeReceiver()
        receiver.close()
        receiver.close()
        assert receiver.get_auth_response(state=STATE) is None
        with pytest.raises(LoopbackUnavailable):
            receiver.get_port()

    def test_nothing_listens_after_the_block(self) -> None:
        with AuthCodeReceiver() as receiver:
            port = receiver.get_port()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)

    def test_scheduled_actions_are_done_in_their_order_in_the_waiting_thread(self) -> None:
        done: list[Any] = []

        def close() -> None:
            receiver.close()

        actions = [
            (0.02, lambda: done.append("later")),
            (0.03, close),
            (0.01, lambda: done.append(threading.current_thread())),
        ]
        with AuthCodeReceiver(scheduled_actions=actions) as receiver:
            assert receiver.get_auth_response(state=STATE) is None
        assert done == [threading.current_thread(), "later"]

    def test_what_a_callback_raises_ends_the_wait(self, receiver: AuthCodeReceiver) -> None:
        def fail(_: str) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            receiver.get_auth_response(
                "https://idp.example/", browser_name="none-such", auth_uri_callback=fail
            )

    def test_a_fault_of_the_server_is_raised_where_the_answer_is_waited_for(
        self, receiver: AuthCodeReceiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: Any) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(loopback_server, "read_request", broken)
        with waiting(receiver) as future:
            send_raw(receiver.get_port(), b"GET / HTTP/1.1\r\n\r\n")
            with pytest.raises(ZeroDivisionError):
                future.result(PATIENCE)

    @pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
    def test_ctrl_c_ends_the_wait(self) -> None:
        # A background shell's children ignore SIGINT, and theirs after them.
        program = """
            import signal
            from keyfob.transport.loopback import AuthCodeReceiver
            signal.signal(signal.SIGINT, signal.default_int_handler)
            with AuthCodeReceiver() as receiver:
                try:
                    receiver.get_auth_response(
                        "https://idp.example/?state=s", browser_name="none-such")
                except KeyboardInterrupt:
                    print("interrupted")
        """
        run = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        with run:
            try:
                assert run.stderr is not None
                # It has told its address, so it waits.
                assert "No browser" in run.stderr.readline()
                run.send_signal(signal.SIGINT)
                out, _ = run.communicate(timeout=PATIENCE)
            finally:
                run.kill()
        assert (out, run.returncode) == ("interrupted\n", 0)

    def test_nothing_is_left_behind(self) -> None:
        def counted() -> tuple[int, set[threading.Thread]]:
            return len(list(Path("/proc/self/fd").iterdir())), set(threading.enumerate())

        if not Path("/proc/self/fd").exists():
            pytest.skip("needs /proc")
        with AuthCodeReceiver() as receiver:
            receiver.get_auth_response(state=STATE, timeout=0)
        before = counted()
        for number in range(5):
            with AuthCodeReceiver() as receiver, waiting(receiver) as future:
                if number % 2:
                    ask(receiver.get_port(), "/", ANSWER)
                    future.result(PATIENCE)
        assert counted() == before


class TestPorts:
    def test_both_loopback_addresses_have_the_same_port(self) -> None:
        if not has_ipv6():
            pytest.skip("this machine has no ::1")
        listeners = loopback_sockets.listen(0)
        names = [listener.getsockname() for listener in listeners]
        for listener in listeners:
            listener.close()
        assert [name[0] for name in names] == ["127.0.0.1", "::1"]
        assert names[0][1] == names[1][1]

    def test_a_port_may_be_chosen_and_had_again_at_once(self, receiver: AuthCodeReceiver) -> None:
        port = receiver.get_port()
        with waiting(receiver):
            ask(port, "/", ANSWER)
        with AuthCodeReceiver(port=port) as again:
            assert again.get_port() == port
            assert again.redirect_uri == f"http://localhost:{port}"

    @each_host
    def test_a_port_that_another_program_has_on_either_address_is_refused(self, host: str) -> None:
        reachable(host)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as other:
            other.bind((host, 0))
            other.listen()
            port = other.getsockname()[1]
            with pytest.raises(OSError, match=str(port)) as caught:
                AuthCodeReceiver(port=port).get_port()
        assert isinstance(caught.value, LoopbackUnavailable)
        assert caught.value.code == "port_taken"

    def test_two_receivers_cannot_have_one_port(self, receiver: AuthCodeReceiver) -> None:
        with pytest.raises(OSError), AuthCodeReceiver(port=receiver.get_port()):
            pass

    def test_a_machine_without_one_of_the_addresses_has_the_other(self) -> None:
        listeners = loopback_sockets.listen(0, ["192.0.2.1", "127.0.0.1"])
        names = [listener.getsockname()[0] for listener in listeners]
        for listener in listeners:
            listener.close()
        assert names == ["127.0.0.1"]
        with pytest.raises(LoopbackUnavailable, match="none of the addresses"):
            loopback_sockets.listen(0, ["192.0.2.1"])

    def test_a_port_for_the_system_only_is_a_value_error_as_msals(self) -> None:
        start = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        if not start.exists() or int(start.read_text()) <= 1:
            pytest.skip("everybody may listen on every port of this machine")
        program = """
            import os
            from keyfob.transport.loopback import AuthCodeReceiver
            receiver = AuthCodeReceiver(port=1)
            if os.geteuid() == 0:
                os.setuid(65534)
            try:
                receiver.get_port()
            except ValueError as error:
                print(error)
        """
        told = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            check=False,
            capture_output=True,
            text=True,
        )
        assert "may not listen" in told.stdout, told.stderr

    def test_what_may_not_be_listened_on_is_a_value_error(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(*_: Any) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(loopback_sockets, "_listen_on", refused)
        with pytest.raises(ConfigurationError, match="port 80") as caught:
            AuthCodeReceiver(port=80).get_port()
        assert isinstance(caught.value, ValueError)

    @pytest.mark.parametrize("port", [-1, 65536, "80", 1.0, True])
    def test_what_is_no_port_is_refused(self, port: Any) -> None:
        with pytest.raises(ConfigurationError):
            AuthCodeReceiver(port=port)

    def test_making_one_opens_nothing(self, receiver: AuthCodeReceiver) -> None:
        AuthCodeReceiver(port=receiver.get_port())

    def test_nobody_but_this_machine_can_connect(self, receiver: AuthCodeReceiver) -> None:
        listeners = receiver._listeners
        assert {listener.getsockname()[0] for listener in listeners} <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": -1}, {"timeout": "1"}, {"timeout": True}, {"timeout": float("nan")},
        {"auth_uri": "file:///etc/passwd"}, {"auth_uri": "javascript:alert(1)"},
        {"auth_uri": "https://x/\r\n"}, {"auth_uri": "https://x/\t"}, {"auth_uri": "-flag"},
        {"success_template": 1}, {"welcome_template": b"<"},
    ],
)  # fmt: skip
def test_arguments_that_cannot_be_are_refused(
    receiver: AuthCodeReceiver, options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError):
        receiver.get_auth_response(**{"timeout": 1, **options})


def test_a_repr_tells_the_port_and_no_secret() -> None:
    receiver = AuthCodeReceiver()
    assert repr(receiver) == "<AuthCodeReceiver port=any>"
    with receiver, waiting(receiver):
        assert repr(receiver) == f"<AuthCodeReceiver port={receiver.get_port()}>"
        assert STATE not in repr(receiver.__dict__)


def test_what_it_holds_of_an_answer_is_not_in_a_repr() -> None:
    values = [
        Awaited(1, STATE, "welcome-secret"),
        BrowserRequest("GET", "/", "localhost:1", ANSWER),
        Reply(200, {}, STATE.encode()),
    ]
    told = "".join(repr(value) for value in values)
    assert not [secret for secret in (STATE, "welcome-secret", *ANSWER.values()) if secret in told]


def test_it_costs_nothing_before_it_is_needed() -> None:
    script = "import sys, keyfob.transport\nprint(*sys.modules)\nimport keyfob.transport.loopback"
    script += "\nprint(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], check=True, capture_output=True, text=True
    )
    before, after = (set(line.split()) for line in run.stdout.splitlines())
    assert not {"keyfob.transport.loopback", "selectors"} & before
    assert not {"webbrowser", "http.server", "requests", "asyncio"} & after


def test_all_of_it_is_one_tree_of_errors() -> None:
    for kind in (LoopbackUnavailable, BrowserInteractionTimeoutError):
        assert issubclass(kind, KeyfobError)
