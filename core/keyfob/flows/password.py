"""A person's token by their password (RFC 6749 §4.3), which RFC 9700 §2.4 advises against.

Microsoft checks the passwords of its own tenants. Those of a federated domain are checked by the
domain's own server, whose assertion is then the grant.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

from keyfob.errors import ConfigurationError
from keyfob.flows import Flow, send
from keyfob.flows.client import Client
from keyfob.flows.remember import prove_and_remember
from keyfob.flows.telemetry import Api
from keyfob.flows.token_request import TokenRequest, ask
from keyfob.protocol.scopes import checked_scopes, scope_text
from keyfob.protocol.token_endpoint import needed_text
from keyfob.protocol.user_realm import UserRealm, build_user_realm_request, parse_user_realm
from keyfob.protocol.wstrust import (
    Assertion,
    build_mex_request,
    build_trust_request,
    parse_mex,
    parse_trust_response,
)

_GRANT = "password"


def acquire(
    client: Client,
    username: str,
    password: str,
    scopes: Collection[str],
    *,
    claims_challenge: str | None = None,
) -> Flow[dict[str, Any]]:
    """A token for whose password it is.

    :returns: a dict with `access_token`, or one with `error`.
    :raises FederationError: the server of a federated domain refused, or cannot be understood.
    """
    asked = checked_scopes(scopes)
    needed_text(username, "username")
    needed_text(password, "password")
    if not username.isprintable():
        raise ConfigurationError("username has a character in it that does not print")
    metadata = yield from client.metadata()
    scope = client.sign_in_scopes(asked, metadata)
    grant: dict[str, str | None] = {
        "grant_type": _GRANT,
        "username": username,
        "password": password,
        "scope": scope_text(scope),
    }
    headers = client.upn_anchor(username)
    correlation_id = str(uuid.uuid4())
    realm = yield from _realm(client, username, correlation_id)
    if realm.metadata_url is not None:
        assertion = yield from _assertion(client, realm, username, password)
        grant = {
            "grant_type": assertion.grant_type,
            "assertion": assertion.encoded,
            "scope": scope_text(scope),
        }
        headers = {}
    request = TokenRequest(
        grant,
        api=Api.PASSWORD,
        headers=headers,
        claims_challenge=claims_challenge,
        correlation_id=correlation_id,
    )
    tokens = yield from ask(client, metadata, request)
    return (
        yield from prove_and_remember(
            client,
            metadata,
            tokens,
            scope,
            grant_type=str(grant["grant_type"]),
            data={"username": username},
        )
    )


def _realm(client: Client, username: str, correlation_id: str) -> Flow[UserRealm]:
    """Only Entra ID has user realms; at others the provider itself checks the password."""
    authority = client.provider.authority
    if authority.kind != "entra":
        return UserRealm()
    headers = {"client-request-id": correlation_id}
    request = build_user_realm_request(authority, username, headers)
    return parse_user_realm((yield from send(request)))


def _assertion(client: Client, realm: UserRealm, username: str, password: str) -> Flow[Assertion]:
    endpoint = parse_mex((yield from send(build_mex_request(realm.metadata_url or ""))))
    request = build_trust_request(
        endpoint,
        username,
        password,
        realm.audience,
        now=client.clock(),
        message_id=str(uuid.uuid4()),
    )
    return parse_trust_response((yield from send(request)), endpoint)
