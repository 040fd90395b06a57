"""Sealing: what was sealed comes back to its own place, and nothing else comes back at all."""

from __future__ import annotations

import base64
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyfob.errors import ConfigurationError
from keyfob.web.sealing import MAX_AHEAD, MAX_TEXT_LENGTH, KeyRing, Sealer

NOW = 1_800_000_000.0


def sealer(*keys: str | bytes, purpose: str = "test") -> Sealer:
    return Sealer(KeyRing(keys or ("key",), purpose=purpose))


@given(st.binary(max_size=5000), st.text(st.characters(exclude_categories=["Cs"])))
def test_what_was_sealed_comes_back(data: bytes, context: str) -> None:
    assert sealer().unseal(sealer().seal(data, context=context), context=context) == data


def test_equal_values_look_different_each_time() -> None:
    assert sealer().seal(b"x", context="c") != sealer().seal(b"x", context="c")


def test_the_format_is_a_version_a_hint_a_nonce_and_the_ciphertext() -> None:
    fixed = Sealer(KeyRing(["key"]), random=lambda size: b"\x07" * size)
    sealed = fixed.seal(b"data", context="c")
    assert sealed[0] == 1
    assert sealed[5:17] == b"\x07" * 12
    assert len(sealed) == 1 + 4 + 12 + len(b"data") + 16
    assert b"data" not in sealed


def test_a_value_sealed_by_an_earlier_release_can_still_be_read() -> None:
    # Fixed: when this fails, every record of every site has become unreadable.
    sealed = bytes.fromhex(
        "0113fdc3c4000102030405060708090a0b67b92e25d0d297ea4492c54c19f62e5be1f6804e114a257f1940e704"
    )
    assert sealer("golden key").unseal(sealed, context="record 1") == b"golden value"


def test_another_context_unseals_nothing() -> None:
    assert sealer().unseal(sealer().seal(b"x", context="a"), context="b") is None


def test_another_purpose_unseals_nothing_though_the_secret_is_the_same() -> None:
    sealed = sealer("key", purpose="cookies").seal(b"x", context="c")
    assert sealer("key", purpose="store").unseal(sealed, context="c") is None
    assert KeyRing.derive(["key"], "a").newest() != KeyRing.derive(["key"], "b").newest()


def test_another_key_unseals_nothing() -> None:
    assert sealer("other").unseal(sealer("key").seal(b"x", context="c"), context="c") is None


def test_text_and_bytes_of_a_key_are_the_same_key() -> None:
    sealed = sealer("schlüssel").seal(b"x", context="c")
    assert sealer("schlüssel".encode()).unseal(sealed, context="c") == b"x"


def test_the_newest_key_seals_and_every_key_unseals() -> None:
    old = sealer("old").seal(b"x", context="c")
    both = sealer("old", "new")
    assert both.unseal(old, context="c") == b"x"
    new = both.seal(b"y", context="c")
    assert sealer("new").unseal(new, context="c") == b"y"
    assert sealer("old").unseal(new, context="c") is None


def test_keys_that_share_a_hint_are_all_tried() -> None:
    class Colliding(KeyRing):
        def newest(self) -> tuple[bytes, bytes]:
            return b"same", super().newest()[1]

        def with_hint(self, hint: bytes) -> list[bytes]:
            return [key for _, key in reversed(self._pairs())]

    sealed = Sealer(Colliding(["old"])).seal(b"x", context="c")
    assert Sealer(Colliding(["old", "new", "newer"])).unseal(sealed, context="c") == b"x"


@given(st.binary(max_size=200))
def test_rubbish_is_unreadable(token: bytes) -> None:
    assert sealer().unseal(token, context="c") is None


@given(st.data())
def test_a_value_altered_anywhere_is_unreadable(data: st.DataObject) -> None:
    sealed = bytearray(sealer().seal(b"some value", context="c"))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    assert sealer().unseal(bytes(sealed), context="c") is None


def test_a_value_cut_off_anywhere_is_unreadable() -> None:
    sealed = sealer().seal(b"some value", context="c")
    assert all(sealer().unseal(sealed[:end], context="c") is None for end in range(len(sealed)))
    assert sealer().unseal(sealed + b"\0", context="c") is None


def test_a_context_that_is_no_proper_text_unseals_nothing() -> None:
    assert sealer().unseal(sealer().seal(b"x", context="c"), context="\ud800") is None


@pytest.mark.parametrize("keys", [[], (), "one string", b"bytes", [""], ["ok", b""], [None], [7]])
def test_a_ring_without_proper_keys_is_refused(keys) -> None:
    with pytest.raises(ConfigurationError) as caught:
        KeyRing(keys)
    assert caught.value.setting == "TOKEN_STORE_KEYS"
    assert "one string" not in str(caught.value)


def test_no_repr_shows_a_key() -> None:
    ring = KeyRing(["very-secret", "secret-too"], purpose="p")
    ring.newest()
    assert repr(ring) == "<KeyRing: 2 keys for 'p'>"
    assert repr(Sealer(ring)) == "<Sealer with <KeyRing: 2 keys for 'p'>>"
    assert len(ring) == 2


def test_importing_it_does_not_import_cryptography() -> None:
    code = "import keyfob.web.sealing, sys; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- text


def unsealed(text: object, *, max_age: float | None = 600, now: float = NOW, context: str = "c"):
    return sealer().unseal_text(text, context=context, max_age=max_age, now=now)


@given(st.binary(max_size=3000))
def test_sealed_text_fits_a_cookie_and_comes_back(data: bytes) -> None:
    text = sealer().seal_text(data, context="c", now=NOW)
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert unsealed(text) == data


def test_sealed_text_is_readable_until_it_is_too_old() -> None:
    text = sealer().seal_text(b"x", context="c", now=NOW)
    assert unsealed(text, now=NOW + 600) == b"x"
    assert unsealed(text, now=NOW + 600.1) is None
    assert unsealed(text, now=NOW + 1e9, max_age=None) == b"x"


def test_sealed_text_from_the_future_is_unreadable_beyond_a_minute() -> None:
    text = sealer().seal_text(b"x", context="c", now=NOW + MAX_AHEAD)
    assert unsealed(text) == b"x"
    text = sealer().seal_text(b"x", context="c", now=NOW + MAX_AHEAD + 0.1)
    assert unsealed(text) is None
    assert unsealed(text, max_age=None) is None


def test_a_time_that_is_not_a_number_is_unreadable() -> None:
    text = sealer().seal_text(b"x", context="c", now=float("nan"))
    assert unsealed(text) is None
    assert unsealed(text, max_age=None) is None


def test_plain_values_and_dated_texts_do_not_pass_for_each_other() -> None:
    plain = sealer().seal(b"\0" * 8 + b"x", context="c")
    text = base64.urlsafe_b64encode(plain).rstrip(b"=").decode()
    assert unsealed(text, max_age=None) is None
    dated = sealer().seal_text(b"x", context="c", now=NOW)
    raw = base64.urlsafe_b64decode(dated + "=" * (-len(dated) % 4))
    assert sealer().unseal(raw, context="c") is None


def test_sealed_text_for_another_context_is_unreadable() -> None:
    assert unsealed(sealer().seal_text(b"x", context="c", now=NOW), context="other") is None


@given(st.one_of(st.text(), st.binary(), st.none(), st.integers(), st.lists(st.text())))
@settings(max_examples=200)
def test_anything_else_is_unreadable_text(text: object) -> None:
    assert unsealed(text) is None


def test_a_text_has_one_spelling_only() -> None:
    for size in range(3):
        text = sealer().seal_text(b"x" * size, context="c", now=NOW)
        for other in (text + "=", text + "==", " " + text, text + "\n", text[:5] + "!" + text[5:]):
            assert unsealed(other) is None
        # The last character's unused bits are zero, and must be.
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        spellings = [last for last in alphabet if unsealed(text[:-1] + last) is not None]
        assert spellings == [text[-1]]


def test_a_text_that_is_too_long_is_not_even_decoded() -> None:
    text = sealer().seal_text(b"x" * MAX_TEXT_LENGTH, context="c", now=NOW)
    assert unsealed(text) is None
