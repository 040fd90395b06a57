"""A local identity provider that speaks the Microsoft identity platform's v2.0 protocol.

For developing and testing without a cloud. ``python -m keyfob_emulator`` runs it in a terminal;
:class:`EmulatorServer` runs it in a test; :mod:`keyfob_emulator.in_process` puts it in the place of
``login.microsoftonline.com`` without a socket. Never for real people: it listens on loopback only,
and every password is printed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyfob_emulator.clouds import regional_origin
    from keyfob_emulator.managed_identity import (
        HostEnvironment,
        Machine,
        ManagedIdentity,
        Source,
    )
    from keyfob_emulator.model import (
        CONSUMERS_TENANT,
        GRAPH_CLIENT_ID,
        Account,
        Application,
        Audience,
        Directory,
        FederatedCredential,
        Group,
        Scope,
        Tenant,
        TenantKind,
        TrustedSubject,
        UserFlow,
    )
    from keyfob_emulator.sample import sample_directory
    from keyfob_emulator.server import EmulatorServer, PortTaken
    from keyfob_emulator.state import Emulator, Lifetimes
    from keyfob_emulator.web import create_app
    from keyfob_emulator.workload_identity import (
        ExternalIssuer,
        service_account,
        workload_environment,
    )

__all__ = [
    "CONSUMERS_TENANT",
    "GRAPH_CLIENT_ID",
    "Account",
    "Application",
    "Audience",
    "Directory",
    "Emulator",
    "EmulatorServer",
    "ExternalIssuer",
    "FederatedCredential",
    "Group",
    "HostEnvironment",
    "Lifetimes",
    "Machine",
    "ManagedIdentity",
    "PortTaken",
    "Scope",
    "Source",
    "Tenant",
    "TenantKind",
    "TrustedSubject",
    "UserFlow",
    "create_app",
    "regional_origin",
    "sample_directory",
    "service_account",
    "workload_environment",
]

# The pytest plugin lives in this package and is imported by every pytest run, with or without Flask
# installed: so the package itself imports nothing until a name is asked for (PEP 562).
_HOMES = {
    **dict.fromkeys(__all__, "model"),
    "Emulator": "state",
    "EmulatorServer": "server",
    "ExternalIssuer": "workload_identity",
    "HostEnvironment": "managed_identity",
    "Lifetimes": "state",
    "Machine": "managed_identity",
    "ManagedIdentity": "managed_identity",
    "PortTaken": "server",
    "Source": "managed_identity",
    "create_app": "web",
    "regional_origin": "clouds",
    "sample_directory": "sample",
    "service_account": "workload_identity",
    "workload_environment": "workload_identity",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
