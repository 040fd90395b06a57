"""Whether a request is a person's, who can be shown a page, or a script's, who cannot."""

from __future__ import annotations

from keyfob.web.exchange import WebRequest

_PAGE_DESTINATIONS = frozenset({"document", "iframe", "frame", "embed", "object"})


def has_bearer_token(authorization: str | None) -> bool:
    """Whether the header Authorization brings a bearer token (RFC 6750 §2.1), good or bad."""
    return authorization is not None and authorization.lower().startswith("bearer ")


def wants_page(request: WebRequest) -> bool:
    """Whether a redirect or a page helps whoever asked.

    A script that follows a redirect to a login page ends in a CORS error, or takes the page for
    its data. Browsers say what they want (Fetch Metadata); libraries are known by their habits.
    Who says nothing is taken for a person.
    """
    headers = request.headers
    if has_bearer_token(headers.get("authorization")):
        return False
    if headers.get("x-requested-with", "").lower() == "xmlhttprequest":
        return False
    if headers.get("hx-request", "").lower() == "true":
        return False
    destination = headers.get("sec-fetch-dest", "").lower()
    if destination:
        return destination in _PAGE_DESTINATIONS
    accept = headers.get("accept", "").lower()
    if "text/html" in accept or not accept:
        return True
    return "*/*" in accept and "json" not in accept
