"""A web API of ours is called: whether the token that came opens it."""

from __future__ import annotations

from collections.abc import Collection

from keyfob.flows import Flow
from keyfob.flows.client import Client
from keyfob.protocol.access_token import AccessExpectations, ProvenAccess, default_audiences
from keyfob.protocol.metadata import ProviderMetadata


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
    expected = _expected(client, metadata, client.clock(), audiences, allowed_clients)
    return (yield from client.provider.verified_access(token, expected))


def bearer_at_hand(
    client: Client,
    token: object,
    audiences: Collection[str] | None = None,
    allowed_clients: Collection[str] | None = None,
) -> ProvenAccess | None:
    """The same where nothing need be fetched, without a flow; None where something may have to be.

    :raises AccessTokenError: it opens nothing.
    """
    now = client.clock()
    metadata = client.provider.known_metadata(now)
    if metadata is None:
        return None
    expected = _expected(client, metadata, now, audiences, allowed_clients)
    return client.provider.access_at_hand(token, expected)


def _expected(
    client: Client,
    metadata: ProviderMetadata,
    now: float,
    audiences: Collection[str] | None,
    allowed_clients: Collection[str] | None,
) -> AccessExpectations:
    if audiences is None:
        audiences = default_audiences(client.client_id, is_microsoft=client.is_microsoft)
    return AccessExpectations(
        audiences=audiences,
        metadata=metadata,
        now=now,
        leeway=client.leeway,
        allowed_tenants=client.allowed_tenants,
        allowed_clients=allowed_clients,
    )
