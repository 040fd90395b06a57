"""Tokens that are ready before a view runs: for which requests (`attach_to`), and where."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from keyfob.web.audience import has_bearer_token
from keyfob.web.settings_apis import DownstreamApi


class AttachedApis:
    """Which APIs' tokens a request has ready. Program life; false where no API is attached.

    A path counts as the site's routes see it: decoded, below the mount point, and in its very case.
    It matches by whole segments: `/orders` is for `/orders` and `/orders/7`, not for `/orderships`.

    :param names: of the APIs, by path prefix without a slash at its end.
    """

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        self._names = names
        #: For one look at a path that is attached nowhere.
        self._beginnings = tuple(names)

    @classmethod
    def of(cls, apis: Mapping[str, DownstreamApi]) -> AttachedApis:
        """Those of one authority."""
        found: dict[str, list[str]] = {}
        for name, api in apis.items():
            for prefix in api.attach_to:
                found.setdefault(prefix, []).append(name)
        return cls(found)

    @classmethod
    def of_all(cls, parts: Iterable[AttachedApis]) -> AttachedApis:
        """Those of several authorities in one."""
        found: dict[str, list[str]] = {}
        for part in parts:
            for prefix, names in part._names.items():  # noqa: SLF001 - one of us
                found.setdefault(prefix, []).extend(names)
        return cls(found)

    def __bool__(self) -> bool:
        return bool(self._beginnings)

    def __repr__(self) -> str:
        return f"<AttachedApis under {', '.join(sorted(self._names)) or 'nothing'}>"

    def names(self, path: str) -> tuple[str, ...]:
        """The APIs for a path, each once."""
        if "//" in path or "/." in path:
            # Whatever a route or a view makes of such a path, it is not to lose its tokens by it.
            path = posixpath.normpath("/" + path.lstrip("/"))
        if not path.startswith(self._beginnings):
            return ()
        found: dict[str, None] = {}
        for prefix, names in self._names.items():
            if path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/"):
                found.update(dict.fromkeys(names))
        return tuple(found)

    @staticmethod
    def are_for(method: str, authorization: str | None) -> bool:
        """Whether a request is to have them ready.

        Not a CORS preflight, which carries no cookies; nor one that brings a bearer token: whose it
        is, the view's own guard finds out, and its tokens are had when asked for.

        :param authorization: the header of that name.
        """
        return method != "OPTIONS" and not has_bearer_token(authorization)


class AttachedTokens(Mapping[str, str]):
    """A request's tokens by API. Those that are ready are in it; any other API's is had, and kept
    for the rest of the request, when it is asked for by `[]`, as a `defaultdict` does.

    `tokens["orders"]` raises whatever `WebSession.token` raises.
    """

    def __init__(self, ready: dict[str, str], acquire: Callable[..., str]) -> None:
        self._ready = ready
        self._acquire = acquire

    def __repr__(self) -> str:
        return f"<AttachedTokens: {', '.join(self._ready) or 'none'} ready>"

    def __getitem__(self, name: str) -> str:
        token = self._ready.get(name)
        if token is None:
            token = self._ready[name] = self._acquire(api=name)
        return token

    def __contains__(self, name: object) -> bool:
        return name in self._ready

    def __iter__(self) -> Iterator[str]:
        return iter(self._ready)

    def __len__(self) -> int:
        return len(self._ready)
