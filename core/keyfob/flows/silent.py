"""Tokens without the person: from the cache, or by a refresh token (RFC 6749 §6)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from keyfob.cache import AccessTokenEntry
from keyfob.errors import ConfigurationError, KeyfobError, SubjectChangedError
from keyfob.flows import Flow
from keyfob.flows.auth_code import remember
from keyfob.flows.client import Client
from keyfob.protocol.id_token import Expectations, unverified_claims
from keyfob.protocol.metadata import ProviderMetadata
from keyfob.protocol.scopes import checked_scopes, refresh_scopes, scope_text
from keyfob.protocol.token_endpoint import parse_token_response

#: Seconds before its end at which a token counts as expired, so that a call still gets through.
EXPIRY_MARGIN = 300
#: ... but no more than this part of its life: some providers' tokens live five minutes.
EXPIRY_MARGIN_SHARE = 0.2

#: MSAL's names for what an application may do about an error (its `classification`).
_UNCLASSIFIED = frozenset(
    {
        "bad_token",
        "token_expired",
        "protection_policy_required",
        "client_mismatch",
        "device_authentication_failed",
    }
)


def acquire(
    client: Client,
    scopes: Collection[str],
    account: Mapping[str, Any] | None,
    *,
    force_refresh: bool = False,
    claims_challenge: str | None = None,
) -> Flow[dict[str, Any] | None]:
    """The account's token for `scopes`.

    :returns: a dict with `access_token`; one with `error` where the provider refused; None where
        nothing in the cache can give such a token.
    """
    if account is None:
        return None
    home = account.get("home_account_id")
    if not isinstance(home, str) or not home:
        raise ConfigurationError("The account has no home_account_id; take it from get_accounts()")
    asked = checked_scopes(scopes)
    metadata = yield from client.metadata()
    now = client.clock()
    held = client.cache.find_access_token(
        home_account_id=home,
        environment=client.environment,
        client_id=client.client_id,
        realm=metadata.realm,
        scopes=asked,
        now=now,
    )
    usable = held is not None and is_fresh(held, now) and not force_refresh and not claims_challenge
    if held is not None and usable and not is_aging(held, now):
        return cache_hit(held, now)
    try:
        renewed = yield from _renew(client, metadata, home, asked, claims_challenge)
    except SubjectChangedError:
        raise
    except KeyfobError:
        # A proactive refresh that fails, for whatever reason, costs nobody a valid token.
        if held is not None and usable:
            return cache_hit(held, now)
        raise
    if held is not None and usable and (renewed is None or "error" in renewed):
        return cache_hit(held, now)
    return renewed


def is_fresh(entry: AccessTokenEntry, now: float) -> bool:
    expires = float(entry["expires_on"])
    life = expires - float(entry.get("cached_at") or now)
    return expires - now >= min(EXPIRY_MARGIN, max(0.0, life) * EXPIRY_MARGIN_SHARE)


def is_aging(entry: AccessTokenEntry, now: float) -> bool:
    refresh_on = entry.get("refresh_on")
    return bool(refresh_on) and float(refresh_on or 0) < now


def cache_hit(entry: AccessTokenEntry, now: float) -> dict[str, Any]:
    found: dict[str, Any] = {
        "access_token": entry["secret"],
        "token_type": entry.get("token_type", "Bearer"),
        "expires_in": int(float(entry["expires_on"]) - now),
        "token_source": "cache",
    }
    if entry.get("refresh_on"):
        found["refresh_on"] = int(float(entry["refresh_on"]))
    return found


def _renew(
    client: Client,
    metadata: ProviderMetadata,
    home_account_id: str,
    scopes: Collection[str],
    claims_challenge: str | None,
) -> Flow[dict[str, Any] | None]:
    entries = client.cache.find_refresh_tokens(
        home_account_id=home_account_id,
        environment=client.environment,
        client_id=client.client_id,
    )
    previous = client.cache.find_id_token(
        home_account_id=home_account_id,
        environment=client.environment,
        client_id=client.client_id,
    )
    refused: dict[str, Any] | None = None
    for entry in entries:
        granted = (entry.get("target") or "").split()
        asked = refresh_scopes(scopes, granted, is_microsoft=client.is_microsoft)
        if asked is None:
            continue
        result = yield from redeem_refresh_token(
            client,
            metadata,
            entry["secret"],
            asked,
            previous=unverified_claims(previous) if previous else None,
            claims_challenge=claims_challenge,
            headers=_anchor(client, home_account_id),
            skip_account_creation=True,
        )
        if "error" not in result:
            return result
        refused = _classified(result)
    return refused


def redeem_refresh_token(
    client: Client,
    metadata: ProviderMetadata,
    refresh_token: str,
    scopes: Collection[str],
    *,
    previous: Mapping[str, Any] | None = None,
    claims_challenge: str | None = None,
    headers: Mapping[str, str] | None = None,
    skip_account_creation: bool = False,
) -> Flow[dict[str, Any]]:
    """One refresh. Its ID token, where it has one, must name who it named before (§12.2)."""
    http = yield client.token_request(
        metadata,
        {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "scope": scope_text(scopes),
            "claims": claims_challenge,
        },
        headers,
    )
    tokens = parse_token_response(http)
    if "error" in tokens:
        return tokens
    if tokens.get("id_token"):
        tokens["id_token_claims"] = yield from client.provider.verified_claims(
            tokens["id_token"],
            Expectations(
                client_id=client.client_id,
                metadata=metadata,
                now=client.clock(),
                access_token=tokens["access_token"],
                leeway=client.leeway,
                allowed_tenants=client.allowed_tenants,
                previous=previous,
            ),
        )
    remembered = dict(tokens)
    if previous is not None and not tokens.get("id_token"):
        # The cache names the account by the response; an answer without names keeps the old one.
        remembered["id_token_claims"] = dict(previous)
    remember(
        client,
        metadata,
        remembered,
        scopes,
        grant_type="refresh_token",
        skip_account_creation=skip_account_creation,
    )
    tokens["token_source"] = "identity_provider"
    return tokens


def _anchor(client: Client, home_account_id: str) -> dict[str, str]:
    """Microsoft's routing hint (its backup authentication service finds the tenant by it)."""
    if not client.is_microsoft or home_account_id.count(".") != 1:
        return {}
    return {"X-AnchorMailbox": f"Oid:{home_account_id.replace('.', '@')}"}


def _classified(error: dict[str, Any]) -> dict[str, Any]:
    suberror = error.get("suberror")
    if isinstance(suberror, str) and suberror:
        error["classification"] = "" if suberror in _UNCLASSIFIED else suberror
    return error


def merged_claims(challenge: str | None) -> str | None:
    """A claims challenge, checked to be a JSON object (OpenID Connect Core §5.5)."""
    if challenge is None:
        return None
    try:
        if isinstance(json.loads(challenge), dict):
            return challenge
    except ValueError:
        pass
    raise ConfigurationError("A claims challenge is a JSON object, as text")


def migrate_refresh_token(
    client: Client, refresh_token: str, scopes: Collection[str]
) -> Flow[dict[str, Any]]:
    """Redeem a refresh token that came from elsewhere, and remember whose it is."""
    if not refresh_token:
        raise ConfigurationError("The refresh token is missing")
    asked = checked_scopes(scopes)
    metadata = yield from client.metadata()
    return (
        yield from redeem_refresh_token(
            client, metadata, refresh_token, client.sign_in_scopes(asked, metadata)
        )
    )
