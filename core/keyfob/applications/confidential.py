"""The application that can keep a secret: a web site, a web API, a daemon (RFC 6749 §2.1)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from keyfob.applications.client_application import ClientApplication
from keyfob.flows import client_credentials, silent


class ConfidentialClientApplication(ClientApplication):
    """A client application that proves itself to the provider, with its secret."""

    def acquire_token_for_client(
        self, scopes: Collection[str], claims_challenge: str | None = None
    ) -> dict[str, Any]:
        """A token in the application's own name (RFC 6749 §4.4).

        :param scopes: at Microsoft one, the resource with `/.default` behind it.
        :returns: a dict with `access_token`, from the cache where it holds one; or with `error`.
        """
        return self._run(
            client_credentials.acquire(
                self._client,
                scopes,
                claims_challenge=silent.merged_claims(claims_challenge),
            )
        )
