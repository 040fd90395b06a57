"""Whether a request was sent by a page of this very site, and not by a stranger's."""

from __future__ import annotations

from keyfob.protocol.urls import origin, parse_http_url
from keyfob.web.exchange import WebRequest


def is_from_here(request: WebRequest, base_url: str | None) -> bool:
    """Whether a browser says that one of our own pages sent it: by Fetch Metadata, which no page
    can set, else by `Origin` (RFC 6454 §7), else by `Referer`. Who says nothing is not believed.

    :param base_url: the site's public address, where the framework does not know it.
    """
    headers = request.headers
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site.lower() == "same-origin"
    named = headers.get("origin", headers.get("referer", ""))
    ours = {_origin(request.origin), _origin(base_url or request.origin)}
    return bool(named) and _origin(named) in ours - {""}


def _origin(address: str) -> str:
    try:
        return origin(parse_http_url(address))
    except ValueError:
        return ""
