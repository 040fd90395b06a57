"""How a confidential client proves itself at the token endpoint (RFC 6749 §2.3.1, RFC 7523)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote_plus

from keyfob.errors import ConfigurationError
from keyfob.protocol.metadata import ProviderMetadata

Method = Literal["client_secret_basic", "client_secret_post"]


@dataclass(frozen=True)
class Proof:
    """What proves a client in one request: headers, and members of the form."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Mapping[str, str] = field(default_factory=dict, repr=False)


#: A public client proves nothing.
NO_PROOF = Proof()


@dataclass(frozen=True)
class ClientSecret:
    """A client's id and secret."""

    client_id: str
    secret: str = field(repr=False)

    def proof(self, metadata: ProviderMetadata) -> Proof:
        """What proves the client at this provider."""
        if secret_method(metadata) == "client_secret_post":
            return Proof(form={"client_secret": self.secret})
        # Both halves are form-urlencoded first: a colon in the id would end it early.
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret)}"
        encoded = base64.b64encode(pair.encode()).decode()
        return Proof(headers={"Authorization": f"Basic {encoded}"})


def secret_method(metadata: ProviderMetadata) -> Method:
    """Which of the two ways this provider takes (OpenID Connect Discovery 1.0 §3).

    Microsoft gets the secret in the form, as MSAL sends it; a provider that says nothing takes
    `client_secret_basic`.

    :raises ConfigurationError: it takes neither.
    """
    methods = metadata.token_auth_methods
    if metadata.is_microsoft:
        return "client_secret_post"
    if methods is None or "client_secret_basic" in methods:
        return "client_secret_basic"
    if "client_secret_post" in methods:
        return "client_secret_post"
    raise ConfigurationError(
        "The provider takes no client secret; its metadata lists "
        f"{', '.join(sorted(methods)) or 'no way at all'}",
        setting="CLIENT_SECRET",
        code="auth_method",
    )
