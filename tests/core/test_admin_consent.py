"""The admin consent endpoint: its address, and what comes back, which anybody can write."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import AuthorizationResponseError, StateMismatchError
from keyfob.protocol.admin_consent import (
    CONSENTING_ROLES,
    AdminConsentClaim,
    build_admin_consent_url,
    judge_admin_consent_response,
    may_consent_for_all,
)
from keyfob.protocol.authority import microsoft_authority, tenant_authority
from keyfob.protocol.authorization import AuthorizationRefusal

TENANT = "aaaabbbb-0000-cccc-1111-dddd2222eeee"
GOOD = {"admin_consent": "True", "tenant": TENANT, "state": "s1", "scope": "a b"}


def built(**more: Any) -> str:
    fields: dict[str, Any] = {
        "client_id": "client",
        "redirect_uri": "https://site.example/auth/callback",
        "scopes": ["https://graph.microsoft.com/.default"],
        "state": "s1",
        **more,
    }
    authority = fields.pop("authority", tenant_authority("common"))
    return build_admin_consent_url(authority, **fields)


def test_the_address_has_what_microsoft_asks_for() -> None:
    parts = urlsplit(built())
    assert parts.geturl().partition("?")[0] == (
        "https://login.microsoftonline.com/organizations/v2.0/adminconsent"
    )
    assert parse_qs(parts.query) == {
        "client_id": ["client"],
        "redirect_uri": ["https://site.example/auth/callback"],
        "scope": ["https://graph.microsoft.com/.default"],
        "state": ["s1"],
    }


@pytest.mark.parametrize("tenant", [TENANT, "contoso.onmicrosoft.com"])
def test_a_tenant_that_is_named_stands_in_the_address(tenant: str) -> None:
    assert urlsplit(built(tenant=tenant)).path == f"/{tenant}/v2.0/adminconsent"


@pytest.mark.parametrize(
    "tenant", ["", None, "..", "a/b", "a?b", "%2e%2e", "@evil.example", "x" * 300, "a b", "ü"]
)
def test_what_is_no_tenant_counts_as_none(tenant: str | None) -> None:
    assert urlsplit(built(tenant=tenant)).path == "/organizations/v2.0/adminconsent"


@given(st.text(max_size=300))
def test_whatever_a_visitor_names_the_browser_goes_to_the_authority(tenant: str) -> None:
    parts = urlsplit(built(tenant=tenant))
    assert (parts.scheme, parts.netloc) == ("https", "login.microsoftonline.com")
    assert parts.path.endswith("/v2.0/adminconsent")
    assert parts.path.count("/") == 3


def test_another_cloud_has_its_own() -> None:
    authority = microsoft_authority("https://login.microsoftonline.us/organizations")
    assert built(authority=authority).startswith("https://login.microsoftonline.us/organizations/")


def test_an_agreement_names_the_tenant_in_lower_case() -> None:
    response = {**GOOD, "tenant": TENANT.upper()}
    assert judge_admin_consent_response(response, state="s1") == AdminConsentClaim(TENANT)


@pytest.mark.parametrize("more", [{"state": "s2"}, {"state": ""}, {"state": "s1x"}])
def test_another_state_is_refused_before_anything_else(more: dict[str, str]) -> None:
    with pytest.raises(StateMismatchError):
        judge_admin_consent_response({**GOOD, **more, "error": "x"}, state="s1")


def test_no_state_is_refused() -> None:
    with pytest.raises(StateMismatchError):
        judge_admin_consent_response({"admin_consent": "True", "tenant": TENANT}, state="s1")


@pytest.mark.parametrize(
    "more",
    [
        {"admin_consent": "False"},
        {"admin_consent": ""},
        {"tenant": ""},
        {"tenant": "contoso.example"},
        {"tenant": f"{TENANT}\n"},
        {"tenant": f"{TENANT}/.."},
        {"code": "a code"},
    ],
)
def test_what_is_no_agreement_is_refused(more: dict[str, str]) -> None:
    with pytest.raises(AuthorizationResponseError) as caught:
        judge_admin_consent_response({**GOOD, **more}, state="s1")
    assert caught.value.code == "no_admin_consent"


def test_an_error_is_a_refusal_also_where_it_says_admin_consent() -> None:
    response = {**GOOD, "error": "consent_required", "error_description": "AADSTS65004:\nno"}
    assert judge_admin_consent_response(response, state="s1") == AuthorizationRefusal(
        "consent_required", "AADSTS65004: no"
    )


@given(
    st.dictionaries(
        st.sampled_from(["state", "admin_consent", "tenant", "error", "error_description", "code"]),
        st.one_of(st.text(max_size=60), st.sampled_from(["s1", "True", TENANT])),
    )
)
def test_whatever_comes_back_is_judged_or_refused(response: dict[str, str]) -> None:
    try:
        found = judge_admin_consent_response(response, state="s1")
    except AuthorizationResponseError:
        return
    assert response["state"] == "s1"
    if isinstance(found, AdminConsentClaim):
        assert response["admin_consent"].lower() == "true"
        assert found.tenant == response["tenant"].lower()
        assert not {"error", "code"} & response.keys()
    else:
        assert "error" in response
        assert found.error.isprintable()


@pytest.mark.parametrize(
    ("claims", "may"),
    [
        ({}, None),
        ({"wids": None}, None),
        ({"wids": "62e90394-69f5-4237-9190-012177145e10"}, None),
        ({"wids": []}, False),
        ({"wids": ["b79fbf4d-3ef9-4689-8143-76b194e85509"]}, False),
        ({"wids": [1, None, {}]}, False),
        *(({"wids": ["x", role.upper()]}, True) for role in sorted(CONSENTING_ROLES)),
    ],
)
def test_directory_roles_tell_who_may_agree(claims: dict[str, Any], may: bool | None) -> None:
    assert may_consent_for_all(claims) is may
