"""Where a browser may be sent after signing in or out: only to pages of this site.

This is the one place that decides it. The answer must hold for every reader of the address: the
framework that writes the `Location` header, a proxy that decodes it, and the browser, which follows
the WHATWG URL standard rather than RFC 3986: it drops tabs and line breaks, reads `\\` as `/`, and
takes `//host` for another site (CWE-601).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import unquote

from keyfob.protocol.urls import origin, parse_http_url

#: Longer paths are not kept, in characters. Some proxies refuse longer request lines, too.
MAX_LENGTH = 2048

# A path is decoded this often in search of something hidden. Nobody encodes honestly four times.
_MAX_DECODINGS = 4
# Not the space: `/my%20file` is an honest path. Raw spaces are refused before any decoding.
_CONTROL_OR_BACKSLASH = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\\]")


def local_path(value: object, *, default: str = "/") -> str:
    """`value` when it is a path on this site and nothing else, otherwise `default`.

    Accepted: one leading `/`, then a path with an optional query and fragment, all of which come
    back unchanged. Refused: anything with a scheme or host, two leading slashes or what turns into
    them (backslashes, dot segments, percent-encoding, any of it more than once), white space and
    control characters, more than 2048 characters, and what is not a string.

    :param value: what the request named, in whatever shape it came.
    :param default: given back in the place of a refused value; not checked.
    """
    if not isinstance(value, str) or len(value) > MAX_LENGTH or not value.startswith("/"):
        return default
    # `isprintable` is false for control and format characters, lone surrogates and every white
    # space but the ordinary one. None of them stands unencoded in an honest address.
    if not value.isprintable() or " " in value or "\\" in value:
        return default
    # A query or a fragment cannot change the host, so what is encoded there is nobody's business:
    # `/search?u=https%3A%2F%2Fexample` stays as it is.
    path = re.split(r"[?#]", value, maxsplit=1)[0]
    return value if _stays_local(path) else default


def same_site_path(value: object, *, origins: Collection[str], default: str = "/") -> str:
    """As `local_path`, and also an absolute address of this very site, cut down to its path.

    For values that others write as whole addresses: `target_link_uri` (OpenID Connect Core §4)
    and the `Referer` header.

    :param value: a path or an absolute http or https address.
    :param origins: this site's own origins, such as `https://site.example`; what follows the
        origin in them is ignored. With none, only paths are accepted.
    :param default: given back in the place of a refused value; not checked.
    """
    if not isinstance(value, str) or value.startswith("/"):
        return local_path(value, default=default)
    try:
        parts = parse_http_url(value)
        if origin(parts) not in {origin(own) for own in origins}:
            return default
    except ValueError:
        return default
    # Cut, not put together again from its parts: that would lose an empty query or fragment.
    rest = value[len(parts.scheme) + len("://") + len(parts.netloc) :]
    return local_path(rest if rest.startswith("/") else f"/{rest}", default=default)


def _stays_local(path: str) -> bool:
    """Whether no reader, however often it decodes or tidies `path`, finds a host in it."""
    for _ in range(_MAX_DECODINGS):
        if path.startswith("//") or _CONTROL_OR_BACKSLASH.search(path):
            return False
        if _without_dot_segments(path).startswith("//"):
            return False
        decoded = unquote(path)
        if decoded == path:
            return True
        path = decoded
    return False


def _without_dot_segments(path: str) -> str:
    """RFC 3986 §5.2.4. Unlike `posixpath.normpath` it keeps empty segments, as browsers do."""
    kept: list[str] = []
    segments = path[1:].split("/")
    for segment in segments:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")  # `/a/.` is `/a/`
    return "/" + "/".join(kept)
