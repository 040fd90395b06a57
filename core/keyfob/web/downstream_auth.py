"""A token for requests: `ApiAuth`, for any `requests.Session`."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

import requests
from requests.auth import AuthBase
from requests.utils import rewind_body

from keyfob.protocol.urls import origin
from keyfob.web.bound_token import AttachedToken, GiveToken


class ApiAuth(AuthBase):
    """Attaches the token of one API to the calls to it, with any session of requests.

        requests.get("https://orders.example/v1/orders", auth=request.keyfob.auth("orders"))

    It goes to the API's own origin: a call to another is refused before anything is sent, and a
    redirect to another goes on without it, there and from there on. An API that answers 401 is
    called once more with a new token, for the claims that it asks for (OpenID Connect Core §5.5),
    where the body can be sent again.

    :param token: gives the access token.
    :param base_url: an address of the API; its origin counts.
    """

    def __init__(self, token: GiveToken, base_url: str) -> None:
        self.attached = AttachedToken(token, origin(base_url))

    def __repr__(self) -> str:
        return f"<ApiAuth {self.attached!r}>"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Attach the token.

        :raises DownstreamError: (a ValueError) the address is not the API's, or the caller has set
            the header; nothing was sent.
        :raises InteractionRequired: only the person can get the token.
        """
        given = request.headers.get("Authorization")
        header = self.attached.header(request.url or "", given)
        request.headers["Authorization"] = header
        call = _Call(self.attached, header)
        request.register_hook("response", call.answered)  # type: ignore[no-untyped-call]
        return request


class _Call:
    """One call and what it is redirected to: a refusal is answered once."""

    def __init__(self, attached: AttachedToken, header: str) -> None:
        self._attached = attached
        self._header = header
        self._is_renewed = False

    def answered(self, response: requests.Response, **options: Any) -> requests.Response:
        # Where a redirect led elsewhere, the request has no token, and what it comes back to gets
        # none either: who redirects may not choose what is done in the person's name.
        if response.request.headers.get("Authorization") != self._header:
            return response
        if response.status_code == 401 and not self._is_renewed:
            response = self._renewed(response, options)
        if response.is_redirect:
            self._let_go(response)
        return response

    def _renewed(self, response: requests.Response, options: dict[str, Any]) -> requests.Response:
        # Also where this call cannot be repeated: the next one must not send this token again.
        self._is_renewed = True
        try:
            header = self._attached.after_refusal(self._header, _challenges(response))
        except BaseException:
            response.close()  # nobody else will: the caller gets the error
            raise
        request = response.request
        if header is None or not can_repeat(request):
            return response
        _ = response.content  # read to its end, so that its connection can serve again
        response.close()
        # On the first request, too: it is the one that requests follows a redirect with.
        request.headers["Authorization"] = self._header = header
        again = request.copy()
        rewind(again)
        renewed: requests.Response = response.connection.send(again, **options)
        renewed.history.append(response)
        renewed.request = again
        return renewed

    def _let_go(self, response: requests.Response) -> None:
        """Before requests copies the headers for an address elsewhere. It drops the token itself
        where the host differs, but not from http to https, which is another origin."""
        target = urljoin(response.url, response.headers["location"])
        if not self._attached.is_for(target):
            response.request.headers.pop("Authorization", None)


def can_repeat(request: requests.PreparedRequest) -> bool:
    """Whether the body can be sent again: it is whole, or a file that can be rewound."""
    body: object = request.body
    return body is None or isinstance(body, (str, bytes)) or _is_file(request)


def rewind(request: requests.PreparedRequest) -> None:
    """Make a file ready to be sent again; every other body is ready, or never will be."""
    if _is_file(request):
        rewind_body(request)


def _is_file(request: requests.PreparedRequest) -> bool:
    # Where requests itself looks before it follows a redirect.
    return isinstance(getattr(request, "_body_position", None), int)


def _challenges(response: requests.Response) -> list[str]:
    """Each header of its own: requests joins them, so that a broken one would spoil the rest."""
    found = getattr(getattr(response.raw, "headers", None), "getlist", None)
    if found is not None:
        return list(found("WWW-Authenticate"))
    return [response.headers[name] for name in ("WWW-Authenticate",) if name in response.headers]
