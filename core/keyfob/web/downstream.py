"""Calls to other APIs in the person's name: a `requests.Session` that knows one API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from os import environ
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import requests
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from requests.hooks import default_hooks
from requests.utils import default_headers, get_environ_proxies

from keyfob.errors import ApiUnreachable, DownstreamError
from keyfob.protocol.urls import parse_http_url
from keyfob.web.bound_token import GiveToken
from keyfob.web.downstream_adapter import ApiAdapter, OnceAdapter
from keyfob.web.downstream_auth import ApiAuth
from keyfob.web.settings_apis import DEFAULT_TIMEOUT, DownstreamApi, Timeout

if TYPE_CHECKING:
    from typing_extensions import Self

# `orders:batchGet` is a path, as some APIs have them. Backslashes are slashes to some readers.
_ABSOLUTE = re.compile(
    r"[\x00-\x20]*(?:https?:|[a-z][a-z0-9+.-]*:[/\\]{2}|[/\\]{2})", re.IGNORECASE
)
# Nobody encodes honestly four times.
_MAX_DECODINGS = 4


_NO_ANSWER = (
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


class ApiConnectionError(ApiUnreachable, requests.exceptions.ConnectionError):
    """The API could not be reached."""


class ApiTimeout(ApiConnectionError, requests.exceptions.Timeout):
    """The API did not answer in time."""


class ApiSession(requests.Session):
    """A real `requests.Session`: every verb, `json=`, streaming, hooks.

    Addresses are relative to the API's base address. The token is had when a call is made, so
    that an expired one is refreshed; it goes to the API's origin only.

    :param base_url: the API's base address, without a slash at its end.
    :param token: gives the access token; it is asked for a new one after a 401, once a call.
    :param adapter: the connections, shared by all sessions of the program.
    :param timeout: seconds to connect, and between two bytes, where a call names none of its own.
    :param environ_proxies: what the environment has for the API's address; None to look there at
        each call, as requests does.
    :param like: a plain session whose settings are taken, which is quicker than making them.
    """

    def __init__(
        self,
        base_url: str,
        token: GiveToken,
        adapter: HTTPAdapter,
        *,
        timeout: Timeout = DEFAULT_TIMEOUT,
        environ_proxies: Mapping[str, str] | None = None,
        like: requests.Session | None = None,
    ) -> None:
        if like is None:
            super().__init__()
        else:
            # What `Session.__init__` does, but for two adapters: most of its time, and in vain.
            self.__dict__.update(like.__dict__)
            self.headers = cast("Any", default_headers())
            self.hooks, self.cookies = default_hooks(), RequestsCookieJar()
            self.params, self.proxies, self.adapters = {}, {}, {}
        self._environ_proxies = environ_proxies
        self._base_url = base_url
        self._timeout = timeout
        self.auth = auth = ApiAuth(token, base_url)
        self._attached = auth.attached
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def __repr__(self) -> str:
        return f"<ApiSession {self._base_url}>"

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> Any:
        """As `requests.Session.request`, with an address relative to the API's.

        :raises DownstreamError: (a ValueError) the address is not the API's; nothing was sent.
        :raises ApiUnreachable: (also requests' ConnectionError, or Timeout) there is no answer.
        :raises requests.TooManyRedirects: there is none but redirects.
        :raises InteractionRequired: only the person can get the token.
        """
        kwargs.setdefault("timeout", self._timeout)
        address = self.address(url)
        try:
            return super().request(method, address, *args, **kwargs)
        except (*_NO_ANSWER, requests.TooManyRedirects) as error:
            failed = type(error)
        # Raised out here: the error itself, and what hangs on it, would show the token to whoever
        # shows its frames, as debug pages and error mails do.
        raise self._unreachable(failed)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """As `requests.Session.send`, for a request of one's own that was prepared before."""
        kwargs.setdefault("timeout", self._timeout)
        return super().send(request, **kwargs)

    def _unreachable(self, failed: type[Exception]) -> ApiUnreachable | requests.TooManyRedirects:
        if issubclass(failed, requests.TooManyRedirects):
            times = self.max_redirects
            return requests.TooManyRedirects(f"{self._base_url} redirected more than {times} times")
        if issubclass(failed, requests.exceptions.Timeout):
            return ApiTimeout(f"{self._base_url} did not answer in time", url=self._base_url)
        return ApiConnectionError(
            f"{self._base_url} could not be reached ({failed.__name__})", url=self._base_url
        )

    def address(self, url: str | bytes) -> str:
        """The absolute address that is meant, always of the API's own origin.

        A path stays below the base address, whatever a visitor typed into it. A whole address, such
        as a next link that the API answered, may be anywhere on the API's origin.
        """
        try:
            text = url.decode() if isinstance(url, bytes) else url
            if not _ABSOLUTE.match(text):
                return self._joined(text)
            parse_http_url(text)
            foreign = not self._attached.is_for(text)
        except ValueError as reason:
            if isinstance(reason, DownstreamError):
                raise
            # Not the reason itself: it may quote the address.
            raise DownstreamError("This is not an address that can be called") from None
        if foreign:
            raise DownstreamError(
                f"The address is not one of {self._base_url}: the token goes nowhere else",
                code="foreign_origin",
            )
        return text

    def _joined(self, path: str) -> str:
        if _leads_out(path.split("#", 1)[0].split("?", 1)[0]):
            raise DownstreamError(
                f"The path leads out of {self._base_url}; quote what goes into one "
                "(urllib.parse.quote with safe='')",
                code="path",
            )
        return f"{self._base_url}/{path.removeprefix('/')}" if path else self._base_url

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """As requests', which reads the whole environment at each call: half of what a call to a
        server nearby takes. What a redirect leads to is looked up anew."""
        known = self._environ_proxies
        if known is None or proxies or not self.trust_env:
            return super().merge_environment_settings(url, proxies, stream, verify, cert)
        if verify is None or verify is True:
            verify = environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE") or verify
        return {
            "proxies": {**self.proxies, **known},
            "stream": self.stream if stream is None else stream,
            "verify": self.verify if verify is None else verify,
            "cert": self.cert if cert is None else cert,
        }

    def without_retries(self) -> Self:
        """This session, whose calls are not repeated from here on: for a caller who does that."""
        adapter = self.get_adapter(self._base_url)
        if isinstance(adapter, ApiAdapter):
            once = OnceAdapter(adapter)
            self.mount("https://", once)
            self.mount("http://", once)
        return self

    def rebuild_auth(
        self,
        prepared_request: requests.PreparedRequest,
        response: requests.Response,  # noqa: ARG002 - requests' name and place
    ) -> None:
        """What a redirect takes along: nothing, unless it stays at the API's own origin. There
        the token stays too, whatever a `.netrc` has for that host."""
        if not self._attached.is_for(prepared_request.url or ""):
            prepared_request.headers.pop("Authorization", None)

    def close(self) -> None:
        """Nothing: the connections are the program's, and others use them."""


def _leads_out(path: str) -> bool:
    """Whether some reader of the path, however often it decodes it, finds a host or a way up."""
    for _ in range(_MAX_DECODINGS):
        tidy = path.replace("\\", "/")
        # Some servers drop a segment's parameters (RFC 3986 §3.3) before they look for dots.
        segments = {segment.split(";", 1)[0] for segment in tidy.split("/")}
        if tidy.startswith("//") or not {".", ".."}.isdisjoint(segments):
            return True
        decoded = unquote(path)
        if decoded == path:
            return False
        path = decoded
    return True


class ApiConnections:
    """The connections to all APIs of a site: program life, shared by all sessions and threads."""

    def __init__(self) -> None:
        self._adapters: dict[str, ApiAdapter] = {}
        self._proxies: dict[str, Mapping[str, str]] = {}
        self._plain = requests.Session()

    def __repr__(self) -> str:
        return f"<ApiConnections to {', '.join(sorted(self._adapters)) or 'none'}>"

    def session(self, api: DownstreamApi, base_url: str, token: GiveToken) -> ApiSession:
        """A session for one request of the site: with cookies of its own, and shared connections.

        :param base_url: the API's address, which its settings may leave open.
        """
        adapter, proxies = self._adapters.get(api.name), self._proxies.get(base_url)
        # Of two threads that come here at once, one makes its own in vain.
        if adapter is None:
            adapter = self._adapters.setdefault(api.name, ApiAdapter(api.retries))
        if proxies is None:
            proxies = self._proxies[base_url] = get_environ_proxies(base_url)
        return ApiSession(
            base_url,
            token,
            adapter,
            timeout=api.timeout,
            environ_proxies=proxies,
            like=self._plain,
        )

    def close(self) -> None:
        for adapter in list(self._adapters.values()):
            adapter.close()
