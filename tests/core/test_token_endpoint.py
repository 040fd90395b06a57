"""Which answers of the token and userinfo endpoints are believed (RFC 6749 §5)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import (
    AnswerRefused,
    KeyfobError,
    ProviderUnavailable,
    TokenResponseError,
    UserInfoError,
)
from keyfob.protocol.client_info import home_account_id_in
from keyfob.protocol.token_endpoint import parse_token_response
from keyfob.protocol.userinfo import build_userinfo_request, lacks_profile, merge_userinfo
from support.provider_jose import b64, dumps
from support.sign_in import answer

GOOD = {"access_token": "at", "token_type": "Bearer", "expires_in": 3600}


def refusal(body: object, status: int = 200) -> str:
    with pytest.raises(TokenResponseError) as caught:
        parse_token_response(answer(body, status))
    return caught.value.code


class TestTokens:
    def test_a_good_answer_comes_back_as_it_is(self) -> None:
        more = {"scope": "a", "refresh_token": "r", "id_token": "i", "anything": {"else": 1}}
        assert parse_token_response(answer({**GOOD, **more})) == {**GOOD, **more}

    @pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER"])
    def test_the_type_is_bearer_in_any_case(self, token_type: str) -> None:
        assert parse_token_response(answer({**GOOD, "token_type": token_type}))

    @pytest.mark.parametrize("token_type", [None, "", "mac", "DPoP", "pop", 1, ["Bearer"]])
    def test_any_other_type_is_refused(self, token_type: object) -> None:
        assert refusal({**GOOD, "token_type": token_type}) == "token_type"

    @pytest.mark.parametrize("token", [None, "", "a b", "a\r\nX: y", "ä", 1, ["at"], "\x00", " "])
    def test_a_token_that_fits_into_no_header_is_none(self, token: object) -> None:
        assert refusal({**GOOD, "access_token": token}) == "no_access_token"

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [(3600, 3600), ("3600", 3600), (3599.9, 3599), ("3599.9", 3599), (0, 0), (None, None)],
    )
    @pytest.mark.parametrize("name", ["expires_in", "ext_expires_in", "refresh_in"])
    def test_seconds_are_whole_numbers_whatever_they_came_as(
        self, name: str, value: object, seconds: int | None
    ) -> None:
        found = parse_token_response(answer({**GOOD, name: value}))[name]
        assert (found, type(found)) == (seconds, type(seconds))

    @pytest.mark.parametrize(
        "value", ["", "soon", -1, "-1", True, [], {}, 1e10, "nan", "inf", 10**400, "9" * 5000]
    )
    @pytest.mark.parametrize("name", ["expires_in", "ext_expires_in", "refresh_in"])
    def test_a_lifetime_that_is_none_is_refused(self, name: str, value: object) -> None:
        if name == "refresh_in" and value in (-1, "-1"):
            value = -1e10
        assert refusal({**GOOD, name: value}) == f"{name}_refused"

    @pytest.mark.parametrize("value", [-1, "-3600", -0.5])
    def test_to_renew_before_now_is_to_renew_now(self, value: object) -> None:
        assert parse_token_response(answer({**GOOD, "refresh_in": value}))["refresh_in"] == 0

    @pytest.mark.parametrize("name", ["scope", "refresh_token", "id_token", "client_info", "foci"])
    @pytest.mark.parametrize("value", [1, True, ["a"], {"a": 1}])
    def test_a_text_that_is_none_is_refused(self, name: str, value: object) -> None:
        assert refusal({**GOOD, name: value}) == f"{name}_refused"

    @pytest.mark.parametrize(
        "name", ["id_token_claims", "token_source", "refresh_on", "classification", "_account_id"]
    )
    def test_what_only_we_say_is_not_taken_from_the_provider(self, name: str) -> None:
        """Or unproven claims would pass for proven ones."""
        assert name not in parse_token_response(answer({**GOOD, name: {"sub": "admin"}}))
        assert name not in parse_token_response(answer({"error": "e", name: "x"}, 400))


class TestErrors:
    @pytest.mark.parametrize("status", [200, 400, 401, 403, 404])
    def test_an_error_is_returned_whatever_the_status(self, status: int) -> None:
        error = {"error": "invalid_grant", "error_codes": [70000], "correlation_id": "c"}
        assert parse_token_response(answer(error, status)) == error

    def test_an_error_brings_no_tokens(self) -> None:
        both = {**GOOD, "refresh_token": "r", "id_token": "i", "error": "invalid_grant"}
        found = parse_token_response(answer(both))
        assert {"access_token", "refresh_token", "id_token"}.isdisjoint(found)

    @pytest.mark.parametrize("error", [None, "", 1, [], {}, True])
    def test_an_error_without_a_name_is_refused(self, error: object) -> None:
        assert refusal({**GOOD, "error": error}) == "bad_error"

    @pytest.mark.parametrize("status", [201, 202, 204, 400, 401])
    def test_tokens_come_with_status_200_only(self, status: int) -> None:
        assert refusal(GOOD, status) == "bad_status"

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_redirect_is_not_followed(self, status: int) -> None:
        with pytest.raises(AnswerRefused):
            parse_token_response(answer(GOOD, status, {"location": "https://evil.example"}))

    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 599])
    def test_an_outage_is_worth_another_try(self, status: int) -> None:
        guid = "0f8fad5b-d9cb-469f-a165-70867728950e"
        with pytest.raises(ProviderUnavailable) as caught:
            parse_token_response(
                answer(GOOD, status, {"x-ms-request-id": guid, "retry-after": "3"})
            )
        assert (caught.value.correlation_id, caught.value.retry_after) == (guid, 3)

    @pytest.mark.parametrize("body", [b"", b"access_token=at", b"[]", b"null", b"\xff", b'"at"'])
    def test_what_is_no_json_object_is_refused_without_quoting_it(self, body: bytes) -> None:
        with pytest.raises(TokenResponseError) as caught:
            parse_token_response(answer(body))
        assert "at" not in caught.value.code
        assert "access_token" not in str(caught.value)


class TestClientInfo:
    @pytest.mark.parametrize("text", ["uid.utid", "a.b.c"])
    def test_it_names_the_home_account(self, text: str) -> None:
        uid, _, utid = text.partition(".")
        assert home_account_id_in(b64(dumps({"uid": uid, "utid": utid}))) == text

    def test_padding_is_allowed(self) -> None:
        assert home_account_id_in(b64(dumps({"uid": "u", "utid": "t1"})) + "=") == "u.t1"

    @pytest.mark.parametrize(
        "value",
        [
            None, 1, "", "!", "é", "e30", b64(b"[]"), b64(b"{"), b64(b"\xff"), "a", "=====",
            b64(dumps({"uid": "u"})), b64(dumps({"uid": 1, "utid": 2})),
            b64(dumps({"uid": "", "utid": "t"})), b64(b"[" * 5000),
        ],
    )  # fmt: skip
    def test_what_says_nothing_names_nobody(self, value: object) -> None:
        assert home_account_id_in(value) is None


class TestUserInfo:
    CLAIMS = {"sub": "s", "iss": "i", "email": "a@b.example"}

    def test_the_token_goes_into_the_header_only(self) -> None:
        request = build_userinfo_request("https://idp.example/userinfo", "at")
        assert request.headers["Authorization"] == "Bearer at"
        assert (request.method, request.url) == ("GET", "https://idp.example/userinfo")

    @pytest.mark.parametrize(
        ("claims", "lacks"),
        [
            ({}, True),
            ({"name": ""}, True),
            ({"name": "A"}, False),
            ({"preferred_username": "a"}, False),
        ],
    )
    def test_it_is_asked_only_where_the_profile_is_missing(self, claims: Any, lacks: bool) -> None:
        assert lacks_profile(claims) is lacks

    def test_it_adds_and_never_changes(self) -> None:
        said = {
            "sub": "s",
            "name": "Ada",
            "email": "evil@x",
            "iss": "x",
            "tid": "t",
            "oid": "o",
            "amr": 1,
        }
        assert merge_userinfo(self.CLAIMS, answer(said)) == {**self.CLAIMS, "name": "Ada"}

    @pytest.mark.parametrize("sub", ["S", "", None, 1, ["s"]])
    def test_another_subject_is_somebody_else(self, sub: object) -> None:
        for said in ({"sub": sub, "name": "Ada"}, {"name": "Ada"}):
            with pytest.raises(UserInfoError) as caught:
                merge_userinfo(self.CLAIMS, answer(said))
            assert caught.value.code == "userinfo_sub"

    @pytest.mark.parametrize(("body", "status"), [({"sub": "s"}, 401), (b"x.y.z", 200), ([], 200)])
    def test_an_unusable_answer_is_refused(self, body: object, status: int) -> None:
        with pytest.raises(UserInfoError):
            merge_userinfo(self.CLAIMS, answer(body, status))


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
NAMES = st.sampled_from(
    "access_token token_type expires_in refresh_in scope id_token refresh_token error _x".split()
)


@given(st.dictionaries(NAMES, ANY_JSON, max_size=4), st.sampled_from([200, 400, 302, 500]))
def test_any_answer_is_tokens_or_an_error(changes: dict[str, Any], status: int) -> None:
    for body in ({**GOOD, **changes}, changes):
        try:
            found = parse_token_response(answer(body, status))
        except KeyfobError:
            continue
        assert ("access_token" in found) != ("error" in found)


@given(ANY_JSON)
def test_any_json_is_userinfo_or_refused(document: Any) -> None:
    with pytest.raises(UserInfoError):
        merge_userinfo({"sub": "somebody in particular"}, answer(document))
