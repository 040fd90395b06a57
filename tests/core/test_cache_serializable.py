"""Loading and saving: what is refused, what is atomic, and what an error may say."""

import copy
import json
import pickle
import threading
import traceback

import pytest

from keyfob.cache import SerializableTokenCache
from keyfob.cache.serializable import MAX_DEPTH
from keyfob.errors import KeyfobError, TokenCacheError

ENTRY = {
    "credential_type": "AccessToken", "secret": "SECRET", "home_account_id": "u.t",
    "environment": "h", "client_id": "c", "realm": "r", "target": "a", "expires_on": "99",
}  # fmt: skip
DOCUMENT = json.dumps({"AccessToken": {"k": ENTRY}})


def loaded():
    cache = SerializableTokenCache(clock=lambda: 1)
    cache.deserialize(DOCUMENT)
    return cache


def secrets(cache):
    return [entry["secret"] for entry in cache.search("AccessToken")]


@pytest.mark.parametrize("nothing", [None, "", b""])
def test_nothing_is_an_empty_cache(nothing):
    cache = loaded()
    cache.deserialize(nothing)
    assert cache.serialize() == "{}"
    assert not secrets(cache)


def test_bytes_are_read():
    cache = loaded()
    cache.deserialize(DOCUMENT.encode())
    assert secrets(cache) == ["SECRET"]


@pytest.mark.parametrize(
    "bad",
    [
        '{"AccessToken": {"k": "SECRET"',
        "SECRET",
        '["SECRET"]',
        "null",
        "7",
        b"\xff\xfe\xfa SECRET",
        {"already": "SECRET"},
        '{"SECRET": ' + "9" * 5000 + "}",
        '{"SECRET": ' + "[" * 200_000,
        '{"SECRET": ' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}",
    ],
    ids=lambda bad: f"{type(bad).__name__}-{len(bad)}",
)
def test_what_is_no_cache_is_refused_whole_and_not_repeated(bad):
    cache = loaded()
    cache.has_state_changed = True
    with pytest.raises(TokenCacheError) as caught:
        cache.deserialize(bad)
    error = caught.value
    assert isinstance(error, KeyfobError)
    assert isinstance(error, json.JSONDecodeError)
    assert error.doc == ""
    assert error.__context__ is None
    assert error.__cause__ is None
    assert "SECRET" not in "".join([str(error), repr(error), *traceback.format_exception(error)])
    assert secrets(cache) == ["SECRET"]
    assert cache.has_state_changed


def test_the_error_says_where_and_can_be_copied():
    with pytest.raises(json.JSONDecodeError) as caught:
        loaded().deserialize('{\n "a": x}')
    error = caught.value
    assert (error.lineno, error.colno, error.pos) == (2, 7, 8)
    assert "line 2, column 7" in error.msg
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is TokenCacheError
        assert (str(twin), twin.pos, twin.colno, twin.code) == (str(error), 8, 7, "token_cache")


def test_what_is_deep_enough_goes_in_and_out():
    inner = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    cache = loaded()
    cache.deserialize(f'{{"x": {inner}}}')
    assert json.loads(cache.serialize()) == {"x": json.loads(inner)}


def test_has_state_changed():
    cache = SerializableTokenCache(clock=lambda: 1)
    assert not cache.has_state_changed
    cache.add({})
    assert cache.has_state_changed
    cache.serialize()
    assert not cache.has_state_changed
    cache.remove_at(ENTRY)
    assert cache.has_state_changed
    cache.deserialize(DOCUMENT)
    assert not cache.has_state_changed
    cache.has_state_changed = True
    assert cache.has_state_changed
    cache.has_state_changed = False
    assert not cache.has_state_changed
    assert cache.remove_expired(1) == 0
    assert not cache.has_state_changed
    assert cache.remove_expired(100) == 1
    assert cache.has_state_changed


def test_no_change_is_lost_between_serialize_and_the_flag():
    """Each change is in a saved state, or the flag says that it is not."""
    cache = SerializableTokenCache()
    stop = threading.Event()
    saved = [""]
    failures = []

    def save():
        while not stop.is_set() or cache.has_state_changed:
            if cache.has_state_changed:
                saved[0] = cache.serialize()

    def change(number):
        try:
            for step in range(100):
                entry = {**ENTRY, "home_account_id": f"{number}-{step}"}
                cache.modify("AccessToken", entry, entry)
                list(cache.search("AccessToken", now=1))
                cache.find_access_token(
                    home_account_id=f"{number}-{step}", environment="h", client_id="c",
                    realm="r", scopes=["a"], now=1,
                )  # fmt: skip
                if step % 3 == 0:
                    cache.remove_at(entry)
        except Exception as error:
            failures.append(error)

    saver = threading.Thread(target=save)
    changers = [threading.Thread(target=change, args=(number,)) for number in range(4)]
    for thread in (saver, *changers):
        thread.start()
    for thread in changers:
        thread.join()
    stop.set()
    saver.join()
    assert not failures
    assert len(json.loads(saved[0])["AccessToken"]) == 4 * 66
    assert saved[0] == cache.serialize()
