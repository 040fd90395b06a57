"""Which discovery documents are believed (OpenID Connect Discovery 1.0 §3, §4.3)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import AnswerRefused, KeyfobError, MetadataError, ProviderUnavailable
from keyfob.protocol.authority import (
    Authority,
    microsoft_authority,
    oidc_authority,
    tenant_authority,
)
from keyfob.protocol.metadata import ProviderMetadata, build_metadata_request, parse_metadata
from support.sign_in import answer

TENANT = "11111111-aaaa-4bbb-8ccc-222222222222"
OTHER = "33333333-dddd-4eee-8fff-444444444444"
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"
LOGIN = "https://login.microsoftonline.com"
OIDC = oidc_authority("https://idp.example")


def document(issuer: str = "https://idp.example", **more: Any) -> dict[str, Any]:
    base = "https://idp.example"
    members = {
        "issuer": issuer,
        "authorization_endpoint": f"{base}/authorize",
        "token_endpoint": f"{base}/tenant/token",
        "jwks_uri": f"{base}/keys",
        **more,
    }
    return {name: value for name, value in members.items() if value is not ...}


def parsed(authority: Authority = OIDC, **more: Any) -> ProviderMetadata:
    return parse_metadata(authority, answer(document(**more)))


def refusal(authority: Authority = OIDC, **more: Any) -> str:
    with pytest.raises(MetadataError) as caught:
        parsed(authority, **more)
    return caught.value.code


def test_it_is_asked_for_with_one_plain_get() -> None:
    request = build_metadata_request(OIDC)
    assert (request.method, request.url) == (
        "GET",
        "https://idp.example/.well-known/openid-configuration",
    )
    assert request.form is None


def test_the_least_document_is_enough() -> None:
    metadata = parsed()
    assert metadata.signing_algorithms == {"RS256"}
    assert metadata.token_auth_methods is None
    assert metadata.scopes_supported is None
    assert metadata.userinfo_endpoint is None
    assert metadata.end_session_endpoint is None
    assert metadata.device_authorization_endpoint is None
    assert metadata.sends_issuer is False
    assert metadata.realm == "tenant"


@pytest.mark.parametrize(
    "name", ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"]
)
def test_a_provider_elsewhere_may_not_name_this_machine_by_plain_http(name: str) -> None:
    assert refusal(**{name: "http://127.0.0.1:8400/x"}) == f"{name}_refused"


def test_a_device_without_a_browser_has_an_endpoint_of_its_own() -> None:
    """RFC 8628 §4."""
    found = parsed(device_authorization_endpoint="https://idp.example/device")
    assert found.device_authorization_endpoint == "https://idp.example/device"


def test_a_root_issuer_may_end_in_a_slash_on_either_side() -> None:
    assert parsed(issuer="https://idp.example/").issuer == "https://idp.example/"
    assert parsed(oidc_authority("https://idp.example/")).issuer == "https://idp.example"


@pytest.mark.parametrize(
    "issuer",
    [
        "https://evil.example",
        "http://idp.example",
        "https://idp.example//",
        "https://idp.example/x",
        "https://idp.example?x",
        "https://idp.example.evil.example",
        "https://idp.example:444",
        " https://idp.example",
    ],
)
def test_another_issuers_document_is_refused(issuer: str) -> None:
    assert refusal(issuer=issuer) == "issuer_mismatch"


@pytest.mark.parametrize(
    ("tenant", "issuer"),
    [
        ("common", f"{LOGIN}/{{tenantid}}/v2.0"),
        ("organizations", f"{LOGIN}/{{tenantid}}/v2.0"),
        ("consumers", f"{LOGIN}/{PERSONAL}/v2.0"),
        (TENANT, f"{LOGIN}/{TENANT}/v2.0"),
        (TENANT.upper(), f"{LOGIN}/{TENANT}/v2.0"),
        ("contoso.example", f"{LOGIN}/{OTHER}/v2.0"),
        (TENANT, f"https://sts.windows.net/{TENANT}/v2.0"),
    ],
)
def test_microsofts_documents_name_the_tenant_they_are_for(tenant: str, issuer: str) -> None:
    assert parsed(tenant_authority(tenant), issuer=issuer).issuer == issuer


@pytest.mark.parametrize(
    ("tenant", "issuer"),
    [
        ("common", f"{LOGIN}/{TENANT}/v2.0"),
        ("organizations", f"{LOGIN}/common/v2.0"),
        ("consumers", f"{LOGIN}/{TENANT}/v2.0"),
        ("consumers", f"{LOGIN}/{{tenantid}}/v2.0"),
        (TENANT, f"{LOGIN}/{OTHER}/v2.0"),
        (TENANT, f"{LOGIN}/{{tenantid}}/v2.0"),
        (TENANT, f"{LOGIN}/{TENANT}"),
        (TENANT, f"{LOGIN}/x/{TENANT}/v2.0"),
        (TENANT, f"https://login.microsoftonline.us/{TENANT}/v2.0"),
        (TENANT, f"https://login.microsoftonline.com.evil.example/{TENANT}/v2.0"),
        (TENANT, f"https://login.windows.net:444/{TENANT}/v2.0"),
        ("contoso.example", f"{LOGIN}/contoso.example/v2.0"),
        ("common", "{tenantid}"),
        ("common", "http://login.microsoftonline.com/{tenantid}/v2.0"),
    ],
)
def test_microsofts_documents_for_somebody_else_are_refused(tenant: str, issuer: str) -> None:
    assert refusal(tenant_authority(tenant), issuer=issuer) == "issuer_mismatch"


@pytest.mark.parametrize(
    ("authority", "issuer", "good"),
    [
        (
            "https://c.b2clogin.com/c.example/b2c_1_x",
            f"https://c.b2clogin.com/{TENANT}/v2.0/",
            True,
        ),
        (
            "https://c.b2clogin.com/c.example/b2c_1_x",
            f"https://d.b2clogin.com/{TENANT}/v2.0/",
            False,
        ),
        (
            "https://c.b2clogin.com/c.example/b2c_1_x",
            "https://c.b2clogin.com/{tenantid}/v2.0/",
            False,
        ),
        ("https://c.ciamlogin.com", f"https://{TENANT}.ciamlogin.com/{TENANT}/v2.0", True),
        ("https://c.ciamlogin.com", f"https://evil.ciamlogin.com/{TENANT}/v2.0", False),
        ("https://c.ciamlogin.com", f"https://{TENANT}.ciamlogin.com.evil.example/x", False),
        ("https://adfs.example/adfs", "https://adfs.example/adfs", True),
        ("https://adfs.example/adfs", "http://adfs.example/adfs", False),
    ],
)
def test_each_kind_of_authority_has_its_own_host(authority: str, issuer: str, good: bool) -> None:
    kind = microsoft_authority(authority)
    if good:
        assert parsed(kind, issuer=issuer).issuer == issuer
    else:
        assert refusal(kind, issuer=issuer) == "issuer_mismatch"


@pytest.mark.parametrize("name", ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize("value", [..., None, "", 1, [], {}])
def test_a_document_without_what_is_needed_is_refused(name: str, value: object) -> None:
    assert refusal(**{name: value}) == f"{name}_missing"


@pytest.mark.parametrize(
    "name",
    [
        "authorization_endpoint",
        "token_endpoint",
        "jwks_uri",
        "userinfo_endpoint",
        "end_session_endpoint",
        "device_authorization_endpoint",
    ],
)
@pytest.mark.parametrize(
    "value",
    [
        "http://idp.example/x",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "//idp.example/x",
        "/x",
        "https://u:p@idp.example/x",
        "https://idp.example/x#y",
        "https://idp.example/x y",
        "https://idp.example\\@evil.example",
        "https://idp.example:0x1/",
        "https://[::1",
        "https://idp.example/\r\nX: y",
    ],
)
def test_an_address_that_must_not_be_used_is_refused(name: str, value: str) -> None:
    assert refusal(**{name: value}) == f"{name}_refused"


def test_addresses_of_a_provider_on_this_machine_may_be_plain_http() -> None:
    here = "http://127.0.0.1:8400"
    found = parsed(oidc_authority(here), issuer=here, jwks_uri="http://localhost:8401/keys")
    assert found.jwks_uri == "http://localhost:8401/keys"


@pytest.mark.parametrize(
    ("listed", "usable"),
    [
        (["RS256"], {"RS256"}),
        (["RS256", "PS512", "ES384", "EdDSA", "HS256", "none"], {"RS256", "PS512", "ES384"}),
    ],
)
def test_only_asymmetric_algorithms_are_taken_over(listed: list[str], usable: set[str]) -> None:
    assert parsed(id_token_signing_alg_values_supported=listed).signing_algorithms == usable


@pytest.mark.parametrize("listed", [[], ["none"], ["HS256", "none"], ["rs256"], ["EdDSA"]])
def test_a_provider_with_no_usable_algorithm_is_refused(listed: list[str]) -> None:
    assert refusal(id_token_signing_alg_values_supported=listed) == "no_usable_algorithm"


@pytest.mark.parametrize("value", ["RS256", {"RS256": 1}, [1], [None], 1, [["RS256"]]])
@pytest.mark.parametrize(
    "name",
    [
        "id_token_signing_alg_values_supported",
        "token_endpoint_auth_methods_supported",
        "scopes_supported",
    ],
)
def test_a_list_of_names_that_is_none_is_refused(name: str, value: object) -> None:
    assert refusal(**{name: value}) == f"{name}_refused"


@pytest.mark.parametrize(("value", "sends"), [(True, True), (False, False), ("true", False)])
def test_only_true_promises_an_issuer_in_each_response(value: object, sends: bool) -> None:
    assert parsed(authorization_response_iss_parameter_supported=value).sends_issuer is sends


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("graph.microsoft.com", "https://graph.microsoft.com/v1.0"),
        ("dod-graph.microsoft.us", "https://dod-graph.microsoft.us/v1.0"),
        ("evil.example/x", None),
        ("user@evil.example", None),
        ("graph.microsoft.com:99999", None),
        ("[1.2.3.4]", None),
        ("[:::::]", None),
        ("", None),
        (1, None),
    ],
)
def test_graphs_address_is_that_of_the_cloud(host: object, url: str | None) -> None:
    issuer = f"{LOGIN}/{TENANT}/v2.0"
    assert parsed(tenant_authority(TENANT), issuer=issuer, msgraph_host=host).graph_url == url


def test_only_microsoft_names_graphs_address() -> None:
    assert parsed(msgraph_host="graph.microsoft.com").graph_url is None


@pytest.mark.parametrize("tenant", [None, "", "common", "x", f"{TENANT}/", f"{TENANT}\n"])
def test_no_issuer_is_made_for_what_is_no_tenant(tenant: str | None) -> None:
    metadata = parsed(tenant_authority("common"), issuer=f"{LOGIN}/{{tenantid}}/v2.0")
    assert metadata.issuer_for(tenant) is None
    assert metadata.issuer_for(TENANT) == f"{LOGIN}/{TENANT}/v2.0"
    assert not metadata.is_issuer(f"{LOGIN}/{tenant}/v2.0")


def test_an_issuer_is_theirs_word_for_word_whatever_the_tenant() -> None:
    template = parsed(tenant_authority("common"), issuer=f"{LOGIN}/{{tenantid}}/v2.0")
    assert template.is_issuer(f"{LOGIN}/{TENANT}/v2.0")
    for other in (
        "",
        template.issuer,
        f"{LOGIN}/{TENANT}/v2.0/",
        f"{LOGIN}/{TENANT}",
        f"https://evil.example/{TENANT}/v2.0",
        f"{LOGIN}//v2.0",
    ):
        assert not template.is_issuer(other)
    one = parsed()
    assert one.is_issuer(one.issuer)
    assert not one.is_issuer(f"{one.issuer}/")
    assert not one.is_issuer("")


@pytest.mark.parametrize("status", [201, 204, 400, 401, 404, 410])
def test_no_metadata_there_is_said_with_the_address(status: int) -> None:
    with pytest.raises(MetadataError, match=r"idp\.example.*spelled right") as caught:
        parse_metadata(OIDC, answer(document(), status))
    assert caught.value.code == "metadata_not_found"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with pytest.raises(AnswerRefused) as caught:
        parse_metadata(OIDC, answer(document(), status))
    assert caught.value.code == "redirect_refused"


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [("120", 120), (" 7 ", 7), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None), ("", None),
     ("٣", None), ("9" * 30, None)],
)  # fmt: skip
def test_an_outage_says_when_to_come_back(sent: str, seconds: int | None) -> None:
    for status in (429, 500, 503):
        with pytest.raises(ProviderUnavailable) as caught:
            parse_metadata(OIDC, answer(b"<html>", status, {"retry-after": sent}))
        assert (caught.value.status, caught.value.retry_after) == (status, seconds)
        assert caught.value.retryable


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "not_json"),
        (b"<html>", "not_json"),
        (b"\xff{}", "not_json"),
        (b'{"issuer": NaN}', "not_json"),
        (b'{"a": "\\ud800"}', "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'{"a":' + b"9" * 10_000 + b"}", "not_json"),
        (b"[]", "not_an_object"),
        (b"null", "not_an_object"),
        (b'"https://idp.example"', "not_an_object"),
    ],
)
def test_what_is_no_json_object_is_refused_without_quoting_it(body: bytes, code: str) -> None:
    with pytest.raises(MetadataError) as caught:
        parse_metadata(OIDC, answer(body))
    assert caught.value.code == code
    assert "secret" not in str(caught.value)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        *document(),
        "userinfo_endpoint",
        "end_session_endpoint",
        "device_authorization_endpoint",
        "id_token_signing_alg_values_supported",
        "token_endpoint_auth_methods_supported",
        "scopes_supported",
        "authorization_response_iss_parameter_supported",
        "msgraph_host",
    ]
)


@given(st.dictionaries(NAMES, ANY_JSON, max_size=4), st.booleans())
def test_any_document_is_believed_or_refused(changes: dict[str, Any], microsoft: bool) -> None:
    authority = tenant_authority("common") if microsoft else OIDC
    issuer = f"{LOGIN}/{{tenantid}}/v2.0" if microsoft else "https://idp.example"
    body = json.dumps({**document(issuer), **changes}).encode()
    try:
        metadata = parse_metadata(authority, answer(body))
    except MetadataError:
        return
    assert isinstance(metadata.realm, str)
    assert metadata.graph_url is None or metadata.graph_url.endswith("/v1.0")


@given(st.binary(max_size=60), st.integers(100, 599))
def test_any_bytes_are_refused(body: bytes, status: int) -> None:
    with pytest.raises(KeyfobError):
        parse_metadata(OIDC, answer(body, status))


def test_microsofts_many_tenants_as_a_plain_issuer_are_refused_with_the_cure() -> None:
    authority = oidc_authority(f"{LOGIN}/common/v2.0")
    with pytest.raises(MetadataError, match="set AUTHORITY, or TENANT_ID"):
        parsed(authority, issuer=f"{LOGIN}/{{tenantid}}/v2.0")
