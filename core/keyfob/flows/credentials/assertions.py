"""Assertions that others sign: the application itself, a platform, or the machine's identity."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keyfob.errors import CredentialError
from keyfob.flows import Flow, call, once
from keyfob.flows.credentials.credential import Occasion
from keyfob.flows.credentials.files import NamedFile, Watched
from keyfob.protocol.client_assertion import assertion_proof
from keyfob.protocol.client_auth import Proof

#: Where Azure's webhook for Kubernetes says that a pod's token is.
TOKEN_FILE_VARIABLE = "AZURE_FEDERATED_TOKEN_FILE"

_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

#: What an application's function returns.
Given = str | bytes


@dataclass(frozen=True)
class GivenAssertion:
    """One assertion, as a text. When it expires, it no longer serves."""

    assertion: str = field(repr=False)
    kind = "an assertion"

    def prove(self, occasion: Occasion) -> Flow[Proof]:
        del occasion
        yield from ()
        return assertion_proof(self.assertion)

    def refused(self) -> None:
        """There is no other."""


@dataclass(frozen=True)
class CalledAssertion:
    """The application's own function, called for every token request.

    :param function: makes an assertion, of a context where `wants_context`: a dict with
        `client_id`, `token_endpoint`, and `fmi_path` where the request has one.
    """

    function: Callable[..., Given | Awaitable[Given]] = field(repr=False)
    wants_context: bool
    name: str
    kind = "a function that makes assertions"

    def prove(self, occasion: Occasion) -> Flow[Proof]:
        made = yield from call(lambda: self._called(occasion))
        if isinstance(made, bytes):
            made = made.decode("latin-1")
        if not isinstance(made, str) or not made or not made.isascii():
            raise CredentialError(
                f"{self.name} is a function that must return an assertion, as a text, and "
                f"returned {_what_is(made)}"
            )
        return assertion_proof(made)

    def refused(self) -> None:
        """The function is asked anew in any case."""

    def _called(self, occasion: Occasion) -> Given | Awaitable[Given]:
        if not self.wants_context:
            return self.function()
        context = {
            "client_id": occasion.client_id,
            "token_endpoint": occasion.metadata.token_endpoint,
        }
        if occasion.fmi_path:
            context["fmi_path"] = occasion.fmi_path
        return self.function(context)


class FederatedTokenFile:
    """A token that a platform, such as Kubernetes, puts into a file and renews there.

    :param path: the file's; where None, it is in `environ`, as Azure's workload identity has it.
    :param environ: gives the environment's variables.
    """

    kind = "a federated token file"

    def __init__(
        self,
        path: str | None,
        name: str,
        environ: Callable[[], Mapping[str, str]] = lambda: os.environ,
    ) -> None:
        self._path = path
        self._name = name
        self._environ = environ
        self._lock = threading.Lock()
        self._watched: tuple[str, Watched[str]] | None = None

    def __repr__(self) -> str:
        return f"<FederatedTokenFile {self._path or TOKEN_FILE_VARIABLE}>"

    def prove(self, occasion: Occasion) -> Flow[Proof]:
        del occasion
        return assertion_proof((yield from call(self._token)))

    def refused(self) -> None:
        """The file is looked at anew in any case."""

    def _token(self) -> str:
        path = self._path or self._environ().get(TOKEN_FILE_VARIABLE)
        if not path:
            raise CredentialError(
                f"{self._name}: the environment has no {TOKEN_FILE_VARIABLE}. In Kubernetes, the "
                'pod needs the label azure.workload.identity/use: "true"; elsewhere, name the '
                "file with 'federated_token_file'"
            )
        with self._lock:
            if self._watched is None or self._watched[0] != path:
                file = NamedFile(Path(path), self._name)
                self._watched = path, Watched(lambda contents: _token_in(contents, file), [file])
            return self._watched[1].current()


@dataclass(frozen=True, eq=False)
class ManagedIdentityAssertion:
    """A token of the machine's own identity, which the application trusts (workload identity
    federation).

    :param acquire: the flow that gets it, or finds it in a cache: a dict with `access_token`, or
        one with `error`.
    """

    acquire: Callable[[], Flow[dict[str, Any]]] = field(repr=False)
    name: str
    kind = "a managed identity"

    def prove(self, occasion: Occasion) -> Flow[Proof]:
        del occasion
        found = yield from once(self, self.acquire)
        token = found.get("access_token")
        if not isinstance(token, str):
            raise CredentialError(
                f"{self.name}: Azure gives this machine's identity no token: "
                f"{found.get('error')}: {found.get('error_description')}"
            )
        return assertion_proof(token)

    def refused(self) -> None:
        """Its token is renewed by its own rules."""


def _token_in(contents: Sequence[bytes], file: NamedFile) -> str:
    text = contents[0].decode("latin-1").strip()
    if not _JWT.fullmatch(text):
        raise CredentialError(f"{file.shown} has no token in it: a JWT, and nothing else")
    return text


def _what_is(made: object) -> str:
    if isinstance(made, str):
        return "one that is not ASCII" if made else "an empty one"
    return f"something of type {type(made).__name__}"
