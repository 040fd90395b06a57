"""A TOKEN_STORE value that names a Redis or Valkey server: taken apart, and checked.

    redis://[user:password@]host[:6379][/db]
    unix://[user:password@]/path/to/socket[?db=0]
    redis+sentinel://[user:password@]host[:26379],host[:26379]/service[/db]
    redis+cluster://[user:password@]host[:6379],host[:6379]

`rediss` in the place of `redis` is TLS; `valkey` and `valkeys` mean the same. No message shows any
part of the value: a password with a special character in it may be anywhere.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from keyfob.errors import ConfigurationError

Topology = Literal["standalone", "sentinel", "cluster"]

#: Every scheme, in lower case.
SCHEMES = frozenset(
    {"unix"}
    | {
        f"{product}{variant}"
        for product in ("redis", "rediss", "valkey", "valkeys")
        for variant in ("", "+sentinel", "+cluster")
    }
)
DEFAULT_PREFIX = "keyfob"
#: Seconds for a connection to be made, and as many for an answer to come.
DEFAULT_TIMEOUT = 2.0
DEFAULT_MAX_CONNECTIONS = 64

_VARIANTS: dict[str, Topology] = {"": "standalone", "sentinel": "sentinel", "cluster": "cluster"}
_PORT, _SENTINEL_PORT = 6379, 26379
_MAX_DB = 65535
_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_SECONDS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3})?")
_NUMBER = re.compile(r"[0-9]{1,5}")
_YES_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_ALWAYS = ("timeout", "max_connections", "prefix", "username", "password")
_TLS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname", "ssl_cert_reqs")
_SENTINEL = ("sentinel_username", "sentinel_password")


@dataclass(frozen=True)
class RedisUrl:
    """Which servers, and how to talk to them.

    :ivar topology: how the servers belong together.
    :ivar hosts: each server's (or sentinel's) name and port; () for a socket.
    :ivar socket: the path of a Unix socket, or "".
    :ivar service: what the sentinels call the servers, or "".
    :ivar db: the database's number.
    :ivar tls: redis-py's `ssl_...` arguments, or None where the connection is not encrypted.
    :ivar prefix: what all keys begin with, followed by a colon.
    :ivar timeout: seconds for a connection, and for an answer.
    :ivar max_connections: how many a process may have at once.
    """

    topology: Topology
    hosts: tuple[tuple[str, int], ...] = ()
    socket: str = ""
    service: str = ""
    db: int = 0
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = field(default=None, repr=False)
    sentinel_password: str | None = field(default=None, repr=False)
    tls: dict[str, object] | None = field(default=None, repr=False, hash=False)
    prefix: str = DEFAULT_PREFIX
    timeout: float = DEFAULT_TIMEOUT
    max_connections: int = DEFAULT_MAX_CONNECTIONS

    def __str__(self) -> str:
        """For messages: where it is, without who we are there."""
        if self.socket:
            return f"unix://{self.socket}"
        scheme = "redis" if self.tls is None else "rediss"
        variant = "" if self.topology == "standalone" else f"+{self.topology}"
        hosts = ",".join(f"[{h}]:{p}" if ":" in h else f"{h}:{p}" for h, p in self.hosts)
        service = f"/{self.service}" if self.service else ""
        db = "" if self.topology == "cluster" else f"/{self.db}"
        return f"{scheme}{variant}://{hosts}{service}{db}"


def parse_redis_url(url: str) -> RedisUrl:
    """Take `url` apart.

    :raises ConfigurationError: it is not of one of the forms above.
    """
    try:
        parts = urlsplit(url)
        scheme, _, variant = parts.scheme.partition("+")
        topology: Topology = _VARIANTS[variant]
        unix, tls = scheme == "unix", scheme in ("rediss", "valkeys")
        if "#" in url:
            raise _wrong(f"has a '#' in it; {_ENCODE}")
        userinfo, _, netloc = parts.netloc.rpartition("@")
        username, _, password = userinfo.partition(":")
        options = _options(parts, topology, tls=tls)
        service, db = _path(parts, topology, options, unix=unix)
        if unix and netloc:
            raise _wrong("needs three slashes and an absolute path, such as unix:///run/redis.sock")
        return RedisUrl(
            topology=topology,
            hosts=() if unix else _hosts(netloc, topology),
            socket=unquote(parts.path) if unix else "",
            service=service,
            db=db,
            username=options.get("username") or unquote(username) or None,
            password=options.get("password") or unquote(password) or None,
            sentinel_username=options.get("sentinel_username"),
            sentinel_password=options.get("sentinel_password"),
            tls=_tls(options) if tls else None,
            prefix=_prefix(options),
            timeout=_timeout(options),
            max_connections=_whole(options, "max_connections", DEFAULT_MAX_CONNECTIONS, 1, 1000),
        )
    except ConfigurationError:
        raise
    except ValueError:
        # urllib's own words show the value.
        raise _wrong(f"cannot be read; {_ENCODE}") from None


_ENCODE = (
    "special characters in a user name or a password are written in percent-encoding "
    "('/' as %2F, '#' as %23, '?' as %3F, '@' as %40, ':' as %3A)"
)


def _options(parts: SplitResult, topology: Topology, *, tls: bool) -> dict[str, str]:
    known = [*_ALWAYS, *(_TLS if tls else ()), *(_SENTINEL if topology == "sentinel" else ())]
    if topology != "cluster":
        known.append("db")
    found: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True, strict_parsing=False):
        if name in _TLS and not tls:
            raise _wrong(f"has {name}, which is for TLS: write rediss:// or valkeys://")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise _wrong(f"has an option that is not known{hint}; there are {', '.join(known)}")
        if name in found:
            raise _wrong(f"has the option {name} twice")
        found[name] = value
    return found


def _path(
    parts: SplitResult, topology: Topology, options: dict[str, str], *, unix: bool
) -> tuple[str, int]:
    """The service's name and the database's number."""
    db = _whole(options, "db", 0, 0, _MAX_DB)
    if unix:
        if len(parts.path) < 2 or parts.path.endswith("/"):
            raise _wrong("must name a socket, such as unix:///run/redis/redis.sock")
        return "", db
    segments = [unquote(segment) for segment in parts.path.split("/")[1:]]
    service = ""
    if topology == "sentinel":
        service = segments.pop(0) if segments else ""
        if not service:
            raise _wrong(
                "must name the service that the sentinels watch: "
                "redis+sentinel://host:26379,host:26379/service/0"
            )
    if not segments or segments == [""]:
        return service, db
    if topology == "cluster" and segments != ["0"]:
        raise _wrong("names a database, and a cluster has only database 0; leave it off")
    if len(segments) > 1 or not _NUMBER.fullmatch(segments[0]) or int(segments[0]) > _MAX_DB:
        raise _wrong(f"must end in the number of a database, such as /0; {_ENCODE}")
    if "db" in options:
        raise _wrong("has the database's number twice: in its path and as an option")
    return service, int(segments[0])


def _hosts(netloc: str, topology: Topology) -> tuple[tuple[str, int], ...]:
    default = _SENTINEL_PORT if topology == "sentinel" else _PORT
    found = []
    for each in netloc.split(","):
        try:
            parts = urlsplit(f"//{each}")
            host, port = parts.hostname, parts.port
        except ValueError:
            raise _wrong(f"has a host or a port that is none; {_ENCODE}") from None
        if not host or parts.netloc != each:
            raise _wrong("names no host, such as redis://localhost:6379/0")
        found.append((host, default if port is None else port))
    if len(found) > 1 and topology == "standalone":
        raise _wrong(
            "names several hosts: write redis+sentinel:// or redis+cluster:// for what they are"
        )
    return tuple(found)


def _tls(options: dict[str, str]) -> dict[str, object]:
    tls: dict[str, object] = {
        name: options[name]
        for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
        if options.get(name)
    }
    check = _YES_NO.get(options.get("ssl_check_hostname", "yes").lower())
    if check is None:
        raise _wrong("has an ssl_check_hostname that is neither 'true' nor 'false'")
    required = options.get("ssl_cert_reqs", "required").lower()
    if required not in ("required", "none"):
        raise _wrong("has an ssl_cert_reqs that is neither 'required' nor 'none'")
    # A name cannot be checked in a certificate that is not looked at.
    return {
        **tls,
        "ssl_cert_reqs": required,
        "ssl_check_hostname": check and required == "required",
    }


def _prefix(options: dict[str, str]) -> str:
    prefix = options.get("prefix", DEFAULT_PREFIX)
    if not _PREFIX.fullmatch(prefix):
        raise _wrong("has a prefix that is not 1 to 64 of the letters A-Z a-z 0-9 _ . : -")
    return prefix


def _timeout(options: dict[str, str]) -> float:
    text = options.get("timeout", str(DEFAULT_TIMEOUT))
    seconds = float(text) if _SECONDS.fullmatch(text) else 0.0
    if not 0.1 <= seconds <= 60:
        raise _wrong("has a timeout that is not 0.1 to 60 (seconds)")
    return seconds


def _whole(options: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    text = options.get(name, str(default))
    number = int(text) if _NUMBER.fullmatch(text) else -1
    if not least <= number <= most:
        raise _wrong(f"has a {name} that is no whole number from {least} to {most}")
    return number


def _wrong(what: str) -> ConfigurationError:
    return ConfigurationError(f"TOKEN_STORE {what}", setting="TOKEN_STORE")
