"""Back-channel logout: the provider says whose sessions are over."""

from __future__ import annotations

from keyfob.flows import Flow
from keyfob.flows.client import Client
from keyfob.protocol.logout_token import LogoutExpectations, LogoutOrder


def back_channel_logout(client: Client, token: object) -> Flow[LogoutOrder]:
    """Judge a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6).

    :raises LogoutTokenError: it ends no session.
    """
    metadata = yield from client.metadata()
    expected = LogoutExpectations(
        client_id=client.client_id, metadata=metadata, now=client.clock(), leeway=client.leeway
    )
    return (yield from client.provider.verified_logout(token, expected))
