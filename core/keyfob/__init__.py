"""Microsoft sign-in, and the API tokens that come with it: the client core.

The client applications and the token caches have the names, verbs and results of MSAL for Python.
The web layer, on which the Flask extension and the Django app stand, is ``keyfob.web``.

Nothing heavy is imported before it is used: each name loads its own module.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from keyfob._version import __version__

if TYPE_CHECKING:
    from keyfob.applications import (
        ClientApplication,
        ConfidentialClientApplication,
        PublicClientApplication,
    )
    from keyfob.applications.auto_refresher import AutoRefresher
    from keyfob.cache import SerializableTokenCache, TokenCache
    from keyfob.errors import (
        ArcPlatformNotSupportedError,
        IdTokenError,
        KeyfobError,
        ManagedIdentityError,
    )
    from keyfob.managed_identity import (
        ManagedIdentityClient,
        SystemAssignedManagedIdentity,
        UserAssignedManagedIdentity,
    )

__all__ = [
    "ArcPlatformNotSupportedError",
    "AutoRefresher",
    "ClientApplication",
    "ConfidentialClientApplication",
    "IdTokenError",
    "KeyfobError",
    "ManagedIdentityClient",
    "ManagedIdentityError",
    "PublicClientApplication",
    "SerializableTokenCache",
    "SystemAssignedManagedIdentity",
    "TokenCache",
    "UserAssignedManagedIdentity",
    "__version__",
]

_HOMES = {
    "ArcPlatformNotSupportedError": "keyfob.errors",
    "AutoRefresher": "keyfob.applications.auto_refresher",
    "ClientApplication": "keyfob.applications",
    "ConfidentialClientApplication": "keyfob.applications",
    "IdTokenError": "keyfob.errors",
    "KeyfobError": "keyfob.errors",
    "ManagedIdentityClient": "keyfob.managed_identity",
    "ManagedIdentityError": "keyfob.errors",
    "PublicClientApplication": "keyfob.applications",
    "SerializableTokenCache": "keyfob.cache",
    "SystemAssignedManagedIdentity": "keyfob.managed_identity",
    "TokenCache": "keyfob.cache",
    "UserAssignedManagedIdentity": "keyfob.managed_identity",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
