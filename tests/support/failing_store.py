"""A token store that can be out of reach, for everything or for one kind of call."""

from __future__ import annotations

from keyfob.errors import StoreUnavailable
from keyfob.web.stores import MemoryStore, Record


class FailingStore(MemoryStore):
    """Keeps its records while it is `down`: "" for never, "all", or a method's name."""

    down = ""

    def load(self, key: str) -> Record | None:
        self._fail("load")
        return super().load(key)

    def version(self, key: str) -> int | None:
        self._fail("version")
        return super().version(key)

    def create(self, key: str, value: bytes, expires_at: float) -> bool:
        self._fail("create")
        return super().create(key, value, expires_at)

    def replace(self, key: str, value: bytes, version: int, expires_at: float) -> bool:
        self._fail("replace")
        return super().replace(key, value, version, expires_at)

    def extend(self, key: str, expires_at: float) -> bool:
        self._fail("extend")
        return super().extend(key, expires_at)

    def delete(self, key: str, version: int | None = None) -> bool:
        self._fail("delete")
        return super().delete(key, version)

    def _fail(self, call: str) -> None:
        if self.down in (call, "all"):
            raise StoreUnavailable("The token store is away")
