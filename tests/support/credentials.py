"""Clients with credentials at a test provider, whose token endpoint judges their assertions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keyfob import ConfidentialClientApplication
from support.client_keys import AssertionJudge, ClientKey, client_key
from support.provider import HOME_TENANT, Provider
from support.sign_in import Clock

SCOPE = ["https://graph.microsoft.com/.default"]
CLIENT, OTHER = client_key(), client_key("client-other")
KEY = {"private_key": CLIENT.key_pem(), "public_certificate": CLIENT.chain_pem}

Build = Callable[..., ConfidentialClientApplication]


def judged(entra: Provider, clock: Clock) -> AssertionJudge:
    """The provider's token endpoint from now on: it knows the client by its key."""
    found = AssertionJudge([CLIENT.key], clock)
    entra.raw["token"] = found
    return found


@contextmanager
def clients(entra: Provider, clock: Clock) -> Iterator[Build]:
    """Makes clients with a credential, and closes them afterwards."""
    made: list[ConfidentialClientApplication] = []

    def build(credential: Any, **options: Any) -> ConfidentialClientApplication:
        base: dict[str, Any] = {"authority": entra.authority(HOME_TENANT), "clock": clock}
        made.append(
            ConfidentialClientApplication(
                entra.client_id, client_credential=credential, **{**base, **options}
            )
        )
        return made[-1]

    yield build
    for app in made:
        app.close()


def ask(app: ConfidentialClientApplication, **options: Any) -> Any:
    """A token from the provider, whatever the cache has."""
    return app.acquire_token_for_client(SCOPE, claims_challenge='{"a":1}', **options)


def endpoint_of(entra: Provider) -> str:
    return f"{entra.authority(HOME_TENANT)}/oauth2/v2.0/token"


def files(folder: Path, client: ClientKey = CLIENT) -> dict[str, str]:
    """The client's key and chain as PEM files, and the shape that names them."""
    key, chain = folder / "key.pem", folder / "chain.pem"
    key.write_text(client.key_pem())
    chain.write_text(client.chain_pem)
    return {"private_key_path": str(key), "certificate_path": str(chain)}


def touch(path: Path, seconds: int) -> None:
    """As if it was written so much later: file systems may count in whole seconds."""
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + seconds * 10**9))
