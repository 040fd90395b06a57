"""A site with no framework, and its browser: the web layer driven by plain values.

What a framework's adapter would do is done here in the smallest way: a dict for the session, a
dict for the cookies, and a real HTTP client for what goes to the provider.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from typing_extensions import Self

from keyfob.web import Answer, Identity, Routes, WebApplication, WebRequest, WebSession
from keyfob.web.settings import load_settings
from keyfob.web.stores import MemoryStore, TokenStore

ROUTES = Routes("/auth/login", "/auth/callback", "/auth/logout", "/auth/logged-out")
HOST = "localhost:5000"


@dataclass
class BareSite:
    """One site and one browser that visits it."""

    settings: Mapping[str, object]
    store: TokenStore = field(default_factory=MemoryStore)
    scheme: str = "http"
    host: str = HOST
    headers: dict[str, str] = field(default_factory=dict)
    clock_offset: float = 0.0
    timeout: float | None = None

    session: dict[str, Any] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    established: list[Identity] = field(default_factory=list)

    def __post_init__(self) -> None:
        import time

        self.app = WebApplication(
            load_settings(self.settings, {}, source="flask"),
            store=self.store,
            secrets=["a secret of the test's own, long enough to be one"],
            clock=lambda: time.time() + self.clock_offset,
        )
        if self.timeout is not None:
            from keyfob.transport import RequestsTransport

            self.app.client._transport = RequestsTransport(timeout=self.timeout)
        self.http = requests.Session()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.http.close()
        self.app.close()

    def another_browser(self) -> BareSite:
        """The same site, seen by somebody else."""
        other = BareSite(self.settings, self.store, self.scheme, self.host)
        other.app.close()
        other.app = self.app
        return other

    @property
    def keyfob(self) -> WebSession:
        return self.app.session(self.session)

    @property
    def is_signed_in(self) -> bool:
        return self.keyfob.is_signed_in

    def request(
        self, url: str, method: str = "GET", form: Mapping[str, str] | None = None
    ) -> WebRequest:
        parts = urlsplit(url)
        return WebRequest(
            method=method,
            scheme=self.scheme,
            host=self.host,
            path=parts.path,
            routes=ROUTES,
            session=self.session,
            query_string=parts.query,
            query=parse_qsl(parts.query, keep_blank_values=True),
            form=list((form or {}).items()),
            cookies=dict(self.cookies),
            headers=self.headers,
        )

    def login(self, query: str = "", **form: str) -> Answer:
        method = "POST" if form else "GET"
        url = f"{ROUTES.login}?{query}" if query else ROUTES.login
        return self._kept(self.app.login(self.request(url, method, form)))

    def callback(self, url: str, form: Mapping[str, str] | None = None) -> Answer:
        method = "POST" if form is not None else "GET"
        request = self.request(url, method, form)
        if method == "POST":
            # A cross-site post carries no Lax cookie: neither the session's nor an attempt's.
            request = WebRequest(**{**request.__dict__, "cookies": {}, "session": {}})
        return self._kept(self.app.callback(request, self.established.append))

    def logout(self) -> Answer:
        request = self.request(ROUTES.logout, "POST")
        return self._kept(self.app.logout(request, self.session.clear))

    def at_provider(self, answer: Answer) -> tuple[str, dict[str, str] | None]:
        """Follow a redirect to the provider. What comes back: the address, and a posted form."""
        assert answer.status in (302, 303), answer
        reply = self.http.get(answer.location, allow_redirects=False, timeout=10)
        if reply.is_redirect:
            return reply.headers["Location"], None
        fields = re.findall(r'name="([^"]*)" value="([^"]*)"', reply.text)
        action = re.search(r'action="([^"]*)"', reply.text)
        assert action is not None, reply.text[:500]
        return html.unescape(action[1]), {html.unescape(k): html.unescape(v) for k, v in fields}

    def sign_in(self, query: str = "") -> Answer:
        """The whole of a sign-in; the last answer of ours."""
        answer = self.login(query)
        if answer.status != 302 or answer.location.startswith("/"):
            return answer
        return self.come_back(*self.at_provider(answer))

    def come_back(self, url: str, form: dict[str, str] | None) -> Answer:
        answer = self.callback(url, form)
        if form is not None and answer.status == 303:
            answer = self.callback(answer.location)
        return answer

    def _kept(self, answer: Answer) -> Answer:
        for cookie in answer.cookies:
            if cookie.value:
                self.cookies[cookie.name] = cookie.value
            else:
                self.cookies.pop(cookie.name, None)
        return answer
