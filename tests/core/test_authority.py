"""Who a site's authority is, and where its metadata is found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import ConfigurationError
from keyfob.protocol.authority import microsoft_authority, oidc_authority, tenant_authority
from keyfob.protocol.urls import is_loopback_host, origin, parse_http_url, parse_secure_url

TENANT = "11111111-aaaa-4bbb-8ccc-222222222222"


@pytest.mark.parametrize("tenant", ["common", "organizations", "consumers", TENANT, "contoso.com"])
def test_a_tenant_is_one_of_the_public_cloud(tenant: str) -> None:
    authority = tenant_authority(tenant)
    assert authority.url == f"https://login.microsoftonline.com/{tenant}"
    assert authority.environment == "login.microsoftonline.com"
    assert authority.metadata_url == f"{authority.url}/v2.0/.well-known/openid-configuration"
    assert authority.serves_many_tenants is (tenant in ("common", "organizations"))


@pytest.mark.parametrize("tenant", ["", "a/b", "..", "a b", "contoso.com/", "a?b", "-", "a\n", "é"])
def test_a_tenant_that_is_more_than_a_name_is_refused(tenant: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        tenant_authority(tenant)
    assert caught.value.setting == "TENANT_ID"


@pytest.mark.parametrize(
    ("url", "normal", "kind", "tenant"),
    [
        ("https://login.microsoftonline.us/common", None, "entra", "common"),
        (
            "https://LOGIN.microsoftonline.com:443/t.example/",
            "https://login.microsoftonline.com/t.example",
            "entra",
            "t.example",
        ),
        (
            "https://login.microsoftonline.com/common/v2.0",
            "https://login.microsoftonline.com/common",
            "entra",
            "common",
        ),
        ("http://127.0.0.1:8400/common", None, "entra", "common"),
        ("https://c.b2clogin.com/c.onmicrosoft.com/B2C_1_in", None, "b2c", "c.onmicrosoft.com"),
        ("https://c.b2clogin.com/tfp/c.onmicrosoft.com/B2C_1_in", None, "b2c", "c.onmicrosoft.com"),
        (
            "https://login.contoso.com/c.example/b2c_1_in/v2.0/",
            "https://login.contoso.com/c.example/b2c_1_in",
            "b2c",
            "c.example",
        ),
        (
            "https://contoso.ciamlogin.com",
            "https://contoso.ciamlogin.com/contoso.onmicrosoft.com",
            "ciam",
            "contoso.onmicrosoft.com",
        ),
        (
            f"https://contoso.ciamlogin.com/{TENANT}/v2.0",
            f"https://contoso.ciamlogin.com/{TENANT}",
            "ciam",
            TENANT,
        ),
        ("https://adfs.contoso.com/adfs", None, "adfs", "adfs"),
    ],
)
def test_microsofts_authorities_are_told_apart(
    url: str, normal: str | None, kind: str, tenant: str
) -> None:
    authority = microsoft_authority(url)
    assert (authority.url, authority.kind, authority.tenant) == (normal or url, kind, tenant)
    assert authority.is_microsoft


def test_adfs_has_its_metadata_without_a_version() -> None:
    found = microsoft_authority("https://adfs.contoso.com/adfs").metadata_url
    assert found == "https://adfs.contoso.com/adfs/.well-known/openid-configuration"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "login.microsoftonline.com/common",
        "http://login.microsoftonline.com/common",
        "https://login.microsoftonline.com",
        "https://login.microsoftonline.com/",
        "https://login.microsoftonline.com/v2.0",
        "https://login.microsoftonline.com/common/oauth2",
        "https://login.microsoftonline.com/common?x=1",
        "https://login.microsoftonline.com/common#x",
        "https://user:password@login.microsoftonline.com/common",
        "https://login.microsoftonline.com:99999/common",
        "https://login.microsoftonline.com\\@evil.example/common",
        "https:///common",
        "https://[::1/common",
        "ftp://login.microsoftonline.com/common",
    ],
)
def test_what_is_no_authority_of_microsofts_is_refused_by_name(url: str) -> None:
    with pytest.raises(ConfigurationError, match="AUTHORITY") as caught:
        microsoft_authority(url)
    assert caught.value.setting == "AUTHORITY"


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://idp.example", "https://idp.example"),
        ("https://idp.example/", "https://idp.example"),
        ("https://IDP.example:443/realms/x/", "https://idp.example/realms/x"),
        ("https://idp.example/.well-known/openid-configuration", "https://idp.example"),
        ("http://localhost:8080/realms/x", "http://localhost:8080/realms/x"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_any_issuer_is_an_authority(url: str, normal: str) -> None:
    authority = oidc_authority(url)
    assert (authority.url, authority.kind, authority.tenant) == (normal, "oidc", "")
    assert authority.metadata_url == f"{normal}/.well-known/openid-configuration"
    assert not authority.is_microsoft


@pytest.mark.parametrize("url", ["http://idp.example", "https://idp.example?a=b", "idp.example"])
def test_what_is_no_issuer_is_refused_by_name(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        oidc_authority(url)
    assert caught.value.setting == "OIDC_AUTHORITY"


@given(st.text(max_size=80))
def test_any_text_is_an_authority_or_a_configuration_error(text: str) -> None:
    for parse in (tenant_authority, microsoft_authority, oidc_authority):
        for url in (text, f"https://{text}", f"https://idp.example/{text}"):
            try:
                found = parse(url)
            except ConfigurationError:
                continue
            assert parse_secure_url(found.url)
            assert found.origin == origin(found.url)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("app.localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("10.0.0.1", False),
        ("", False),
        (None, False),
    ],
)
def test_only_this_machine_is_loopback(host: str | None, is_loopback: bool) -> None:
    assert is_loopback_host(host) is is_loopback


def test_an_address_longer_than_any_is_refused_unread() -> None:
    with pytest.raises(ValueError, match="too long"):
        parse_http_url("https://idp.example/" + "a" * 9000)


@pytest.mark.parametrize(
    "host",
    [
        *["a..b", ".example", "..", ".", "a.example..", f"{'a' * 64}.example", "a." * 130 + "b"],
        *[
            "a\u2028b",
            "a\u3002b",
            "a\u200bb",
            "a\xadb",
            "\ud800",
            "a%2eb",
            "a<b",
            "\u0627a.example",
        ],
        f"{'ü' * 60}.example",
    ],
)
def test_a_host_that_cannot_be_one_is_refused(host: str) -> None:
    """Whoever wrote it into a `Location` header would fail."""
    for url in (f"https://{host}/x", f"https://{host}:8443/x"):
        with pytest.raises(ValueError) as caught:
            parse_http_url(url)
        assert not isinstance(caught.value, UnicodeError)


@pytest.mark.parametrize(
    "host",
    [
        *["a.example", "a.example.", "bücher.example", "xn--bcher-kva.example", "my_service"],
        *["10.0.0.1", f"{'a' * 63}.example", "[::1]"],
    ],
)
def test_a_host_that_can_be_one_is_accepted(host: str) -> None:
    assert parse_http_url(f"https://{host}:8443/x").hostname == host.strip("[]")


@pytest.mark.parametrize("path", ["a\u2028b", "\ud800", "a\xa0b", "\u202e"])
def test_an_address_has_only_what_prints(path: str) -> None:
    with pytest.raises(ValueError, match="does not print"):
        parse_http_url(f"https://idp.example/{path}")
