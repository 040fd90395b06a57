"""What a process remembers of sessions: no round trip while it may go by that, and not for long."""

from __future__ import annotations

from typing import Any

import pytest

from keyfob.cache import SerializableTokenCache
from keyfob.errors import StoreUnavailable
from keyfob.web import documents as documents_module
from keyfob.web.document import Document, hashed_record_key
from keyfob.web.documents import Documents
from keyfob.web.sealing import KeyRing, Sealer
from keyfob.web.stores import Record, SealedStore
from support.failing_store import FailingStore
from support.store_contract import Clock

FAR = 9e9


class Remote(FailingStore):
    """A store across a network, which counts the trips."""

    is_local = False

    def __init__(self) -> None:
        super().__init__()
        self.trips: list[str] = []

    def load(self, key: str) -> Record | None:
        self.trips.append("load")
        return super().load(key)

    def version(self, key: str) -> int | None:
        self.trips.append("version")
        return super().version(key)


class Local(Remote):
    is_local = True


class Machine:
    """One process of a site."""

    def __init__(self, store: Remote, clock: Clock, **options: Any) -> None:
        sealer = Sealer(KeyRing(["a key that is long enough to be one"]))
        self.documents = Documents(SealedStore(store, sealer), clock=clock, **options)

    def sign_in(self, key: str, **claims: str) -> None:
        assert self.documents.create(Document(key, claims, SerializableTokenCache()), FAR)

    def refresh(self, key: str, **claims: str) -> None:
        document = self.documents.fresh(key)
        assert document is not None
        document.claims = claims
        assert self.documents.replace(document, FAR)

    def claims(self, key: str) -> Any:
        found = self.documents.read(key)
        return None if found is None else dict(found.claims)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> Remote:
    return Remote()


@pytest.fixture
def one(store: Remote, clock: Clock) -> Machine:
    return Machine(store, clock)


@pytest.fixture
def other(store: Remote, clock: Clock) -> Machine:
    return Machine(store, clock)


def test_a_miss_is_one_trip_and_a_hit_none(store: Remote, one: Machine) -> None:
    one.sign_in("k", name="Ada")
    assert one.claims("k") == {"name": "Ada"}
    assert store.trips == ["load"]
    assert one.claims("k") == {"name": "Ada"}
    assert one.documents.holds("k")
    assert store.trips == ["load"]


def test_after_its_time_it_is_compared_by_version_and_not_read_again(
    store: Remote, one: Machine, clock: Clock
) -> None:
    one.sign_in("k", name="Ada")
    one.claims("k")
    clock.advance(31)
    one.claims("k")
    one.claims("k")
    assert store.trips == ["load", "version"]


def test_another_machines_refresh_is_seen_in_time(
    one: Machine, other: Machine, clock: Clock
) -> None:
    one.sign_in("k", name="Ada")
    assert one.claims("k") == {"name": "Ada"}
    other.refresh("k", name="Augusta")
    assert one.claims("k") == {"name": "Ada"}
    clock.advance(30)
    assert one.claims("k") == {"name": "Augusta"}


def test_another_machines_sign_out_is_seen_in_time(
    one: Machine, other: Machine, clock: Clock
) -> None:
    one.sign_in("k")
    one.claims("k")
    other.documents.delete("k")
    assert one.documents.holds("k")
    clock.advance(30)
    assert not one.documents.holds("k")
    assert one.claims("k") is None


def test_ones_own_refresh_and_sign_out_are_seen_at_once(store: Remote, one: Machine) -> None:
    one.sign_in("k", name="Ada")
    one.claims("k")
    one.refresh("k", name="Augusta")
    store.trips.clear()
    assert one.claims("k") == {"name": "Augusta"}
    assert store.trips == [], "what was saved is remembered"
    one.documents.delete("k")
    assert one.claims("k") is None


def test_a_local_store_is_asked_each_time_and_not_read(clock: Clock) -> None:
    store = Local()
    one, other = Machine(store, clock), Machine(store, clock)
    one.sign_in("k", name="Ada")
    one.claims("k")
    one.claims("k")
    assert store.trips == ["load", "version"]
    other.refresh("k", name="Augusta")
    assert one.claims("k") == {"name": "Augusta"}


def test_with_no_time_nothing_is_remembered(store: Remote, clock: Clock) -> None:
    one = Machine(store, clock, seconds=0)
    one.sign_in("k")
    one.claims("k")
    one.claims("k")
    assert one.documents.holds("k")
    assert store.trips == ["load", "load", "version"]


def test_what_is_remembered_serves_while_the_store_is_away_and_no_longer(
    store: Remote, one: Machine, clock: Clock
) -> None:
    one.sign_in("k", name="Ada")
    one.claims("k")
    store.down = "all"
    assert one.claims("k") == {"name": "Ada"}
    clock.advance(31)
    with pytest.raises(StoreUnavailable):
        one.claims("k")


def test_a_fresh_document_is_the_callers_own(one: Machine) -> None:
    one.sign_in("k")
    shared = one.documents.read("k")
    assert one.documents.read("k") is shared
    assert one.documents.fresh("k") is not shared


def test_who_reads_at_once_shares_one_document(store: Remote, one: Machine) -> None:
    one.sign_in("k")
    others: list[Document | None] = []
    load = store.load

    def slow_load(key: str) -> Record | None:
        record = load(key)
        if not others:
            others.append(None)
            others.append(one.documents.read("k"))
        return record

    store.__dict__["load"] = slow_load
    assert one.documents.read("k") is others[1]
    assert one.documents.read("k") is others[1]


def test_a_change_over_a_newer_one_is_refused_and_forgotten(one: Machine, other: Machine) -> None:
    one.sign_in("k", name="Ada")
    stale = one.documents.fresh("k")
    assert stale is not None
    other.refresh("k", name="Augusta")
    assert not one.documents.replace(stale, FAR)
    assert one.claims("k") == {"name": "Augusta"}


def test_what_is_remembered_is_bounded_by_number(
    one: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents_module, "MAX_DOCUMENTS", 3)
    for name in "abcde":
        one.sign_in(name)
        one.claims(name)
        one.claims("a")
    expected = [hashed_record_key(name) for name in "dea"]
    assert list(one.documents._remembered) == expected, "the least used go first"


def test_and_by_size(one: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents_module, "MAX_BYTES", 5000)
    for name in "abc":
        one.sign_in(name, long="x" * 2000)
        one.claims(name)
    assert list(one.documents._remembered) == [hashed_record_key(name) for name in "bc"]
    assert one.documents._bytes < 5000


def test_nothing_of_it_prints(one: Machine) -> None:
    one.sign_in("k-secret", name="Ada")
    one.claims("k-secret")
    assert "k-secret" not in repr(one.documents)


@pytest.mark.parametrize(
    "content", [b"no json", b"[]", b"{}", b'{"v": 99}', b'{"v": 1, "cache": "["}']
)
def test_a_record_that_makes_no_sense_is_a_miss_removed_and_counted(
    store: Remote, clock: Clock, content: bytes
) -> None:
    machine = Machine(store, clock)
    sealed = machine.documents._store
    sealed.create("session k", content, FAR)
    assert machine.documents.read("k") is None
    assert sealed.version("session k") is None
    assert sealed.unreadable_records == 1
