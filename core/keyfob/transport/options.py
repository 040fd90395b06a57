"""Options of one call: MSAL's verbs hand whatever else they are given to the HTTP client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from keyfob.protocol.http import HttpRequest, HttpResponse
from keyfob.transport.driver import Transport
from keyfob.transport.http_client import answer_of, posted, unreachable

T = TypeVar("T")

#: What a request says itself. As an option, it would replace that.
_OF_THE_REQUEST = ("url", "headers", "params", "data", "json", "content")


def with_options(transport: T, options: Mapping[str, Any]) -> T:
    """The transport for one call: the same connections and memory, with these options.

    There is nothing to close: close the transport that it was made of.

    :param transport: of any kind, synchronous or not.
    :param options: for Keyfob's own transports `timeout`, `verify` and `proxies`, where None stands
        for what the transport has; for an application's own HTTP client whatever its `post` takes.
    :raises TypeError: the transport does not take such an option.
    """
    if not options:
        return transport
    for name in _OF_THE_REQUEST:
        if name in options:
            raise TypeError(f"{name!r} is what the call itself says, and no option of it")
    derive = getattr(transport, "with_options", None)
    if derive is None:
        raise TypeError(
            f"{next(iter(options))!r} is no parameter of this call: the transport takes no options"
        )
    derived: T = derive(options)
    return derived


def for_one_call(transport: Transport, options: Mapping[str, Any]) -> Transport:
    """As `with_options`; `post` among the options is called in the place of each POST."""
    if options.get("post") is None:
        return with_options(transport, _without_post(options))
    return PostHook(transport, options["post"], _without_post(options))


class PostHook:
    """A transport whose POSTs go to a function, past any memory of earlier answers.

    :param inner: does everything else.
    :param post: called as an HTTP client's `post`: `post(url, headers=, params=, data=, **more)`;
        returns an object with `status_code`, `text` and perhaps `headers`.
    :param more: further arguments for it.
    """

    def __init__(
        self, inner: Transport, post: Callable[..., Any], more: Mapping[str, Any] | None = None
    ) -> None:
        if not callable(post):
            raise TypeError("post is a function that is called in the place of the HTTP POST")
        self._inner = inner
        self._post = post
        self._more = dict(more or {})

    def __repr__(self) -> str:
        return f"<PostHook before {self._inner!r}>"

    def send(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return self._inner.send(request)
        try:
            answer = self._post(request.url, **posted(request), **self._more)
        except OSError as error:  # what the function means to raise beyond it, it may
            failure = unreachable(request, error)
        else:
            return answer_of(answer, request)
        raise failure

    def close(self) -> None:
        self._inner.close()


def _without_post(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "post"}
