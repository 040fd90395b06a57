"""Other issuers an application may trust instead of a secret: workload identity federation.

``FederatedCredential`` says which issuer, subject and audience; :class:`ExternalIssuer` is such an
issuer, for a test: a Kubernetes cluster, a build service.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.errors import JoseError

from keyfob_emulator.keys import ALGORITHM, SigningKey, new_private_key
from keyfob_emulator.model import TOKEN_EXCHANGE_URL

WORKLOAD_VARIABLES: Final = (
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_TENANT_ID",
)
"""What Azure's workload identity puts into the environment of a pod."""


def service_account(namespace: str, name: str) -> str:
    """The subject of a Kubernetes service account."""
    return f"system:serviceaccount:{namespace}:{name}"


class ExternalIssuer:
    """An issuer of tokens outside the provider, with a key of its own.

    :param issuer: its ``iss``, such as ``https://oidc.cluster.example/``.
    :param clock: its time in seconds since the epoch.
    :param private_key: its key; made when left out, which takes a while.
    """

    def __init__(
        self,
        issuer: str,
        *,
        clock: Callable[[], float] = time.time,
        private_key: rsa.RSAPrivateKey | None = None,
    ) -> None:
        self.issuer = issuer
        self._clock = clock
        self._key = SigningKey(private_key or new_private_key(), clock())

    def token(
        self,
        subject: str,
        *,
        audience: str = TOKEN_EXCHANGE_URL,
        lifetime: int = 3600,
        **claims: Any,
    ) -> str:
        """A signed token about a subject; ``lifetime`` is in seconds, ``claims`` come on top."""
        now = int(self._clock())
        told = {
            "iss": self.issuer,
            "sub": subject,
            "aud": [audience],
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
        }
        return self._key.sign(told | claims)

    def write_token(self, path: Path, subject: str, **options: Any) -> str:
        """Put a new token into a file in one step, as Kubernetes does when it renews one.

        :param options: those of :meth:`token`.
        :returns: the token.
        """
        text = self.token(subject, **options)
        fresh = path.with_name(f"{path.name}.new")
        fresh.write_text(text, encoding="ascii")
        fresh.replace(path)
        return text

    def verify(self, token: str) -> dict[str, Any] | None:
        """The claims of a token this issuer signed; None for anything else."""
        try:
            return dict(jwt.decode(token, self._key.jose_key, algorithms=[ALGORITHM]).claims)
        except (JoseError, ValueError):
            return None

    def key_set(self) -> dict[str, Any]:
        """The public keys, as the issuer would publish them."""
        return {"keys": [self._key.public()]}


def workload_environment(
    token_file: Path | str, *, client_id: str, tenant_id: str, authority_host: str
) -> Mapping[str, str]:
    """The environment variables of a pod with a workload identity.

    :param authority_host: the provider's address.
    """
    return {
        "AZURE_AUTHORITY_HOST": authority_host.rstrip("/") + "/",
        "AZURE_CLIENT_ID": client_id,
        "AZURE_FEDERATED_TOKEN_FILE": os.fspath(token_file),
        "AZURE_TENANT_ID": tenant_id,
    }
