"""Which keys of a provider may have signed a token (RFC 7517)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import AnswerRefused, KeyfobError, KeySetError, ProviderUnavailable
from keyfob.protocol.keys import MAX_KEYS, KeySet, build_key_set_request, parse_key_set
from keyfob.protocol.signing import KEY_FOR_ALGORITHM
from support.provider_jose import TinyRsa, b64_int, ec_key, rsa_key
from support.sign_in import answer

RSA = rsa_key("keys-1").public_jwk()
EC = ec_key("keys-2").public_jwk()


def parsed(*entries: Any) -> KeySet:
    return parse_key_set(answer({"keys": list(entries)}))


def kids(keys: KeySet, algorithm: str, kid: str | None) -> list[str | None]:
    return [key.kid for key in keys.candidates(algorithm, kid)]


def test_it_is_asked_for_with_one_plain_get() -> None:
    request = build_key_set_request("https://idp.example/keys")
    assert (request.method, request.url, request.form) == ("GET", "https://idp.example/keys", None)


def test_a_key_id_on_both_sides_must_agree() -> None:
    keys = parsed({**RSA, "kid": "a"}, {**RSA, "kid": "b"}, RSA)
    assert kids(keys, "RS256", "a") == ["a", None]
    assert kids(keys, "RS256", "c") == [None]
    assert kids(keys, "RS256", None) == ["a", "b", None]


def test_a_key_id_is_compared_exactly() -> None:
    keys = parsed({**RSA, "kid": "Key"})
    assert kids(keys, "RS256", "key") == []
    assert kids(keys, "RS256", "") == []


@pytest.mark.parametrize("algorithm", KEY_FOR_ALGORITHM)
def test_a_key_signs_only_with_algorithms_of_its_kind(algorithm: str) -> None:
    entries = [
        {**RSA, "kid": "RSA"},
        {**ec_key("k", "P-256").public_jwk(), "kid": "P-256"},
        {**ec_key("k", "P-384").public_jwk(), "kid": "P-384"},
        {**ec_key("k", "P-521").public_jwk(), "kid": "P-521"},
    ]
    kty, curve = KEY_FOR_ALGORITHM[algorithm]
    assert kids(parsed(*entries), algorithm, None) == [curve or kty]


@pytest.mark.parametrize("algorithm", ["HS256", "none", "EdDSA", "RS1", "rs256", ""])
def test_no_key_signs_with_any_other_algorithm(algorithm: str) -> None:
    assert kids(parsed(RSA, EC), algorithm, None) == []


def test_a_key_that_names_its_algorithm_signs_with_that_alone() -> None:
    keys = parsed({**RSA, "alg": "PS256"})
    assert kids(keys, "PS256", None) == [None]
    assert kids(keys, "RS256", None) == []


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"use": "sig"},
        {"key_ops": ["verify"]},
        {"key_ops": ["sign", "verify"]},
        {"use": None, "alg": None, "kid": None},
        {"x5c": ["junk"], "x5t": 5, "anything": {}},
    ],
)
def test_keys_without_use_alg_or_kid_are_taken(members: dict[str, Any]) -> None:
    assert len(parsed({**RSA, **members}).keys) == 1
    assert len(parsed({**EC, **members}).keys) == 1


@pytest.mark.parametrize(
    "members",
    [
        {"use": "enc"},
        {"use": "SIG"},
        {"use": ["sig"]},
        {"key_ops": ["sign"]},
        {"key_ops": []},
        {"key_ops": "verify"},
        {"kid": 1},
        {"alg": ["RS256"]},
        {"issuer": 1},
        {"kty": "oct", "k": "AAAA"},
        {"kty": "rsa"},
        {"kty": None},
        {"d": "AQAB"},
        {"p": "AQAB"},
        {"k": "AAAA"},
    ],
)
def test_what_cannot_check_a_signature_is_left_out(members: dict[str, Any]) -> None:
    for good in (RSA, EC):
        with pytest.raises(KeySetError):
            parsed({**good, **members})
        assert len(parsed({**good, **members}, RSA).keys) == 1


def test_a_published_private_key_proves_nothing() -> None:
    with pytest.raises(KeySetError):
        parsed(rsa_key("keys-1").private_jwk(), ec_key("keys-2").private_jwk())


@pytest.mark.parametrize(
    "members",
    [
        TinyRsa.public_jwk(),
        rsa_key("small", 1024).public_jwk(),
        {"n": b64_int(1 << 20_000)},
        {"n": ""},
        {"n": "!!"},
        {"n": "é"},
        {"n": 5},
        {"n": None},
        {"e": b64_int(1)},
        {"e": b64_int(4)},
        {"e": b64_int((1 << 300) + 1)},
        {"e": ""},
        {"e": None},
    ],
)
def test_a_weak_or_broken_rsa_key_is_left_out(members: dict[str, Any]) -> None:
    with pytest.raises(KeySetError):
        parsed({**RSA, **members})


@pytest.mark.parametrize(
    "members",
    [
        {"crv": "secp256k1"},
        {"crv": "P-384"},
        {"crv": None},
        {"x": EC["y"], "y": EC["x"]},
        {"x": "AAAA"},
        {"x": None},
        {"y": 1},
        {"x": ""},
    ],
)
def test_a_point_that_is_not_on_its_curve_is_left_out(members: dict[str, Any]) -> None:
    with pytest.raises(KeySetError):
        parsed({**EC, **members})


def test_more_keys_than_any_provider_has_are_refused_unread() -> None:
    with pytest.raises(KeySetError) as caught:
        parsed(*[RSA] * (MAX_KEYS + 1))
    assert caught.value.code == "too_many_keys"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "not_json"),
        (b"[]", "not_an_object"),
        ({}, "no_keys"),
        ({"keys": {}}, "no_keys"),
        ({"keys": []}, "no_keys"),
        ({"keys": [None, 1, "RSA", [RSA]]}, "no_keys"),
    ],
)
def test_what_is_no_key_set_is_refused(body: object, code: str) -> None:
    with pytest.raises(KeySetError) as caught:
        parse_key_set(answer(body))
    assert caught.value.code == code


def test_statuses_are_judged_before_the_body() -> None:
    good = {"keys": [RSA]}
    for status in (204, 400, 404):
        with pytest.raises(KeySetError):
            parse_key_set(answer(good, status))
    with pytest.raises(AnswerRefused):
        parse_key_set(answer(good, 302))
    with pytest.raises(ProviderUnavailable):
        parse_key_set(answer(good, 503))


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
MEMBER = st.sampled_from("kty n e crv x y use alg kid key_ops issuer x5c k d".split())


@given(st.lists(st.dictionaries(MEMBER, ANY_JSON, max_size=3), max_size=4), st.booleans())
def test_any_key_set_is_taken_or_refused(changes: list[dict[str, Any]], bare: bool) -> None:
    entries = [change if bare else {**RSA, **change} for change in changes]
    entries += [{**EC, **change} for change in changes]
    try:
        keys = parsed(*entries)
    except KeySetError:
        return
    for algorithm in KEY_FOR_ALGORITHM:
        keys.candidates(algorithm, "x")


@given(ANY_JSON)
def test_any_json_is_taken_or_refused(document: Any) -> None:
    for body in (document, {"keys": document}):
        with pytest.raises(KeyfobError):
            parse_key_set(answer(json.dumps(body).encode()))
