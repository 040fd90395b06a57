"""Tokens without the person: from the cache, or by a refresh token (RFC 6749 §6)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from keyfob.cache import AccessTokenEntry
from keyfob.cache.entries import CredentialType
from keyfob.errors import ConfigurationError, KeyfobError, SubjectChangedError
from keyfob.flows import Flow
from keyfob.flows.auth_code import remember
from keyfob.flows.client import Client
from keyfob.protocol.client_info import home_account_id_in
from keyfob.protocol.http import strict_json
from keyfob.protocol.id_token import Expectations
from keyfob.protocol.metadata import ProviderMetadata
from keyfob.protocol.scopes import checked_scopes, refresh_scopes, scope_text
from keyfob.protocol.token_endpoint import parse_token_response
from keyfob.protocol.unverified import unverified_claims

#: Seconds before its end at which a token counts as expired, so that a call still gets through.
EXPIRY_MARGIN = 300
#: ... but no more than this part of its life: some providers' tokens live five minutes.
EXPIRY_MARGIN_SHARE = 0.2

#: Seconds in which no other call tries to renew a valid token after that has failed.
RENEWAL_RETRY = 60

#: What tells an access token from every other.
_WHICH_TOKEN = frozenset(
    {"home_account_id", "environment", "client_id", "realm", "target", "ext_cache_key", "secret"}
)

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
    home, asked = _home_account_id(account), checked_scopes(scopes)
    if not force_refresh and not claims_challenge:
        found = at_hand(client, asked, account)
        if found is not None:
            return found
    metadata = yield from client.metadata()
    now = client.clock()
    held = _held(client, metadata, home, asked, now)
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
            return cache_hit(put_off_renewal(client, held, now), now)
        raise
    if held is not None and usable and (renewed is None or "error" in renewed):
        return cache_hit(put_off_renewal(client, held, now), now)
    return renewed


def at_hand(
    client: Client, scopes: Collection[str], account: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """The account's token for `scopes` where the cache has it and nothing is to be done for it.

    Never from the network: what was last known of the provider serves, however old it is.

    :returns: a dict with `access_token`; None where nothing is known of the provider yet, or the
        cache has no such token, or one that is about to expire or to be renewed.
    """
    if account is None:
        return None
    home, asked = _home_account_id(account), checked_scopes(scopes)
    metadata, now = client.provider.last_metadata, client.clock()
    if metadata is None:
        return None
    held = _held(client, metadata, home, asked, now)
    if held is None or not is_fresh(held, now) or is_aging(held, now):
        return None
    return cache_hit(held, now)


def is_fresh(entry: AccessTokenEntry, now: float) -> bool:
    expires = float(entry["expires_on"])
    margin = float(EXPIRY_MARGIN)
    if entry.get("cached_at"):
        life = max(0.0, expires - float(entry["cached_at"]))
        margin = min(margin, life * EXPIRY_MARGIN_SHARE)
    return expires - now >= margin


def is_aging(entry: AccessTokenEntry, now: float) -> bool:
    refresh_on = entry.get("refresh_on")
    return bool(refresh_on) and float(refresh_on or 0) < now


def put_off_renewal(client: Client, entry: AccessTokenEntry, now: float) -> AccessTokenEntry:
    """The valid token, which nobody will try to renew again for RENEWAL_RETRY."""
    later: AccessTokenEntry = {**entry, "refresh_on": str(int(now) + RENEWAL_RETRY)}
    section = CredentialType.ACCESS_TOKEN
    query = {name: value for name, value in entry.items() if name in _WHICH_TOKEN}
    # Where it is gone, somebody was signed out meanwhile, or another thread has renewed it.
    for found in client.cache.search(section, query=query, now=now):
        client.cache.modify(section, found, {"refresh_on": later["refresh_on"]})
    return later


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


def _home_account_id(account: Mapping[str, Any]) -> str:
    home = account.get("home_account_id")
    if not isinstance(home, str) or not home:
        raise ConfigurationError("The account has no home_account_id; take it from get_accounts()")
    return home


def _held(
    client: Client,
    metadata: ProviderMetadata,
    home_account_id: str,
    scopes: Collection[str],
    now: float,
) -> AccessTokenEntry | None:
    return client.cache.find_access_token(
        home_account_id=home_account_id,
        environment=client.environment,
        client_id=client.client_id,
        realm=metadata.realm,
        scopes=scopes,
        now=now,
        # Elsewhere scopes are case-sensitive (RFC 6749 §3.3).
        ignore_case=client.is_microsoft,
    )


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
    previous = _previous_claims(client, metadata, home_account_id)
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
            home_account_id=home_account_id,
            previous=previous,
            claims_challenge=claims_challenge,
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
    home_account_id: str | None = None,
    previous: Mapping[str, Any] | None = None,
    claims_challenge: str | None = None,
) -> Flow[dict[str, Any]]:
    """One refresh. Its ID token, where it has one, must name who it named before (§12.2).

    :param home_account_id: the account it is for; None where only the answer will tell.
    :param previous: the claims of that account's last ID token.
    """
    http = yield client.token_request(
        metadata,
        {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "scope": scope_text(scopes),
            "claims": claims_challenge,
        },
        client.anchor(home_account_id),
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
    if home_account_id is not None:
        _judge_account(client, tokens, home_account_id, previous)
    return remember(
        client, metadata, tokens, scopes, grant_type="refresh_token", refreshed=home_account_id
    )


def _previous_claims(
    client: Client, metadata: ProviderMetadata, home_account_id: str
) -> dict[str, Any] | None:
    """What the account's last ID token said, or None where there is none that can be read.

    At Microsoft that of this tenant: another tenant's names the same person by another subject.
    """
    token = client.cache.find_id_token(
        home_account_id=home_account_id,
        environment=client.environment,
        client_id=client.client_id,
        realm=metadata.realm if client.is_microsoft else None,
    )
    return unverified_claims(token) or None


def _judge_account(
    client: Client,
    tokens: Mapping[str, Any],
    home_account_id: str,
    previous: Mapping[str, Any] | None,
) -> None:
    """Refuse an answer about another account than the one that was asked for.

    :raises SubjectChangedError: it is.
    """
    if client.is_microsoft:
        named = home_account_id_in(tokens.get("client_info"))
        same = named is None or named.lower() == home_account_id.lower()
    else:
        # Where an earlier ID token was at hand, this one was compared with it.
        unseen = previous is None and bool(tokens.get("id_token"))
        same = not unseen or tokens["id_token_claims"]["sub"] == home_account_id
    if not same:
        raise SubjectChangedError("The refreshed tokens are another account's")


def _classified(error: dict[str, Any]) -> dict[str, Any]:
    suberror = error.get("suberror")
    if isinstance(suberror, str) and suberror:
        error["classification"] = "" if suberror in _UNCLASSIFIED else suberror
    return error


def merged_claims(challenge: object) -> str | None:
    """A claims challenge, checked to be a JSON object (OpenID Connect Core §5.5)."""
    if challenge is None:
        return None
    try:
        # An API's words: they may be anything.
        if isinstance(challenge, str) and isinstance(strict_json(challenge.encode()), dict):
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
    if client.is_microsoft:
        asked = client.sign_in_scopes(asked, metadata)
    elif asked:
        # What was granted is not known here. RFC 6749 §6: ask for nothing beyond, so for no more
        # than is named, and openid, without which nobody would have signed in; where nothing is
        # named, for all there was.
        asked |= {"openid"}
    return (yield from redeem_refresh_token(client, metadata, refresh_token, asked))
