"""A site with no framework, and its browser: the web layer driven by plain values.

What a framework's adapter would do is done here in the smallest way: a dict for the session, a
dict for the cookies, and a real HTTP client for what goes to the provider.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import requests

from keyfob.errors import ConfigurationError, KeyfobError
from keyfob.web import Answer, Identity, Routes, WebApplication, WebRequest, WebSession
from keyfob.web.settings import load_settings
from keyfob.web.stores import MemoryStore, TokenStore
from support.provider import Provider

if TYPE_CHECKING:
    from typing_extensions import Self

ROUTES = Routes(
    *("/auth/login", "/auth/callback", "/auth/logout", "/auth/logged-out"),
    resume="/auth/resume",
    done="/auth/done",
    script="/auth/keyfob.js",
)
HOST = "localhost:5000"
SECRET = "a secret of the test's own, long enough to be one"


def with_apis(provider: Provider, **more: object) -> dict[str, object]:
    """Settings with two downstream APIs, `api` and `mail`, which both are the provider's own."""
    base = f"{provider.base}/api"
    prefix = "api://one/" if provider.entra else ""
    apis = {
        "api": {"base_url": base, "scopes": [f"{prefix}orders.read"]},
        "mail": {"base_url": base, "scopes": ["mail.read"]},
    }
    return {**provider.settings(), "DOWNSTREAM_APIS": apis, **more}


@dataclass
class BareSite:
    """One site and one browser that visits it."""

    settings: Mapping[str, object]
    store: TokenStore = field(default_factory=MemoryStore)
    scheme: str = "http"
    host: str = HOST
    headers: dict[str, str] = field(default_factory=dict)
    root_path: str = ""
    clock_offset: float = 0.0
    timeout: float | None = None
    #: Whether the browser keeps the session; some settings of a site's make it drop it.
    keeps_session: bool = True

    session: dict[str, Any] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    established: list[Identity] = field(default_factory=list)

    def __post_init__(self) -> None:
        import time

        self.app = WebApplication(
            load_settings(self.settings, {}, source="flask"),
            store=self.store,
            secrets=[SECRET],
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
        other.app = self.app
        return other

    def another_machine(self) -> BareSite:
        """The same site and browser, served by another process that shares the store."""
        other = BareSite(self.settings, self.store, self.scheme, self.host)
        other.session, other.cookies = self.session, self.cookies
        return other

    @property
    def routes(self) -> Routes:
        root = self.root_path
        return Routes(
            root + ROUTES.login,
            root + ROUTES.callback,
            root + ROUTES.logout,
            root + ROUTES.logged_out,
            resume=root + ROUTES.resume,
            done=root + ROUTES.done,
            script=root + ROUTES.script,
        )

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
            routes=self.routes,
            session=self.session,
            root_path=self.root_path,
            query_string=parts.query,
            query=parse_qsl(parts.query, keep_blank_values=True),
            form=list((form or {}).items()),
            cookies=dict(self.cookies),
            headers=self.headers,
        )

    def login(self, query: str = "", authority: str = "", **form: str) -> Answer:
        method = "POST" if form else "GET"
        login = self.routes.of(authority).login
        url = f"{login}?{query}" if query else login
        return self._kept(self.app.login(self.request(url, method, form), authority))

    def callback(self, url: str, form: Mapping[str, str] | None = None) -> Answer:
        method = "POST" if form is not None else "GET"
        request = self.request(url, method, form)
        if method == "POST":
            # A cross-site post carries no Lax cookie: neither the session's nor an attempt's.
            request = WebRequest(**{**request.__dict__, "cookies": {}, "session": {}})
        authority = _authority_at(request.path, self.routes.callback)
        answer = self._kept(self.app.callback(request, self.established.append, authority))
        if not self.keeps_session:
            self.session.clear()
        return answer

    def logout(self) -> Answer:
        request = self.request(self.routes.logout, "POST")
        return self._kept(self.app.logout(request, self.session.clear))

    def logged_out(self, url: str = "") -> Answer:
        request = self.request(url or self.routes.logged_out)
        authority = _authority_at(request.path, self.routes.logged_out)
        return self.app.logged_out(request, authority=authority)

    def front_channel(self, query: str = "", **headers: str) -> Answer:
        """The provider's frame in this browser; its cookies come along."""
        request = self.request(f"/auth/frontchannel-logout?{query}")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = replace(request, headers={**self.headers, **named})
        return self.app.frontchannel_logout(request, self.session.clear)

    def back_channel(self, *tokens: str) -> Answer:
        """The provider's own post, which no browser sends."""
        request = replace(
            self.request("/auth/backchannel-logout", "POST"),
            session={},
            cookies={},
            form=[("logout_token", token) for token in tokens],
        )
        return self.app.backchannel_logout(request)

    def get(
        self, url: str = "/private", *apis: str, method: str = "GET", **headers: str
    ) -> Answer | None:
        """A view that needs a sign-in, and these APIs; None where it may run."""
        request = self.request(url, method)
        named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        request = replace(request, headers={**self.headers, **named})
        for api in apis or (None,):
            answer = self.guard(request, api=api)
            if answer is not None:
                return answer
        return None

    def guard(
        self, request: WebRequest, *, api: str | None = None, scopes: list[str] | None = None
    ) -> Answer | None:
        """What an adapter's decorator does."""
        try:
            self.keyfob.require(api=api, scopes=scopes)
        except ConfigurationError:
            raise
        except KeyfobError as error:
            return self.app.handle(request, error)
        return None

    def browse(self, url: str = "/private", *apis: str, rounds: int = 8) -> Answer | None:
        """`get`, and then whatever a browser does by itself; the last answer, None for the view."""
        for _ in range(rounds):
            answer = self.get(url, *apis)
            if answer is None or answer.page is not None:
                return answer
            answer = self.sign_in(urlsplit(answer.location).query)
            if answer.page is not None:
                return answer
            url = answer.location
        raise AssertionError(f"a redirect loop of {rounds} rounds")

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

    def sign_in(self, query: str = "", authority: str = "") -> Answer:
        """The whole of a sign-in; the last answer of ours."""
        answer = self.login(query, authority)
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


def _authority_at(path: str, view: str) -> str:
    """Whose view has that path, as a framework's routing finds it."""
    return path.removeprefix(f"{view}/") if path.startswith(f"{view}/") else ""
