"""Tokens without the person: from the cache, or by a refresh token (RFC 6749 §6)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from keyfob.cache import AccessTokenEntry, RefreshTokenEntry
from keyfob.errors import MissingKeyError, SubjectChangedError
from keyfob.flows import Flow
from keyfob.flows.client import Client
from keyfob.flows.remember import proven_claims, remember
from keyfob.flows.telemetry import Api, Reason
from keyfob.flows.token_request import FORWARDED_CLAIMS, TokenRequest, ask
from keyfob.protocol.claims import claims_object
from keyfob.protocol.client_info import home_account_id_in
from keyfob.protocol.metadata import ProviderMetadata
from keyfob.protocol.scopes import checked_scopes, refresh_scopes, scope_text
from keyfob.protocol.token_endpoint import needed_text
from keyfob.protocol.unverified import unverified_claims

#: A family's name is asked for by clients that do not know yet whether they belong to it: there is
#: but one, Microsoft's own applications.
_MICROSOFT_FAMILY = "1"

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


class Need(NamedTuple):
    """What is wanted, of whom.

    :param force_refresh: no access token from the cache will do.
    :param claims_challenge: an API's; only a new token answers it.
    :param forwarded_claims: the application's own; they keep its tokens apart in the cache.
    """

    home_account_id: str
    scopes: frozenset[str]
    force_refresh: bool = False
    claims_challenge: str | None = None
    forwarded_claims: str | None = None

    @property
    def is_for_a_new_token(self) -> bool:
        return self.force_refresh or self.claims_challenge is not None

    @property
    def fields(self) -> dict[str, str]:
        """What keeps the token apart from others in the cache."""
        return {FORWARDED_CLAIMS: self.forwarded_claims} if self.forwarded_claims else {}

    def held(
        self, client: Client, metadata: ProviderMetadata, now: float
    ) -> AccessTokenEntry | None:
        return client.held_token(metadata, self.home_account_id, self.scopes, now, self.fields)

    def renew(
        self, client: Client, metadata: ProviderMetadata, reason: Reason
    ) -> Flow[dict[str, Any] | None]:
        return _renew(client, metadata, self, reason)


def need(
    account: Mapping[str, Any],
    scopes: Collection[str],
    *,
    force_refresh: bool = False,
    claims_challenge: str | None = None,
    forwarded_claims: str | None = None,
) -> Need:
    """What a caller asks for, judged.

    :raises ConfigurationError: (a ValueError) the account is none, or a text is no JSON object.
    """
    if claims_challenge is not None or forwarded_claims is not None:
        claims_object(claims_challenge)
        claims_object(forwarded_claims, "forwarded_client_claims")
    return Need(
        home_account_id_of(account),
        checked_scopes(scopes),
        bool(force_refresh),
        claims_challenge or None,
        forwarded_claims or None,
    )


def home_account_id_of(account: object) -> str:
    """Whose tokens are meant.

    :raises MissingKeyError: (a ValueError and a KeyError) it is no account.
    """
    # A dict first: to ask an abstract class costs ten times as much, at every hit.
    home = account.get("home_account_id") if isinstance(account, (dict, Mapping)) else None
    if not isinstance(home, str) or not home:
        raise MissingKeyError("The account has no home_account_id; take it from get_accounts()")
    return home


#: Authorities that know people by a subject, which means somebody else at the next one.
_BY_SUBJECT = ("oidc", "adfs", "dsts")


def is_elsewhere(client: Client, account: Mapping[str, Any]) -> bool:
    """Whether an account is another provider's, where the same id may be another person.

    Microsoft's clouds and tenants name people by ids that no two share, and have many names.
    """
    environment = account.get("environment")
    if client.provider.authority.kind not in _BY_SUBJECT or not isinstance(environment, str):
        return False
    return bool(environment) and environment.lower() not in client.environments


def _renew(
    client: Client, metadata: ProviderMetadata, wanted: Need, reason: Reason
) -> Flow[dict[str, Any] | None]:
    previous = _previous_claims(client, metadata, wanted.home_account_id)
    refused: dict[str, Any] | None = None
    is_of_family = True
    for entry in _refresh_tokens(client, wanted.home_account_id):
        foreign = entry["client_id"] != client.client_id
        granted = (entry.get("target") or "").split()
        asked = refresh_scopes(wanted.scopes, granted, is_microsoft=client.is_microsoft)
        if asked is None or (foreign and not is_of_family):
            continue
        result = yield from redeem_refresh_token(
            client,
            metadata,
            entry["secret"],
            asked - client.excluded_scopes,
            wanted=wanted,
            previous=previous,
            api=Api.SILENT,
            reason=reason,
        )
        if "error" not in result:
            return result
        refused = _classified(result)
        is_of_family = not (foreign and _is_client_mismatch(result))
    return refused


def _refresh_tokens(client: Client, home_account_id: str) -> Iterator[RefreshTokenEntry]:
    """Those that may serve, the newest of the provider's own host first.

    The applications of a family may use each other's. Whether this client is of Microsoft's is
    known only after its first token.
    """
    for environment in client.environments:
        known = client.cache.app_metadata(environment, client.client_id)
        family = known.get("family_id") if known else _MICROSOFT_FAMILY
        yield from client.cache.find_refresh_tokens(
            home_account_id=home_account_id,
            environment=environment,
            client_id=client.client_id,
            family_id=family if client.is_microsoft else None,
        )


def _is_client_mismatch(error: Mapping[str, Any]) -> bool:
    """Whether the provider says that the client is not of the refresh token's family."""
    more = error.get("error_additional_info")
    listed = more if isinstance(more, list) else [more]
    return "client_mismatch" in (error.get("suberror"), *listed)


def redeem_refresh_token(
    client: Client,
    metadata: ProviderMetadata,
    refresh_token: str,
    scopes: Collection[str],
    *,
    wanted: Need | None = None,
    previous: Mapping[str, Any] | None = None,
    api: Api = Api.REFRESH_TOKEN,
    reason: Reason = Reason.NOT_ASKED,
) -> Flow[dict[str, Any]]:
    """One refresh. Its ID token, where it has one, must name who it named before (§12.2).

    :param wanted: what it is for; None where only the answer will tell whose it is.
    :param previous: the claims of that account's last ID token.
    """
    home = wanted.home_account_id if wanted else None
    tokens = yield from ask(
        client,
        metadata,
        TokenRequest(
            {
                "grant_type": "refresh_token",
                "refresh_token": refresh_token,
                "scope": scope_text(scopes),
            },
            api=api,
            reason=reason,
            headers=client.anchor(home),
            claims_challenge=wanted.claims_challenge if wanted else None,
            forwarded_claims=wanted.forwarded_claims if wanted else None,
        ),
    )
    if "error" in tokens:
        return tokens
    if tokens.get("id_token"):
        tokens["id_token_claims"] = yield from proven_claims(
            client, metadata, tokens, previous=previous
        )
    if home is not None:
        _judge_account(client, tokens, home, previous)
    return remember(
        client,
        metadata,
        tokens,
        scopes,
        grant_type="refresh_token",
        refreshed=home,
        data=wanted.fields if wanted else {},
    )


def _previous_claims(
    client: Client, metadata: ProviderMetadata, home_account_id: str
) -> dict[str, Any] | None:
    """What the account's last ID token said, or None where there is none that can be read.

    At Microsoft that of this tenant: another tenant's names the same person by another subject.
    """
    for environment in client.environments:
        token = client.cache.find_id_token(
            home_account_id=home_account_id,
            environment=environment,
            client_id=client.client_id,
            realm=metadata.realm if client.is_microsoft else None,
        )
        if token is not None:
            return unverified_claims(token) or None
    return None


def _judge_account(
    client: Client,
    tokens: Mapping[str, Any],
    home_account_id: str,
    previous: Mapping[str, Any] | None,
) -> None:
    """Refuse an answer about another account than the one that was asked for.

    :raises SubjectChangedError: it is.
    """
    named = home_account_id_in(tokens.get("client_info")) if client.is_microsoft else None
    # AD FS and dSTS name people as other providers do, by the subject.
    by_subject = client.provider.authority.kind in _BY_SUBJECT
    if named is not None or not by_subject:
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


def migrate_refresh_token(
    client: Client, refresh_token: str, scopes: Collection[str]
) -> Flow[dict[str, Any]]:
    """Redeem a refresh token that came from elsewhere, and remember whose it is."""
    needed_text(refresh_token, "refresh_token")
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
