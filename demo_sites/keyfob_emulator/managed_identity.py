"""The machine a program with a managed identity runs on, in all the places Azure has.

Each place has an agent with a wire format of its own; :class:`Source` names them,
:meth:`Machine.environment` says which environment variables a program would find there. The
answers themselves are in :mod:`keyfob_emulator.managed_identity_agents`.
"""

from __future__ import annotations

import os
import secrets
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

SUBSCRIPTION: Final = "5ab5c000-0001-45ab-9d01-000000000001"
_GROUP: Final = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/contoso"
VIRTUAL_MACHINE_ID: Final = f"{_GROUP}/providers/Microsoft.Compute/virtualMachines/build-1"

IMDS_ORIGIN: Final = "http://169.254.169.254"
"""Where every virtual machine finds its metadata service."""
ARC_ORIGIN: Final = "http://localhost:40342"
CLOUD_SHELL_ORIGIN: Final = "http://localhost:50342"
AGENT_PREFIXES: Final[Mapping[str, str]] = {
    IMDS_ORIGIN: "",
    ARC_ORIGIN: "/arc",
    CLOUD_SHELL_ORIGIN: "/cloud-shell",
}
"""Addresses with one agent each, and where that agent lives below the provider's own address."""


class Source(str, Enum):
    """Where a managed identity's tokens come from."""

    APP_SERVICE = "app-service"
    MACHINE_LEARNING = "machine-learning"
    VIRTUAL_MACHINE = "virtual-machine"
    ARC = "arc"
    SERVICE_FABRIC = "service-fabric"
    CLOUD_SHELL = "cloud-shell"


PATHS: Final[Mapping[Source, str]] = {
    Source.APP_SERVICE: "/app-service/msi/token",
    Source.MACHINE_LEARNING: "/machine-learning/msi/auth",
    Source.VIRTUAL_MACHINE: "/metadata/identity/oauth2/token",
    Source.ARC: "/arc/metadata/identity/oauth2/token",
    Source.SERVICE_FABRIC: "/service-fabric/metadata/identity/oauth2/token",
    Source.CLOUD_SHELL: "/cloud-shell/oauth2/token",
}
COMPUTE_PATH: Final = "/metadata/instance/compute"

VARIABLES: Final = (
    "AZUREPS_HOST_ENVIRONMENT",
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "IDENTITY_SERVER_THUMBPRINT",
    "IMDS_ENDPOINT",
    "MSI_ENDPOINT",
    "MSI_SECRET",
)
"""Every variable a client tells the source by; those a source does not set must be absent."""


@dataclass(frozen=True)
class HostEnvironment:
    """The environment of a program at one source."""

    source: Source
    variables: Mapping[str, str] = field(repr=False)

    def merged(self, environment: Mapping[str, str]) -> dict[str, str]:
        """An environment in which these variables are set and those of other sources are not."""
        kept = {name: value for name, value in environment.items() if name not in VARIABLES}
        return {**kept, **self.variables}

    @contextmanager
    def active(self) -> Iterator[None]:
        """Set the variables of this process, and put back what was there."""
        before = {name: os.environ.get(name) for name in VARIABLES}
        _set({**dict.fromkeys(VARIABLES), **self.variables})
        try:
            yield
        finally:
            _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@dataclass(frozen=True)
class ManagedIdentity:
    """An identity of the machine. ``object_id`` is the subject of its tokens."""

    name: str
    client_id: str
    object_id: str
    resource_id: str
    """The Azure resource: of a system-assigned identity the machine, else the identity itself."""


SYSTEM_ASSIGNED: Final = ManagedIdentity(
    "build-1",
    "5e1f0000-0101-45e1-9d11-000000000101",
    "5e1f0000-0102-45e1-9d12-000000000102",
    VIRTUAL_MACHINE_ID,
)
USER_ASSIGNED: Final = ManagedIdentity(
    "deployer",
    "de910000-0201-4de9-9d21-000000000201",
    "de910000-0202-4de9-9d22-000000000202",
    f"{_GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/deployer",
)


class Machine:
    """The machine and its identities; all of it is meant to be changed by tests.

    ``system_assigned`` may be None, ``user_assigned`` empty. ``location`` is the region.
    ``arc_key_folder`` is where Azure Arc's agent leaves its key files; without one it cannot
    answer. With ``arc_is_old`` that agent overlooks which identity is asked for. The person in
    Cloud Shell is ``cloud_shell_user``, a user name.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._arc_keys: dict[str, Path] = {}
        self.system_assigned: ManagedIdentity | None = SYSTEM_ASSIGNED
        self.user_assigned: tuple[ManagedIdentity, ...] = (USER_ASSIGNED,)
        self.location = "westeurope"
        self.arc_key_folder: Path | None = None
        self.arc_is_old = False
        self.cloud_shell_user = "ada@contoso.example"
        self._secret = secrets.token_hex(16)
        self._fabric_tokens: dict[str, FabricToken] = {}

    @property
    def secret(self) -> str:
        """What a program must show to App Service, Machine Learning and Service Fabric."""
        return self._secret

    def find(
        self, *, client_id: str | None, resource_id: str | None, object_id: str | None
    ) -> ManagedIdentity | None:
        """The identity with that id, the system-assigned one when none is given."""
        wanted = (client_id, resource_id, object_id)
        if not any(wanted):
            return self.system_assigned
        own: tuple[ManagedIdentity, ...] = (self.system_assigned,) if self.system_assigned else ()
        for identity in (*own, *self.user_assigned):
            known = (identity.client_id, identity.resource_id, identity.object_id)
            pairs = zip(wanted, known, strict=True)
            if all(text is None or text.lower() == there.lower() for text, there in pairs):
                return identity
        return None

    def environment(
        self, source: Source, url: str, *, thumbprint: str | None = None
    ) -> HostEnvironment:
        """What a program finds in its environment at a source.

        :param url: the provider's address: :attr:`EmulatorServer.url`, or in-process one of the
            addresses it was mounted at, such as :data:`IMDS_ORIGIN`.
        :param thumbprint: the SHA-1 thumbprint of the server's certificate in hexadecimal digits,
            which Service Fabric needs (:attr:`EmulatorServer.thumbprint`).
        :raises ValueError: for Service Fabric without TLS.
        """
        url = url.rstrip("/")
        endpoint = url + PATHS[source].removeprefix(AGENT_PREFIXES.get(url, ""))
        variables = {
            Source.APP_SERVICE: {"IDENTITY_ENDPOINT": endpoint, "IDENTITY_HEADER": self._secret},
            Source.MACHINE_LEARNING: {"MSI_ENDPOINT": endpoint, "MSI_SECRET": self._secret},
            Source.VIRTUAL_MACHINE: {"AZURE_POD_IDENTITY_AUTHORITY_HOST": url},
            Source.ARC: {"IDENTITY_ENDPOINT": endpoint, "IMDS_ENDPOINT": url},
            Source.SERVICE_FABRIC: {
                "IDENTITY_ENDPOINT": endpoint,
                "IDENTITY_HEADER": self._secret,
                "IDENTITY_SERVER_THUMBPRINT": thumbprint or "",
            },
            Source.CLOUD_SHELL: {
                "AZUREPS_HOST_ENVIRONMENT": "cloud-shell/1.0",
                "MSI_ENDPOINT": endpoint,
            },
        }[source]
        if source is Source.SERVICE_FABRIC and not (thumbprint and url.startswith("https:")):
            raise ValueError(
                "Service Fabric needs an https address and the server's thumbprint: "
                "use EmulatorServer(tls=True), its url and its thumbprint"
            )
        return HostEnvironment(source, variables)

    # Azure Arc: who can read the machine's files may have its tokens.

    def new_arc_key(self) -> Path:
        """Leave a new key in a file for the program that asks.

        :raises ValueError: while :attr:`arc_key_folder` is None.
        """
        if self.arc_key_folder is None:
            raise ValueError("set machine.arc_key_folder to a folder the client reads")
        path = self.arc_key_folder / f"{uuid.uuid4()}.key"
        key = secrets.token_urlsafe(32)
        path.write_text(key, encoding="ascii")
        with self._lock:
            self._arc_keys[key] = path
        return path

    def spend_arc_key(self, key: str) -> bool:
        """Whether a key was left in a file here; it works once, and its file is removed."""
        with self._lock:
            path = self._arc_keys.pop(key, None)
        if path is None:
            return False
        path.unlink(missing_ok=True)
        return True

    # Service Fabric keeps a token until it expires, or until the client says it is no good.

    def fabric_token(self, key: str, refused_digest: str | None) -> FabricToken | None:
        """The token kept for a resource, unless it is the one whose SHA-256 digest is refused."""
        with self._lock:
            kept = self._fabric_tokens.get(key)
        if kept is None or self._clock() >= kept.expires_on:
            return None
        return None if refused_digest and refused_digest.lower() == kept.digest else kept

    def keep_fabric_token(self, key: str, token: FabricToken) -> None:
        """Keep a token for the next request."""
        with self._lock:
            self._fabric_tokens[key] = token


@dataclass(frozen=True)
class FabricToken:
    """A token Service Fabric has kept; ``digest`` is its SHA-256 in hexadecimal digits."""

    access_token: str = field(repr=False)
    expires_on: int
    digest: str
