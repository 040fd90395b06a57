"""Whether a provider's key signed an ID token; and that nothing at all breaks its validation."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import IdTokenError
from keyfob.protocol.id_token import read_id_token
from keyfob.protocol.keys import parse_key_set
from keyfob.protocol.signing import ASYMMETRIC_ALGORITHMS
from keyfob.protocol.unverified import unverified_claims
from support.id_tokens import (
    ABSENT,
    CLIENT,
    ISSUER,
    KEY,
    NOW,
    Claims,
    claims,
    code_of,
    entra,
    judged,
    key_set,
    metadata,
    token,
)
from support.provider_jose import b64, compact, dumps, ec_key, hmac_sign, rsa_key
from support.sign_in import answer


class TestForm:
    @pytest.mark.parametrize(
        "text",
        [
            None, 1, b"a.b.c", [], "", ".", "..", "a", "a.b", "a.b.", ".b.c", "a..c", "a.b.c.d.e",
            "é.é.é", "a.b.c\n", " a.b.c", "{}.{}.{}", "a" * 200_001, "e30.e30.e30",
            f"{b64(b'[]')}.e30.e30", f"{b64(b'null')}.e30.e30", f"{b64(b'{')}.e30.e30",
            f"{b64(b'{}')}=.e30.e30", f"{b64(bytes([255]))}.e30.e30", "+/+/.e30.e30",
        ],
    )  # fmt: skip
    def test_what_is_no_compact_jws_is_malformed(self, text: object) -> None:
        assert code_of(lambda: read_id_token(text)) == "malformed"

    def test_an_encrypted_token_is_none(self) -> None:
        assert code_of(lambda: read_id_token("a.b.c.d.e")) == "malformed"

    @pytest.mark.parametrize("header", [{"crit": ["b64"]}, {"crit": []}, {"b64": False}])
    def test_extensions_of_jws_are_not_understood(self, header: Claims) -> None:
        assert (
            code_of(lambda: read_id_token(token(claims(), header=header))) == "unsupported_header"
        )

    @pytest.mark.parametrize("typ", ["at+jwt", "application/AT+JWT", "logout+jwt", "dpop+jwt"])
    def test_other_kinds_of_tokens_do_not_pass_for_one(self, typ: str) -> None:
        assert code_of(lambda: read_id_token(token(claims(), header={"typ": typ}))) == "wrong_type"

    @pytest.mark.parametrize("typ", [ABSENT, "JWT", "jwt", "application/jwt"])
    def test_the_type_may_be_missing(self, typ: object) -> None:
        assert judged(token(claims(), header={"typ": typ}))

    @pytest.mark.parametrize("header", [{"alg": 1}, {"alg": ABSENT}, {"kid": 1}, {"typ": ["JWT"]}])
    def test_a_header_of_wrong_types_is_malformed(self, header: Claims) -> None:
        assert code_of(lambda: read_id_token(token(claims(), header=header))) == "malformed"

    @pytest.mark.parametrize(
        "payload", [b"", b"[]", b"{", b"\xff", b'{"a":NaN}', b"1", b"[" * 9999]
    )
    def test_a_signed_content_that_is_no_json_object_is_malformed(self, payload: bytes) -> None:
        assert code_of(lambda: judged(token(payload))) == "malformed"

    @pytest.mark.parametrize("depth", range(300, 1100, 25))
    def test_a_deep_header_is_refused_at_whatever_depth_a_parser_gives_up(self, depth: int) -> None:
        head = b'{"alg":"RS256","x":' + b"[" * depth + b"]" * depth + b"}"
        forged = f"{b64(head)}.{b64(dumps(claims()))}.{b64(b'x' * 256)}"
        assert code_of(lambda: judged(forged)) in ("malformed", "signature")


class TestSignature:
    @pytest.mark.parametrize("alg", sorted(ASYMMETRIC_ALGORITHMS))
    def test_every_algorithm_that_is_accepted_works(self, alg: str) -> None:
        assert judged(token(claims(), alg), key_set(alg))["sub"] == "subject"
        assert judged(token(claims(), alg), key_set(alg, alg=alg))["sub"] == "subject"

    def test_unknown_header_members_are_ignored(self) -> None:
        assert judged(
            token(claims(), header={"x5t": "x", "rh": "y", "jku": "https://evil.example"})
        )

    @pytest.mark.parametrize("header", [{"x5c": ["A" * 6000]}, {}])
    def test_a_long_header_and_a_long_content_are_no_reason_to_refuse(self, header: Claims) -> None:
        groups = [] if header else ["11111111-2222-3333-4444-555555555555"] * 3500
        judged(token(claims(groups=groups), header=header))

    def test_a_key_in_the_token_is_not_believed(self) -> None:
        evil = rsa_key("evil")
        header = {"alg": "RS256", "jwk": evil.public_jwk()}
        forged = compact(header, dumps(claims()), lambda data: evil.sign("RS256", data))
        assert code_of(lambda: judged(forged)) == "signature"

    def test_the_algorithm_must_be_one_the_metadata_lists(self) -> None:
        about = metadata(id_token_signing_alg_values_supported=["PS256"])
        assert code_of(lambda: judged(token(claims()), about=about)) == "algorithm"

    @pytest.mark.parametrize("alg", ["none", "None", "nOnE", "", "HS256", "RS1", "EdDSA", "ES256K"])
    def test_no_other_algorithm_is_taken_from_the_token(self, alg: str) -> None:
        for signature in ("", b64(b"x")):
            forged = f"{b64(dumps({'alg': alg}))}.{b64(dumps(claims()))}.{signature}"
            assert code_of(lambda forged=forged: judged(forged)) in ("algorithm", "malformed")

    def test_a_public_key_is_no_hmac_secret(self) -> None:
        for secret in (KEY.public_pem(), dumps(KEY.public_jwk()), CLIENT.encode()):
            header = {"alg": "HS256", "kid": "k"}
            forged = compact(header, dumps(claims()), hmac_sign(secret))
            assert code_of(lambda forged=forged: judged(forged)) == "algorithm"

    def test_a_token_that_no_key_fits_may_be_cured_by_newer_keys(self) -> None:
        assert code_of(lambda: judged(token(claims(), header={"kid": "other"}))) == "unknown_key"
        assert code_of(lambda: judged(token(claims(), "ES256"))) == "unknown_key"

    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_a_changed_token_is_refused(self, place: int) -> None:
        parts = token(claims()).split(".")
        parts[1] = b64(dumps(claims(sub="somebody else"))) if place == 1 else parts[1]
        parts[0] = b64(dumps({"alg": "RS256", "kid": "k", "x": 1})) if place == 0 else parts[0]
        parts[2] = ("A" if parts[2][0] != "A" else "B") + parts[2][1:] if place == 2 else parts[2]
        assert code_of(lambda: judged(".".join(parts))) == "signature"

    def test_an_ecdsa_signature_in_der_is_none(self) -> None:
        key = ec_key("id-token-es256")
        text = compact(
            {"alg": "ES256", "kid": "k"}, dumps(claims()), lambda data: key.sign_der("ES256", data)
        )
        assert code_of(lambda: judged(text, key_set("ES256"))) == "signature"

    def test_an_all_zero_ecdsa_signature_is_none(self) -> None:
        text = compact({"alg": "ES256", "kid": "k"}, dumps(claims()), lambda _: bytes(64))
        assert code_of(lambda: judged(text, key_set("ES256"))) == "signature"

    def test_every_key_that_fits_is_tried(self) -> None:
        others = [{**rsa_key(f"unrelated-{n}").public_jwk()} for n in range(2)]
        keys = parse_key_set(answer({"keys": [*others, KEY.public_jwk()]}))
        assert judged(token(claims(), header={"kid": ABSENT}), keys)
        assert judged(token(claims()), keys)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)  # fmt: skip
NAMES = st.sampled_from(
    "iss sub aud azp exp iat nbf nonce at_hash c_hash tid oid auth_time x".split()
)


@given(st.dictionaries(NAMES, ANY_JSON, min_size=1, max_size=3), st.booleans())
def test_any_signed_claims_are_proven_or_refused(changes: Claims, microsoft: bool) -> None:
    payload = {**(entra() if microsoft else claims()), **changes}
    about = metadata("common" if microsoft else "")
    try:
        found = judged(token(payload), about=about, access_token="t", code="c", max_age=1)
    except IdTokenError:
        return
    assert found["nonce"] == "nonce"
    assert found["exp"] > NOW - 60


@given(st.dictionaries(st.sampled_from("alg kid typ crit b64 x".split()), ANY_JSON), st.binary())
def test_any_header_and_signature_is_refused(header: Claims, signature: bytes) -> None:
    text = f"{b64(json.dumps(header).encode())}.{b64(dumps(claims()))}.{b64(signature)}"
    with pytest.raises(IdTokenError):
        judged(text)


@given(st.text() | st.from_regex(r"\A[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){1,4}\Z"))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(IdTokenError):
        judged(text)
    assert isinstance(unverified_claims(text), (dict, type(None)))


def test_a_number_too_large_for_a_time_does_not_overflow() -> None:
    huge = b'{"iss":"%s","sub":"s","aud":"client","iat":1,"exp":1' % ISSUER.encode() + b"0" * 400
    assert code_of(lambda: judged(token(huge + b"}"))) == "exp"
    assert code_of(lambda: judged(token(huge[:-400] + b"e999}"))) == "exp"
