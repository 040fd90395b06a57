"""Tokens in the application's own name (RFC 6749 §4.4)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from keyfob.cache import AccessTokenEntry
from keyfob.errors import ConfigurationError
from keyfob.flows import Flow
from keyfob.flows.client import Client
from keyfob.flows.remember import remember
from keyfob.flows.telemetry import Api, Reason
from keyfob.flows.token_request import FORWARDED_CLAIMS, TokenRequest, ask
from keyfob.protocol.claims import claims_object
from keyfob.protocol.metadata import ProviderMetadata
from keyfob.protocol.scopes import scope_names, scope_text

_GRANT = "client_credentials"


@dataclass(frozen=True)
class Need:
    """What is wanted.

    :param claims_challenge: an API's; only a new token answers it.
    :param fmi_path: of a federated managed identity, whose tokens are kept apart.
    :param forwarded_claims: the application's own; they keep its tokens apart as well.
    """

    scopes: frozenset[str]
    claims_challenge: str | None = None
    fmi_path: str | None = None
    forwarded_claims: str | None = None

    @property
    def is_for_a_new_token(self) -> bool:
        return self.claims_challenge is not None

    @property
    def fields(self) -> dict[str, str]:
        """What keeps the token apart from others in the cache."""
        named = {"fmi_path": self.fmi_path, FORWARDED_CLAIMS: self.forwarded_claims}
        return {name: value for name, value in named.items() if value}

    def held(
        self, client: Client, metadata: ProviderMetadata, now: float
    ) -> AccessTokenEntry | None:
        return client.held_token(metadata, None, self.scopes, now, self.fields)

    def renew(
        self, client: Client, metadata: ProviderMetadata, reason: Reason
    ) -> Flow[dict[str, Any]]:
        regional = yield from client.provider.regional_metadata(client.clock())
        request = TokenRequest(
            {
                "grant_type": _GRANT,
                "scope": scope_text(self.scopes),
                "fmi_path": self.fmi_path,
            },
            api=Api.FOR_CLIENT,
            reason=reason,
            claims_challenge=self.claims_challenge,
            forwarded_claims=self.forwarded_claims,
            endpoint=regional.token_endpoint,
        )
        tokens = yield from ask(client, metadata, request)
        if "error" in tokens:
            return tokens
        # RFC 6749 §4.4.3: no refresh token here; and nobody is signed in by an application's token.
        for name in ("refresh_token", "id_token", "client_info"):
            tokens.pop(name, None)
        return remember(client, metadata, tokens, self.scopes, grant_type=_GRANT, data=self.fields)


def need(
    scopes: Collection[str],
    *,
    claims_challenge: str | None = None,
    fmi_path: str | None = None,
    forwarded_claims: str | None = None,
) -> Need:
    """What a caller asks for, judged.

    :raises ConfigurationError: (a ValueError) no scope is named, or an argument is none.
    """
    asked = scope_names(scopes)
    if not asked:
        raise ConfigurationError("acquire_token_for_client needs a list of at least one scope")
    if fmi_path is not None and not isinstance(fmi_path, str):
        raise ConfigurationError("fmi_path is a text")
    claims_object(claims_challenge)
    claims_object(forwarded_claims, "forwarded_client_claims")
    return Need(asked, claims_challenge or None, fmi_path or None, forwarded_claims or None)
