"""The header WWW-Authenticate: written by us, and read from servers that may write anything."""

from __future__ import annotations

import base64
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyfob.protocol.claims import claims_object
from keyfob.protocol.www_authenticate import (
    MAX_CLAIMS,
    MAX_HEADER,
    Challenge,
    build_challenge,
    claims_challenge,
    encode_claims,
    parse_challenges,
)

CLAIMS = {"access_token": {"nbf": {"essential": True, "value": "1604106651"}}}
TEXT = json.dumps(CLAIMS, separators=(",", ":"))
CODED = base64.b64encode(TEXT.encode()).decode()
#: Its base64 has both letters in which the alphabets differ, and padding.
ODD = {"access_token": {"x": {"value": "??>>~~??>>~~ÿ"}}}
ODD_TEXT = json.dumps(ODD, separators=(",", ":"), ensure_ascii=False)
TOKENS = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=12)
PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30)


def bearer(**parameters: str) -> Challenge:
    return Challenge("Bearer", parameters)


# What servers send

SEEN = [
    # Microsoft Graph, continuous access evaluation
    (
        (
            'Bearer realm="", authorization_uri="https://login.example/common/oauth2/authorize", '
            'client_id="00000003-0000-0000-c000-000000000000", error="insufficient_claims", '
            f'claims="{CODED}"'
        ),
        TEXT,
    ),
    # Azure Resource Manager: no spaces, other order
    (
        (
            'Bearer authorization_uri="https://login.example/",error="invalid_token",'
            f'error_description="Continuous access evaluation was positive",claims="{CODED}"'
        ),
        TEXT,
    ),
    # Exchange: another scheme before and behind
    (f'Basic Realm="", Bearer error="invalid_token", claims="{CODED}",Digest realm="x"', TEXT),
    (f'Negotiate oYIBbzCCA==, Bearer claims="{CODED}"', TEXT),
    (f"bearer claims={CODED}", TEXT),
    (f"BEARER Claims={CODED.rstrip('=')}, x=y", TEXT),
    (f'PoP nonce="x", Bearer claims="{CODED}"', TEXT),
    ('Bearer claims="' + TEXT.replace('"', '\\"') + '"', TEXT),
    (f"Bearer authorization_uri=https://login.example/common, claims={CODED}", TEXT),
    (f'Bearer  error = "x" ,,\t, claims\t=\t"{CODED}" ,', TEXT),
    ('Bearer error="invalid_token"', ""),
    ("Bearer", ""),
    ("Basic realm=x", ""),
    (f'PoP claims="{CODED}"', ""),
    (f'Bearer error="a, claims=\\"{CODED}\\""', ""),
    ("Bearer " + CODED, ""),
    (f'Bearerclaims="{CODED}"', ""),
    (f'claims="{CODED}"', ""),
    ("", ""),
]


@pytest.mark.parametrize(("header", "claims"), SEEN)
def test_the_challenge_is_found_where_apis_put_it(header: str, claims: str) -> None:
    assert claims_challenge([header]) == claims


def test_several_headers_are_read_each_for_itself() -> None:
    """A broken one spoils the others no more than one of another scheme."""
    broken = 'Bearer error="never closed'
    assert claims_challenge(["Basic realm=x", broken, f'Bearer claims="{CODED}"']) == TEXT
    assert claims_challenge([]) == ""


@pytest.mark.parametrize("text", [ODD_TEXT, TEXT, "{}", '{"a":"ä€😀"}'])
def test_every_base64_is_read(text: str) -> None:
    plain = base64.b64encode(text.encode()).decode()
    safe = base64.urlsafe_b64encode(text.encode()).decode()
    meant = json.loads(text)
    for coded in (plain, safe, plain.rstrip("="), safe.rstrip("=")):
        for header in (f'Bearer claims="{coded}"', f"Bearer claims={coded}"):
            assert json.loads(claims_challenge([header])) == meant


def test_what_travels_on_is_ascii() -> None:
    found = claims_challenge([f'Bearer claims="{encode_claims(ODD_TEXT)}"'])
    assert found.isascii()
    assert json.loads(found) == ODD


@pytest.mark.parametrize(
    "text",
    [
        "[]", "null", "true", '"text"', "1", "", " ", "{", '{"a":}', '{"a":NaN}', '{"a":1e999}',
        '{"a":"\\ud800"}', '{"a":Infinity}', "{'a':1}", '{"a":1}x', "\x00", '{"a":' * 300,
        '{"a":' * 300 + "1" + "}" * 300, '{"a":' + "[" * 900 + "]" * 900 + "}",
        '{"a":' + "9" * 5000 + "}", '{"a":"' + "x" * MAX_CLAIMS + '"}', '{"a":"' + "ä" * 700 + '"}',
    ],
)  # fmt: skip
def test_what_is_no_challenge_is_none(text: str) -> None:
    assert claims_challenge([f'Bearer claims="{encode_claims(text)}"']) == ""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert claims_challenge([f'Bearer claims="{quoted}"']) == ""


@pytest.mark.parametrize("coded", ["*", "====", "a", "a" * 5, "é", CODED + "!", CODED[:-3] + "\n"])
def test_what_is_no_base64_is_no_challenge(coded: str) -> None:
    assert claims_challenge([f'Bearer claims="{coded}"']) == ""


def test_the_first_of_two_counts() -> None:
    other = encode_claims('{"b":1}')
    assert claims_challenge([f'Bearer claims="{CODED}", claims="{other}"']) == TEXT
    assert claims_challenge([f'Bearer claims="{CODED}", Bearer claims="{other}"']) == TEXT
    assert claims_challenge([f'Bearer claims="x!", Bearer claims="{other}"']) == '{"b":1}'


# Reading


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ('Bearer a="b", c=d', [bearer(a="b", c="d")]),
        ('Bearer A="b",a="c"', [bearer(a="b")]),
        ('Bearer a="q\\"\\\\\\x"', [bearer(a='q"\\x')]),
        ("Basic, Bearer", [Challenge("Basic"), Challenge("Bearer")]),
        ("Negotiate abc==, Bearer a=b", [Challenge("Negotiate"), bearer(a="b")]),
        ("Bearer a=b c=d", [Challenge("Bearer")]),
        ('Bearer a="b" c="d"', [Challenge("Bearer")]),
        ('Bearer a=b, "c"', [bearer(a="b")]),
        ('Bearer a="b, c=d', [Challenge("Bearer")]),
        ("a=b", []),
        (", ,,", []),
        ('"Bearer a=b', []),
        ("Bearer a=b=, c=d==", [bearer(a="b=", c="d==")]),
    ],
)
def test_a_header_is_read_up_to_where_it_breaks(header: str, found: list[Challenge]) -> None:
    assert parse_challenges([header]) == found


@given(TOKENS, st.dictionaries(TOKENS.map(str.lower), PRINTABLE, min_size=1, max_size=5))
def test_what_is_written_is_read(scheme: str, parameters: dict[str, str]) -> None:
    header = build_challenge(scheme, parameters)
    assert parse_challenges([header]) == [Challenge(scheme, parameters)]
    assert parse_challenges([f"Basic realm=x, {header}, Other"])[1] == Challenge(scheme, parameters)


@pytest.mark.parametrize(
    ("name", "value"), [("a b", "x"), ("", "x"), ("a", "x\r\ny"), ("a", "ä"), ('a"', "x")]
)
def test_what_no_header_can_hold_is_not_written(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="holds what no header can"):
        build_challenge("Bearer", {name: value})


def test_what_is_empty_is_left_out() -> None:
    assert build_challenge("Bearer", {"realm": "", "error": "x"}) == 'Bearer error="x"'
    assert build_challenge("Bearer", {}) == "Bearer"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_every_challenge_that_is_found_can_be_asked_for(claims: dict[str, object]) -> None:
    """What an API writes must not be the mistake of whoever calls it."""
    found = claims_challenge([f'Bearer claims="{encode_claims(json.dumps(claims))}"'])
    if found:
        assert claims_object(found) == claims
        assert len(found) <= MAX_CLAIMS


# Hostile servers

PIECES = st.sampled_from(
    [
        "Bearer",
        " ",
        "  ",
        ",",
        "=",
        '"',
        "\\",
        "a",
        'a="b"',
        "claims=",
        CODED,
        "\t",
        "é",
        "\x00",
        "==",
    ]
)


@settings(max_examples=500)
@given(st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=200))
def test_nothing_raises(header: str) -> None:
    found = claims_challenge([header])
    assert found == "" or claims_object(found) is not None


N = MAX_HEADER


@pytest.mark.parametrize(
    "header",
    [
        "Bearer " + 'a="' * N,
        "Bearer " + 'a="' + "\\" * N,
        "Bearer " + 'a="' + '\\"' * N,
        "Bearer " + "a" * N,
        "Bearer " + "a " * N,
        "Bearer" + " " * N + "x",
        "Bearer " + "a=" * N,
        "Bearer a" + "=" * N + "x",
        "Bearer " + "a=b," * N,
        "," * N,
        " ," * N,
        "a " * N,
        "a, " * N,
        "a" + " " * N + "=" + " " * N + "b",
        ("a" + " " * 100) * N,
        ("a" * 100 + " ") * N,
        "Bearer " + 'a="b" ' * N,
        "Bearer claims=" + "A" * N,
        'Bearer claims="' + "{" * N + '"',
        "\t" * N,
        "Bearer " + "a = b = " * N,
        ("x " + "=" * 50) * N,
        "Negotiate " + "a" * 200 + "=" * N,
    ],
)  # fmt: skip
def test_no_header_takes_long(header: str) -> None:
    """Twice the length, about twice the time; so a long one takes no longer than a short wait."""
    began = time.thread_time()
    parse_challenges([header])
    claims_challenge([header] * 100)
    assert time.thread_time() - began < 1.5
