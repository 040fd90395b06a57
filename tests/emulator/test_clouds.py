"""Sovereign clouds, alias hosts and regional hosts, all at once in one session; real msal there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msal
import pytest
import requests
from joserfc import jwt
from joserfc.jwk import KeySet

from keyfob_emulator import Emulator, regional_origin
from keyfob_emulator.clouds import CLOUDS, PUBLIC, cloud_of, cloud_of_graph
from keyfob_emulator.in_process import mount
from keyfob_emulator.sample import (
    CONTOSO,
    FLASK_SITE,
    FLASK_SITE_SECRET,
    NIGHTLY_JOB,
    NIGHTLY_JOB_SECRET,
)
from support.msal_sign_in import sign_in

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "https://westus2.login.microsoft.com"
REGION_OF_GOVERNMENT = "https://usgovvirginia.login.microsoftonline.us"
GRAPH_SCOPE = "https://graph.microsoft.com/.default"


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        yield made


@pytest.fixture
def emulator(session: requests.Session) -> Emulator:
    return mount(session, origins=(REGION, REGION_OF_GOVERNMENT))


def metadata(session: requests.Session, authority: str) -> dict[str, Any]:
    response = session.get(f"{authority}/v2.0/.well-known/openid-configuration")
    assert response.status_code == 200, response.text
    return dict(response.json())


def claims(session: requests.Session, authority: str, token: str) -> dict[str, Any]:
    keys = KeySet.import_key_set(session.get(metadata(session, authority)["jwks_uri"]).json())
    return dict(jwt.decode(token, keys, algorithms=["RS256"]).claims)


def instance(
    session: requests.Session, host: str, asked: str, version: str | None = "1.1"
) -> requests.Response:
    parameters = {"authorization_endpoint": asked}
    if version is not None:
        parameters["api-version"] = version
    return session.get(f"https://{host}/common/discovery/instance", params=parameters)


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize("cloud", CLOUDS, ids=lambda cloud: cloud.name)
def test_each_cloud_has_its_own_issuer_graph_and_name(
    session: requests.Session, cloud: Any
) -> None:
    document = metadata(session, f"{cloud.login_url}/{CONTOSO}")
    assert document["issuer"] == f"{cloud.login_url}/{CONTOSO}/v2.0"
    assert document["token_endpoint"] == f"{cloud.login_url}/{CONTOSO}/oauth2/v2.0/token"
    assert document["msgraph_host"] == cloud.graph_host
    assert document["cloud_instance_name"] == cloud.name
    assert document["cloud_graph_host_name"] == cloud.directory_host
    assert document["userinfo_endpoint"] == f"https://{cloud.graph_host}/oidc/userinfo"
    keys = session.get(document["jwks_uri"]).json()["keys"]
    assert {key["issuer"] for key in keys} == {f"{cloud.login_url}/{{tenantid}}/v2.0"}


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize("cloud", CLOUDS, ids=lambda cloud: cloud.name)
def test_an_alias_has_its_own_endpoints_and_the_clouds_issuer(
    session: requests.Session, cloud: Any
) -> None:
    for alias in cloud.login_hosts:
        document = metadata(session, f"https://{alias}/organizations")
        assert document["token_endpoint"].startswith(f"https://{alias}/organizations/")
        assert document["issuer"] == f"{cloud.login_url}/{{tenantid}}/v2.0"


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize("cloud", CLOUDS, ids=lambda cloud: cloud.name)
def test_a_person_signs_in_with_msal_in_every_cloud_and_is_known_at_its_graph(
    session: requests.Session, cloud: Any
) -> None:
    authority = f"{cloud.login_url}/{CONTOSO}"
    app = msal.ConfidentialClientApplication(
        FLASK_SITE, FLASK_SITE_SECRET, authority=authority, http_client=session
    )
    result = sign_in(app, session, ["User.Read"], "ada@contoso.example")
    assert result["id_token_claims"]["iss"] == f"{cloud.login_url}/{CONTOSO}/v2.0"
    access = claims(session, authority, result["access_token"])
    assert access["iss"] == f"https://{cloud.sts_host}/{CONTOSO}/"
    headers = {"Authorization": f"Bearer {result['access_token']}"}
    me = session.get(f"{cloud.graph_url}/v1.0/me", headers=headers).json()
    assert me["displayName"] == "Ada Keyring"
    (account,) = app.get_accounts()
    assert account["environment"] == cloud.login_hosts[0]
    refused = session.get(f"{cloud.graph_url}/v1.0/me")
    graph = cloud_of_graph(cloud.graph_host)
    assert graph is not None
    assert f"{graph.login_url}/common" in refused.headers["WWW-Authenticate"]


@pytest.mark.usefixtures("emulator")
def test_an_account_is_found_again_under_an_alias(session: requests.Session) -> None:
    cache = msal.TokenCache()

    def app(host: str) -> msal.ConfidentialClientApplication:
        return msal.ConfidentialClientApplication(
            FLASK_SITE,
            FLASK_SITE_SECRET,
            authority=f"https://{host}/{CONTOSO}",
            http_client=session,
            token_cache=cache,
        )

    sign_in(app("login.windows.net"), session, ["User.Read"], "ada@contoso.example")
    other = app("login.microsoftonline.com")
    (account,) = other.get_accounts()
    result = other.acquire_token_silent(["User.Read"], account)
    assert result is not None
    assert result["token_source"] == "cache"


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize("host", ["login.microsoftonline.com", "login.microsoftonline.us"])
def test_instance_discovery_tells_every_cloud_with_its_aliases(
    session: requests.Session, host: str
) -> None:
    body = instance(session, host, "https://login.microsoftonline.de/common/oauth2/authorize")
    answer = body.json()
    assert answer["tenant_discovery_endpoint"] == (
        "https://login.microsoftonline.de/common/v2.0/.well-known/openid-configuration"
    )
    assert answer["api-version"] == "1.1"
    first = answer["metadata"][0]
    assert first["preferred_network"] == "login.microsoftonline.com"
    assert first["preferred_cache"] == "login.windows.net"
    assert set(first["aliases"]) == set(PUBLIC.login_hosts)
    groups = [set(entry["aliases"]) for entry in answer["metadata"]]
    assert {"login.partner.microsoftonline.cn", "login.chinacloudapi.cn"} in groups


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize("version", ["1.0", None])
def test_the_older_instance_discovery_tells_no_aliases(
    session: requests.Session, version: str | None
) -> None:
    asked = f"https://login.microsoftonline.com/{CONTOSO}/oauth2/v2.0/authorize"
    answer = instance(session, "login.microsoftonline.com", asked, version).json()
    assert answer == {
        "tenant_discovery_endpoint": (
            f"https://login.microsoftonline.com/{CONTOSO}/v2.0/.well-known/openid-configuration"
        ),
        "api-version": "1.0",
    }


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize(
    "asked",
    [
        "https://login.example/common/oauth2/v2.0/authorize",
        "https://contosob2c.b2clogin.com/x/oauth2/v2.0/authorize",
        "https://login.microsoftonline.com.evil.example/common/oauth2/v2.0/authorize",
        "https://login.microsoftonline.com",
        "nonsense",
    ],
)
def test_a_host_of_no_cloud_is_an_invalid_instance(session: requests.Session, asked: str) -> None:
    response = instance(session, "login.microsoftonline.com", asked)
    assert response.status_code == 400
    assert response.json()["error"] == "invalid_instance"
    assert response.json()["error_codes"] == [50049]


@pytest.mark.usefixtures("emulator")
def test_an_unknown_version_of_instance_discovery_is_refused(session: requests.Session) -> None:
    asked = "https://login.microsoftonline.com/common/oauth2/v2.0/authorize"
    response = instance(session, "login.microsoftonline.com", asked, "2.0")
    assert response.json()["error_codes"] == [90023]


@pytest.mark.usefixtures("emulator")
def test_msal_refuses_an_authority_of_no_cloud(session: requests.Session) -> None:
    with pytest.raises(ValueError, match="invalid_instance"):
        msal.PublicClientApplication(
            FLASK_SITE, authority="https://login.example/common", http_client=session
        )


@pytest.mark.usefixtures("emulator")
@pytest.mark.parametrize(
    ("region", "central"),
    [
        (REGION, "https://login.microsoftonline.com"),
        (REGION_OF_GOVERNMENT, "https://login.microsoftonline.us"),
    ],
)
def test_a_region_has_its_own_endpoints_and_the_central_issuer(
    session: requests.Session, region: str, central: str
) -> None:
    document = metadata(session, f"{region}/{CONTOSO}")
    assert document["token_endpoint"] == f"{region}/{CONTOSO}/oauth2/v2.0/token"
    assert document["issuer"] == f"{central}/{CONTOSO}/v2.0"


def test_msal_goes_to_the_region_it_is_told(
    session: requests.Session, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGION_NAME", "westus2")  # else msal looks for a metadata service
    hosts: list[str] = []
    session.hooks["response"].append(lambda r, **_: hosts.append(r.url))
    app = msal.ConfidentialClientApplication(
        NIGHTLY_JOB,
        NIGHTLY_JOB_SECRET,
        authority=f"https://login.microsoftonline.com/{CONTOSO}",
        azure_region="westus2",
        http_client=session,
    )
    result = app.acquire_token_for_client([GRAPH_SCOPE])
    assert hosts[-1] == f"{REGION}/{CONTOSO}/oauth2/v2.0/token"
    token = emulator.keys.verify(result["access_token"])
    assert token is not None
    assert token["iss"] == f"https://sts.windows.net/{CONTOSO}/"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("login.microsoftonline.com", "microsoftonline.com"),
        ("westeurope.login.microsoft.com", "microsoftonline.com"),
        ("chinanorth.login.partner.microsoftonline.cn", "partner.microsoftonline.cn"),
        ("a.b.login.microsoft.com", None),
        ("-x.login.microsoft.com", None),
        ("login.microsoft.com.evil.example", None),
        ("", None),
    ],
)
def test_a_host_belongs_to_a_cloud_by_its_name_or_with_one_region_before_it(
    host: str, name: str | None
) -> None:
    cloud = cloud_of(host)
    assert (cloud.name if cloud else None) == name


def test_regional_addresses_are_written_as_msal_writes_them() -> None:
    assert regional_origin("westus2") == REGION
    assert regional_origin("usgovvirginia", "login.microsoftonline.us") == REGION_OF_GOVERNMENT
    with pytest.raises(ValueError, match="is not a region"):
        regional_origin("evil.example/")


def test_two_sessions_with_one_emulator_share_its_state(session: requests.Session) -> None:
    emulator = Emulator()
    mount(session, emulator)
    with requests.Session() as second:
        assert mount(second, emulator) is emulator
        asked = f"https://login.microsoftonline.us/{CONTOSO}"
        assert metadata(second, asked) == metadata(session, asked)
