"""Awaits the browser's answer on this machine: a native app's redirect URI (RFC 8252 §7.3)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from keyfob.errors import (
    BrowserInteractionTimeoutError,
    ConfigurationError,
    LoopbackUnavailable,
)
from keyfob.transport.browser import AddressNotice, judge_address, start_browser
from keyfob.transport.loopback_pages import PageTemplates
from keyfob.transport.loopback_server import LoopbackServer
from keyfob.transport.loopback_site import Site
from keyfob.transport.loopback_sockets import LOOPBACK_HOSTS, listen
from keyfob.transport.waiting import ScheduledActions, Wait

if TYPE_CHECKING:
    from typing_extensions import Self

#: Seconds after which a person whose browser was opened is told the address all the same: a page
#: that was closed, or that opened where nobody looks, can be opened again by hand.
REMINDER_SECONDS = 30.0


class AuthCodeReceiver:
    """Listens on one port of 127.0.0.1 and of ::1, and receives one answer at a time there.

        with AuthCodeReceiver() as receiver:
            redirect_uri = receiver.redirect_uri
            ...
            response = receiver.get_auth_response(auth_uri, state=state, timeout=60)

    It listens as soon as the port is asked for, or the `with` block begins. No other machine can
    connect. That is so in a container too, where the browser outside cannot either: use the device
    code flow there, or `hosts`, or the host's network (docs/decisions/loopback-redirect.md).

    :param port: the port to listen on; None or 0 for one that is free.
    :param scheduled_actions: pairs of a number of seconds and a function that is called when so
        many seconds of a wait have passed.
    :param hosts: the addresses to listen on in the place of both loopback addresses. Everybody who
        can reach them can send answers; those with the right `state` are taken.
    :raises ConfigurationError: (a ValueError) the port is none.
    """

    def __init__(
        self,
        port: int | None = None,
        scheduled_actions: ScheduledActions | None = None,
        *,
        hosts: Sequence[str] = LOOPBACK_HOSTS,
    ) -> None:
        if port is not None and (type(port) is not int or not 0 <= port <= 65535):
            raise ConfigurationError("port is a number from 1 to 65535, or None for a free one")
        if isinstance(hosts, str) or not hosts:
            raise ConfigurationError("hosts is a list of at least one address")
        self._port = port or 0
        self._hosts = tuple(hosts)
        self._scheduled = tuple(scheduled_actions or ())
        self._listeners: list[socket.socket] = []
        self._lock = threading.Lock()
        self._wait: Wait | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<AuthCodeReceiver port={self._port or 'any'}>"

    def __enter__(self) -> Self:
        self._listen()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def get_port(self) -> int:
        """The port that is listened on.

        :raises LoopbackUnavailable: (an OSError) it is taken, or the receiver was closed.
        :raises ConfigurationError: (a ValueError) this program may not listen on it.
        """
        self._listen()
        return self._port

    @property
    def redirect_uri(self) -> str:
        """`http://localhost:PORT`. Where `http://localhost` is registered, any port is accepted."""
        return f"http://localhost:{self.get_port()}"

    @property
    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Listen no more. A `get_auth_response` that waits in another thread returns None."""
        with self._lock:
            self._closed = True
            if self._wait is not None:
                self._wait.end()
            else:
                self._stop_listening()

    def get_auth_response(
        self,
        auth_uri: str | None = None,
        timeout: float | None = None,
        state: str | None = None,
        welcome_template: str | None = None,
        success_template: str | None = None,
        error_template: str | None = None,
        auth_uri_callback: Callable[[str], object] | None = None,
        browser_name: str | None = None,
    ) -> dict[str, str] | None:
        """Open the browser, and wait for what it brings (RFC 6749 §4.1.2), by GET or by POST.

        Requests that are something else get a page that says so, and the wait goes on.

        :param auth_uri: where the browser is sent; None to send it there otherwise.
        :param timeout: seconds to wait; None for as long as it takes.
        :param state: what the answer must repeat; by default the `state` in `auth_uri`. Without
            either any answer is taken, and the caller has to judge it.
        :param welcome_template: a page that the browser is sent to first; see `PageTemplates` for
            it and for the other two.
        :param auth_uri_callback: is given the address where no browser could be opened. Without
            it, the person reads the address on standard error, then or after REMINDER_SECONDS.
        :param browser_name: one of those that Python's `webbrowser` knows.
        :returns: the answer's parameters, whether they are a code or an error; None where the time
            was over before, or the receiver was closed.
        :raises ConfigurationError: (a ValueError) an argument cannot be, such as an `auth_uri`
            that is not http or https.
        """
        templates = PageTemplates(welcome_template, success_template, error_template)
        if auth_uri is not None:
            judge_address(auth_uri)
            state = state or _state_in(auth_uri)
        wait = Wait(timeout, self._scheduled)
        if not self._begin(wait):
            return None
        try:
            site = Site(self._port, auth_uri, state, templates, wait.answer)
            with LoopbackServer(self._listeners, site.respond, wait.fail):
                if site.first_uri is not None:
                    notice = AddressNotice(site.first_uri, self._port, auth_uri_callback)
                    start_browser(notice, wait, browser_name, REMINDER_SECONDS)
                return wait.result()
        finally:
            self._end()

    def _listen(self) -> None:
        with self._lock:
            if self._closed:
                raise LoopbackUnavailable("The receiver was closed", code="receiver_closed")
            self._listen_once()

    def _listen_once(self) -> None:
        if not self._listeners:
            self._listeners = listen(self._port, self._hosts)
            self._port = self._listeners[0].getsockname()[1]

    def _stop_listening(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners = []

    def _begin(self, wait: Wait) -> bool:
        """Whether it may begin: not where the receiver was closed before."""
        with self._lock:
            if self._closed:
                return False
            if self._wait is not None:
                raise ConfigurationError("This receiver waits for an answer already")
            self._listen_once()
            self._wait = wait
        return True

    def _end(self) -> None:
        with self._lock:
            self._wait = None
            if self._closed:
                self._stop_listening()


def receive(receiver: Any, auth_uri: str, *, state: str, **options: Any) -> dict[str, Any]:
    """The browser's answer to one attempt.

    :param receiver: an `AuthCodeReceiver`, or what has its `get_auth_response`.
    :param auth_uri: where the browser is sent.
    :param state: what the answer must repeat.
    :param options: the other parameters of `get_auth_response`, such as `timeout`.
    :raises BrowserInteractionTimeoutError: (a RuntimeError) there was none in time, or the receiver
        was closed meanwhile.
    """
    answer: dict[str, Any] | None = receiver.get_auth_response(
        auth_uri=auth_uri, state=state, **options
    )
    if answer is not None:
        return answer
    if getattr(receiver, "is_closed", False):
        raise BrowserInteractionTimeoutError(
            "The wait for the browser was ended before it brought an answer",
            code="interaction_ended",
        )
    raise BrowserInteractionTimeoutError(
        f"The browser brought no answer within {options.get('timeout')} seconds. Was the sign-in "
        "finished there? A page that shows an error may have to be closed, and the sign-in begun "
        "anew"
    )


def _state_in(auth_uri: str) -> str | None:
    found = parse_qs(urlsplit(auth_uri).query).get("state")
    return found[0] if found else None
