"""The clouds Microsoft runs: their sign-in hosts, aliases, Graph hosts and regional hosts.

"National clouds and Microsoft Entra ID", and what instance discovery answers. Hosts of one cloud
are aliases of each other: each serves the same tenants, and tokens name the first one as issuer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_REGION: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Cloud:
    """One cloud. The first of ``login_hosts`` is its preferred network and its issuer."""

    name: str
    """``cloud_instance_name``"""
    login_hosts: tuple[str, ...]
    cache_host: str
    """``preferred_cache``"""
    graph_host: str
    """``msgraph_host``"""
    directory_host: str
    """``cloud_graph_host_name``"""
    sts_host: str
    """The issuer of version 1 tokens."""

    @property
    def login_url(self) -> str:
        """The address its tokens name."""
        return f"https://{self.login_hosts[0]}"

    @property
    def graph_url(self) -> str:
        """The address of Microsoft Graph."""
        return f"https://{self.graph_host}"

    @property
    def origins(self) -> tuple[str, ...]:
        """Every address it answers at, but for the regional ones."""
        return tuple(f"https://{host}" for host in (*self.login_hosts, self.graph_host))

    def as_instance(self) -> dict[str, object]:
        """Its entry in the answer of instance discovery."""
        return {
            "preferred_network": self.login_hosts[0],
            "preferred_cache": self.cache_host,
            "aliases": list(self.login_hosts),
        }


PUBLIC: Final = Cloud(
    "microsoftonline.com",
    ("login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"),
    "login.windows.net",
    "graph.microsoft.com",
    "graph.windows.net",
    "sts.windows.net",
)


def _sovereign(name: str, *login_hosts: str, graph: str, directory: str, sts: str) -> Cloud:
    return Cloud(name, login_hosts, login_hosts[0], graph, directory, sts)


CLOUDS: Final = (
    PUBLIC,
    _sovereign(
        "partner.microsoftonline.cn",
        "login.partner.microsoftonline.cn",
        "login.chinacloudapi.cn",
        graph="microsoftgraph.chinacloudapi.cn",
        directory="graph.chinacloudapi.cn",
        sts="sts.chinacloudapi.cn",
    ),
    _sovereign(
        "microsoftonline.de",
        "login.microsoftonline.de",
        graph="graph.microsoft.de",
        directory="graph.cloudapi.de",
        sts="sts.microsoftonline.de",
    ),
    _sovereign(
        "microsoftonline.us",
        "login.microsoftonline.us",
        "login.usgovcloudapi.net",
        graph="graph.microsoft.us",
        directory="graph.windows.net",
        sts="sts.windows.net",
    ),
    _sovereign(
        "us.microsoftonline.com",
        "login-us.microsoftonline.com",
        graph="graph.microsoft.com",
        directory="graph.windows.net",
        sts="sts.windows.net",
    ),
    *(
        _sovereign(
            f"sovcloud-identity.{country}",
            f"login.sovcloud-identity.{country}",
            graph=f"graph.svc.sovcloud.{country}",
            directory=f"graph.svc.sovcloud.{country}",
            sts=f"login.sovcloud-identity.{country}",
        )
        for country in ("fr", "de", "sg")
    ),
)


def cloud_of(host: str) -> Cloud | None:
    """The cloud a sign-in host belongs to: by its name, an alias, or as ``{region}.{host}``."""
    region, _, rest = host.partition(".")
    for name in (host, rest if _REGION.fullmatch(region) else ""):
        for cloud in CLOUDS:
            if name in cloud.login_hosts:
                return cloud
    return None


def cloud_of_graph(host: str) -> Cloud | None:
    """The cloud whose Microsoft Graph lives at a host."""
    return next((cloud for cloud in CLOUDS if cloud.graph_host == host), None)


def regional_origin(region: str, host: str = PUBLIC.login_hosts[0]) -> str:
    """The address of a host's regional endpoint: in the public cloud always below one name.

    :raises ValueError: when this is not how a region is written.
    """
    if not _REGION.fullmatch(region):
        raise ValueError(f"{region!r} is not a region: lower-case letters, digits and hyphens")
    return f"https://{region}.{'login.microsoft.com' if host in PUBLIC.login_hosts else host}"
