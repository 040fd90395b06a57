"""Tokens for a web API that calls another in the name of its own caller (RFC 7523 §2.1).

Microsoft's on-behalf-of. What the cache holds is found by the assertion: the same caller's token
serves again, and nobody else's does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from keyfob.cache import AccessTokenEntry
from keyfob.flows import Flow
from keyfob.flows.client import Client
from keyfob.flows.remember import prove_and_remember
from keyfob.flows.telemetry import Api, Reason
from keyfob.flows.token_request import FORWARDED_CLAIMS, TokenRequest, ask
from keyfob.protocol.claims import claims_object
from keyfob.protocol.metadata import ProviderMetadata
from keyfob.protocol.scopes import checked_scopes, scope_text
from keyfob.protocol.token_endpoint import needed_text

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
#: A field that is in no form: it keeps one assertion's tokens apart from another's in the cache.
_ASSERTION_HASH = "user_assertion_hash"


@dataclass(frozen=True)
class Need:
    """What is wanted, in whose name.

    :param assertion: the access token that the caller sent.
    :param claims_challenge: an API's; only a new token answers it.
    :param forwarded_claims: the application's own; they keep its tokens apart in the cache.
    """

    assertion: str = field(repr=False)
    scopes: frozenset[str]
    claims_challenge: str | None = None
    forwarded_claims: str | None = None

    @property
    def is_for_a_new_token(self) -> bool:
        return self.claims_challenge is not None

    @property
    def fields(self) -> dict[str, str]:
        """What keeps the token apart from others in the cache."""
        digest = hashlib.sha256(self.assertion.encode("utf-8", "surrogatepass")).hexdigest()
        named = {_ASSERTION_HASH: digest, FORWARDED_CLAIMS: self.forwarded_claims}
        return {name: value for name, value in named.items() if value}

    def held(
        self, client: Client, metadata: ProviderMetadata, now: float
    ) -> AccessTokenEntry | None:
        return client.held_token(metadata, None, self.scopes, now, self.fields, whoever=True)

    def renew(
        self, client: Client, metadata: ProviderMetadata, reason: Reason
    ) -> Flow[dict[str, Any]]:
        scope = client.sign_in_scopes(self.scopes, metadata)
        request = TokenRequest(
            {
                "grant_type": GRANT,
                "assertion": self.assertion,
                "requested_token_use": "on_behalf_of",
                "scope": scope_text(scope),
            },
            api=Api.ON_BEHALF_OF,
            reason=reason,
            claims_challenge=self.claims_challenge,
            forwarded_claims=self.forwarded_claims,
        )
        tokens = yield from ask(client, metadata, request)
        return (
            yield from prove_and_remember(
                client, metadata, tokens, scope, grant_type=GRANT, data=self.fields
            )
        )


def need(
    assertion: str,
    scopes: Collection[str],
    *,
    claims_challenge: str | None = None,
    forwarded_claims: str | None = None,
) -> Need:
    """What a caller asks for, judged.

    :raises ConfigurationError: (a ValueError) there is no assertion, or an argument is none.
    """
    needed_text(assertion, "user_assertion")
    claims_object(claims_challenge)
    claims_object(forwarded_claims, "forwarded_client_claims")
    return Need(
        assertion, checked_scopes(scopes), claims_challenge or None, forwarded_claims or None
    )
