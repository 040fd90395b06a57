"""The index of sessions: it finds all of a person's, on every machine, and tells nobody of whom."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import SignInRefused, StoreUnavailable
from keyfob.web.document import Document, hashed_record_key
from keyfob.web.documents import Documents
from keyfob.web.identity import Identity
from keyfob.web.sealing import KeyRing, Sealer
from keyfob.web.session_index import MAX_SESSIONS, SessionIndex
from keyfob.web.stores import MemoryStore, Record, SealedStore, TokenStore
from support.failing_store import FailingStore

NOW = 1_800_000_000.0
ISS = "https://idp.example"
HOUR = 3600.0


def claims(sub: str = "ada", sid: object = "s-1", iss: str = ISS, **more: Any) -> dict[str, Any]:
    found = {"iss": iss, "sub": sub, "sid": sid, **more}
    return {name: value for name, value in found.items() if value is not None}


def account(sub: str = "ada", iss: str = ISS) -> str:
    return Identity(iss, sub, {}).key


class Machine:
    """One process of a site."""

    def __init__(
        self,
        store: TokenStore | None = None,
        keys: Sequence[str] = ("key one",),
        *,
        site: str = "a",
        microsoft: bool = False,
    ) -> None:
        self.now = NOW
        self.plain = store or MemoryStore(clock=lambda: self.now)
        self.store = SealedStore(self.plain, Sealer(KeyRing.derive(keys, "token store")))
        self.index = SessionIndex(
            self.store,
            KeyRing.derive(keys, f"session index {site}"),
            is_microsoft=microsoft,
            clock=lambda: self.now,
        )
        self.documents = Documents(self.store, index=self.index)

    def begin(self, key: str, end: float = NOW + HOUR, **about: Any) -> None:
        from keyfob.cache import SerializableTokenCache

        document = Document(key, claims(**about), SerializableTokenCache())
        assert self.documents.create(document, end)

    def lives(self, key: str) -> bool:
        return self.documents.holds(key)


def test_all_sessions_of_an_account_end_and_no_others() -> None:
    machine = Machine()
    for key, about in (("a", {}), ("b", {"sid": "s-2"}), ("c", {"sub": "grace", "sid": "s-3"})):
        machine.begin(key, **about)
    assert machine.index.end(account=account()) == 2
    assert [machine.lives(key) for key in "abc"] == [False, False, True]
    assert machine.index.end(account=account()) == 0


def test_the_sessions_of_one_session_at_the_provider_end() -> None:
    machine = Machine()
    for key, sid in (("a", "s-1"), ("b", "s-1"), ("c", "s-2"), ("d", None)):
        machine.begin(key, sid=sid)
    machine.begin("e", iss="https://other.example")
    assert machine.index.end(iss=ISS, sid="s-1") == 2
    assert [machine.lives(key) for key in "abcde"] == [False, False, True, True, True]


def test_a_subject_is_found_by_what_the_provider_calls_it() -> None:
    guid = "11111111-aaaa-4bbb-8ccc-222222222222"
    for microsoft in (False, True):
        machine = Machine(microsoft=microsoft)
        machine.begin("a", sub="pairwise", tid=guid, oid=guid)
        assert machine.index.end(iss=ISS, sub="somebody") == 0
        assert machine.index.end(iss=ISS, sub="pairwise") == 1
        assert not machine.lives("a")
    machine = Machine(microsoft=True)
    machine.begin("a", sub="pairwise", tid=guid, oid=guid)
    assert machine.index.end(account=account("pairwise")) == 1
    machine.begin("b", sub="pairwise", tid=guid, oid=guid)
    assert machine.index.end(account=Identity(guid, guid, {}).key) == 1


@pytest.mark.parametrize("sid", ["", 7, ["s"], "x" * 300, True])
def test_a_session_whose_sid_is_no_name_is_filed_without(sid: object) -> None:
    machine = Machine()
    machine.begin("a", sid=sid)
    assert machine.index.end(account=account()) == 1


def test_another_machine_ends_them_and_this_one_sees_it_at_once_in_a_local_store() -> None:
    one = Machine()
    two = Machine(one.plain)
    one.begin("a")
    assert one.lives("a")
    assert two.index.end(account=account()) == 1
    assert not one.lives("a")


def test_what_this_process_remembers_ends_at_once_wherever_the_store_is() -> None:
    store = MemoryStore(clock=lambda: NOW)
    store.is_local = False
    machine = Machine(store)
    machine.begin("a")
    assert machine.documents.read("a") is not None
    machine.index.end(iss=ISS, sid="s-1")
    assert machine.documents.read("a") is None


def test_sites_that_share_a_store_and_a_key_end_their_own() -> None:
    one = Machine(site="a")
    two = Machine(one.plain, site="b")
    one.begin("a")
    two.begin("b")
    assert two.index.end(account=account()) == 1
    assert [one.lives("a"), two.lives("b")] == [True, False]


def test_a_sign_out_leaves_nothing_behind() -> None:
    machine = Machine()
    machine.begin("a")
    machine.begin("b", sid=None)
    machine.documents.delete("a")
    assert machine.index.end(account=account()) == 1
    assert isinstance(machine.plain, MemoryStore)
    assert not machine.plain._entries


def test_a_session_that_slides_along_stays_listed() -> None:
    machine = Machine()
    machine.begin("a")
    for _ in range(30):
        machine.now += HOUR / 2
        assert machine.documents.extend("a", machine.now + HOUR)
    machine.now += HOUR * 0.99
    assert machine.index.end(iss=ISS, sid="s-1") == 1


def test_an_ended_session_is_not_listed_anew() -> None:
    machine = Machine()
    machine.begin("a", sid=None)
    machine.index.end(account=account())
    assert not machine.documents.extend("a", NOW + 2 * HOUR)
    assert isinstance(machine.plain, MemoryStore)
    assert not machine.plain._entries


def test_what_has_expired_is_dropped() -> None:
    machine = Machine()
    for number in range(5):
        machine.begin(f"old-{number}", NOW + 60, sid=None)
    machine.now += HOUR
    machine.begin("new", machine.now + HOUR, sid=None)
    (name,) = machine.index._names(f"account\n{account()}")
    assert list(machine.index._entries(machine.store.load(name))) == [hashed_record_key("new")]
    machine.now += 10 * HOUR
    assert machine.plain.clear_expired() >= 2
    assert machine.store.load(name) is None


def test_one_session_too_many_ends_the_one_that_would_end_first() -> None:
    machine = Machine()
    for number in range(MAX_SESSIONS):
        machine.begin(f"s{number}", NOW + HOUR + abs(number - 7), sid=f"s-{number}")
    machine.begin("more", NOW + 60, sid="more")
    # Not the new one, though it ends first: somebody is waiting for it.
    assert machine.lives("more")
    assert not machine.lives("s7")
    assert all(machine.lives(f"s{number}") for number in (0, 6, 8, MAX_SESSIONS - 1))
    assert machine.index.end(account=account()) == MAX_SESSIONS


def test_a_rotation_of_keys_loses_nobody() -> None:
    before = Machine(keys=["old"])
    before.begin("a")
    between = Machine(before.plain, keys=["old", "new"])
    between.begin("b")
    before.begin("c")  # a process that was not restarted yet
    after = Machine(before.plain, keys=["old", "new"])
    assert after.index.end(account=account()) == 3
    assert not any(after.lives(key) for key in "abc")


def test_a_sign_out_takes_a_session_out_under_every_key() -> None:
    before = Machine(keys=["old"])
    before.begin("a")
    after = Machine(before.plain, keys=["old", "new"])
    after.documents.delete("a")
    assert isinstance(before.plain, MemoryStore)
    assert not before.plain._entries


def test_whoever_reads_the_store_learns_nobodys_name_and_no_key() -> None:
    machine = Machine()
    machine.begin("a-secret-session-key")
    assert isinstance(machine.plain, MemoryStore)
    known = [account(), "ada", "s-1", ISS, "a-secret-session-key", hashed_record_key("x")]
    for name, entry in machine.plain._entries.items():
        for text in known:
            assert text not in name
            assert text.encode() not in entry.record.value
    # Nor can they guess: without the site's keys the same name gives another hash.
    stranger = Machine(machine.plain, keys=["guessed"])
    assert stranger.index.end(account=account()) == 0
    assert machine.lives("a-secret-session-key")


@given(st.binary(max_size=60))
def test_a_record_that_is_none_of_ours_is_an_empty_list(junk: bytes) -> None:
    machine = Machine()
    (name,) = machine.index._names(f"account\n{account()}")
    machine.store.create(name, junk, NOW + HOUR)
    machine.begin("a", sid=None)
    assert machine.index.end(account=account()) == 1


@pytest.mark.parametrize(
    "junk", [b"[]", b"null", b'{"a":"b"}', b'{"a":null}', b'{"a":[1]}', b'{"a":true}', b"\xff"]
)
def test_nor_is_one_of_another_shape(junk: bytes) -> None:
    machine = Machine()
    (name,) = machine.index._names(f"account\n{account()}")
    machine.store.create(name, junk, NOW + HOUR)
    assert machine.index.end(account=account()) == 0
    machine.begin("a", sid=None)
    assert machine.index.end(account=account()) == 1


def test_what_is_to_end_must_be_named() -> None:
    for wrong in ({}, {"iss": ISS}, {"sid": "s"}, {"sub": "s"}):
        with pytest.raises(TypeError):
            Machine().index.end(**wrong)


# At the same time


def test_many_sign_ins_of_one_person_at_once_are_all_listed() -> None:
    machine = Machine()
    failed: list[BaseException] = []

    def sign_in(number: int) -> None:
        try:
            for each in range(5):
                machine.begin(f"{number}-{each}", sid=f"s-{number}-{each}")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=sign_in, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert machine.index.end(account=account()) == 40


class Interrupted(MemoryStore):
    """Lets somebody else do something between two steps."""

    def __init__(self) -> None:
        super().__init__(clock=lambda: NOW)
        self.before: dict[str, Any] = {}

    def create(self, key: str, value: bytes, expires_at: float) -> bool:
        if act := self.before.pop(key, None):
            act()
        return super().create(key, value, expires_at)

    def delete(self, key: str, version: int | None = None) -> bool:
        found = super().delete(key, version)
        if act := self.before.pop(f"after delete {key}", None):
            act()
        return found


def test_a_sign_out_while_somebody_signs_in_lets_no_session_through() -> None:
    store = Interrupted()
    machine = Machine(store)
    store.before[hashed_record_key("a")] = lambda: machine.index.end(iss=ISS, sid="s-1")
    with pytest.raises(SignInRefused):
        machine.begin("a")
    assert not machine.lives("a")


def test_a_session_that_begins_while_its_list_is_ended_ends_too() -> None:
    store = Interrupted()
    machine = Machine(store)
    machine.begin("a")
    hashed = hashed_record_key("a")
    record = store.load(hashed)
    assert record is not None
    store.before[f"after delete {hashed}"] = lambda: store.create(hashed, record.value, NOW + 60)
    machine.index.end(account=account())
    assert not machine.lives("a")


class Restless(MemoryStore):
    """A list that somebody else changes before each write."""

    def replace(self, key: str, value: bytes, version: int, expires_at: float) -> bool:
        return False

    def create(self, key: str, value: bytes, expires_at: float) -> bool:
        return False

    def load(self, key: str) -> Record | None:
        return None


def test_a_list_that_cannot_be_written_begins_no_session() -> None:
    machine = Machine(Restless())
    with pytest.raises(StoreUnavailable) as caught:
        machine.begin("a")
    assert caught.value.code == "index_contention"


@pytest.mark.parametrize("call", ["load", "create", "replace"])
def test_a_store_that_fails_begins_no_session(call: str) -> None:
    store = FailingStore(clock=lambda: NOW)
    machine = Machine(store)
    machine.begin("a")
    store.down = call
    with pytest.raises(StoreUnavailable):
        machine.begin("b")
    store.down = ""
    assert not machine.lives("b")


def test_a_sign_out_that_failed_half_way_can_be_tried_again() -> None:
    store = FailingStore(clock=lambda: NOW)
    machine = Machine(store)
    machine.begin("a")
    machine.begin("b")
    store.down = "delete"
    with pytest.raises(StoreUnavailable):
        machine.index.end(account=account())
    store.down = ""
    assert machine.index.end(account=account()) == 2
