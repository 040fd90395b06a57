"""An ID token that somebody else obtained for this application, judged as any other."""

from __future__ import annotations

from typing import Any

from keyfob.flows import Flow
from keyfob.flows.client import Client
from keyfob.protocol.id_token import Expectations


def foreign_id_token(client: Client, token: object) -> Flow[dict[str, Any]]:
    """Judge an ID token of no sign-in attempt of ours: all but its nonce (OpenID Connect Core
    §3.1.3.7).

    :raises IdTokenError: it proves nothing.
    """
    metadata = yield from client.metadata()
    expected = Expectations(
        client_id=client.client_id,
        metadata=metadata,
        now=client.clock(),
        leeway=client.leeway,
        allowed_tenants=client.allowed_tenants,
        policy=client.provider.authority.policy,
    )
    return (yield from client.provider.verified_claims(token, expected))
