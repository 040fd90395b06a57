"""A person's token by a federated identity credential of theirs (Microsoft's `user_fic`)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from keyfob.errors import ConfigurationError
from keyfob.flows import Flow
from keyfob.flows.client import Client
from keyfob.flows.remember import prove_and_remember
from keyfob.flows.telemetry import Api
from keyfob.flows.token_request import FORWARDED_CLAIMS, TokenRequest, ask
from keyfob.protocol.scopes import checked_scopes, scope_text
from keyfob.protocol.token_endpoint import needed_text, optional_texts

_GRANT = "user_fic"


def acquire(
    client: Client,
    scopes: Collection[str],
    assertion: str,
    *,
    username: str | None = None,
    user_object_id: str | None = None,
    claims_challenge: str | None = None,
    forwarded_claims: str | None = None,
) -> Flow[dict[str, Any]]:
    """A token for the person whom the assertion, and one of the two names, stand for.

    :returns: a dict with `access_token`, or one with `error`.
    """
    asked = checked_scopes(scopes)
    needed_text(assertion, "assertion")
    if (username is None) == (user_object_id is None):
        raise ConfigurationError(
            "Name the person by username or by user_object_id, and not by both"
        )
    optional_texts(username=username, user_object_id=user_object_id)
    metadata = yield from client.metadata()
    scope = client.sign_in_scopes(asked, metadata)
    if username is not None:
        anchor = client.upn_anchor(username)
    else:
        anchor = client.anchor(f"{user_object_id}.{client.provider.authority.tenant}")
    request = TokenRequest(
        {
            "grant_type": _GRANT,
            "user_federated_identity_credential": assertion,
            "username": username,
            "user_id": user_object_id,
            "scope": scope_text(scope),
        },
        api=Api.USER_FEDERATED_IDENTITY,
        headers=anchor,
        claims_challenge=claims_challenge,
        forwarded_claims=forwarded_claims,
    )
    tokens = yield from ask(client, metadata, request)
    data = {
        name: value
        for name, value in ((FORWARDED_CLAIMS, forwarded_claims), ("username", username))
        if value
    }
    return (
        yield from prove_and_remember(client, metadata, tokens, scope, grant_type=_GRANT, data=data)
    )
