"""Entra's regional token endpoints, for tokens in an application's own name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from keyfob.errors import ConfigurationError, MetadataError
from keyfob.protocol.authority import Authority
from keyfob.protocol.clouds import regional_host
from keyfob.protocol.http import HttpRequest, HttpResponse, json_object
from keyfob.protocol.metadata import ProviderMetadata

FORCE_REGION = "MSAL_FORCE_REGION"
REGION_NAME = "REGION_NAME"
#: Azure's instance metadata service, which answers on its virtual machines only.
IMDS_URL = "http://169.254.169.254/metadata/instance/compute"
IMDS_API_VERSION = "2021-02-01"
#: Seconds. It answers at once where it is; where it is not, the address leads nowhere.
IMDS_TIMEOUT = 2.0

# One label of a host name: whatever else came in here would be another host.
_REGION = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class RegionChoice:
    """Which region an application wants: one by `name`, its own where it `detect`s it, or none."""

    name: str | None = None
    detect: bool = False


def region_choice(
    azure_region: object, authority: Authority, environ: Mapping[str, str]
) -> RegionChoice:
    """What an application's `azure_region` means.

    :param azure_region: a region's name; True to find out where this machine is; False for none;
        None for the one in the environment's MSAL_FORCE_REGION, or none. The environment's is for
        authorities that have regions.
    :raises ConfigurationError: it is no region's name, or the authority has no regions.
    """
    if azure_region is None:
        forced = environ.get(FORCE_REGION)
        if not forced or not _has_regions(authority):
            return RegionChoice()
        _judge_name(forced, FORCE_REGION)
        return RegionChoice(forced)
    if isinstance(azure_region, bool):
        return RegionChoice(detect=azure_region and _has_regions(authority))
    _judge_name(azure_region, "azure_region")
    if not _has_regions(authority):
        raise ConfigurationError(
            f"azure_region: only Microsoft Entra's clouds have regional endpoints, and "
            f"{authority.url} is none of them. Leave azure_region out"
        )
    return RegionChoice(str(azure_region))


def usable_region(name: object) -> str | None:
    """The name, where it can be a region's."""
    return name if isinstance(name, str) and _REGION.fullmatch(name) else None


def build_imds_request() -> HttpRequest:
    """Ask the machine's host where it is."""
    return HttpRequest(
        "GET",
        IMDS_URL,
        "the instance metadata service",
        params={"api-version": IMDS_API_VERSION},
        headers={"Metadata": "true"},
        timeout=IMDS_TIMEOUT,
    )


def parse_imds(response: HttpResponse) -> str | None:
    """The machine's region; None where the answer names none.

    :raises MetadataError: the answer is none.
    """
    if response.status != 200:
        return None
    document = json_object(response, "the instance metadata service", MetadataError)
    return usable_region(document.get("location"))


def at_region(authority: Authority, metadata: ProviderMetadata, region: str) -> ProviderMetadata:
    """The metadata with the token endpoint of a region, and all else central.

    Only the host changes, below the cloud's own domain; path, and so tenant and realm, are those
    of the central token endpoint. Nothing is asked of the regional host, so nothing that it could
    answer decides where an application's credentials go, or whose tokens are believed.
    """
    host = regional_host(authority.environment, region)
    if host is None:
        return metadata
    port = urlsplit(authority.url).port
    netloc = host if port is None else f"{host}:{port}"
    endpoint = urlsplit(metadata.token_endpoint)._replace(netloc=netloc)
    return replace(metadata, token_endpoint=endpoint.geturl())


def _has_regions(authority: Authority) -> bool:
    return authority.kind == "entra" and regional_host(authority.environment, "x") is not None


def _judge_name(name: object, source: str) -> None:
    if usable_region(name) is None:
        raise ConfigurationError(
            f"{source} {name!r} is no region's name: those are like westus2, in lower case, with "
            "letters, digits and hyphens, 63 at most"
        )
