"""Regional token endpoints, for tokens in an application's own name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.applications.authorities import resolve_provider
from keyfob.errors import ConfigurationError, MetadataError, ProviderUnreachable
from keyfob.flows.provider import Provider
from keyfob.flows.region import DETECTION_RETRY, Region
from keyfob.protocol.authority import microsoft_authority
from keyfob.protocol.region import (
    IMDS_TIMEOUT,
    RegionChoice,
    at_region,
    build_imds_request,
    parse_imds,
    region_choice,
    usable_region,
)
from keyfob.protocol.urls import parse_secure_url
from keyfob.transport import run
from support.authority_table import TENANT
from support.sign_in import Scripted, answer

NOW = 1_800_000_000
PUBLIC = f"https://login.microsoftonline.com/{TENANT}"
IMDS, METADATA = "the instance metadata service", "the provider's metadata"


def document(address: str) -> dict[str, str]:
    return {
        "issuer": f"{address}/v2.0",
        "authorization_endpoint": f"{address}/oauth2/v2.0/authorize",
        "token_endpoint": f"{address}/oauth2/v2.0/token",
        "jwks_uri": f"{address}/discovery/v2.0/keys",
    }


class Site:
    """A provider of an application that asks for a region, with its transport."""

    def __init__(
        self,
        azure_region: Any = None,
        address: str = PUBLIC,
        imds: Any = None,
        **environ: str,
    ) -> None:
        self.provider = resolve_provider(
            address, instance_discovery=False, azure_region=azure_region, environ=environ
        )
        self.wire = Scripted(
            {
                METADATA: answer(document(address)),
                IMDS: imds or answer({"location": "westeurope", "zone": "1"}),
            }
        )

    def token_endpoint(self, now: float = NOW) -> str:
        return str(run(self.provider.regional_metadata(now), self.wire).token_endpoint)

    @property
    def region(self) -> str:
        """Which region's endpoint is asked for tokens; "" for the central one."""
        host = self.token_endpoint().removeprefix("https://").split("/", 1)[0]
        label, _, domain = host.partition(".login.microsoft.com")
        return "" if domain or host == "login.microsoftonline.com" else label

    @property
    def probes(self) -> int:
        return [request.what for request in self.wire.sent].count(IMDS)


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://login.microsoftonline.com", "westus2.login.microsoft.com"),
        ("https://login.windows.net", "westus2.login.microsoft.com"),
        ("https://login.microsoft.com", "westus2.login.microsoft.com"),
        ("https://sts.windows.net", "westus2.login.microsoft.com"),
        ("https://login.microsoftonline.us", "westus2.login.microsoftonline.us"),
        ("https://login.chinacloudapi.cn", "westus2.login.chinacloudapi.cn"),
        (
            "https://login.partner.microsoftonline.cn",
            "westus2.login.partner.microsoftonline.cn",
        ),
        ("https://login.sovcloud-identity.fr", "westus2.login.sovcloud-identity.fr"),
        ("https://login.newcloud.example:8443", "westus2.login.newcloud.example:8443"),
    ],
)
def test_a_region_has_its_host_below_its_clouds(address: str, host: str) -> None:
    site = Site("westus2", f"{address}/{TENANT}")
    assert site.token_endpoint() == f"https://{host}/{TENANT}/oauth2/v2.0/token"


def test_a_region_of_this_machine_is_for_testing() -> None:
    site = Site("westus2", f"http://localhost:8400/{TENANT}")
    expected = f"http://westus2.localhost:8400/{TENANT}/oauth2/v2.0/token"
    assert site.token_endpoint() == expected


def test_all_but_the_token_endpoint_stays_central() -> None:
    site = Site("westus2")
    central = run(site.provider.metadata(NOW), site.wire)
    regional = run(site.provider.regional_metadata(NOW), site.wire)
    assert central.token_endpoint == f"{PUBLIC}/oauth2/v2.0/token"
    assert regional.realm == central.realm == TENANT
    for name in ("issuer", "jwks_uri", "authorization_endpoint", "signing_algorithms"):
        assert getattr(regional, name) == getattr(central, name)
    assert site.provider.authority.environment == "login.microsoftonline.com"
    assert [request.what for request in site.wire.sent] == [METADATA]


def test_a_region_that_is_named_is_never_looked_for() -> None:
    site = Site("eastus", REGION_NAME="westus2", MSAL_FORCE_REGION="northeurope")
    assert (site.region, site.probes) == ("eastus", 0)


def test_none_is_the_central_endpoint() -> None:
    site = Site(None, REGION_NAME="westus2")
    assert (site.region, site.probes) == ("", 0)


def test_the_environment_can_force_a_region() -> None:
    site = Site(None, MSAL_FORCE_REGION="northeurope", REGION_NAME="westus2")
    assert (site.region, site.probes) == ("northeurope", 0)
    assert Site(None, MSAL_FORCE_REGION="").region == ""


def test_false_is_the_central_endpoint_whatever_the_environment_says() -> None:
    site = Site(False, MSAL_FORCE_REGION="northeurope", REGION_NAME="westus2")
    assert (site.region, site.probes) == ("", 0)


class TestDetection:
    def test_the_environment_says_it_first(self) -> None:
        site = Site(True, REGION_NAME="westus2", MSAL_FORCE_REGION="northeurope")
        assert (site.region, site.probes) == ("westus2", 0)

    def test_a_virtual_machine_says_it_once(self) -> None:
        site = Site(True)
        for days in range(3):
            assert "westeurope." in site.token_endpoint(NOW + days * 86400)
        assert site.probes == 1

    def test_the_question_is_azures_and_short(self) -> None:
        request = build_imds_request()
        assert request.url == "http://169.254.169.254/metadata/instance/compute"
        assert request.params == {"api-version": "2021-02-01"}
        assert request.headers == {"Metadata": "true"}
        assert request.timeout == IMDS_TIMEOUT <= 5

    @pytest.mark.parametrize(
        "failure",
        [
            ProviderUnreachable("down"),
            answer(b"<html>"),
            answer(b""),
            answer(b"[]"),
            answer(b'"westus2"'),
            answer({}),
            answer({"location": None}),
            answer({"location": 7}),
            answer({"location": ""}),
            answer({"location": "West US 2"}),
            answer({"location": "evil.example/"}),
            answer({"location": "evil.example#"}),
            answer({"location": "westus2"}, 404),
            answer({"location": "westus2"}, 302),
            answer({"location": "westus2"}, 500),
        ],
    )
    def test_any_failure_means_none_for_a_while(self, failure: Any) -> None:
        site = Site(True, imds=[failure, answer({"location": "westeurope"})])
        for now in (NOW, NOW + 1, NOW + DETECTION_RETRY - 1):
            assert site.token_endpoint(now) == f"{PUBLIC}/oauth2/v2.0/token"
        assert site.probes == 1
        assert "//westeurope." in site.token_endpoint(NOW + DETECTION_RETRY)
        assert "//westeurope." in site.token_endpoint(NOW)

    @pytest.mark.parametrize("told", ["West US 2", "evil.example/", "a" * 64, "-x"])
    def test_what_the_environment_says_is_checked_and_not_guessed_around(self, told: str) -> None:
        site = Site(True, REGION_NAME=told)
        assert (site.region, site.probes) == ("", 0)

    def test_nothing_is_asked_before_the_provider_is_known(self) -> None:
        site = Site(True)
        site.wire.answers[METADATA] = answer(b"<html>")
        with pytest.raises(MetadataError):
            site.token_endpoint()
        assert site.probes == 0


@pytest.mark.parametrize("name", ["a", "westus2", "usgov-virginia", "a" * 63, "x--y"])
def test_a_regions_name_is_one_label_of_a_host(name: str) -> None:
    assert usable_region(name) == name
    assert Site(name).region == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "West US", "WESTUS", "westus2 ", "west.us", "west/us", "evil.example/", "a@b", "a:1",
     "2west", "-a", "a-", "a" * 64, "é", "a\n", "\u0441entralus", 7, [], {}, b"westus2", object()],
)  # fmt: skip
def test_what_is_no_regions_name_is_refused_at_once(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="azure_region"):
        Site(name)
    if isinstance(name, str) and name:
        with pytest.raises(ConfigurationError, match="MSAL_FORCE_REGION"):
            Site(None, MSAL_FORCE_REGION=name)


@pytest.mark.parametrize(
    "address",
    [
        "https://contoso.b2clogin.com/contoso.example/b2c_1_x",
        "https://contoso.ciamlogin.com",
        "https://adfs.contoso.example/adfs",
        "https://some.dsts.core.example/dstsv2/common",
        "http://127.0.0.1:8400/common",
        "http://[::1]:8400/common",
    ],
)
def test_only_entras_clouds_have_regions(address: str) -> None:
    with pytest.raises(ConfigurationError, match="Leave azure_region out"):
        Site("westus2", address)
    authority = microsoft_authority(address)
    for wish in (True, None):
        # What the environment forces, and what is to be tried, is for where it applies.
        choice = region_choice(wish, authority, {"MSAL_FORCE_REGION": "westus2"})
        assert choice == RegionChoice()


def test_an_openid_connect_provider_has_none() -> None:
    with pytest.raises(ConfigurationError, match="Leave azure_region out"):
        resolve_provider(None, "https://idp.example", azure_region="westus2", environ={})
    found = resolve_provider(None, "https://idp.example", environ={"MSAL_FORCE_REGION": "westus2"})
    assert found.region.choice == RegionChoice()


def test_a_forced_region_is_no_matter_where_there_are_none() -> None:
    environ = {"MSAL_FORCE_REGION": "not a region"}
    assert resolve_provider(None, "https://idp.example", environ=environ)


def test_a_public_client_is_not_forced_into_a_region() -> None:
    environ = {"MSAL_FORCE_REGION": "not a region"}
    assert resolve_provider(environ=environ, may_be_regional=False).region.choice == RegionChoice()


@given(st.text(max_size=70))
def test_whatever_is_said_to_be_the_region_the_host_stays_below_the_cloud(text: str) -> None:
    found = parse_imds(answer({"location": text}))
    provider = Provider(microsoft_authority(PUBLIC), region=Region(RegionChoice(detect=True), {}))
    wire = Scripted({METADATA: answer(document(PUBLIC)), IMDS: answer({"location": text})})
    endpoint = run(provider.regional_metadata(NOW), wire).token_endpoint
    host = parse_secure_url(endpoint).hostname or ""
    assert host == (f"{found}.login.microsoft.com" if found else "login.microsoftonline.com")
    if found:
        assert "." not in found
        metadata = run(provider.metadata(NOW), wire)
        assert at_region(provider.authority, metadata, found).token_endpoint == endpoint
