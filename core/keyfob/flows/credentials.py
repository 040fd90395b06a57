"""How a client comes by its proof: some credentials must be read or asked for first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from keyfob.flows import Flow
from keyfob.protocol.client_auth import ClientSecret, Proof
from keyfob.protocol.metadata import ProviderMetadata


@dataclass(frozen=True)
class Occasion:
    """The request that a proof is for.

    :param now: seconds since 1970.
    :param fmi_path: of a federated managed identity, where the request names one.
    """

    client_id: str
    metadata: ProviderMetadata
    now: float
    fmi_path: str | None = None


class Credential(Protocol):
    """One way of proving a client. Safe to share between threads."""

    def prove(self, occasion: Occasion) -> Flow[Proof]:
        """The proof for one request.

        :raises KeyfobError: there is none now.
        """
        ...


@dataclass(frozen=True)
class SecretCredential:
    """A secret that is at hand."""

    secret: ClientSecret = field(repr=False)

    def prove(self, occasion: Occasion) -> Flow[Proof]:
        yield from ()
        return self.secret.proof(occasion.metadata)
