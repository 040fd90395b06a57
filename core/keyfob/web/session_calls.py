"""Tokens for every client of APIs: of a session or of long-running work, in the shape that the
client takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Protocol, TypeVar

from keyfob.errors import ConfigurationError
from keyfob.web.settings_apis import DownstreamApi
from keyfob.web.token_info import TokenInfo

if TYPE_CHECKING:
    from keyfob.web.azure_credentials import AsyncSessionCredential, SessionCredential
    from keyfob.web.bound_token import GiveToken
    from keyfob.web.downstream import ApiSession
    from keyfob.web.downstream_auth import ApiAuth
    from keyfob.web.downstream_httpx import HttpxAuth

T = TypeVar("T")


class CallSite(Protocol):
    """What calls need of the program's life; `WebApplication` is one."""

    def api_settings(self, name: str) -> DownstreamApi: ...
    def api_address(self, api: DownstreamApi) -> str: ...
    def api_session(self, session: SessionCalls, api: DownstreamApi) -> ApiSession: ...
    def token_giver(self, session: SessionCalls, api: DownstreamApi) -> GiveToken: ...


class SessionCalls:
    """What a `WebSession` has for calls to APIs, and long-running work as well. All of it ends with
    the request, or the task: no token of one person is kept for the next."""

    @property
    def call_site(self) -> CallSite:
        """The program life that the session belongs to."""
        raise NotImplementedError

    @property
    def tenant(self) -> str:
        """Of the person whose tokens these are, by its id; "" where none is known."""
        raise NotImplementedError

    def token(
        self,
        *,
        api: str | None = None,
        scopes: Collection[str] | None = None,
        force_refresh: bool = False,
        claims: str | None = None,
    ) -> str:
        """An access token; `WebSession.token` and `LongRunning.token` say whose."""
        raise NotImplementedError

    def token_info(
        self,
        *,
        api: str | None = None,
        scopes: Collection[str] | None = None,
        force_refresh: bool = False,
        claims: str | None = None,
    ) -> TokenInfo:
        """As `token`, with the times for whoever keeps it for a while."""
        raise NotImplementedError

    def api(self, name: str) -> ApiSession:
        """A `requests.Session` for a downstream API, with its address and the person's token.

        :param name: as in DOWNSTREAM_APIS.
        :raises ConfigurationError: there is no such API.
        """
        return self.call_site.api_session(self, self.call_site.api_settings(name))

    def auth(self, api: str) -> ApiAuth:
        """The token of a downstream API for any session of requests, which takes it as `auth`.

        :param api: as in DOWNSTREAM_APIS. The token goes to its origin only.
        :raises ConfigurationError: there is no such API.
        """
        from keyfob.web.downstream_auth import ApiAuth

        settings = self.call_site.api_settings(api)
        return ApiAuth(
            self.call_site.token_giver(self, settings), self.call_site.api_address(settings)
        )

    def httpx_auth(self, api: str) -> HttpxAuth:
        """As `auth`, for httpx: for its `Client` and its `AsyncClient`. Needs httpx.

        :raises ConfigurationError: there is no such API, or no httpx.
        """
        try:
            from keyfob.web.downstream_httpx import HttpxAuth
        except ModuleNotFoundError:
            raise ConfigurationError(
                "httpx_auth() needs httpx: pip install keyfob[aio]", code="no_httpx"
            ) from None

        settings = self.call_site.api_settings(api)
        return HttpxAuth(
            self.call_site.token_giver(self, settings),
            self.call_site.api_address(settings),
            in_thread=self.in_thread,
        )

    def credential(self, api: str | None = None) -> SessionCredential:
        """The person's tokens for an Azure SDK's client, which takes it as its credential.

        Make the client for this request only: it keeps the token that it got, and would show the
        next person the data of this one.

        :param api: an API of DOWNSTREAM_APIS, whose scopes count in the place of those that the
            SDK asks for.
        """
        from keyfob.web.azure_credentials import SessionCredential

        return SessionCredential(self, api)

    def async_credential(self, api: str | None = None) -> AsyncSessionCredential:
        """As `credential`, for the SDKs' `aio` clients."""
        from keyfob.web.azure_credentials import AsyncSessionCredential

        return AsyncSessionCredential(self, api)

    def in_thread(self, call: Callable[[], T]) -> Awaitable[T]:
        """What a coroutine awaits for a call that blocks. A framework may need another thread."""
        from keyfob.web.awaiting import in_thread

        return in_thread(call)
