"""What the cache holds: the entries of MSAL's unified schema, and the keys they are filed under.

Every value is a string, times too (seconds since 1970), because the schema says so. A key is only
an address for writing. What an entry is, its fields say; other libraries file under other keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypedDict

from keyfob.errors import ConfigurationError

#: An entry as it stands in the document: ours, another library's, or anything JSON can say.
Entry = dict[str, Any]


class CredentialType:
    """The sections of the document, by MSAL's names."""

    ACCESS_TOKEN = "AccessToken"
    #: Not a section: what the key of an access token says when it has an `ext_cache_key`.
    ACCESS_TOKEN_EXTENDED = "atext"
    REFRESH_TOKEN = "RefreshToken"
    ACCOUNT = "Account"
    ID_TOKEN = "IdToken"
    APP_METADATA = "AppMetadata"


class AuthorityType:
    """The `authority_type` of an account."""

    ADFS = "ADFS"
    #: Microsoft Entra ID and personal accounts; MSAL says it of every provider but ADFS.
    MSSTS = "MSSTS"


class _Owned(TypedDict):
    home_account_id: str | None
    environment: str
    client_id: str


class _AccessToken(_Owned):
    secret: str
    realm: str
    target: str
    expires_on: str


class AccessTokenEntry(_AccessToken, total=False):
    """An access token. `home_account_id` is None for a token of the application itself.

    `target` is the granted scopes, separated by spaces. `expires_on` and, where it is there,
    `refresh_on` (from when a new one should be asked for) are seconds since 1970, as strings that
    `int()` reads.
    """

    credential_type: str
    token_type: str
    cached_at: str
    extended_expires_on: str
    refresh_on: str
    key_id: str
    ext_cache_key: str


class _RefreshToken(_Owned):
    secret: str


class RefreshTokenEntry(_RefreshToken, total=False):
    """A refresh token. It serves every tenant; `target` is what was ever granted along with it."""

    credential_type: str
    target: str
    last_modification_time: str
    family_id: str


class _IdToken(_Owned):
    secret: str


class IdTokenEntry(_IdToken, total=False):
    """An ID token; `secret` is the JWT as it came."""

    credential_type: str
    realm: str


class _Account(TypedDict):
    home_account_id: str | None
    environment: str


class AccountEntry(_Account, total=False):
    """Somebody who signed in, as one tenant (`realm`) knows them."""

    realm: str
    local_account_id: str | None
    username: str
    authority_type: str
    account_source: str


class _AppMetadata(TypedDict):
    client_id: str
    environment: str


class AppMetadataEntry(_AppMetadata, total=False):
    """What is known of a client in one environment: whether it belongs to a family of clients."""

    family_id: str


class TokenEvent(TypedDict, total=False):
    """What `TokenCache.add` is told: a token response, and what was asked.

    The fields are MSAL's, but for `realm` and `home_account_id`, which are Keyfob's.

    `scope`: what was granted (the response's `scope`, split; what was asked for where it has none).
    `environment`: the authority's host. Without it, that of `token_endpoint`.
    `realm`: the tenant. Without it, the first path segment of `token_endpoint`.
    `home_account_id`: whose response it is, where the response itself does not say, as when a
    refresh brings no ID token.
    `data`: the form that was sent; `key_id` and the extended cache key come from it, and the
    `username` of a password grant.
    `skip_account_creation`: a refresh: write no account, and nothing at all if the person was
    signed out meanwhile.
    """

    client_id: str | None
    scope: Sequence[str] | None
    token_endpoint: str
    environment: str
    realm: str
    home_account_id: str
    grant_type: str
    response: Mapping[str, Any]
    params: Mapping[str, Any] | None
    data: Mapping[str, Any] | None
    username: str
    authority_type: str
    skip_account_creation: bool
    _account_id: str


def key_for(credential_type: str, entry: Mapping[str, Any]) -> str:
    """The key under which MSAL files `entry`; fields that are missing or null count as empty.

    :param credential_type: one of `CredentialType`, which names the section.
    :raises ConfigurationError: there is no such section.
    """
    maker = _KEY_MAKERS.get(credential_type)
    if maker is None:
        raise ConfigurationError(
            f"There is no credential type {credential_type!r}; CredentialType has those there are",
            setting="credential_type",
        )
    return maker(entry)


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    return value if isinstance(value, str) else str(value or "")


def _joined(entry: Mapping[str, Any], names: str, *more: str) -> str:
    """The fields in `names`, in which a word in capitals stands for itself, joined with `-`."""
    parts = [word if word[:1].isupper() else _text(entry, word) for word in names.split()]
    return "-".join([*parts, *more]).lower()


def _access_token_key(entry: Mapping[str, Any]) -> str:
    extended = _text(entry, "ext_cache_key")
    if extended:
        return _joined(
            entry, "home_account_id environment Atext client_id realm target ext_cache_key"
        )
    return _joined(entry, "home_account_id environment AccessToken client_id realm target")


def _refresh_token_key(entry: Mapping[str, Any]) -> str:
    # The realm's place is empty: a refresh token serves every tenant.
    head = _joined(entry, "home_account_id environment RefreshToken client_id")
    return f"{head}--{_text(entry, 'target').lower()}"


def _id_token_key(entry: Mapping[str, Any]) -> str:
    # The target's place is there, and empty.
    return _joined(entry, "home_account_id environment IdToken client_id realm", "")


def _account_key(entry: Mapping[str, Any]) -> str:
    return _joined(entry, "home_account_id environment realm")


def _app_metadata_key(entry: Mapping[str, Any]) -> str:
    # The one key that keeps its case.
    return f"appmetadata-{_text(entry, 'environment')}-{_text(entry, 'client_id')}"


_KEY_MAKERS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    CredentialType.ACCESS_TOKEN: _access_token_key,
    CredentialType.REFRESH_TOKEN: _refresh_token_key,
    CredentialType.ID_TOKEN: _id_token_key,
    CredentialType.ACCOUNT: _account_key,
    CredentialType.APP_METADATA: _app_metadata_key,
}


#: What is later is no time, and might not even be a float.
_END_OF_TIME = 10**15


def epoch(value: object) -> int | None:
    """`value` as whole seconds since 1970, or None where it says no time.

    The schema has strings; some libraries write numbers.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < _END_OF_TIME else None


def scope_set(scopes: Iterable[str] | None) -> frozenset[str]:
    """`scopes`, a string with spaces in it or any strings, as a set.

    Nothing is left out: a lookup for fewer scopes than were asked for finds the wrong token.
    """
    if isinstance(scopes, frozenset):
        return scopes
    return frozenset(scopes.split() if isinstance(scopes, str) else scopes or ())
