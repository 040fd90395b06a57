"""What is kept of answers lives in a mapping that others use and may spoil."""

from __future__ import annotations

import pickle
import shelve
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.protocol.http import HttpResponse
from keyfob.transport import HttpCache
from keyfob.transport.http_cache import PREFIX

KEY = PREFIX + "need:x"
ANSWER = HttpResponse(
    429, {"content-type": "text/html", "x-ms-request-id": "id", "set-cookie": "s3cret"}, b"{}", "u"
)


class Clock:
    now = 1_790_000_000.25

    def __call__(self) -> float:
        return self.now


class TestWhatIsKept:
    def test_it_comes_back_until_its_time_is_over(self) -> None:
        clock = Clock()
        cache = HttpCache(clock=clock)
        cache.put(KEY, ANSWER, 30)
        found = cache.get(KEY, 60)
        assert found is not None
        assert (found.response.status, found.response.body, found.response.url) == (429, b"{}", "u")
        assert found.seconds == pytest.approx(30)
        clock.now += 30
        assert cache.get(KEY, 60) is None

    def test_of_the_head_only_what_is_read_again(self) -> None:
        kept: dict[str, Any] = {}
        HttpCache(kept).put(KEY, ANSWER, 30)
        assert "s3cret" not in repr(kept)
        found = HttpCache(kept).get(KEY, 60)
        assert found is not None
        assert found.response.headers == {"content-type": "text/html", "x-ms-request-id": "id"}

    def test_it_is_plain_data(self) -> None:
        kept: dict[str, Any] = {}
        HttpCache(kept).put(KEY, ANSWER, 30)
        assert b"keyfob.protocol" not in pickle.dumps(kept)
        [value] = kept.values()
        assert isinstance(value, tuple)
        assert all(type(part) in (str, int, float, bytes, tuple) for part in value)

    def test_a_shelf_takes_it(self, tmp_path: Path) -> None:
        path = str(tmp_path / "shelf")
        with shelve.open(path) as shelf:
            HttpCache(shelf).put(KEY, ANSWER, 30)
        with shelve.open(path) as shelf:
            assert HttpCache(shelf).get(KEY, 60) is not None

    def test_a_clock_that_was_set_back_ends_it(self) -> None:
        clock = Clock()
        cache = HttpCache(clock=clock)
        cache.put(KEY, ANSWER, 30)
        clock.now -= 3600
        assert cache.get(KEY, 60) is None


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)
parts = st.one_of(anything, st.just("keyfob.http"), st.just(1_790_000_010.0), st.just(429))


class TestForeignAndCorrupt:
    @given(st.one_of(anything, st.tuples(parts, parts, parts, parts, parts, parts)))
    def test_values_are_a_miss_or_an_answer(self, value: Any) -> None:
        cache = HttpCache({KEY: value}, clock=Clock())
        found = cache.get(KEY, 60)
        if found is not None:
            assert isinstance(found.response.body, bytes)
            assert 0 < found.seconds <= 61
        cache.put(KEY, ANSWER, 30)
        assert cache.get(KEY, 60) is not None

    def test_a_value_that_cannot_be_unpickled_is_a_miss(self, tmp_path: Path) -> None:
        path = str(tmp_path / "shelf")
        with shelve.open(path) as shelf:
            shelf.dict[KEY.encode()] = b"no pickle"  # type: ignore[attr-defined]
            cache = HttpCache(shelf)
            assert cache.get(KEY, 60) is None
            cache.put(KEY, ANSWER, 30)
            assert cache.get(KEY, 60) is not None

    def test_a_mapping_that_fails_is_as_good_as_an_empty_one(self) -> None:
        class Broken(dict[str, Any]):
            def __getitem__(self, key: str) -> Any:
                raise OSError("disk")

            __setitem__ = __delitem__ = __iter__ = __getitem__  # type: ignore[assignment]

        cache = HttpCache(Broken())
        cache.put(KEY, ANSWER, 30)
        assert cache.get(KEY, 60) is None

    def test_entries_of_others_stay(self) -> None:
        others = {"GET https://x hash=1 2xx": object(), "_index_": ([], {}), 7: "seven"}
        kept: dict[Any, Any] = dict(others)
        cache = HttpCache(kept, capacity=4)
        for number in range(20):
            cache.put(f"{PREFIX}{number}", ANSWER, 30)
        assert {key: kept[key] for key in others} == others

    def test_msal_can_share_the_mapping(self) -> None:
        pytest.importorskip("msal", reason="needs msal")
        from msal.throttled_http_client import ThrottledHttpClient

        class Client:
            def post(self, url: str, **_: Any) -> Any:
                return HttpClientAnswer()

            get = post

            def close(self) -> None: ...

        class HttpClientAnswer:
            status_code, text, headers = 429, "{}", {}

        kept: dict[str, Any] = {}
        cache = HttpCache(kept, capacity=8)
        theirs = ThrottledHttpClient(Client(), http_cache=kept)
        for number in range(20):
            cache.put(f"{PREFIX}{number}", ANSWER, 30)
            theirs.post("https://x.example", data={"client_id": str(number)})
        assert cache.get(f"{PREFIX}19", 60) is not None
        ours = [key for key in kept if key.startswith(PREFIX)]
        assert len(ours) <= 8
        assert len(kept) == len(ours) + 20 + 1  # msal's, with its index


class TestHowMany:
    def test_beyond_the_capacity_those_that_end_first_go(self) -> None:
        kept: dict[str, Any] = {}
        cache = HttpCache(kept)
        for number in range(3000):
            cache.put(f"{PREFIX}{number}", ANSWER, 100 + number)
            assert len(kept) <= 1024
        assert f"{PREFIX}2999" in kept
        numbers = sorted(int(key.removeprefix(PREFIX)) for key in kept)
        assert numbers == list(range(numbers[0], 3000))
        assert len(numbers) >= 768

    def test_what_is_over_goes_before_what_is_not(self) -> None:
        clock = Clock()
        kept: dict[str, Any] = {}
        cache = HttpCache(kept, capacity=8, clock=clock)
        for number in range(7):
            cache.put(f"{PREFIX}old{number}", ANSWER, 10)
        cache.put(f"{PREFIX}lasting", ANSWER, 100)
        clock.now += 11
        cache.put(f"{PREFIX}new", ANSWER, 10)
        assert set(kept) == {f"{PREFIX}lasting", f"{PREFIX}new"}

    def test_many_objects_over_one_mapping_are_bounded_together(self) -> None:
        kept: dict[str, Any] = {}
        for number in range(100):
            HttpCache(kept, capacity=16).put(f"{PREFIX}{number}", ANSWER, 100)
        assert len(kept) <= 16

    def test_the_mapping_is_not_looked_through_at_each_request(self) -> None:
        class Counting(dict[str, Any]):
            scans = 0

            def __iter__(self) -> Any:
                self.scans += 1
                return super().__iter__()

        kept = Counting()
        cache = HttpCache(kept)
        for number in range(2048):
            cache.put(f"{PREFIX}{number}", ANSWER, 100)
            cache.get(f"{PREFIX}{number}", 100)
        assert kept.scans <= 6
