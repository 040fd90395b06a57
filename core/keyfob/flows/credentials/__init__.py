"""How a client comes by its proof: some credentials must be read, signed or asked for first."""

from __future__ import annotations

from keyfob.flows.credentials.assertions import (
    CalledAssertion,
    FederatedTokenFile,
    GivenAssertion,
    ManagedIdentityAssertion,
)
from keyfob.flows.credentials.credential import (
    NO_CREDENTIALS,
    Credential,
    Credentials,
    Occasion,
    SecretCredential,
)
from keyfob.flows.credentials.files import NamedFile, Watched
from keyfob.flows.credentials.signed import SignedCredential

__all__ = [
    "NO_CREDENTIALS",
    "CalledAssertion",
    "Credential",
    "Credentials",
    "FederatedTokenFile",
    "GivenAssertion",
    "ManagedIdentityAssertion",
    "NamedFile",
    "Occasion",
    "SecretCredential",
    "SignedCredential",
    "Watched",
]
