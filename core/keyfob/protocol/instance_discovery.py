"""Microsoft's instance discovery: whether a host that nobody knows is one of its clouds.

A host that only looks like Microsoft's could be told secrets, and could sign anybody in. So before
anything is sent to one that is not in the table of clouds, Microsoft is asked about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyfob.errors import ConfigurationError, MetadataError
from keyfob.protocol.authority import Authority
from keyfob.protocol.clouds import AZURE_PUBLIC
from keyfob.protocol.http import HttpRequest, HttpResponse, json_object, refuse_unusable_status
from keyfob.protocol.urls import is_loopback_host, parse_secure_url

PUBLIC_ENDPOINT = f"https://{AZURE_PUBLIC}/common/discovery/instance"
#: The first that answers with aliases.
API_VERSION = "1.1"

_WHAT = "Microsoft's instance discovery"


@dataclass(frozen=True)
class Instance:
    """What Microsoft says of a host that it vouches for.

    :param aliases: all names of its cloud, the host itself the first.
    :param metadata_url: where its discovery document is.
    """

    aliases: tuple[str, ...]
    metadata_url: str


def discovery_endpoint(instance_discovery: object) -> str | None:
    """Where to ask, by an application's `instance_discovery`; None for nowhere.

    :param instance_discovery: True or None for Microsoft's own, False for none, or the address of
        another, such as a private cloud's.
    :raises ConfigurationError: it is nothing of that.
    """
    if instance_discovery is None or instance_discovery is True:
        return PUBLIC_ENDPOINT
    if instance_discovery == PUBLIC_ENDPOINT:
        return PUBLIC_ENDPOINT  # it was judged when it was written down
    if instance_discovery is False:
        return None
    try:
        if parse_secure_url(instance_discovery).query:
            raise ValueError("has a query")
    except ValueError as reason:
        raise ConfigurationError(
            f"instance_discovery {reason}. It is True, False, or the address of an instance "
            "discovery endpoint"
        ) from None
    return str(instance_discovery)


def is_to_be_asked_about(authority: Authority, endpoint: str) -> bool:
    """Whether the authority's host is one that only instance discovery can vouch for.

    Not the hosts of known clouds; not Azure AD B2C, External ID, AD FS, dSTS and other OpenID
    Connect providers, of which it knows nothing; and not this machine, of which Microsoft knows
    nothing, while an endpoint of the application's own may.
    """
    if authority.kind != "entra" or authority.is_of_known_cloud:
        return False
    return endpoint != PUBLIC_ENDPOINT or not is_loopback_host(authority.environment)


def build_instance_request(authority: Authority, endpoint: str) -> HttpRequest:
    """Ask `endpoint` about the host of `authority`."""
    return HttpRequest(
        "GET",
        endpoint,
        _WHAT,
        params={
            "authorization_endpoint": f"{authority.url}/oauth2/v2.0/authorize",
            "api-version": API_VERSION,
        },
        headers={"Accept": "application/json"},
    )


def parse_instance(authority: Authority, response: HttpResponse) -> Instance:
    """What the answer says of the host of `authority`.

    :raises MetadataError: with code `invalid_instance`, the host is none of Microsoft's; with
        another, the answer is none.
    :raises TransportError: a redirect, 429 or 5xx.
    """
    refuse_unusable_status(response, _WHAT)
    document = json_object(response, _WHAT, MetadataError)
    host = authority.environment
    if document.get("error") == "invalid_instance":
        raise MetadataError(
            f"AUTHORITY: Microsoft knows no cloud at {host}. Is it spelled right? Where you vouch "
            "for the host yourself, as for a private cloud, or External ID under a domain of its "
            "own, set instance_discovery=False; another OpenID Connect provider is OIDC_AUTHORITY",
            code="invalid_instance",
        )
    found = document.get("tenant_discovery_endpoint")
    if response.status != 200 or "error" in document or not isinstance(found, str):
        raise MetadataError(
            f"{_WHAT} did not say whether {host} is one of Microsoft's (HTTP {response.status})",
            code="instance_discovery",
        )
    aliases = _aliases(host, document)
    return Instance(aliases, _metadata_url(authority, aliases, found))


def _aliases(host: str, document: Mapping[str, Any]) -> tuple[str, ...]:
    """The names in the host's own row; what of it is not as it should be is passed over."""
    rows = document.get("metadata")
    for row in rows if isinstance(rows, list) else []:
        listed = row.get("aliases") if isinstance(row, dict) else None
        names = [_host(name) for name in listed] if isinstance(listed, list) else []
        if host in names:
            preferred = _host(row.get("preferred_cache"))
            ordered = [host, *([preferred] if preferred in names else []), *names]
            return tuple(dict.fromkeys(name for name in ordered if name))
    return (host,)


def _host(name: object) -> str | None:
    """The host, in lower case and without its port: an `environment` of the token cache."""
    if not isinstance(name, str):
        return None
    try:
        parts = parse_secure_url(f"https://{name}")
    except ValueError:
        return None
    return parts.hostname if parts.path == "" and not parts.query and not parts.fragment else None


def _metadata_url(authority: Authority, aliases: tuple[str, ...], found: str) -> str:
    """The address that was answered, where it differs from the authority's own by the host only,
    and that is one that was vouched for.

    Any other would let the answer choose the tenant, or whom to believe altogether. The host's own
    metadata are where OpenID Connect has them.
    """
    own = authority.metadata_url
    vouched_for = {authority.origin, *(f"https://{alias}" for alias in aliases)}
    path = own.removeprefix(authority.origin)
    return found if found in {f"{where}{path}" for where in vouched_for} else own
