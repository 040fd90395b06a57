"""From an application's arguments to its provider: authority, instance discovery, region."""

from __future__ import annotations

import os
from collections.abc import Mapping

from keyfob.errors import ConfigurationError
from keyfob.flows.provider import Provider
from keyfob.flows.region import Region
from keyfob.protocol.authority import (
    Authority,
    AuthorityBuilder,
    microsoft_authority,
    oidc_authority,
)
from keyfob.protocol.clouds import AZURE_PUBLIC
from keyfob.protocol.instance_discovery import discovery_endpoint
from keyfob.protocol.region import RegionChoice, region_choice

DEFAULT_AUTHORITY = f"https://{AZURE_PUBLIC}/common"


def resolve_authority(
    authority: str | AuthorityBuilder | None = None, oidc: str | None = None
) -> Authority:
    """The authority of an application's two parameters.

    :param authority: Microsoft's, with its tenant; by default that of everybody.
    :param oidc: the issuer of any OpenID Connect provider, in its place.
    :raises ConfigurationError: both are given, or the one that is cannot be.
    """
    if authority is not None and oidc is not None:
        raise ConfigurationError(
            "authority and oidc_authority exclude each other", setting="OIDC_AUTHORITY"
        )
    if oidc is not None:
        return oidc_authority(oidc)
    return microsoft_authority(DEFAULT_AUTHORITY if authority in (None, "") else authority)


def resolve_provider(
    authority: str | AuthorityBuilder | None = None,
    oidc: str | None = None,
    *,
    validate_authority: bool = True,
    instance_discovery: bool | str | None = None,
    azure_region: bool | str | None = None,
    may_be_regional: bool = True,
    environ: Mapping[str, str] = os.environ,
) -> Provider:
    """The provider of an application's parameters. Nothing is asked of the network.

    :param validate_authority: False is the older name of `instance_discovery=False`.
    :param instance_discovery: whether Microsoft is asked about a host of none of its known clouds,
        or whom to ask instead.
    :param azure_region: where the application's own tokens come from: a region's name, True to
        detect it, False for the central endpoint; None for what the environment forces.
    :param may_be_regional: False for public clients, which have no tokens in their own name.
    :param environ: the process's environment.
    :raises ConfigurationError: for what cannot be.
    """
    found = resolve_authority(authority, oidc)
    # Checked also where it is turned off, so that a wrong address is told before it is wanted.
    endpoint = discovery_endpoint(instance_discovery)
    choice = RegionChoice()
    if may_be_regional or azure_region is not None:
        choice = region_choice(azure_region, found, environ)
    return Provider(
        found,
        instance_discovery=(endpoint or False) if validate_authority else False,
        region=Region(choice, environ),
    )
