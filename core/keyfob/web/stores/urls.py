"""TOKEN_STORE's value: which store it names, and whether there is such a store."""

from __future__ import annotations

import difflib
import re
from typing import Literal, NamedTuple

from keyfob.errors import ConfigurationError
from keyfob.web.stores.redis_url import SCHEMES, parse_redis_url

Kind = Literal["memory", "sqlite", "redis", "django-db", "django-cache"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)(:?)")
_ALIAS = re.compile(r"[^\s:/]+")
_EXAMPLES = {
    "memory": "memory://",
    "sqlite": "sqlite:///keyfob.sqlite3",
    "redis": "redis://localhost:6379/0",
    "django-db": "django-db",
    "django-cache": "django-cache:default",
}


class StoreName(NamedTuple):
    """A store's kind, and the `rest`: a file's path ("" for the default), a cache's alias, a Redis
    server's whole URL, or "" where there is nothing to add."""

    kind: Kind
    rest: str

    def __repr__(self) -> str:
        # A URL may have a password in it.
        return f"StoreName({self.kind!r}, {'...' if self.kind == 'redis' else self.rest!r})"


def parse_store_url(url: object, *, django: bool = False) -> StoreName:
    """Read a TOKEN_STORE value. It is never shown in a message: it may have a password in it.

    :param url: the value.
    :param django: whether Django's own stores are to be had.
    :raises ConfigurationError: when it names no store, or one that is not there.
    """
    if not isinstance(url, str) or not url or not url.isprintable():
        raise _wrong(f"TOKEN_STORE must be a text such as {_EXAMPLES['memory']!r}")
    match = _SCHEME.match(url)
    scheme = match[1].lower() if match else ""
    rest = url[match.end() :] if match and match[2] else ""
    if scheme == "memory" and url.lower() == "memory://":
        return StoreName("memory", "")
    if scheme == "sqlite" and rest:
        return StoreName("sqlite", _sqlite_path(rest))
    if scheme in SCHEMES and rest.startswith("//"):
        parse_redis_url(url)
        return StoreName("redis", url)
    if scheme in SCHEMES:
        raise _wrong(f"TOKEN_STORE is written '{scheme}://...': two slashes after the colon")
    if scheme in ("django-db", "django-cache") and not django:
        raise _wrong(f"TOKEN_STORE names a store that only Django sites have; {_known(django)}")
    if scheme == "django-db" and url == scheme:
        return StoreName("django-db", "")
    if scheme == "django-cache" and _ALIAS.fullmatch(rest) and url.startswith(scheme):
        return StoreName("django-cache", rest)
    if scheme in _EXAMPLES:
        raise _wrong(f"TOKEN_STORE is written {_EXAMPLES[scheme]!r}")
    raise _wrong(
        f"TOKEN_STORE names no store that is known{_nearest(scheme, django)}; {_known(django)}"
    )


def _sqlite_path(rest: str) -> str:
    """What follows `sqlite:`; SQLAlchemy's convention for the slashes."""
    if rest == "//":
        return ""
    path = rest.removeprefix("///")
    if path == rest:
        raise _wrong(
            "TOKEN_STORE needs three slashes before a relative path (sqlite:///keyfob.sqlite3) "
            "and four before an absolute one (sqlite:////var/lib/site/keyfob.sqlite3)"
        )
    if path == ":memory:":
        raise _wrong("TOKEN_STORE for a store in memory is written 'memory://'")
    if "?" in path or "#" in path:
        raise _wrong("TOKEN_STORE as sqlite:/// takes no options, and its path no '?' or '#'")
    if not path or path.endswith(("/", "\\")):
        raise _wrong("TOKEN_STORE as sqlite:/// must name a file, not a folder")
    return path


def _known(django: bool) -> str:
    names = [name for kind, name in _EXAMPLES.items() if django or not kind.startswith("django")]
    return f"there are {', '.join(names)}"


def _nearest(scheme: str, django: bool) -> str:
    kinds = [kind for kind in _EXAMPLES if django or not kind.startswith("django")]
    near = difflib.get_close_matches(scheme, [*kinds, *sorted(SCHEMES)], n=1)
    return f" (did you mean {_EXAMPLES.get(near[0], f'{near[0]}://...')!r}?)" if near else ""


def _wrong(message: str) -> ConfigurationError:
    return ConfigurationError(message, setting="TOKEN_STORE")
