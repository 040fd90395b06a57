"""How a confidential client proves itself at the token endpoint (RFC 6749 §2.3.1)."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote_plus

from keyfob.errors import ConfigurationError
from keyfob.protocol.metadata import ProviderMetadata

Method = Literal["client_secret_basic", "client_secret_post"]


@dataclass(frozen=True)
class ClientSecret:
    """A client's id and secret."""

    client_id: str
    secret: str = field(repr=False)

    def headers_and_form(self, metadata: ProviderMetadata) -> tuple[dict[str, str], dict[str, str]]:
        """What proves the client at this provider: headers, and members of the form."""
        if secret_method(metadata) == "client_secret_post":
            return {}, {"client_secret": self.secret}
        # Both halves are form-urlencoded first: a colon in the id would end it early.
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret)}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}, {}


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
