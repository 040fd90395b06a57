"""Microsoft's clouds: their hosts, which of these are one and the same, and where regions are."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

AZURE_PUBLIC = "login.microsoftonline.com"
AZURE_US_GOVERNMENT = "login.microsoftonline.us"
DEPRECATED_AZURE_CHINA = "login.chinacloudapi.cn"
AZURE_GOV_FR = "login.sovcloud-identity.fr"
AZURE_GOV_DE = "login.sovcloud-identity.de"
AZURE_GOV_SG = "login.sovcloud-identity.sg"

#: Azure AD B2C's own hosts are directly below these, a tenant each.
B2C_DOMAINS = ("b2clogin.com", "b2clogin.cn", "b2clogin.us", "b2clogin.de")
#: Likewise those of Microsoft Entra External ID for customers.
CIAM_DOMAIN = "ciamlogin.com"


@dataclass(frozen=True)
class Cloud:
    """One cloud. A token, or an issuer, of one of its hosts is one of them all.

    :param hosts: the one that Microsoft prefers for requests is the first.
    :param preferred_cache: the host by which Microsoft's libraries for other languages file tokens
        in a token cache.
    :param regional_domain: its regional hosts are below this; None for below each host itself.
    :param sts_host: whose name the issuer of version 1 tokens has; None where it is the first host.
    """

    hosts: tuple[str, ...]
    preferred_cache: str
    regional_domain: str | None = None
    sts_host: str | None = None


#: What Microsoft's instance discovery answers, as of api-version 1.1, and the newer sovereign
#: clouds, which are there by their one name each.
CLOUDS = (
    Cloud(
        (AZURE_PUBLIC, "login.windows.net", "login.microsoft.com", "sts.windows.net"),
        preferred_cache="login.windows.net",
        regional_domain="login.microsoft.com",
        sts_host="sts.windows.net",
    ),
    Cloud(
        ("login.partner.microsoftonline.cn", DEPRECATED_AZURE_CHINA),
        preferred_cache="login.partner.microsoftonline.cn",
        sts_host="sts.chinacloudapi.cn",
    ),
    Cloud(
        (AZURE_US_GOVERNMENT, "login.usgovcloudapi.net"),
        preferred_cache=AZURE_US_GOVERNMENT,
        sts_host="sts.windows.net",
    ),
    *(
        Cloud((host,), preferred_cache=host, sts_host=sts_host)
        for host, sts_host in (
            ("login.microsoftonline.de", "sts.microsoftonline.de"),
            ("login-us.microsoftonline.com", "sts.windows.net"),
            (AZURE_GOV_FR, None),
            (AZURE_GOV_DE, None),
            (AZURE_GOV_SG, None),
        )
    ),
)
_BY_HOST = {host: cloud for cloud in CLOUDS for host in cloud.hosts}


def cloud_of(host: str) -> Cloud | None:
    """The cloud with this host, which is in lower case; None where Microsoft names none."""
    return _BY_HOST.get(host)


def aliases_of(host: str) -> tuple[str, ...]:
    """All names of the host's cloud: itself, then that preferred in token caches, then others."""
    cloud = cloud_of(host)
    if cloud is None:
        return (host,)
    return tuple(dict.fromkeys((host, cloud.preferred_cache, *cloud.hosts)))


def is_below(host: str, domain: str) -> bool:
    """Whether `host` is a name in `domain`, and not the domain itself."""
    label, _, rest = host.partition(".")
    return bool(label) and (rest == domain or rest.endswith(f".{domain}"))


def regional_host(host: str, region: str) -> str | None:
    """Where the cloud of `host` is in `region`; None where it is an address, with nothing below."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        cloud = cloud_of(host)
        domain = cloud.regional_domain if cloud else None
        return f"{region}.{domain or host}"
    return None
