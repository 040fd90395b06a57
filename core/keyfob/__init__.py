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
    from keyfob import authority as authority
    from keyfob import errors as errors
    from keyfob import exceptions as exceptions
    from keyfob import managed_identity as managed_identity
    from keyfob.applications import (
        ClientApplication,
        ConfidentialClientApplication,
        PublicClientApplication,
    )
    from keyfob.applications.auto_refresher import AutoRefresher
    from keyfob.applications.pop_auth_scheme import PopAuthScheme
    from keyfob.cache import SerializableTokenCache, TokenCache
    from keyfob.errors import (
        ArcPlatformNotSupportedError,
        BrowserInteractionTimeoutError,
        IdTokenError,
        KeyfobError,
        ManagedIdentityError,
    )
    from keyfob.flows.auth_code import AuthCodeFlow
    from keyfob.managed_identity import (
        ManagedIdentityClient,
        SystemAssignedManagedIdentity,
        UserAssignedManagedIdentity,
    )
    from keyfob.protocol.prompt import Prompt
    from keyfob.protocol.results import Account, DeviceFlow, TokenResult

__all__ = [
    "Account",
    "ArcPlatformNotSupportedError",
    "AuthCodeFlow",
    "AutoRefresher",
    "BrowserInteractionTimeoutError",
    "ClientApplication",
    "ConfidentialClientApplication",
    "DeviceFlow",
    "IdTokenError",
    "KeyfobError",
    "ManagedIdentityClient",
    "ManagedIdentityError",
    "PopAuthScheme",
    "Prompt",
    "PublicClientApplication",
    "SerializableTokenCache",
    "SystemAssignedManagedIdentity",
    "TokenCache",
    "TokenResult",
    "UserAssignedManagedIdentity",
    "__version__",
]

_HOMES = {
    "Account": "keyfob.protocol.results",
    "ArcPlatformNotSupportedError": "keyfob.errors",
    "AuthCodeFlow": "keyfob.flows.auth_code",
    "AutoRefresher": "keyfob.applications.auto_refresher",
    "BrowserInteractionTimeoutError": "keyfob.errors",
    "ClientApplication": "keyfob.applications",
    "ConfidentialClientApplication": "keyfob.applications",
    "DeviceFlow": "keyfob.protocol.results",
    "IdTokenError": "keyfob.errors",
    "KeyfobError": "keyfob.errors",
    "ManagedIdentityClient": "keyfob.managed_identity",
    "ManagedIdentityError": "keyfob.errors",
    "PopAuthScheme": "keyfob.applications.pop_auth_scheme",
    "Prompt": "keyfob.protocol.prompt",
    "PublicClientApplication": "keyfob.applications",
    "SerializableTokenCache": "keyfob.cache",
    "SystemAssignedManagedIdentity": "keyfob.managed_identity",
    "TokenCache": "keyfob.cache",
    "TokenResult": "keyfob.protocol.results",
    "UserAssignedManagedIdentity": "keyfob.managed_identity",
}
#: Modules that are at hand after the import alone, as MSAL's are.
_MODULES = frozenset({"authority", "errors", "exceptions", "managed_identity"})


if not TYPE_CHECKING:  # a misspelt name is an error to type checkers

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
