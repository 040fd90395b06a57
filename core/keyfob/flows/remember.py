"""Judging what a token request brought, and filing it: nothing is cached before it is proven."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from keyfob.errors import TokenResponseError
from keyfob.flows import Flow, send
from keyfob.flows.client import Client
from keyfob.protocol.id_token import Expectations
from keyfob.protocol.metadata import ProviderMetadata
from keyfob.protocol.userinfo import build_userinfo_request, lacks_profile, merge_userinfo

#: What of a request's fields may go into the cache's event: none that is a secret.
_NO_FIELDS: Mapping[str, str] = {}


def proven_claims(
    client: Client,
    metadata: ProviderMetadata,
    tokens: Mapping[str, Any],
    *,
    nonce: str | None = None,
    code: str | None = None,
    max_age: int | None = None,
    previous: Mapping[str, Any] | None = None,
) -> Flow[dict[str, Any]]:
    """The claims of the ID token that came with `tokens`, every one of them proven.

    :param nonce: what the sign-in attempt sent, where there was one.
    :param code: the authorization code, for `c_hash`.
    :param max_age: as the request had it.
    :param previous: the claims of the ID token that this one refreshes.
    :raises TokenResponseError: there is no ID token.
    :raises IdTokenError: it proves nothing.
    """
    if not tokens.get("id_token"):
        raise TokenResponseError(
            "The token endpoint answered without an ID token: nobody is proven", code="no_id_token"
        )
    return (
        yield from client.provider.verified_claims(
            tokens["id_token"],
            Expectations(
                client_id=client.client_id,
                metadata=metadata,
                now=client.clock(),
                nonce=nonce,
                access_token=tokens.get("access_token"),
                code=code,
                max_age=max_age,
                leeway=client.leeway,
                allowed_tenants=client.allowed_tenants,
                previous=previous,
                policy=client.provider.authority.policy,
            ),
        )
    )


def proven_profile(
    client: Client, metadata: ProviderMetadata, tokens: Mapping[str, Any], **expected: Any
) -> Flow[dict[str, Any]]:
    """As `proven_claims`; and where the ID token lacks the profile, what userinfo says of the same
    subject beside it (OpenID Connect Core §5.3)."""
    claims = yield from proven_claims(client, metadata, tokens, **expected)
    if metadata.is_microsoft or not metadata.userinfo_endpoint or not lacks_profile(claims):
        return claims
    request = build_userinfo_request(metadata.userinfo_endpoint, tokens["access_token"])
    return merge_userinfo(claims, (yield from send(request)))


def prove_and_remember(
    client: Client,
    metadata: ProviderMetadata,
    tokens: dict[str, Any],
    scopes: Collection[str],
    *,
    grant_type: str,
    data: Mapping[str, str] = _NO_FIELDS,
) -> Flow[dict[str, Any]]:
    """For grants that begin no sign-in attempt: the ID token, where there is one, is proven, and
    the tokens are filed under whom it names. An answer with `error` is handed back as it is."""
    if "error" in tokens:
        return tokens
    if tokens.get("id_token"):
        tokens["id_token_claims"] = yield from proven_claims(client, metadata, tokens)
    return remember(client, metadata, tokens, scopes, grant_type=grant_type, data=data)


def remember(
    client: Client,
    metadata: ProviderMetadata,
    tokens: Mapping[str, Any],
    scopes: Collection[str],
    *,
    grant_type: str,
    refreshed: str | None = None,
    data: Mapping[str, str] = _NO_FIELDS,
) -> dict[str, Any]:
    """Put a judged token response into the cache, and return it as MSAL hands it over.

    :param scopes: what was asked for; what was granted, where the response does not say.
    :param refreshed: at a refresh, the `home_account_id` of the account it was for: the response
        need not name it again, and must not bring one back that was removed meanwhile.
    :param data: fields of the request that tell its tokens from others, or name the account.
    """
    now = client.clock()
    response = dict(tokens)
    if not client.is_microsoft:
        # It is Microsoft's; what another provider may call so says nothing about the account.
        response.pop("client_info", None)
    event: dict[str, Any] = {
        "client_id": client.client_id,
        "scope": sorted((tokens.get("scope") or "").split() or scopes),
        "token_endpoint": metadata.token_endpoint,
        "realm": metadata.realm,
        "environment": client.environment,
        "grant_type": grant_type,
        "response": response,
        "data": {**client.extra.data, **data},
        "params": {},
    }
    if refreshed is not None:
        event |= {"home_account_id": refreshed, "skip_account_creation": True}
    client.cache.add(event, now=now)
    result = dict(tokens)
    if result.get("refresh_in") is not None:
        result["refresh_on"] = int(now + result.pop("refresh_in"))
    if "access_token" in result:
        result["token_source"] = "identity_provider"
    return result
