"""Calls to other APIs in the person's name: a `requests.Session` that knows one API."""

from __future__ import annotations

import re
from typing import Any, Protocol
from urllib.parse import unquote

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from keyfob.errors import ApiUnreachable, DownstreamError
from keyfob.protocol.urls import origin, parse_http_url

#: Seconds to connect, and seconds between two bytes, where a call names no timeout of its own.
DEFAULT_TIMEOUT = (5.0, 30.0)

# `orders:batchGet` is a path, as some APIs have them. Backslashes are slashes to some readers.
_ABSOLUTE = re.compile(
    r"[\x00-\x20]*(?:https?:|[a-z][a-z0-9+.-]*:[/\\]{2}|[/\\]{2})", re.IGNORECASE
)
# Nobody encodes honestly four times.
_MAX_DECODINGS = 4


class GiveToken(Protocol):
    """Gives an access token; a new one from the provider where it is asked for that."""

    def __call__(self, *, new: bool) -> str: ...


_NO_ANSWER = (
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


class ApiConnectionError(ApiUnreachable, requests.exceptions.ConnectionError):
    """The API could not be reached."""


class ApiTimeout(ApiConnectionError, requests.exceptions.Timeout):
    """The API did not answer in time."""


class TokenAuth(AuthBase):
    """Attaches a token, to one origin only. requests drops it on a redirect to another host.

    An API that refuses a token knows that it was ended early: once, a new one is tried.
    """

    def __init__(self, token: GiveToken, allowed_origin: str) -> None:
        self._token = token
        self._origin = allowed_origin
        self._has_renewed = False

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if origin(request.url or "") != self._origin:
            raise DownstreamError(f"The token is for {self._origin} only", code="foreign_origin")
        request.headers["Authorization"] = f"Bearer {self._token(new=False)}"
        request.register_hook("response", self._renew)  # type: ignore[no-untyped-call]
        return request

    def _renew(self, response: requests.Response, **options: Any) -> requests.Response:
        request = response.request
        if response.status_code != 401 or self._has_renewed or not self._can_repeat(request):
            return response
        self._has_renewed = True
        header = f"Bearer {self._token(new=True)}"
        _ = response.content  # read to its end, so that its connection can serve again
        response.close()
        again = request.copy()
        # On the first request too: it is the one that requests follows a redirect with.
        again.headers["Authorization"] = request.headers["Authorization"] = header
        renewed: requests.Response = response.connection.send(again, **options)
        renewed.history.append(response)
        renewed.request = again
        return renewed

    def _can_repeat(self, request: requests.PreparedRequest) -> bool:
        return origin(request.url or "") == self._origin and isinstance(
            request.body, (str, bytes, type(None))
        )


class ApiSession(requests.Session):
    """A real `requests.Session`: every verb, `json=`, streaming, hooks.

    Addresses are relative to the API's base address. The token is had when a call is made, so
    that an expired one is refreshed; it goes to the API's origin only.

    :param base_url: the API's base address, without a slash at its end.
    :param token: gives the access token; it is asked for a new one after a 401, once.
    :param adapter: the connections, shared by all sessions of the program.
    """

    def __init__(self, base_url: str, token: GiveToken, adapter: HTTPAdapter) -> None:
        super().__init__()
        self._base_url = base_url
        self._origin = origin(base_url)
        self._adapter = adapter
        self.auth = TokenAuth(token, self._origin)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def __repr__(self) -> str:
        return f"<ApiSession {self._base_url}>"

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> Any:
        """As `requests.Session.request`, with an address relative to the API's.

        :raises DownstreamError: (a ValueError) the address is not the API's; nothing was sent.
        :raises ApiUnreachable: (also requests' ConnectionError, or Timeout) there is no answer.
        :raises InteractionRequired: only the person can get the token.
        """
        kwargs.setdefault("timeout", DEFAULT_TIMEOUT)
        address = self.address(url)
        try:
            return super().request(method, address, *args, **kwargs)
        except _NO_ANSWER as error:
            failed = type(error)
        # Raised out here: the error itself, and what hangs on it, would show the token to whoever
        # shows its frames, as debug pages and error mails do.
        raise self._unreachable(failed)

    def _unreachable(self, failed: type[Exception]) -> ApiUnreachable:
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
            foreign = origin(parse_http_url(text)) != self._origin
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


def new_adapter() -> HTTPAdapter:
    return HTTPAdapter(pool_maxsize=20)
