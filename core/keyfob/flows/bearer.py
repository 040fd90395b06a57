"""A web API of ours is called: whether the token that came opens it."""

from __future__ import annotations

from collections.abc import Collection

from keyfob.flows import Flow
from keyfob.flows.client import Client
from keyfob.protocol.access_token import AccessExpectations, ProvenAccess, default_audiences


def judge_bearer(
    client: Client,
    token: object,
    audiences: Collection[str] | None = None,
    allowed_clients: Collection[str] | None = None,
) -> Flow[ProvenAccess]:
    """Judge an access token for the client's own API (RFC 9068 §4).

    :param audiences: what the API is called; by default `default_audiences`.
    :param allowed_clients: the applications that may call; None for every one.
    :raises AccessTokenError: it opens nothing.
    """
    metadata = yield from client.metadata()
    if audiences is None:
        audiences = default_audiences(client.client_id, is_microsoft=client.is_microsoft)
    expected = AccessExpectations(
        audiences=audiences,
        metadata=metadata,
        now=client.clock(),
        leeway=client.leeway,
        allowed_tenants=client.allowed_tenants,
        allowed_clients=allowed_clients,
    )
    return (yield from client.provider.verified_access(token, expected))
