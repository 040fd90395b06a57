"""From an application's parameters to its provider, with no network."""

from __future__ import annotations

from typing import Any

import pytest

import keyfob.authority
from keyfob.applications.authorities import resolve_authority, resolve_provider
from keyfob.authority import (
    AZURE_GOV_DE,
    AZURE_GOV_FR,
    AZURE_GOV_SG,
    AZURE_PUBLIC,
    AZURE_US_GOVERNMENT,
    DEPRECATED_AZURE_CHINA,
    AuthorityBuilder,
)
from keyfob.errors import ConfigurationError, MetadataError
from keyfob.protocol.clouds import cloud_of
from keyfob.transport import RequestsTransport, run
from support.provider import Provider as Cloud
from support.sign_in import Scripted, answer

UNKNOWN = "https://login.newcloud.example/common"
INSTANCE, METADATA = "Microsoft's instance discovery", "the provider's metadata"


def asked(**options: Any) -> list[str]:
    """What is asked of whom, until the metadata turn out to be none."""
    provider = resolve_provider(UNKNOWN, environ={}, **options)
    vouching = answer({"tenant_discovery_endpoint": "x"})
    wire = Scripted({INSTANCE: vouching, METADATA: answer(b"<html>")})
    with pytest.raises(MetadataError):
        run(provider.metadata(0), wire)
    return [request.url.split("/")[2] for request in wire.sent]


def test_everybodys_authority_is_the_default() -> None:
    for nothing in (None, ""):
        assert resolve_authority(nothing).url == "https://login.microsoftonline.com/common"


def test_an_authority_may_be_given_in_parts() -> None:
    found = resolve_authority(AuthorityBuilder(AZURE_US_GOVERNMENT, "contoso.example"))
    assert found.url == "https://login.microsoftonline.us/contoso.example"


@pytest.mark.parametrize("authority", ["https://login.microsoftonline.com/common", UNKNOWN])
def test_one_authority_is_enough(authority: str) -> None:
    with pytest.raises(ConfigurationError, match="exclude each other"):
        resolve_authority(authority, "https://idp.example")


@pytest.mark.parametrize("wrong", [7, b"https://login.microsoftonline.com/common", [], object()])
def test_what_is_no_address_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError):
        resolve_authority(wrong)
    with pytest.raises(ConfigurationError):
        resolve_authority(None, wrong)


@pytest.mark.parametrize(
    "options", [{}, {"instance_discovery": None}, {"instance_discovery": True}]
)
def test_microsoft_is_asked_about_a_host_that_nobody_knows(options: dict[str, Any]) -> None:
    assert asked(**options) == ["login.microsoftonline.com", "login.newcloud.example"]


@pytest.mark.parametrize(
    "options",
    [
        {"instance_discovery": False},
        {"validate_authority": False},
        {"validate_authority": False, "instance_discovery": True},
        {"validate_authority": False, "instance_discovery": "https://own.example/instance"},
    ],
)
def test_either_name_turns_it_off(options: dict[str, Any]) -> None:
    assert asked(**options) == ["login.newcloud.example"]


def test_another_may_be_asked() -> None:
    own = "https://own.example/instance"
    assert asked(instance_discovery=own) == ["own.example", "login.newcloud.example"]


def test_a_wrong_endpoint_is_refused_even_where_it_is_turned_off() -> None:
    with pytest.raises(ConfigurationError, match="instance_discovery"):
        resolve_provider(validate_authority=False, instance_discovery="http://own.example")


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSAL_FORCE_REGION", "westus2")
    assert resolve_provider().region.choice.name == "westus2"


def test_the_public_module_has_msals_names() -> None:
    assert AZURE_PUBLIC == "login.microsoftonline.com"
    assert AZURE_US_GOVERNMENT == "login.microsoftonline.us"
    assert DEPRECATED_AZURE_CHINA == "login.chinacloudapi.cn"
    named = (AZURE_GOV_FR, AZURE_GOV_DE, AZURE_GOV_SG)
    assert [name.rsplit(".", 1)[1] for name in named] == ["fr", "de", "sg"]
    for name in keyfob.authority.__all__:
        value = getattr(keyfob.authority, name)
        assert value is AuthorityBuilder or cloud_of(value) is not None


def test_a_builder_shows_its_parts() -> None:
    builder = AuthorityBuilder("/login.microsoftonline.com/", "common")
    assert repr(builder) == "AuthorityBuilder('login.microsoftonline.com', 'common')"


def test_a_private_clouds_own_instance_discovery_vouches_for_it() -> None:
    with Cloud(entra=True) as cloud:
        endpoint = f"{cloud.base}/common/discovery/instance"
        provider = resolve_provider(
            cloud.authority("common"), instance_discovery=endpoint, environ={}
        )
        transport = RequestsTransport(timeout=5)
        found = run(provider.metadata(0), transport)
        transport.close()
        paths = [request.path for request in cloud.requests]
    assert found.issuer == f"{cloud.base}/{{tenantid}}/v2.0"
    assert paths == [
        "/common/discovery/instance",
        "/common/v2.0/.well-known/openid-configuration",
    ]
