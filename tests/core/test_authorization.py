"""The authorization request, and what comes back to the redirect URI."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import AuthorizationResponseError, StateMismatchError
from keyfob.protocol.authorization import (
    MAX_PARAMETER_LENGTH,
    AuthorizationCode,
    AuthorizationRefusal,
    build_authorization_url,
    judge_authorization_response,
)
from keyfob.protocol.pkce import (
    code_challenge,
    hashed_nonce,
    new_code_verifier,
    new_nonce,
    new_state,
)
from support.id_tokens import ISSUER, LOGIN, OTHER, TENANT, metadata
from support.sign_in import query_of

STATE = "the-state"


def judged(response: Any, *, sends_issuer: bool = False, **more: Any) -> Any:
    about = metadata(**more)
    if sends_issuer:
        about = dataclasses.replace(about, sends_issuer=True)
    return judge_authorization_response(response, state=STATE, metadata=about)


def refusal(response: Any, **more: Any) -> str:
    with pytest.raises(AuthorizationResponseError) as caught:
        judged(response, **more)
    return caught.value.code


class TestRequest:
    def test_parameters_are_encoded_and_none_is_left_out(self) -> None:
        given_ = {
            "scope": "a b",
            "redirect_uri": "http://x/?a=b&c=d",
            "prompt": None,
            "state": "é+&",
        }
        url = build_authorization_url(metadata(), given_)
        assert url.startswith(f"{ISSUER}/authorize?")
        assert query_of(url) == {k: v for k, v in given_.items() if v is not None}

    def test_an_endpoint_with_a_query_keeps_it(self) -> None:
        about = metadata(authorization_endpoint=f"{ISSUER}/authorize?p=b2c_1_x")
        url = build_authorization_url(about, {"state": "s"})
        assert url == f"{ISSUER}/authorize?p=b2c_1_x&state=s"

    def test_half_a_character_in_a_hint_is_no_reason_to_fail(self) -> None:
        url = build_authorization_url(metadata(), {"login_hint": "a\ud800b"})
        assert query_of(url) == {"login_hint": "a?b"}


class TestSecretsOfAnAttempt:
    def test_they_are_long_random_and_of_the_right_alphabet(self) -> None:
        asked: list[int] = []

        def random_bytes(count: int) -> bytes:
            asked.append(count)
            return b"\xfb" * count

        made = [new_state(random_bytes), new_nonce(random_bytes), new_code_verifier(random_bytes)]
        assert asked == [16, 16, 32]
        assert all(
            set(text) <= set("-_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
            for text in made
        )
        assert len(made[2]) == 43  # RFC 7636 §4.1: 43 to 128

    def test_the_challenge_is_that_of_rfc_7636_appendix_b(self) -> None:
        verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        assert code_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

    def test_the_nonce_travels_hashed_as_msal_sends_it(self) -> None:
        assert hashed_nonce("abc") == hashlib.sha256(b"abc").hexdigest()


class TestState:
    @pytest.mark.parametrize(
        "state",
        [None, "", "other", "THE-STATE", "the-state ", "the-staté", 1, ["the-state"], b"the-state"],
    )
    def test_a_response_with_another_state_is_refused(self, state: object) -> None:
        for response in ({"code": "c", "state": state}, {"error": "access_denied", "state": state}):
            with pytest.raises(StateMismatchError):
                judged(response)

    def test_a_response_with_no_state_is_refused(self) -> None:
        with pytest.raises(StateMismatchError) as caught:
            judged({"code": "c"})
        assert STATE not in str(caught.value)
        assert isinstance(caught.value, ValueError)  # as MSAL's


class TestIssuer:
    """RFC 9207."""

    def test_it_must_be_ours_when_it_is_there(self) -> None:
        assert judged({"code": "c", "state": STATE, "iss": ISSUER}) == AuthorizationCode("c")

    @pytest.mark.parametrize(
        "iss", ["", f"{ISSUER}/", "https://evil.example", ISSUER.upper(), 1, [ISSUER], {}]
    )
    def test_another_is_a_mix_up(self, iss: object) -> None:
        for more in ({"code": "c"}, {"error": "access_denied"}):
            assert refusal({"state": STATE, "iss": iss, **more}) == "iss_mismatch"
            assert (
                refusal({"state": STATE, "iss": iss, **more}, microsoft="common") == "iss_mismatch"
            )

    def test_who_promised_to_send_it_must(self) -> None:
        for more in ({"code": "c"}, {"error": "access_denied"}):
            assert refusal({"state": STATE, **more}, sends_issuer=True) == "iss_missing"

    @pytest.mark.parametrize(
        ("iss", "good"),
        [
            (f"{LOGIN}/{TENANT}/v2.0", True),
            (f"{LOGIN}/{OTHER}/v2.0", True),
            (f"{LOGIN}/common/v2.0", False),
            (f"{LOGIN}/{{tenantid}}/v2.0", False),
            (f"{LOGIN}/{TENANT}/v2.0/", False),
            (f"{LOGIN}/v2.0", False),
            (LOGIN, False),
        ],
    )
    def test_a_template_is_filled_by_any_tenants_id(self, iss: str, good: bool) -> None:
        response = {"code": "c", "state": STATE, "iss": iss}
        if good:
            assert judged(response, microsoft="common") == AuthorizationCode("c")
        else:
            assert refusal(response, microsoft="common") == "iss_mismatch"


class TestCode:
    @pytest.mark.parametrize(
        "code", ["c", "0.AXoA-x_y.z", "with space", "c" * MAX_PARAMETER_LENGTH]
    )
    def test_a_code_is_visible_ascii(self, code: str) -> None:
        assert judged({"code": code, "state": STATE}) == AuthorizationCode(code)

    @pytest.mark.parametrize(
        "code",
        [None, "", "c\n", "c\x00", "cödé", "c" * (MAX_PARAMETER_LENGTH + 1), 1, ["c"], {"c": 1}],
    )
    def test_anything_else_is_none(self, code: object) -> None:
        assert refusal({"code": code, "state": STATE}) == "no_code"

    def test_neither_a_code_nor_an_error_is_nothing(self) -> None:
        assert refusal({"state": STATE}) == "no_code"

    def test_both_at_once_are_refused(self) -> None:
        both = {"state": STATE, "code": "c", "error": "e"}
        assert refusal(both) == "code_and_error"
        assert refusal({**both, "error": ""}) == "code_and_error"

    def test_client_info_comes_along(self) -> None:
        response = {"code": "c", "state": STATE, "client_info": "e30"}
        assert judged(response) == AuthorizationCode("c", "e30")
        assert judged({**response, "client_info": 1}) == AuthorizationCode("c")


class TestRefusal:
    def test_the_providers_no_is_passed_on(self) -> None:
        response = {
            "state": STATE,
            "error": "access_denied",
            "error_description": "AADSTS65004: declined.\r\nTrace ID: 1",
            "error_uri": "https://idp.example/why",
        }
        assert judged(response) == AuthorizationRefusal(
            "access_denied", "AADSTS65004: declined.  Trace ID: 1", "https://idp.example/why"
        )

    def test_its_texts_are_cut_and_cleaned(self) -> None:
        found = judged(
            {"state": STATE, "error": "e\x1b[31m" * 99, "error_description": "\u202e" * 5000}
        )
        assert len(found.error) <= 100
        assert found.error.isprintable()
        assert found.description == ""

    @pytest.mark.parametrize("error", ["", " ", 1, [], {}, "\x00"])
    def test_an_error_without_a_name_is_unknown(self, error: object) -> None:
        response = {"state": STATE, "error": error, "error_description": 1, "error_uri": []}
        assert judged(response) == AuthorizationRefusal("unknown_error")


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
NAMES = st.sampled_from("code state iss error error_description error_uri client_info".split())


@given(st.dictionaries(NAMES, ANY_JSON | st.characters()), st.booleans(), st.booleans())
def test_any_response_is_judged(response: dict[str, Any], ours: bool, microsoft: bool) -> None:
    if ours:
        response["state"] = STATE
    try:
        found = judged(response, microsoft="common" if microsoft else "")
    except AuthorizationResponseError:
        return
    assert ours
    assert isinstance(found, (AuthorizationCode, AuthorizationRefusal))


def test_a_code_is_not_shown() -> None:
    assert "secret" not in repr(AuthorizationCode("secret-code", "secret-info"))
    assert base64.b64encode(b"secret").decode() not in repr(AuthorizationCode("c"))
