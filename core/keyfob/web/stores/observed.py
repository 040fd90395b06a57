"""How a token store fares, seen from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from keyfob.web.metrics import OPERATIONS, OTHER, STORE_DURATION
from keyfob.web.observe import Observer
from keyfob.web.stores.base import Record, TokenStore

P = ParamSpec("P")
T = TypeVar("T")


class ObservedStore:
    """Any token store, with each operation's outcome and duration handed to an observer. Itself
    one.

    :param store: what does the work; its `kind`, where it has one, is shown.
    :param observer: who is told.
    """

    def __init__(self, store: TokenStore, observer: Observer) -> None:
        self._store = store
        self._observer = observer
        self._kind: str = getattr(store, "kind", OTHER)
        self.is_local = store.is_local

    def __repr__(self) -> str:
        return f"<ObservedStore over {self._store!r}>"

    def load(self, key: str) -> Record | None:
        return self._call("load", self._store.load, key)

    def version(self, key: str) -> int | None:
        if not self._observer.listens:  # the shortest way: a local store is asked in each request
            return self._store.version(key)
        return self._call("version", self._store.version, key)

    def create(self, key: str, value: bytes, expires_at: float) -> bool:
        return self._call("create", self._store.create, key, value, expires_at)

    def replace(self, key: str, value: bytes, version: int, expires_at: float) -> bool:
        return self._call("replace", self._store.replace, key, value, version, expires_at)

    def extend(self, key: str, expires_at: float) -> bool:
        return self._call("extend", self._store.extend, key, expires_at)

    def delete(self, key: str, version: int | None = None) -> bool:
        return self._call("delete", self._store.delete, key, version)

    def clear_expired(self) -> int:
        return self._call("clear_expired", self._store.clear_expired)

    def close(self) -> None:
        self._store.close()

    def _call(self, operation: str, ask: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if not self._observer.listens:
            return ask(*args, **kwargs)
        something, nothing = OPERATIONS[operation]
        with self._observer.timing(
            STORE_DURATION, store=self._kind, operation=operation
        ) as attributes:
            answer = ask(*args, **kwargs)
            attributes["outcome"] = nothing if _is_nothing(answer) else something
        return answer


def _is_nothing(answer: object) -> bool:
    return answer is None or answer is False
