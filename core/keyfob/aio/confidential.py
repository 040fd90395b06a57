"""The application that can keep a secret, in an event loop."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from keyfob.aio.client_application import ClientApplication
from keyfob.applications.kinds import ConfidentialApplication
from keyfob.flows import federated_identity, on_behalf_of
from keyfob.protocol.results import TokenResult


class ConfidentialClientApplication(ConfidentialApplication, ClientApplication):
    """`keyfob.ConfidentialClientApplication`, with its network verbs as coroutines.

    Its arguments are `keyfob.aio.ClientApplication`'s. A function among its credentials may be a
    coroutine function.
    """

    async def acquire_token_for_client(
        self,
        scopes: Collection[str],
        claims_challenge: str | None = None,
        fmi_path: str | None = None,
        forwarded_client_claims: str | None = None,
        **options: Any,
    ) -> TokenResult:
        """As `keyfob.ConfidentialClientApplication.acquire_token_for_client`."""
        asked = self._own_token(
            scopes, claims_challenge, fmi_path, forwarded_client_claims, options
        )
        return cast("TokenResult", await self._answered(asked))

    async def acquire_token_on_behalf_of(
        self,
        user_assertion: str,
        scopes: Collection[str],
        claims_challenge: str | None = None,
        forwarded_client_claims: str | None = None,
        **options: Any,
    ) -> TokenResult:
        """As `keyfob.ConfidentialClientApplication.acquire_token_on_behalf_of`."""
        wanted = on_behalf_of.need(
            user_assertion,
            scopes,
            claims_challenge=claims_challenge,
            forwarded_claims=forwarded_client_claims,
        )
        return cast("TokenResult", await self._answered(self._asked(wanted, options)))

    async def acquire_token_by_user_federated_identity_credential(
        self,
        scopes: Collection[str],
        assertion: str,
        username: str | None = None,
        user_object_id: str | None = None,
        claims_challenge: str | None = None,
        forwarded_client_claims: str | None = None,
        **options: Any,
    ) -> TokenResult:
        """As `keyfob.ConfidentialClientApplication.acquire_token_by_user_federated_identity_\
credential`."""
        client, rest = self._for_one_call(options)
        flow = federated_identity.acquire(
            client,
            scopes,
            assertion,
            username=username,
            user_object_id=user_object_id,
            claims_challenge=claims_challenge,
            forwarded_claims=forwarded_client_claims,
        )
        return await self._token(flow, rest)
