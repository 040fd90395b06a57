"""A document that could not be saved yet: it may have the only refresh token that still serves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from keyfob.cache import SerializableTokenCache
from keyfob.errors import StoreError, StoreUnavailable
from keyfob.web.document import Document
from keyfob.web.documents import Documents
from keyfob.web.sealing import KeyRing, Sealer
from keyfob.web.stores import Record, SealedStore, sealed
from support.failing_store import FailingStore
from support.store_contract import Clock

LIFE = 600.0


def nothing() -> None:
    pass


class Busy(FailingStore):
    """A store that lets somebody else go first, once."""

    before_replace: Callable[[], object] = staticmethod(nothing)
    after_replace: Callable[[], object] = staticmethod(nothing)
    after_load: Callable[[], object] = staticmethod(nothing)
    before_delete: Callable[[], object] = staticmethod(nothing)

    def _let(self, moment: str) -> None:
        somebody, self.__dict__[moment] = getattr(self, moment), nothing
        somebody()

    def load(self, key: str) -> Record | None:
        record = super().load(key)
        self._let("after_load")
        return record

    def replace(self, key: str, value: bytes, version: int, expires_at: float) -> bool:
        self._let("before_replace")
        done = super().replace(key, value, version, expires_at)
        self._let("after_replace")
        return done

    def delete(self, key: str, version: int | None = None) -> bool:
        self._let("before_delete")
        return super().delete(key, version)


class Site:
    """Two processes, one store, and one person who is signed in."""

    def __init__(self, *, is_local: bool) -> None:
        self.clock = Clock()
        self.store = Busy(clock=self.clock)
        self.store.__dict__["is_local"] = is_local
        self.one, self.other = self.process(), self.process()
        document = Document("k", {"name": "old"}, SerializableTokenCache())
        assert self.one.create(document, self.end())

    def process(self, **options: Any) -> Documents:
        sealer = Sealer(KeyRing(["a key that is long enough to be one"]))
        sealed_store = SealedStore(self.store, sealer)
        return Documents(sealed_store, clock=self.clock, expiry=self.end, **options)

    def end(self) -> float:
        return self.clock() + LIFE

    def owe(self, documents: Documents | None = None) -> None:
        """A refresh whose outcome cannot be saved, as long as the store is down."""
        documents = documents or self.one
        document = documents.fresh("k")
        assert document is not None
        document.claims = {"name": "new"}
        self.store.down = "replace"
        with pytest.raises(StoreUnavailable):
            documents.replace(document, self.end())


def name(document: Document | None) -> Any:
    return None if document is None else document.claims["name"]


@pytest.fixture(params=[True, False], ids=["local", "remote"])
def site(request: pytest.FixtureRequest) -> Site:
    return Site(is_local=request.param)


def test_it_is_saved_before_a_fresh_one_is_read(site: Site) -> None:
    site.owe()
    site.store.down = ""
    assert name(site.one.fresh("k")) == "new"
    assert name(site.other.read("k")) == "new"


def test_no_fresh_one_is_to_be_had_while_it_cannot_be_saved(site: Site) -> None:
    site.owe()
    with pytest.raises(StoreUnavailable):
        site.one.fresh("k")
    assert name(site.one.read("k")) == "new", "it serves all the same"


def test_it_is_remembered_where_nothing_else_is(site: Site) -> None:
    process = site.process(seconds=0)
    site.owe(process)
    assert name(process.read("k")) == "new"
    site.store.down = ""
    assert name(process.fresh("k")) == "new"
    assert repr(process) == "<Documents: 0 remembered>"


def test_it_gives_way_to_what_somebody_else_saved(site: Site) -> None:
    site.owe()
    site.store.down = ""
    document = site.other.fresh("k")
    assert document is not None
    document.claims = {"name": "newer"}
    assert site.other.replace(document, site.end())
    assert name(site.one.fresh("k")) == "newer"
    assert name(site.one.read("k")) == "newer"


def test_saving_it_late_does_not_end_a_session_that_was_extended(site: Site) -> None:
    site.owe()
    site.clock.advance(400)
    assert site.other.extend("k", site.end())
    site.clock.advance(250)
    site.store.down = ""
    assert name(site.one.read("k")) == "new", "its own end has passed"
    assert name(site.other.fresh("k")) == "new"


def test_saving_it_late_does_not_shorten_a_session_that_was_extended(site: Site) -> None:
    site.owe()
    site.clock.advance(590)
    assert site.other.extend("k", site.end())
    site.store.down = ""
    site.one.read("k")
    site.clock.advance(20)
    assert name(site.other.fresh("k")) == "new"


def test_a_read_meanwhile_does_not_put_the_older_one_in_its_place(site: Site) -> None:
    site.owe()

    def read() -> None:
        thread = threading.Thread(target=site.one.read, args=("k",))
        thread.start()
        thread.join()

    site.store.before_replace = read
    assert name(site.one.read("k")) == "new"
    assert name(site.one.read("k")) == "new"
    site.store.down = ""
    assert name(site.one.read("k")) == "new"
    assert name(site.other.fresh("k")) == "new"


def test_a_read_that_began_before_does_not_either(site: Site) -> None:
    site.store.after_load = site.owe
    assert name(site.one.read("k")) == "new"
    assert name(site.one.read("k")) == "new"
    site.store.down = ""
    assert name(site.one.fresh("k")) == "new"


def test_one_that_the_store_does_not_take_is_remembered_too(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = site.one.fresh("k")
    assert document is not None
    document.claims = {"name": "new"}
    monkeypatch.setattr(sealed, "MAX_VALUE_SIZE", 10)
    with pytest.raises(StoreError):
        site.one.replace(document, site.end())
    assert name(site.one.read("k")) == "new"


def test_a_read_during_a_sign_out_is_not_remembered(site: Site) -> None:
    site.store.before_delete = lambda: site.one.read("k")
    site.one.delete("k")
    assert site.one.read("k") is None


def test_a_read_that_a_sign_out_overtakes_is_not_remembered(site: Site) -> None:
    site.store.after_load = lambda: site.one.delete("k")
    assert name(site.one.read("k")) == "old"
    assert site.one.read("k") is None


def test_a_refresh_that_a_sign_out_overtakes_is_not_remembered(site: Site) -> None:
    document = site.one.fresh("k")
    assert document is not None
    site.store.after_replace = lambda: site.one.delete("k")
    site.one.replace(document, site.end())
    assert site.one.read("k") is None


def test_one_that_is_owed_ends_with_a_sign_out(site: Site) -> None:
    document = site.one.fresh("k")
    assert document is not None
    site.store.before_replace = lambda: site.one.delete("k")
    site.store.down = "replace"
    with pytest.raises(StoreUnavailable):
        site.one.replace(document, site.end())
    site.store.down = ""
    assert site.one.read("k") is None
