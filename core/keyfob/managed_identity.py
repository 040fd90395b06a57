"""Tokens for the identity that Azure gives a machine: what `msal.managed_identity` offers."""

from __future__ import annotations

from keyfob.applications.managed_identity import ManagedIdentityClient
from keyfob.errors import ArcPlatformNotSupportedError, ManagedIdentityError
from keyfob.flows.managed_identity import Machine
from keyfob.protocol.managed_identity import (
    ManagedIdentity,
    ManagedIdentitySource,
    SystemAssignedManagedIdentity,
    UserAssignedManagedIdentity,
)

__all__ = [
    "APP_SERVICE",
    "AZURE_ARC",
    "CLOUD_SHELL",
    "DEFAULT_TO_VM",
    "MACHINE_LEARNING",
    "SERVICE_FABRIC",
    "ArcPlatformNotSupportedError",
    "ManagedIdentity",
    "ManagedIdentityClient",
    "ManagedIdentityError",
    "ManagedIdentitySource",
    "SystemAssignedManagedIdentity",
    "UserAssignedManagedIdentity",
    "get_managed_identity_source",
]

APP_SERVICE = ManagedIdentitySource.APP_SERVICE
AZURE_ARC = ManagedIdentitySource.AZURE_ARC
CLOUD_SHELL = ManagedIdentitySource.CLOUD_SHELL
DEFAULT_TO_VM = ManagedIdentitySource.DEFAULT_TO_VM
MACHINE_LEARNING = ManagedIdentitySource.MACHINE_LEARNING
SERVICE_FABRIC = ManagedIdentitySource.SERVICE_FABRIC


def get_managed_identity_source() -> ManagedIdentitySource:
    """Where this machine's tokens come from, told by its environment; nothing is sent.

    `DEFAULT_TO_VM` also means that nothing is known. In `CLOUD_SHELL` the tokens are the person's:
    use `PublicClientApplication(...).acquire_token_interactive(scopes, prompt="none")`.
    """
    machine = Machine()
    return machine.source(machine.environ())
