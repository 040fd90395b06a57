"""A need for an access token that the cache may hold: one rule for every verb that looks there.

A token that serves is served. One that should be renewed is renewed, and is served all the same if
that fails, whatever the failure, as long as it is valid.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol

from keyfob.cache import AccessTokenEntry, TokenCache
from keyfob.cache.entries import CredentialType
from keyfob.errors import SubjectChangedError
from keyfob.flows import Flow, once
from keyfob.flows.client import Client
from keyfob.flows.telemetry import Reason
from keyfob.protocol.metadata import ProviderMetadata

_log = logging.getLogger(__name__)

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


class Need(Protocol):
    """What a verb is asked for. Two that are equal are one need: they share one request."""

    @property
    def is_for_a_new_token(self) -> bool:
        """Whether no access token from the cache will do."""
        ...

    def held(
        self, client: Client, metadata: ProviderMetadata, now: float
    ) -> AccessTokenEntry | None:
        """What the cache has for it, whether or not it lives long enough."""
        ...

    def renew(
        self, client: Client, metadata: ProviderMetadata, reason: Reason
    ) -> Flow[dict[str, Any] | None]:
        """A new token: a dict with `access_token`, one with `error`, or None where nothing can
        give one."""
        ...


def at_hand(client: Client, need: Need) -> dict[str, Any] | None:
    """The token where the cache has it and nothing is to be done for it.

    Never from the network: what was last known of the provider serves, however old it is.

    :returns: a dict with `access_token`; None where nothing is known of the provider yet, or the
        cache has no such token, or one that is about to expire or to be renewed.
    """
    return look(client, need)[0]


def look(client: Client, need: Need) -> tuple[dict[str, Any] | None, AccessTokenEntry | None]:
    """`at_hand`, and what the cache had, for `obtain`: an expired token is seen once."""
    metadata, now = client.provider.last_metadata, client.clock()
    if metadata is None or need.is_for_a_new_token:
        return None, None
    seen = need.held(client, metadata, now)
    if seen is None or not is_fresh(seen, now) or is_aging(seen, now):
        return None, seen
    return _served(client, seen, now), seen


def fulfil(client: Client, need: Need) -> Flow[dict[str, Any] | None]:
    """The token: from the cache, or a new one.

    :returns: a dict with `access_token`; one with `error` where the provider refused; None where
        nothing can give such a token.
    :raises SubjectChangedError: the provider named somebody else.
    """
    hit, seen = look(client, need)
    return hit if hit is not None else (yield from obtain(client, need, seen))


def obtain(
    client: Client, need: Need, seen: AccessTokenEntry | None
) -> Flow[dict[str, Any] | None]:
    """As `fulfil`, where `look` found no token to serve.

    :param seen: what it found.
    """
    whose = (id(client.cache), id(client.provider), client.client_id, client.extra.key)
    return (yield from once((whose, need), lambda: _from_cache_or_anew(client, need, seen)))


def _from_cache_or_anew(
    client: Client, need: Need, seen: AccessTokenEntry | None
) -> Flow[dict[str, Any] | None]:
    """:param seen: what the cache had a moment ago; expired tokens are seen once."""
    metadata = yield from client.metadata()
    now = client.clock()
    held = None if need.is_for_a_new_token else need.held(client, metadata, now)
    if held is None or not is_fresh(held, now):
        return (yield from need.renew(client, metadata, _why(need, held or seen)))
    if not is_aging(held, now):
        return _served(client, held, now)
    try:
        renewed = yield from need.renew(client, metadata, Reason.AGING)
    except SubjectChangedError:
        raise
    except Exception as error:  # noqa: BLE001 - also what an application's own code raises
        # A proactive refresh that fails, for whatever reason, costs nobody a valid token.
        _log.warning("A token could not be renewed ahead of time (%s)", type(error).__name__)
        renewed = None
    if renewed is None or "error" in renewed:
        return _served(client, put_off_renewal(client.cache, held, now), now)
    return renewed


def is_fresh(entry: AccessTokenEntry, now: float) -> bool:
    """Whether the token lives long enough for a call."""
    expires = float(entry["expires_on"])
    if expires - now >= EXPIRY_MARGIN:
        return True
    margin = float(EXPIRY_MARGIN)
    if entry.get("cached_at"):
        life = max(0.0, expires - float(entry["cached_at"]))
        margin = min(margin, life * EXPIRY_MARGIN_SHARE)
    return expires - now >= margin


def is_aging(entry: AccessTokenEntry, now: float) -> bool:
    """Whether the provider would have it renewed by now."""
    refresh_on = entry.get("refresh_on")
    return refresh_on is not None and refresh_on != "" and float(refresh_on) < now


def _why(need: Need, held: AccessTokenEntry | None) -> Reason:
    if need.is_for_a_new_token:
        return Reason.FORCED
    return Reason.ABSENT if held is None else Reason.EXPIRED


def put_off_renewal(cache: TokenCache, entry: AccessTokenEntry, now: float) -> AccessTokenEntry:
    """The valid token, which nobody will try to renew again for RENEWAL_RETRY."""
    later: AccessTokenEntry = {**entry, "refresh_on": str(int(now) + RENEWAL_RETRY)}
    section = CredentialType.ACCESS_TOKEN
    query = {name: value for name, value in entry.items() if name in _WHICH_TOKEN}
    # Where it is gone, somebody was signed out meanwhile, or another thread has renewed it.
    for found in cache.search(section, query=query, now=now):
        cache.modify(section, found, {"refresh_on": later["refresh_on"]})
    return later


def _served(client: Client, entry: AccessTokenEntry, now: float) -> dict[str, Any]:
    client.telemetry.cache_hit()
    return cache_hit(entry, now)


def cache_hit(entry: AccessTokenEntry, now: float) -> dict[str, Any]:
    """What a verb returns for a token from the cache."""
    found: dict[str, Any] = {
        "access_token": entry["secret"],
        "token_type": entry.get("token_type", "Bearer"),
        "expires_in": int(float(entry["expires_on"]) - now),
        "token_source": "cache",
    }
    if entry.get("refresh_on"):
        found["refresh_on"] = int(float(entry["refresh_on"]))
    return found
