"""Whatever an authority or an issuer is made to look like, it is nobody else's."""

from __future__ import annotations

import contextlib
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import ConfigurationError, MetadataError
from keyfob.protocol.authority import microsoft_authority, oidc_authority
from keyfob.protocol.clouds import aliases_of, cloud_of, is_below, regional_host
from keyfob.protocol.issuer import TENANT_PLACEHOLDER, is_own_issuer, tenant_of_issuer
from keyfob.protocol.urls import is_loopback_host, parse_secure_url
from support.authority_table import OTHER, TENANT, Row, rows

ROWS = rows()
HOSTS = st.sampled_from(
    [
        *{row.authority.environment for row in ROWS},
        "login.microsoftonline.com.evil.example",
        "evil.example",
        "evilb2clogin.com",
        "b2clogin.com",
        "ciamlogin.com",
        f"{OTHER}.ciamlogin.com",
        "westus2.login.microsoft.com",
        "localhost",
        "10.0.0.1",
        "[::1]",
        "xn--lgin-8qa.microsoftonline.com",
    ]
)
SEGMENTS = st.sampled_from(
    [
        *["common", "consumers", "contoso.example", "b2c_1_x", "tfp", "adfs", "dstsv2", "v2.0"],
        *[TENANT, OTHER, TENANT_PLACEHOLDER, "oauth2", "..", ".", "", "%2e%2e", "a b", "é", "%00"],
    ]
)
SCHEMES = st.sampled_from(["https", "http", "HTTPS", "ftp", "javascript", ""])
ENDS = st.sampled_from(
    [
        "",
        "/",
        "//",
        "?",
        "#",
        "?p=b2c_1_x",
        "?p=evil",
        "?x=y",
        "#x",
        "\\",
        "\n",
        " ",
        "@evil.example",
    ]
)
PREFIXES = st.sampled_from(["", "user@", "user:password@", "evil.", " "])
PORTS = st.sampled_from(["", "", ":443", ":444", ":0", ":x", ":99999"])
ADDRESSES = st.builds(
    lambda scheme, prefix, host, port, path, end: (
        f"{scheme}://{prefix}{host}{port}/{'/'.join(path)}{end}"
    ),
    *(SCHEMES, PREFIXES, HOSTS, PORTS, st.lists(SEGMENTS, max_size=4), ENDS),
)


@given(ADDRESSES | st.text(max_size=60))
def test_any_address_is_an_authority_of_its_own_host_or_refused(address: str) -> None:
    for parse in (microsoft_authority, oidc_authority):
        try:
            found = parse(address)
        except ConfigurationError:
            continue
        parts = parse_secure_url(address)
        for url in (found.url, found.metadata_url):
            ours = parse_secure_url(url)
            assert ours.hostname == (parts.hostname or "").lower() == found.environment
            assert (ours.port or 443) == (parts.port or 443) or ours.scheme == "http"
            assert not ours.query
            assert not ours.fragment
            assert ours.username is None
        assert ours.scheme == "https" or is_loopback_host(ours.hostname)
        assert ".." not in urlsplit(found.url).path.split("/") or found.kind == "oidc"
        assert parse(found.url) == found


@given(st.sampled_from(ROWS), ADDRESSES | st.text(max_size=60), st.lists(HOSTS, max_size=2))
def test_any_issuer_that_is_accepted_is_one_of_its_kinds_few(
    row: Row, issuer: str, aliases: list[str]
) -> None:
    authority = row.authority
    if not is_own_issuer(authority, issuer, aliases):
        return
    parts = parse_secure_url(issuer)
    host = parts.hostname or ""
    named = tenant_of_issuer(issuer)
    assert not parts.query
    assert not parts.fragment
    if authority.origin.startswith("https"):
        assert parts.scheme == "https"
    assert (
        host == authority.environment
        or (host in {*authority.aliases, *aliases} and authority.kind == "entra")
        # External ID's host has the name of the tenant, and nobody else's.
        or host == f"{named}.ciamlogin.com"
    )
    if authority.tenant == TENANT and authority.kind in ("entra", "b2c", "ciam", "dsts"):
        assert named == TENANT
    if TENANT_PLACEHOLDER in issuer:
        assert authority.serves_many_tenants


@given(st.sampled_from(ROWS), st.data())
def test_one_changed_character_makes_another_issuer(row: Row, data: st.DataObject) -> None:
    authority = row.authority
    issuer = data.draw(st.sampled_from(row.accepts))
    place = data.draw(st.integers(0, len(issuer) - 1))
    character = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
    changed = issuer[:place] + character + issuer[place + 1 :]
    if changed.lower() == issuer.lower() or changed in row.accepts:
        return
    if is_own_issuer(authority, changed):
        # Only where the id is the provider's to know: a tenant that is named by its domain.
        assert tenant_of_issuer(changed) is not None
        assert authority.tenant not in (TENANT, *("common", "organizations", "consumers"))
        assert urlsplit(changed).hostname in (
            authority.environment,
            *authority.aliases,
            f"{tenant_of_issuer(changed)}.ciamlogin.com",
        )


@given(HOSTS | st.text(max_size=40))
def test_a_hosts_names_are_those_of_its_cloud(host: str) -> None:
    names = aliases_of(host)
    assert names[0] == host
    assert len(set(names)) == len(names)
    for name in names:
        assert cloud_of(name) is cloud_of(host)
        assert set(aliases_of(name)) == set(names)


@given(st.text(max_size=30), st.sampled_from(["b2clogin.com", "ciamlogin.com"]))
def test_only_names_below_a_domain_are_below_it(text: str, domain: str) -> None:
    assert is_below(f"{text}.{domain}", domain) is bool(text.split(".", 1)[0])
    assert not is_below(domain, domain)
    assert not is_below(f"{text}{domain}", domain) or text.endswith(".")
    assert not is_below(f"{domain}.{text}", domain) or text.endswith(domain)


@given(HOSTS)
def test_a_region_is_below_the_cloud(host: str) -> None:
    found = regional_host(host, "westus2")
    if found is None:
        assert host in ("127.0.0.1", "10.0.0.1", "::1")
    else:
        assert found in (f"westus2.{name}" for name in aliases_of(host))


@given(ADDRESSES | st.text(max_size=60))
def test_an_issuers_tenant_is_an_id_or_none(issuer: str) -> None:
    assert tenant_of_issuer(issuer) in (None, TENANT, OTHER)


@given(ADDRESSES)
def test_a_password_in_an_address_is_not_told(address: str) -> None:
    told = ""
    for parse in (microsoft_authority, oidc_authority):
        with contextlib.suppress(ConfigurationError):
            assert "password" not in parse(address).url
        try:
            parse(address)
        except ConfigurationError as error:
            told += str(error)
    assert "password" not in told


def test_an_error_shows_no_more_of_an_issuer_than_is_sensible() -> None:
    [row] = [row for row in ROWS if row.addresses[0] == "oidc https://idp.example"]
    with pytest.raises(MetadataError) as caught:
        row.metadata("https://evil.example/" + "x" * 5000)
    assert len(str(caught.value)) < 500
