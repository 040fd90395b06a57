"""A local identity provider that speaks the Microsoft identity platform's v2.0 protocol.

For developing and testing without a cloud. ``python -m keyfob_emulator`` runs it in a terminal;
:class:`EmulatorServer` runs it in a test; :mod:`keyfob_emulator.in_process` puts it in the place of
``login.microsoftonline.com`` without a socket. Never for real people: it listens on loopback only,
and every password is printed.
"""

from __future__ import annotations

from keyfob_emulator.model import (
    CONSUMERS_TENANT,
    GRAPH_CLIENT_ID,
    Account,
    Application,
    Audience,
    Directory,
    Scope,
    Tenant,
)
from keyfob_emulator.sample import sample_directory
from keyfob_emulator.server import EmulatorServer, PortTaken
from keyfob_emulator.state import Emulator, Lifetimes
from keyfob_emulator.web import create_app

__all__ = [
    "CONSUMERS_TENANT",
    "GRAPH_CLIENT_ID",
    "Account",
    "Application",
    "Audience",
    "Directory",
    "Emulator",
    "EmulatorServer",
    "Lifetimes",
    "PortTaken",
    "Scope",
    "Tenant",
    "create_app",
    "sample_directory",
]
