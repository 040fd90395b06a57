"""Which user flow an ID token is of, what Azure AD B2C's errors mean, and USER_FLOWS."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import ConfigurationError, IdTokenError
from keyfob.protocol.user_flow import judge_user_flow, user_flow_code
from keyfob.web.settings import Settings, load_settings

EDIT = "B2C_1_edit"
AUTHORITY = "https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1_susi"
BASIC = {"CLIENT_ID": "11111111-2222-3333-4444-555555555555", "CLIENT_SECRET": "a secret"}


class TestTheToken:
    @pytest.mark.parametrize("must", [True, False])
    @pytest.mark.parametrize(
        "claims",
        [
            {"tfp": EDIT},
            {"tfp": "b2c_1_EDIT"},
            {"acr": "b2c_1_edit"},
            {"tfp": EDIT, "acr": "urn:something:else"},
            {"tfp": EDIT, "acr": "b2c_1_susi"},
        ],
    )
    def test_that_names_the_flow_is_good(self, claims: dict[str, Any], must: bool) -> None:
        judge_user_flow(claims, EDIT, must_be_named=must)

    @pytest.mark.parametrize("must", [True, False])
    @pytest.mark.parametrize(
        "claims",
        [
            {"tfp": "b2c_1_susi"},
            {"tfp": "b2c_1_susi", "acr": EDIT},
            {"tfp": f"{EDIT}2"},
            {"tfp": ""},
            {"tfp": [EDIT]},
            {"tfp": 1},
            {"acr": "b2c_1_susi"},
        ],
    )
    def test_that_names_another_is_refused(self, claims: dict[str, Any], must: bool) -> None:
        with pytest.raises(IdTokenError) as caught:
            judge_user_flow(claims, EDIT, must_be_named=must)
        assert caught.value.code == "user_flow"

    @pytest.mark.parametrize("claims", [{}, {"tfp": None}, {"acr": "urn:level"}, {"acr": ["x"]}])
    def test_that_names_none_is_good_for_the_sign_ins_own_flow_only(
        self, claims: dict[str, Any]
    ) -> None:
        judge_user_flow(claims, EDIT, must_be_named=False)
        with pytest.raises(IdTokenError):
            judge_user_flow(claims, EDIT, must_be_named=True)


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "description", "code"),
        [
            ("access_denied", "AADB2C90118: The user has forgotten.\r\nCorrelation", "AADB2C90118"),
            ("access_denied", "  AADB2C90091: cancelled", "AADB2C90091"),
            ("access_denied", "AADB2C901180: another", ""),
            ("access_denied", "see AADB2C90118", ""),
            ("access_denied", "", ""),
            ("server_error", "AADB2C90118: The user has forgotten", ""),
        ],
    )
    def test_have_a_number_at_their_beginning(
        self, error: str, description: str, code: str
    ) -> None:
        assert user_flow_code(error, description) == code

    @given(st.text(max_size=100), st.text(max_size=200))
    def test_of_any_shape_have_none(self, error: str, description: str) -> None:
        assert user_flow_code(error, description) in ("", description.strip()[:11])


def load(**settings: Any) -> Settings:
    return load_settings({**BASIC, "AUTHORITY": AUTHORITY, **settings}, {}, source="flask")


class TestSetting:
    def test_there_are_none_unless_they_are_set(self) -> None:
        assert load().user_flows == {}

    @pytest.mark.parametrize("value", [{"edit_profile": EDIT}, '{"edit_profile": "B2C_1_edit"}'])
    def test_a_flow_is_an_authority_of_the_same_tenant(self, value: object) -> None:
        authority = load(USER_FLOWS=value).user_flows["edit_profile"]
        assert authority.url == AUTHORITY.replace("B2C_1_susi", EDIT)
        assert (authority.kind, authority.policy) == ("b2c", EDIT)
        assert authority.metadata_url.startswith(f"{authority.url}/v2.0/.well-known/")

    @pytest.mark.parametrize(
        ("authority", "url"),
        [
            (
                "https://contoso.b2clogin.com/tfp/contoso.onmicrosoft.com/B2C_1_susi/v2.0/",
                "https://contoso.b2clogin.com/tfp/contoso.onmicrosoft.com/custom",
            ),
            (
                "https://login.shop.example/contoso.onmicrosoft.com/?p=B2C_1_susi",
                "https://login.shop.example/contoso.onmicrosoft.com/custom",
            ),
        ],
    )
    def test_wherever_the_authority_names_its_own(self, authority: str, url: str) -> None:
        settings = load(AUTHORITY=authority, USER_FLOWS={"edit_profile": "custom"})
        assert settings.user_flows["edit_profile"].url == url

    @pytest.mark.parametrize(
        "value",
        [
            {"Edit": EDIT},
            {"edit-profile": EDIT},
            {"": EDIT},
            {1: EDIT},
            {"x" * 40: EDIT},
            {"edit_profile": "../evil"},
            {"edit_profile": "a/b"},
            {"edit_profile": ""},
            {"edit_profile": None},
            {"edit_profile": ["x"]},
            {"edit_profile": "<your policy>"},
            ["edit_profile"],
            "edit_profile",
        ],
    )
    def test_what_is_no_flow_is_refused(self, value: object) -> None:
        with pytest.raises(ConfigurationError) as caught:
            load(USER_FLOWS=value)
        assert caught.value.setting == "USER_FLOWS"

    @pytest.mark.parametrize(
        "authority",
        ["https://login.microsoftonline.com/common", "https://x.ciamlogin.com/"],
    )
    def test_only_azure_ad_b2c_has_them(self, authority: str) -> None:
        with pytest.raises(ConfigurationError, match="B2C"):
            load(AUTHORITY=authority, USER_FLOWS={"edit_profile": EDIT})
        assert load(AUTHORITY=authority, USER_FLOWS={}).user_flows == {}

    def test_a_link_to_none_is_told_to_the_developer(self) -> None:
        settings = load(USER_FLOWS={"edit_profile": EDIT})
        settings.check_user_flow("edit_profile")
        with pytest.raises(ConfigurationError, match="edit_profile"):
            settings.check_user_flow("edit")
