"""What every credential is, and the order in which a client tries its own."""

from __future__ import annotations

from collections.abc import Iterable
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

    @property
    def kind(self) -> str:
        """What it is, for people."""
        ...

    def prove(self, occasion: Occasion) -> Flow[Proof]:
        """The proof for one request.

        :raises KeyfobError: there is none now. So may whatever the application's own function
            raises.
        """
        ...

    def refused(self) -> None:
        """The provider does not know the client by the proof that it was given last."""
        ...


@dataclass(frozen=True)
class SecretCredential:
    """A secret that is at hand."""

    secret: ClientSecret = field(repr=False)
    kind = "a secret"

    def prove(self, occasion: Occasion) -> Flow[Proof]:
        yield from ()
        return self.secret.proof(occasion.metadata)

    def refused(self) -> None:
        """A secret stays what it is."""


class Credentials:
    """The ways in which one application proves itself. Shared by all its threads and twins.

    :param credentials: in the order in which they are tried.
    """

    def __init__(self, credentials: Iterable[Credential] = ()) -> None:
        self._all = tuple(credentials)
        self._first = 0

    def __len__(self) -> int:
        return len(self._all)

    def __repr__(self) -> str:
        return f"<Credentials: {', '.join(each.kind for each in self.in_order()) or 'none'}>"

    def in_order(self) -> tuple[Credential, ...]:
        """As they were given, but the one that served last comes first."""
        first = self._first
        return (*self._all[first : first + 1], *self._all[:first], *self._all[first + 1 :])

    def served(self, credential: Credential) -> None:
        """The provider knew the client by this one."""
        self._first = self._all.index(credential)


#: A public client has none.
NO_CREDENTIALS = Credentials()
