"""The token cache: MSAL's unified schema as a pure, indexed document. No I/O."""

from keyfob.cache.entries import (
    AccessTokenEntry,
    AccountEntry,
    AppMetadataEntry,
    AuthorityType,
    CredentialType,
    Entry,
    IdTokenEntry,
    RefreshTokenEntry,
    TokenEvent,
)
from keyfob.cache.ext_key import compute_ext_cache_key
from keyfob.cache.serializable import SerializableTokenCache
from keyfob.cache.token_cache import TokenCache

__all__ = [
    "AccessTokenEntry",
    "AccountEntry",
    "AppMetadataEntry",
    "AuthorityType",
    "CredentialType",
    "Entry",
    "IdTokenEntry",
    "RefreshTokenEntry",
    "SerializableTokenCache",
    "TokenCache",
    "TokenEvent",
    "compute_ext_cache_key",
]
