"""What the loopback port answers while one answer is awaited there."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from urllib.parse import urlencode

from keyfob.transport.loopback_pages import (
    PageTemplates,
    Reply,
    bad_request_reply,
    no_answer_page,
    nothing_here_page,
    wrong_state_page,
)
from keyfob.transport.loopback_requests import Awaited, BrowserRequest, judge_request


class Site:
    """One wait's pages.

    :param auth_uri: where the browser is to get; None where somebody else sends it there.
    :param take: is given the answer, once the browser has its page.
    """

    def __init__(
        self,
        port: int,
        auth_uri: str | None,
        state: str | None,
        templates: PageTemplates,
        take: Callable[[dict[str, str]], None],
    ) -> None:
        # The welcome page tells the state. Other programs of this machine, other people's too, can
        # ask this port for pages, so its address has to be as secret.
        shows_welcome = templates.welcome is not None and auth_uri is not None
        welcome = secrets.token_urlsafe(16) if shows_welcome else None
        self._awaited = Awaited(port, state, welcome)
        self._auth_uri = auth_uri or ""
        self._templates = templates
        self._take = take

    @property
    def first_uri(self) -> str | None:
        """Where the browser is sent first."""
        if self._awaited.welcome is not None:
            return self._address(welcome=self._awaited.welcome)
        return self._auth_uri or None

    def respond(self, request: BrowserRequest) -> tuple[Reply, Callable[[], None] | None]:
        verdict = judge_request(request, self._awaited)
        if verdict == "answered":
            parameters = dict(request.parameters)
            return self._templates.answer_page(parameters), partial(self._take, parameters)
        if verdict == "welcome":
            state = {"state": self._awaited.state} if self._awaited.state else {}
            abort_uri = self._address(error="abort", **state)
            return self._templates.welcome_page(self._auth_uri, abort_uri), None
        if verdict == "wrong_state":
            return wrong_state_page(), None
        if verdict == "no_answer":
            return no_answer_page(), None
        if verdict == "nothing_here":
            return nothing_here_page(), None
        return bad_request_reply(400), None

    def _address(self, **query: str) -> str:
        return f"http://localhost:{self._awaited.port}/?{urlencode(query)}"
