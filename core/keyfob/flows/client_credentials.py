"""Tokens in the application's own name (RFC 6749 §4.4)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from keyfob.errors import ConfigurationError, KeyfobError
from keyfob.flows import Flow
from keyfob.flows.auth_code import remember
from keyfob.flows.client import Client
from keyfob.flows.silent import cache_hit, is_aging, is_fresh, put_off_renewal
from keyfob.protocol.scopes import scope_names, scope_text
from keyfob.protocol.token_endpoint import parse_token_response


def acquire(
    client: Client, scopes: Collection[str], *, claims_challenge: str | None = None
) -> Flow[dict[str, Any]]:
    """The application's token for `scopes`: from the cache, or from the provider.

    :returns: a dict with `access_token`, or one with `error`.
    """
    asked = scope_names(scopes)
    if not asked:
        raise ConfigurationError("acquire_token_for_client needs a list of at least one scope")
    metadata = yield from client.metadata()
    now = client.clock()
    held = client.cache.find_access_token(
        home_account_id=None,
        environment=client.environment,
        client_id=client.client_id,
        realm=metadata.realm,
        scopes=asked,
        now=now,
        ignore_case=client.is_microsoft,
    )
    usable = held is not None and is_fresh(held, now) and not claims_challenge
    if held is not None and usable and not is_aging(held, now):
        return cache_hit(held, now)
    try:
        http = yield client.token_request(
            metadata,
            {
                "grant_type": "client_credentials",
                "scope": scope_text(asked),
                "claims": claims_challenge,
            },
        )
        tokens = parse_token_response(http)
    except KeyfobError:
        if held is not None and usable:
            return cache_hit(put_off_renewal(client, held, now), now)
        raise
    if "error" in tokens:
        if held is not None and usable:
            return cache_hit(put_off_renewal(client, held, now), now)
        return tokens
    # RFC 6749 §4.4.3: no refresh token here; and nobody is signed in by an application's token.
    for name in ("refresh_token", "id_token", "client_info"):
        tokens.pop(name, None)
    return remember(client, metadata, tokens, asked, grant_type="client_credentials")
