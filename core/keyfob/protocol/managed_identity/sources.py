"""Where a machine's tokens come from, told by what Azure leaves in its environment."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from keyfob.errors import ManagedIdentityError
from keyfob.protocol.urls import parse_http_url


class ManagedIdentitySource(Enum):
    """The hosting service whose endpoint gives the tokens; the value is its name for people."""

    SERVICE_FABRIC = "Azure Service Fabric"
    APP_SERVICE = "Azure App Service"
    MACHINE_LEARNING = "Azure Machine Learning"
    AZURE_ARC = "Azure Arc"
    #: Here the token is the person's who sits at it, not the machine's.
    CLOUD_SHELL = "Azure Cloud Shell"
    #: None of the others: a virtual machine, or not in Azure at all.
    DEFAULT_TO_VM = "Azure VM (IMDS)"

    @property
    def what(self) -> str:
        """What its endpoint is called in messages."""
        return f"the managed identity endpoint of {self.value}"


def detect(environ: Mapping[str, str], *, himds_installed: bool) -> ManagedIdentitySource:
    """The source, by the environment's variables; an empty one counts as not there.

    :param himds_installed: whether Azure Arc's agent is installed.
    """

    def has(*names: str) -> bool:
        return all(environ.get(name) for name in names)

    if has("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        if has("IDENTITY_SERVER_THUMBPRINT"):
            return ManagedIdentitySource.SERVICE_FABRIC
        return ManagedIdentitySource.APP_SERVICE
    if has("MSI_ENDPOINT", "MSI_SECRET"):
        return ManagedIdentitySource.MACHINE_LEARNING
    if has("IDENTITY_ENDPOINT", "IMDS_ENDPOINT") or himds_installed:
        return ManagedIdentitySource.AZURE_ARC
    if environ.get("AZUREPS_HOST_ENVIRONMENT", "").startswith("cloud-shell"):
        return ManagedIdentitySource.CLOUD_SHELL
    return ManagedIdentitySource.DEFAULT_TO_VM


def endpoint_in(
    environ: Mapping[str, str], name: str, source: ManagedIdentitySource, default: str = ""
) -> str:
    """The address in the variable `name`.

    :raises ManagedIdentityError: it is none.
    """
    url = environ.get(name) or default
    try:
        parse_http_url(url)
    except ValueError as reason:
        raise ManagedIdentityError(
            f"The environment variable {name}, which names {source.value}'s endpoint, {reason}",
            source=source.value,
            code="endpoint",
        ) from None
    return url


def secret_in(environ: Mapping[str, str], name: str, source: ManagedIdentitySource) -> str:
    """The secret in the variable `name`, which is sent in a header.

    :raises ManagedIdentityError: it does not fit there (RFC 9110 §5.5).
    """
    secret = environ.get(name, "")
    if not all("!" <= character <= "~" for character in secret):
        raise ManagedIdentityError(
            f"The environment variable {name} has a character in it that {source.value}'s secret "
            "cannot have",
            source=source.value,
            code="secret",
        )
    return secret
