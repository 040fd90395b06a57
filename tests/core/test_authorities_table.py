"""Every kind of authority and every cloud: addresses, metadata, and whose tokens are believed.

The table is `tests/support/authority_table.txt`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from keyfob.errors import ConfigurationError, IdTokenError, MetadataError
from keyfob.protocol.authority import Authority, AuthorityBuilder, microsoft_authority
from keyfob.protocol.clouds import CLOUDS
from keyfob.protocol.id_token import Expectations, SignedIdToken, judge_claims
from keyfob.protocol.issuer import TENANT_PLACEHOLDER
from keyfob.protocol.metadata import ProviderMetadata
from support.authority_table import OTHER, TENANT, Row, authority_of, rows
from support.id_tokens import CLIENT, NOW, claims

ROWS = rows()
ADDRESSES = [(address, row) for row in ROWS for address in row.addresses]
ACCEPTED = [(row, issuer) for row in ROWS for issuer in row.accepts]
REFUSED = [(row, issuer) for row in ROWS for issuer in row.refuses]


def named(values: list[tuple[Row, str]]) -> list[str]:
    return [f"{row.addresses[0]} {issuer}" for row, issuer in values]


def believed(metadata: ProviderMetadata, issuer: str, tenant: str | None) -> bool:
    """Whether a signed token of this issuer is taken for proof."""
    about = {} if tenant is None else {"tid": tenant}
    signed = SignedIdToken(claims(iss=issuer, **about), "RS256", None)
    expected = Expectations(client_id=CLIENT, metadata=metadata, now=NOW, nonce="nonce")
    with contextlib.suppress(IdTokenError):
        return judge_claims(signed, expected)["iss"] == issuer
    return False


def impostors(issuer: str) -> Iterator[str]:
    """What is nearly this issuer, and may be anybody."""
    scheme, _, rest = issuer.partition("://")
    host, slash, path = rest.partition("/")
    yield f"{'http' if scheme == 'https' else 'https'}://{rest}"
    yield f"{scheme}://{host}.evil.example{slash}{path}"
    yield f"{scheme}://evil{host}{slash}{path}"
    yield f"{scheme}://evil.example/{host}{slash}{path}"
    yield f"{scheme}://{host}@evil.example{slash}{path}"
    yield f"{scheme}://user@{host}{slash}{path}"
    yield f"{scheme}://{host.partition(':')[0]}:444{slash}{path}"
    yield f"{scheme}://{host}{slash}{path}//"
    yield f"{scheme}://{host}/evil{slash}{path}"
    yield f"{scheme}://{host}{slash}{path}/evil"
    yield f"{scheme}://{host}{slash}{path}/../evil"
    yield f"{scheme}://{host}{slash}%2e/{path}"
    yield from (f"{issuer}{more}" for more in ("?", "#", "?x=y", "#x", " ", "\n", "\0", "%20"))
    yield f" {issuer}"
    yield f"{scheme}:\\\\{host}{slash}{path}"
    yield rest


def test_the_table_knows_every_kind_and_every_host_of_every_cloud() -> None:
    assert len(ADDRESSES) >= 60
    assert {row.facts["kind"] for row in ROWS} == {"entra", "b2c", "ciam", "adfs", "dsts", "oidc"}
    shown = {row.authority.environment for row in ROWS}
    assert {host for cloud in CLOUDS for host in cloud.hosts} <= shown
    assert all(row.accepts and row.refuses for row in ROWS)


@pytest.mark.parametrize(("address", "row"), ADDRESSES, ids=[address for address, _ in ADDRESSES])
def test_an_address_is_its_authority_however_it_is_spelled(address: str, row: Row) -> None:
    found = authority_of(address)
    assert found.kind == row.facts["kind"]
    assert found.tenant == row.facts["tenant"]
    assert found.metadata_url == row.facts["metadata"]
    assert list(found.aliases) == row.facts["aliases"].split()
    assert found.environment == found.aliases[0]
    assert found.is_microsoft is (found.kind != "oidc")
    # What is kept of it, such as in settings, is the same authority again.
    again = f"oidc {found.url}" if found.kind == "oidc" else found.url
    assert authority_of(again) == found


@pytest.mark.parametrize(("row", "issuer"), ACCEPTED, ids=named(ACCEPTED))
def test_an_issuer_of_its_own_is_accepted_and_its_tokens_are_believed(
    row: Row, issuer: str
) -> None:
    metadata = row.metadata(issuer)
    assert (metadata.issuer, metadata.realm) == (issuer, row.facts["realm"])
    many = TENANT_PLACEHOLDER in issuer
    for tenant in (TENANT, OTHER) if many else (None,):
        written = issuer.replace(TENANT_PLACEHOLDER, tenant or "")
        assert believed(metadata, written, tenant)
        assert metadata.is_issuer(written)
    if many:
        assert not believed(metadata, issuer, TENANT)
        assert not believed(metadata, issuer.replace(TENANT_PLACEHOLDER, OTHER), TENANT)
        assert not believed(metadata, issuer.replace(TENANT_PLACEHOLDER, "common"), "common")


@pytest.mark.parametrize(("row", "issuer"), REFUSED, ids=named(REFUSED))
def test_an_issuer_that_is_another_is_refused_and_its_tokens_are_not_believed(
    row: Row, issuer: str
) -> None:
    with pytest.raises(MetadataError) as caught:
        row.metadata(issuer)
    assert caught.value.code == "issuer_mismatch"
    assert row.facts["metadata"] in str(caught.value)
    metadata = row.metadata(row.accepts[0])
    for tenant in (None, TENANT, OTHER):
        written = issuer.replace(TENANT_PLACEHOLDER, tenant or "")
        # One tenant's is no issuer for them all, nor theirs for one; but it is that of its tokens.
        many = metadata.issuer_is_template or TENANT_PLACEHOLDER in issuer
        own = many and written == metadata.issuer_for(tenant)
        assert own or not believed(metadata, written, tenant)


@pytest.mark.parametrize(("row", "issuer"), ACCEPTED, ids=named(ACCEPTED))
def test_what_is_nearly_an_issuer_is_refused(row: Row, issuer: str) -> None:
    metadata = row.metadata(issuer)
    for impostor in impostors(issuer):
        if impostor in row.accepts:
            continue
        with pytest.raises(MetadataError):
            row.metadata(impostor)
        for tenant in (None, TENANT):
            assert not believed(metadata, impostor.replace(TENANT_PLACEHOLDER, TENANT), tenant)


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if row.authority.is_microsoft and "https:" in row.addresses[0]],
    ids=lambda row: row.addresses[0],
)
def test_microsofts_issuers_are_written_in_one_way(row: Row) -> None:
    scheme, _, rest = row.accepts[0].partition("://")
    host, slash, path = rest.partition("/")
    for written in (host.title(), f"{host.partition(':')[0]}:443"):
        with pytest.raises(MetadataError):
            row.metadata(f"{scheme}://{written}{slash}{path}")


def test_another_providers_host_may_have_capitals_in_it() -> None:
    [row] = [row for row in ROWS if row.addresses[0] == "oidc https://idp.example/realms/staff/"]
    issuer = "https://IDP.example/realms/staff"
    metadata = row.metadata(issuer)
    assert believed(metadata, issuer, None)
    assert not believed(metadata, issuer.lower(), None)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.addresses[0])
def test_tokens_name_the_issuer_that_the_metadata_name_word_for_word(row: Row) -> None:
    for issuer in row.accepts:
        metadata = row.metadata(issuer)
        for other in row.accepts:
            written = other.replace(TENANT_PLACEHOLDER, TENANT)
            tenant = TENANT if TENANT_PLACEHOLDER in other else None
            assert believed(metadata, written, tenant) is (other == issuer)


@pytest.mark.parametrize(
    ("address", "issuer"),
    [
        ("https://login.microsoftonline.com/<T>", "https://login.microsoftonline.com/<T>/v2.0"),
        ("https://c.b2clogin.com/c.example/b2c_1_x", "https://c.b2clogin.com/<T>/v2.0/"),
        ("https://c.b2clogin.com/c.example/b2c_1_x", "https://c.b2clogin.com/tfp/<T>/b2c_1_x/v2.0/"),
        ("https://c.ciamlogin.com", "https://<T>.ciamlogin.com/<T>/v2.0"),
        ("https://x.example/dstsv2/<T>", "https://x.example/dstsv2/<T>"),
    ],
)  # fmt: skip
def test_a_token_of_another_tenant_than_its_issuers_is_not_believed(
    address: str, issuer: str
) -> None:
    """A guest too has the tenant that they are a guest in for `tid`."""
    address, issuer = address.replace("<T>", TENANT), issuer.replace("<T>", TENANT)
    row = Row([address], {"token": f"https://x.example/{TENANT}/token"})
    metadata = row.metadata(issuer)
    assert believed(metadata, issuer, TENANT)
    assert believed(metadata, issuer, TENANT.upper())
    assert believed(metadata, issuer, None)
    assert not believed(metadata, issuer, OTHER)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://login.microsoftonline.com", "names no tenant"),
        ("https://login.microsoftonline.com/v2.0", "names no tenant"),
        ("https://login.microsoftonline.com/common/oauth2", "end in one tenant"),
        ("https://login.microsoftonline.com/common/oauth2/v2.0/authorize", "end in one tenant"),
        ("https://login.microsoftonline.com/a%2Fb", "end in one tenant"),
        ("https://login.microsoftonline.com/..", "end in one tenant"),
        ("https://login.microsoftonline.com/common?dc=x", "has a query"),
        ("https://login.microsoftonline.com/common?p=b2c_1_a&p=b2c_1_b", "has a query"),
        ("https://contoso.b2clogin.com/contoso.example?p=b2c_1_a&x=y", "has a query"),
        ("https://contoso.b2clogin.com/contoso.example?q=b2c_1_a", "has a query"),
        ("https://login.microsoftonline.com/common#x", "has a fragment"),
        ("https://contoso.b2clogin.com", "names no tenant"),
        ("https://contoso.b2clogin.com/contoso.example", "a tenant and a user flow"),
        ("https://contoso.b2clogin.com/tfp/contoso.example", "a tenant and a user flow"),
        ("https://contoso.b2clogin.com/contoso.example/b2c_1_a/b2c_1_b", "a user flow"),
        ("https://contoso.b2clogin.com/contoso.example/b2c_1_a?p=b2c_1_b", "a user flow"),
        ("https://contoso.b2clogin.com/contoso.example/b2c_1%2f", "a user flow"),
        ("https://login.contoso.example/tfp/contoso.example", "a user flow"),
        ("https://contoso.ciamlogin.com/contoso.example/x", "or in nothing"),
        ("https://contoso.ciamlogin.com/a%20b", "or in nothing"),
        ("https://contoso.ciamlogin.com?p=b2c_1_a", "or in nothing"),
        ("https://adfs.contoso.example/adfs/oauth2", "end in one tenant"),
        ("https://some.dsts.core.example/dstsv2", "/dstsv2/<tenant>"),
        ("https://some.dsts.core.example/dstsv2/a/b", "/dstsv2/<tenant>"),
        ("http://login.microsoftonline.com/common", "plain http"),
        ("https://user:hunter2@login.microsoftonline.com/common", "user name"),
        ("login.microsoftonline.com/common", "https://"),
        ("", "not an address"),
    ],
)
def test_what_is_no_authority_is_refused_with_the_cure(address: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        microsoft_authority(address)
    assert said in str(caught.value)
    assert caught.value.setting == "AUTHORITY"
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "issuer", "cure"),
    [
        (
            "oidc https://login.microsoftonline.com/contoso.example/v2.0",
            f"https://login.microsoftonline.com/{TENANT}/v2.0",
            "set AUTHORITY, and not OIDC_AUTHORITY",
        ),
        (
            "oidc https://login.microsoftonline.com/common/v2.0",
            "https://login.microsoftonline.com/{tenantid}/v2.0",
            "set AUTHORITY, or TENANT_ID",
        ),
        (
            "https://login.contoso.example/contoso.example",
            f"https://{TENANT}.ciamlogin.com/{TENANT}/v2.0",
            "name it by its id",
        ),
    ],
)
def test_an_issuer_that_might_be_meant_is_refused_with_the_cure(
    address: str, issuer: str, cure: str
) -> None:
    row = Row([address], {"token": "https://x.example/t/token"})
    with pytest.raises(MetadataError, match=cure):
        row.metadata(issuer)


@pytest.mark.parametrize(
    ("builder", "address"),
    [
        (AuthorityBuilder("login.microsoftonline.us", "contoso.example"),
         "https://login.microsoftonline.us/contoso.example"),
        (AuthorityBuilder("/contoso.ciamlogin.com/", f"/{TENANT}/"),
         f"https://contoso.ciamlogin.com/{TENANT}"),
        (AuthorityBuilder("contoso.b2clogin.com", "contoso.example/b2c_1_x"),
         "https://contoso.b2clogin.com/contoso.example/b2c_1_x"),
        (AuthorityBuilder("adfs.contoso.example", "adfs"), "https://adfs.contoso.example/adfs"),
    ],
)  # fmt: skip
def test_an_authority_may_be_built_of_its_parts(builder: AuthorityBuilder, address: str) -> None:
    assert str(builder) == address
    assert microsoft_authority(builder) == microsoft_authority(address)


def test_an_authority_is_a_value() -> None:
    one, other = (microsoft_authority("https://login.microsoftonline.com/common") for _ in range(2))
    assert one == other
    assert isinstance(one, Authority)
    assert len({one, other}) == 1
