"""A managed identity endpoint on loopback, and the environment by which a machine finds it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from keyfob.flows.managed_identity import Machine
from keyfob.managed_identity import ManagedIdentityClient, SystemAssignedManagedIdentity
from keyfob.protocol.http import HttpRequest, HttpResponse
from keyfob.transport import RequestsTransport
from support.provider_http import Answer, HttpServer, Reply, Request

SYSTEM = SystemAssignedManagedIdentity()
RESOURCE = "https://vault.azure.net"
VARIABLES = (
    "IDENTITY_ENDPOINT IDENTITY_HEADER IDENTITY_SERVER_THUMBPRINT IMDS_ENDPOINT MSI_ENDPOINT "
    "MSI_SECRET AZUREPS_HOST_ENVIRONMENT AZURE_POD_IDENTITY_AUTHORITY_HOST"
).split()
#: Of each source, the variables that lead there; {url} is the endpoint's address.
ENVIRONMENTS: dict[str, dict[str, str]] = {
    "imds": {"AZURE_POD_IDENTITY_AUTHORITY_HOST": "{url}/"},
    "app_service": {"IDENTITY_ENDPOINT": "{url}/msi/token", "IDENTITY_HEADER": "h3ader"},
    "machine_learning": {"MSI_ENDPOINT": "{url}/ml", "MSI_SECRET": "s3cret"},
    "arc": {"IDENTITY_ENDPOINT": "{url}/arc", "IMDS_ENDPOINT": "{url}"},
}
KEY_FOLDER = "/var/opt/azcmagent/tokens"


TOKEN = {"access_token": "at", "token_type": "Bearer", "resource": RESOURCE}
SHORT = {**TOKEN, "expires_in": "3600"}
LONG = {**TOKEN, "expires_in": "86400"}


def reply(document: Any, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Reply(status, {"Content-Type": "application/json", **named}, body)


class Endpoint:
    """Answers as it is told (`answers` one after the other, the last for ever), and keeps what it
    was asked."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answers: list[Answer] = []
        self.requests: list[Request] = []
        self._http = HttpServer(self._respond, tls)
        self._scheme = "https" if tls else "http"

    def _respond(self, request: Request) -> Answer:
        self.requests.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._http.port}"

    def environ(self, source: str) -> dict[str, str]:
        return {name: value.format(url=self.url) for name, value in ENVIRONMENTS[source].items()}

    def answer(self, *answers: Answer) -> None:
        self.answers[:] = answers

    def close(self) -> None:
        self._http.close()


@contextlib.contextmanager
def clients(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes clients on a machine with one of the sources, and closes them afterwards."""
    made: list[ManagedIdentityClient] = []

    def make(source: str, identity: Any = SYSTEM, **options: Any) -> ManagedIdentityClient:
        for name, value in endpoint.environ(source).items():
            monkeypatch.setenv(name, value)
        made.append(ManagedIdentityClient(identity, **options))
        return made[-1]

    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    yield make
    for client in made:
        client.close()


def machine(environ: Mapping[str, str], keys: Path | None = None, **options: Any) -> Machine:
    """A Linux machine with that environment, whose Azure Arc keeps its keys in a folder of ours."""

    def read(path: str, limit: int) -> bytes:
        assert path.startswith(f"{KEY_FOLDER}/")
        assert keys is not None
        with (keys / path.removeprefix(f"{KEY_FOLDER}/")).open("rb") as file:
            return file.read(limit + 1)

    given: dict[str, Any] = {"platform": "linux", "exists": lambda _: False, "read": read}
    return Machine(environ=lambda: environ, **{**given, **options})


class Redirected:
    """A transport for addresses that cannot be had in a test: all go to one endpoint."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._real = RequestsTransport()
        self.asked: list[HttpRequest] = []

    def send(self, request: HttpRequest) -> HttpResponse:
        self.asked.append(request)
        return self._real.send(dataclasses.replace(request, url=self._url))

    def close(self) -> None:
        self._real.close()
