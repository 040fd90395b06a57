"""Redirect URIs: which are registered, and how an answer travels in one.

RFC 6749 section 3.1.2 and RFC 9700 section 2.1: comparison is exact, character by character. The
one exception is the port of a loopback address (RFC 8252 section 7.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlencode, urlsplit

# Matched on the raw text, never on a parsed URL: two parsers that disagree are how checks are
# evaded.
_LOOPBACK = re.compile(r"http://(localhost|127\.0\.0\.1|\[::1\])(?::([0-9]{1,5}))?((?:[/?].*)?)")
_CLEAN = re.compile(r"[!-\[\]-~]+")  # printable ASCII without space and backslash


def is_registered(given: str, registered: Iterable[str]) -> bool:
    """Whether a redirect URI is one of the registered ones."""
    if not _CLEAN.fullmatch(given) or "#" in given:
        return False
    return any(given == uri or _same_loopback(given, uri) for uri in registered)


def _same_loopback(given: str, registered: str) -> bool:
    left, right = _LOOPBACK.fullmatch(given), _LOOPBACK.fullmatch(registered)
    if left is None or right is None:
        return False
    if left[2] is not None and not 0 < int(left[2]) < 65536:
        return False
    return left[1] == right[1] and left[3] == right[3]


def with_query(uri: str, answer: Mapping[str, str]) -> str:
    """The URI with parameters added to its query (RFC 6749 section 4.1.2)."""
    if not answer:
        return uri
    joiner = "&" if "?" in uri else "?"
    return f"{uri}{joiner}{urlencode(answer)}"


def with_fragment(uri: str, answer: Mapping[str, str]) -> str:
    """The URI with parameters in its fragment (OAuth 2.0 Multiple Response Type Encoding 2.1)."""
    return f"{uri}#{urlencode(answer)}"


def csp_source(uri: str) -> str:
    """The origin of a URI as a Content-Security-Policy source.

    Browsers hold ``form-action`` against every redirect that follows a form, so the pages must name
    the application they lead to. CSP cannot write IPv6 addresses; there the whole scheme has to do.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return f"{parts.scheme}:"
    return f"{parts.scheme}:" if "[" in parts.netloc else f"{parts.scheme}://{parts.netloc}"
