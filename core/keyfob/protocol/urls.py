"""Which addresses are acceptable, in one place."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

#: Longer addresses are refused unread; no provider needs them.
MAX_URL_LENGTH = 8192

# A host as it goes over the wire (RFC 1035 §2.3.4), with the underscores of container names.
_HOST = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_MAX_HOST_LENGTH = 254
# What IDNA reads as a dot, so that not everybody sees the same labels (RFC 3490 §3.1).
_OTHER_DOTS = re.compile(r"[\u3002\uff0e\uff61]")
_CONTROL_OR_SPACE = re.compile(r"[\x00-\x20\x7f\\]")


def is_loopback_host(host: str | None) -> bool:
    """Whether `host` names this machine (RFC 8252 §8.3: loopback needs no TLS)."""
    if not host:
        return False
    host = host.rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_http_url(url: object) -> SplitResult:
    """Split an absolute http or https address, or say in a ValueError why it is none."""
    if not isinstance(url, str) or not url:
        raise ValueError("is not an address")
    if len(url) > MAX_URL_LENGTH:
        raise ValueError("is too long for an address")
    if _CONTROL_OR_SPACE.search(url):
        raise ValueError("has a space, a backslash or a control character in it")
    if not url.isprintable():
        raise ValueError("has a character in it that does not print")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError("does not start with https://")
    if not parts.hostname:
        raise ValueError("names no host")
    if "[" in parts.netloc:
        ipaddress.IPv6Address(parts.hostname)  # Python 3.10's urlsplit takes anything in brackets
    elif not _is_host(parts.hostname):
        raise ValueError("names a host that cannot be one")
    if parts.username is not None or parts.password is not None:
        raise ValueError("has a user name in it")
    _ = parts.port  # raises ValueError when it is not a number in range
    return parts


def _is_host(name: str) -> bool:
    """Whether this is a name that whoever writes it into a header or resolves it can encode."""
    try:
        wire = name.encode("idna").decode("ascii")
    except UnicodeError:
        return False
    return (
        len(wire) <= _MAX_HOST_LENGTH
        and _HOST.fullmatch(wire) is not None
        and not _OTHER_DOTS.search(name)
    )


def parse_secure_url(url: object) -> SplitResult:
    """As `parse_http_url`, and plain http only for hosts of this machine."""
    parts = parse_http_url(url)
    if parts.scheme == "http" and not is_loopback_host(parts.hostname):
        raise ValueError("uses plain http; only https is accepted, except on this machine itself")
    return parts


def origin(url: str | SplitResult) -> str:
    """The address's scheme, host and port, in lower case, a default port left out (RFC 6454)."""
    parts = urlsplit(url) if isinstance(url, str) else url
    host = (parts.hostname or "").lower()
    if ":" in host:
        host = f"[{host}]"
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, default) else f":{parts.port}"
    return f"{parts.scheme.lower()}://{host}{port}"


def without_query(url: str) -> str:
    """The address as it may be shown in a message: no query, no fragment."""
    return url.split("#", 1)[0].split("?", 1)[0]
