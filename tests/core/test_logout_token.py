"""Which logout tokens end sessions (OpenID Connect Back-Channel Logout 1.0 §2.4 and §2.6)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import LogoutTokenError
from keyfob.protocol.id_token import read_id_token
from keyfob.protocol.logout_token import EVENT, MAX_AGE, MAX_LENGTH, read_logout_token
from keyfob.protocol.signing import ASYMMETRIC_ALGORITHMS
from support.id_tokens import (
    ABSENT,
    CLIENT,
    ISSUER,
    KEY,
    LOGIN,
    NOW,
    OTHER,
    TENANT,
    Claims,
    claims,
    code_of,
    entra,
    key_set,
    metadata,
    token,
)
from support.logout_tokens import logout_claims, logout_token, order_of, refusal_code, refused
from support.provider_jose import b64, compact, dumps, hmac_sign, rsa_key


class TestForm:
    @pytest.mark.parametrize(
        "text",
        [None, 1, b"a.b.c", "", "a", "a.b", "a..c", "a.b.c.d.e", " a.b.c", "e30.e30.e30",
         "a" * (MAX_LENGTH + 1), f"{b64(b'[]')}.e30.e30"],
    )  # fmt: skip
    def test_what_is_no_compact_jws_is_malformed(self, text: object) -> None:
        assert refusal_code(lambda: read_logout_token(text)) == "malformed"

    def test_a_huge_token_is_not_even_taken_apart(self) -> None:
        huge = logout_token(logout_claims(padding="x" * MAX_LENGTH))
        assert refusal_code(lambda: read_logout_token(huge)) == "malformed"

    @pytest.mark.parametrize(
        "typ", ["logout+jwt", "application/LOGOUT+JWT", "JWT", "application/jwt", ABSENT]
    )
    def test_its_own_type_a_jwts_and_none_are_taken(self, typ: object) -> None:
        assert order_of(logout_token(logout_claims(), header={"typ": typ})).sid == "session-1"

    @pytest.mark.parametrize("typ", ["at+jwt", "secevent+jwt", "dpop+jwt", "id+jwt", "x"])
    def test_another_type_is_refused(self, typ: str) -> None:
        text = logout_token(logout_claims(), header={"typ": typ})
        assert refusal_code(lambda: order_of(text)) == "wrong_type"

    @pytest.mark.parametrize("header", [{"crit": ["b64"]}, {"b64": False}])
    def test_extensions_of_jws_are_not_understood(self, header: Claims) -> None:
        text = logout_token(logout_claims(), header=header)
        assert refusal_code(lambda: order_of(text)) == "unsupported_header"

    def test_a_logout_token_is_no_id_token(self) -> None:
        assert code_of(lambda: read_id_token(logout_token(logout_claims()))) == "wrong_type"


class TestSignature:
    @pytest.mark.parametrize("alg", sorted(ASYMMETRIC_ALGORITHMS))
    def test_every_algorithm_that_id_tokens_have_works(self, alg: str) -> None:
        assert order_of(logout_token(logout_claims(), alg), key_set(alg)).token_id == "token-1"

    @pytest.mark.parametrize("alg", ["none", "None", "nOnE", "HS256", "EdDSA", ""])
    def test_no_other_algorithm_is_taken_from_the_token(self, alg: str) -> None:
        for signature in ("", b64(b"x")):
            head = {"alg": alg, "typ": "logout+jwt"}
            forged = f"{b64(dumps(head))}.{b64(dumps(logout_claims()))}.{signature}"
            code = refusal_code(lambda forged=forged: order_of(forged))
            assert code in ("algorithm", "malformed")

    def test_a_public_key_is_no_hmac_secret(self) -> None:
        for secret in (KEY.public_pem(), dumps(KEY.public_jwk()), CLIENT.encode()):
            head = {"alg": "HS256", "kid": "k", "typ": "logout+jwt"}
            forged = compact(head, dumps(logout_claims()), hmac_sign(secret))
            assert refusal_code(lambda forged=forged: order_of(forged)) == "algorithm"

    def test_another_key_proves_nothing(self) -> None:
        evil = rsa_key("evil")
        for kid, code in (("k", "signature"), ("other", "unknown_key")):
            head = {"alg": "RS256", "kid": kid, "jwk": evil.public_jwk()}
            forged = compact(head, dumps(logout_claims()), lambda data: evil.sign("RS256", data))
            assert refusal_code(lambda forged=forged: order_of(forged)) == code

    def test_the_algorithm_must_be_one_the_metadata_lists(self) -> None:
        about = metadata(id_token_signing_alg_values_supported=["PS256"])
        text = logout_token(logout_claims())
        assert refusal_code(lambda: order_of(text, about=about)) == "algorithm"


class TestClaims:
    def test_a_good_token_says_whose_sessions_end(self) -> None:
        order = order_of(logout_token(logout_claims()))
        assert (order.issuer, order.subject, order.sid) == (ISSUER, "subject", "session-1")
        assert order.expires_at == NOW + 120 + 60

    @pytest.mark.parametrize("left_out", ["sub", "sid"])
    def test_a_subject_or_a_session_is_enough(self, left_out: str) -> None:
        order = order_of(logout_token(logout_claims(**{left_out: ABSENT})))
        assert [order.subject, order.sid].count(None) == 1

    def test_neither_is_not(self) -> None:
        assert refused(logout_claims(sub=ABSENT, sid=ABSENT)) == "sub"

    @pytest.mark.parametrize("name", ["sub", "sid", "jti"])
    @pytest.mark.parametrize("value", [None, 1, "", "x" * 256, ["a"], {}, True])
    def test_a_name_is_a_text_of_a_sensible_length(self, name: str, value: object) -> None:
        assert refused(logout_claims(**{name: value})) == name

    @pytest.mark.parametrize("nonce", ["n", "", None, 1])
    def test_a_nonce_is_forbidden_whatever_it_is(self, nonce: object) -> None:
        assert refused(logout_claims(nonce=nonce)) == "nonce"

    @pytest.mark.parametrize(
        "events",
        [ABSENT, None, {}, [], EVENT, [EVENT], {EVENT: None}, {EVENT: True}, {EVENT: ""},
         {"http://schemas.openid.net/event/frontchannel-logout": {}}, {EVENT.upper(): {}}],
    )  # fmt: skip
    def test_the_event_is_an_object_under_its_very_name(self, events: object) -> None:
        assert refused(logout_claims(events=events)) == "events"

    def test_other_events_and_members_are_ignored(self) -> None:
        events = {EVENT: {"reason": "x"}, "https://idp.example/other": 1}
        assert order_of(logout_token(logout_claims(events=events, trace_id="t")))

    @pytest.mark.parametrize("iss", [ABSENT, "", None, 1, ISSUER + "/", "https://evil.example"])
    def test_the_issuer_is_compared_word_for_word(self, iss: object) -> None:
        assert refused(logout_claims(iss=iss)) == "iss"

    @pytest.mark.parametrize("aud", [ABSENT, None, "", "other", ["other"], [], [CLIENT, 1], {}])
    def test_another_clients_token_is_refused(self, aud: object) -> None:
        assert refused(logout_claims(aud=aud)) == "aud"

    def test_several_audiences_may_be_named(self) -> None:
        assert order_of(logout_token(logout_claims(aud=["other", CLIENT])))

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"exp": NOW - 61}, "exp"),
            ({"exp": ABSENT}, "exp"),
            ({"exp": "soon"}, "exp"),
            ({"iat": ABSENT}, "iat"),
            ({"iat": NOW + 61}, "iat"),
            ({"iat": True}, "iat"),
            ({"iat": 10**400}, "iat"),
            ({"iat": NOW - MAX_AGE - 61, "exp": NOW + 9999}, "iat"),
        ],
    )
    def test_a_token_is_of_now(self, changes: dict[str, Any], code: str) -> None:
        assert refused(logout_claims(**changes)) == code

    def test_the_clocks_may_differ_a_little(self) -> None:
        assert order_of(logout_token(logout_claims(exp=NOW - 59, iat=NOW - 300)))
        assert order_of(logout_token(logout_claims(iat=NOW + 59)))
        assert refused(logout_claims(exp=NOW - 1), leeway=0) == "exp"

    def test_a_token_need_not_be_remembered_for_ever(self) -> None:
        order = order_of(logout_token(logout_claims(exp=NOW + 10**8)))
        assert order.expires_at == NOW + MAX_AGE + 60

    def test_an_id_token_and_an_access_token_are_none(self) -> None:
        for payload in (claims(), claims(nonce=ABSENT), claims(scope="orders.read", jti="j")):
            assert refusal_code(lambda p=payload: order_of(token(p))) == "events"

    def test_its_repr_names_nobody(self) -> None:
        text = repr(order_of(logout_token(logout_claims())))
        assert not any(secret in text for secret in ("subject-", "session-1", "token-1"))


class TestMicrosoft:
    """An issuer that is a template, and keys that each say whose tokens they sign."""

    def test_the_tenant_may_be_named_by_the_issuer_alone(self) -> None:
        about, issuer = metadata("common"), f"{LOGIN}/{TENANT}/v2.0"
        for tid in (ABSENT, TENANT):
            text = logout_token(logout_claims(iss=issuer, tid=tid))
            assert order_of(text, about=about).issuer == issuer

    @pytest.mark.parametrize(
        "changes",
        [
            {"tid": OTHER},
            {"iss": f"{LOGIN}/{{tenantid}}/v2.0"},
            {"iss": f"{LOGIN}/contoso.example/v2.0"},
            {"iss": f"https://evil.example/{TENANT}/v2.0"},
            {"iss": f"{LOGIN}/{TENANT}/v2.0/"},
        ],
    )
    def test_another_issuer_does_not_fill_the_template(self, changes: Claims) -> None:
        given = {"iss": f"{LOGIN}/{TENANT}/v2.0", **changes}
        assert refused(logout_claims(**given), about=metadata("common")) in ("iss", "tid")

    def test_a_tenant_that_is_no_text_is_refused(self) -> None:
        given = logout_claims(iss=f"{LOGIN}/{TENANT}/v2.0", tid=1)
        assert refused(given, about=metadata("common")) == "tid"

    def test_a_key_signs_for_its_own_issuer_only(self) -> None:
        text = logout_token(logout_claims(iss=f"{LOGIN}/{TENANT}/v2.0"))
        own = key_set(issuer=f"{LOGIN}/{{tenantid}}/v2.0")
        assert order_of(text, own, metadata("common"))
        other = key_set(issuer=f"{LOGIN}/{OTHER}/v2.0")
        code = refusal_code(lambda: order_of(text, other, metadata("common")))
        assert code == "key_issuer"

    def test_an_entra_id_token_is_no_logout_token(self) -> None:
        code = refusal_code(lambda: order_of(token(entra()), about=metadata("common")))
        assert code == "events"


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)  # fmt: skip
NAMES = st.sampled_from("iss sub aud exp iat jti events sid nonce tid x".split())


@given(st.dictionaries(NAMES, ANY_JSON, min_size=1, max_size=3), st.booleans())
def test_any_signed_claims_are_an_order_or_refused(changes: Claims, microsoft: bool) -> None:
    issuer = {"iss": f"{LOGIN}/{TENANT}/v2.0"} if microsoft else {}
    payload = {**logout_claims(**issuer), **changes}
    try:
        order = order_of(logout_token(payload), about=metadata("common" if microsoft else ""))
    except LogoutTokenError:
        return
    assert "nonce" not in payload
    assert order.sid or order.subject
    assert NOW < order.expires_at <= NOW + 60 + MAX_AGE + 60


@given(st.dictionaries(st.sampled_from("alg kid typ crit b64 x".split()), ANY_JSON), st.binary())
def test_any_header_and_signature_is_refused(header: Claims, signature: bytes) -> None:
    head = b64(json.dumps(header).encode())
    with pytest.raises(LogoutTokenError):
        order_of(f"{head}.{b64(dumps(logout_claims()))}.{b64(signature)}")


@given(st.text() | st.from_regex(r"\A[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){1,4}\Z"))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(LogoutTokenError):
        order_of(text)
