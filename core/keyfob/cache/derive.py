"""What a token response says about whose tokens these are, and the entries it makes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from keyfob.cache.entries import AuthorityType, CredentialType, Entry, epoch, scope_set
from keyfob.cache.ext_key import compute_ext_cache_key
from keyfob.errors import ConfigurationError, TokenResponseError
from keyfob.protocol import unverified
from keyfob.protocol.client_info import home_account_id_of

#: Grants by which an account comes to be; it records which. ("broker" is no grant on the wire.)
_SOURCES = frozenset(
    {
        "authorization_code",
        "broker",
        "password",
        "urn:ietf:params:oauth:grant-type:device_code",
        "user_fic",
    }
)
#: Where a response says nothing of its lifetime, in seconds.
_DEFAULT_LIFETIME = 600
_CIAM_SUFFIX = ".ciamlogin.com"


class Whose(NamedTuple):
    """Whose tokens a response holds. `home_account_id` is None for the application's own."""

    home_account_id: str | None
    environment: str | None
    realm: str | None
    client_id: str | None
    #: The ID token's, or none.
    claims: Mapping[str, Any]
    #: Whether the response itself names a person.
    named: bool


def whose(event: Mapping[str, Any]) -> Whose:
    """Whose the tokens of a `TokenEvent` are.

    :raises TokenResponseError: the response names somebody, and not readably.
    :raises ConfigurationError: the event does not say from where it is.
    """
    response = _mapping(event, "response")
    environment, realm = _where(event)
    claims = response.get("id_token_claims")
    if not isinstance(claims, Mapping) or not claims:
        id_token = response.get("id_token")
        claims = unverified_claims(id_token) if id_token else {}
    # The subject of an ID token differs from client to client at Microsoft, so it comes last.
    by_client_info, subject = _client_info(response), _string(claims.get("sub"))
    home = by_client_info or _string(event.get("home_account_id")) or subject
    named = bool(by_client_info or subject)
    return Whose(home, environment, realm, event.get("client_id"), claims, named)


def entries_of(event: Mapping[str, Any], owner: Whose, now: int) -> Iterator[tuple[str, Entry]]:
    """The entries that a `TokenEvent` makes, each with its section, in MSAL's order.

    :param owner: from `whose`.
    :param now: seconds since 1970.
    :raises TokenResponseError: the response's lifetime is no number.
    """
    response, data = _mapping(event, "response"), _mapping(event, "data")
    target = " ".join(sorted(_granted(event, response)))
    anonymous = owner.home_account_id is None and _is_persons_grant(event.get("grant_type"))
    # A person's tokens without the person's name would be filed, and found, as the application's
    # own. They are left out.
    if not anonymous:
        if response.get("access_token"):
            yield CredentialType.ACCESS_TOKEN, _access_token(response, data, owner, target, now)
        if owner.named and not event.get("skip_account_creation"):
            yield CredentialType.ACCOUNT, _account(event, data, owner)
        if response.get("id_token"):
            yield CredentialType.ID_TOKEN, _id_token(response, owner)
        if response.get("refresh_token"):
            yield CredentialType.REFRESH_TOKEN, _refresh_token(response, owner, target, now)
    metadata: Entry = {"client_id": owner.client_id, "environment": owner.environment}
    if "foci" in response:
        metadata["family_id"] = response["foci"]
    yield CredentialType.APP_METADATA, metadata


def unverified_claims(jwt: object) -> dict[str, Any]:
    """The claims of a JWT, of which nothing is checked.

    :raises TokenResponseError: it is no JWT.
    """
    claims = unverified.unverified_claims(jwt)
    if claims is None:
        raise TokenResponseError("The ID token cannot be read", code="id_token_unreadable")
    return claims


def _access_token(
    response: Mapping[str, Any], data: Mapping[str, Any], owner: Whose, target: str, now: int
) -> Entry:
    lifetime = _lifetime(response, now)
    extended = epoch(response.get("ext_expires_in"))
    entry: Entry = {
        "credential_type": CredentialType.ACCESS_TOKEN,
        "secret": response["access_token"],
        "home_account_id": owner.home_account_id,
        "environment": owner.environment,
        "client_id": owner.client_id,
        "target": target,
        "realm": owner.realm,
        "token_type": response.get("token_type", "Bearer"),
        "cached_at": str(now),
        "expires_on": str(now + lifetime),
        "extended_expires_on": str(now + (lifetime if extended is None else extended)),
    }
    if "key_id" in data:
        entry["key_id"] = data["key_id"]
    ext_cache_key = compute_ext_cache_key(data)
    if ext_cache_key:
        entry["ext_cache_key"] = ext_cache_key
    refresh_in = epoch(response.get("refresh_in"))
    if refresh_in is not None:
        entry["refresh_on"] = str(now + refresh_in)
    return entry


def _account(event: Mapping[str, Any], data: Mapping[str, Any], owner: Whose) -> Entry:
    claims = owner.claims
    grant_type = event.get("grant_type")
    by_realm = AuthorityType.ADFS if owner.realm == "adfs" else AuthorityType.MSSTS
    entry: Entry = {
        "home_account_id": owner.home_account_id,
        "environment": owner.environment,
        "realm": owner.realm,
        "local_account_id": event.get("_account_id", claims.get("oid", claims.get("sub"))),
        "username": _string(claims.get("preferred_username", claims.get("upn")))
        or _string(data.get("username"))  # of a password grant
        or _string(event.get("username"))  # of a federated one
        or "",
        "authority_type": event.get("authority_type", by_realm),
    }
    if isinstance(grant_type, str) and grant_type in _SOURCES:
        entry["account_source"] = grant_type
    return entry


def _id_token(response: Mapping[str, Any], owner: Whose) -> Entry:
    return {
        "credential_type": CredentialType.ID_TOKEN,
        "secret": response["id_token"],
        "home_account_id": owner.home_account_id,
        "environment": owner.environment,
        "realm": owner.realm,
        "client_id": owner.client_id,
    }


def _refresh_token(response: Mapping[str, Any], owner: Whose, target: str, now: int) -> Entry:
    entry: Entry = {
        "credential_type": CredentialType.REFRESH_TOKEN,
        "secret": response["refresh_token"],
        "home_account_id": owner.home_account_id,
        "environment": owner.environment,
        "client_id": owner.client_id,
        "target": target,
        "last_modification_time": str(now),
    }
    if "foci" in response:
        entry["family_id"] = response["foci"]
    return entry


def _granted(event: Mapping[str, Any], response: Mapping[str, Any]) -> frozenset[str]:
    scopes = event["scope"] if "scope" in event else response.get("scope")
    if isinstance(scopes, str):
        return scope_set(scopes)
    if not isinstance(scopes, (list, tuple, set, frozenset)):
        return frozenset()
    return scope_set(scope for scope in scopes if isinstance(scope, str))


def _lifetime(response: Mapping[str, Any], now: int) -> int:
    """How many seconds the access token lives (RFC 6749 §5.1; strings too, as AAD v1 sends)."""
    for name, since in (("expires_in", 0), ("expires_on", now)):
        value = response.get(name)
        if value not in (None, ""):
            seconds = epoch(value)
            if seconds is None:
                raise TokenResponseError(
                    f"The token response's {name} is not a number", code="lifetime_unreadable"
                )
            return seconds - since
    return _DEFAULT_LIFETIME


def _is_persons_grant(grant_type: object) -> bool:
    # Managed identities and Cloud Shell name no grant; theirs are the application's own.
    return isinstance(grant_type, str) and grant_type not in ("", "client_credentials")


def _client_info(response: Mapping[str, Any]) -> str | None:
    """The person's id in their home tenant, which only Microsoft sends, and not always."""
    if not response.get("client_info"):
        return None
    info = unverified.json_object_in(response["client_info"])
    if info is None:
        raise TokenResponseError("client_info cannot be read", code="client_info_unreadable")
    return home_account_id_of(info)


def _where(event: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The environment and the realm of an event."""
    environment, realm = event.get("environment"), event.get("realm")
    if (environment is None or realm is None) and event.get("token_endpoint"):
        host, segment = _endpoint(event["token_endpoint"])
        environment = host if environment is None else environment
        realm = segment if realm is None else realm
    return environment.lower() if isinstance(environment, str) else None, _string(realm)


def _endpoint(url: object) -> tuple[str, str]:
    """The host and the first path segment of a token endpoint."""
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        host = parts.hostname
    except ValueError:
        host = None
    if not host:
        raise ConfigurationError("token_endpoint is not an address", setting="token_endpoint")
    segment = parts.path.removeprefix("/").split("/", 1)[0]
    if not segment and host.endswith(_CIAM_SUFFIX):
        segment = f"{host.removesuffix(_CIAM_SUFFIX)}.onmicrosoft.com"
    return host, segment


def _mapping(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = event.get(name)
    return value if isinstance(value, Mapping) else {}


def _string(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
