"""Tokens for the identity that Azure gives a machine: one module per place they come from.

Each has what builds the request and what judges the answer. Microsoft's documents say it per
hosting service; there is no common specification.
"""

from keyfob.protocol.managed_identity.identity import (
    Identity,
    ManagedIdentity,
    SystemAssignedManagedIdentity,
    UserAssignedManagedIdentity,
    identity_of,
)
from keyfob.protocol.managed_identity.sources import ManagedIdentitySource, detect

__all__ = [
    "Identity",
    "ManagedIdentity",
    "ManagedIdentitySource",
    "SystemAssignedManagedIdentity",
    "UserAssignedManagedIdentity",
    "detect",
    "identity_of",
]
