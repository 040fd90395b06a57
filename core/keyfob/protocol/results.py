"""The shapes of what the verbs return, for type checkers. At run time they are plain dicts."""

from __future__ import annotations

from typing import Any, TypedDict


class TokenResult(TypedDict, total=False):
    """What a verb returns: a token, or the provider's refusal. Look for `access_token` first.

    A token from the provider comes with what the provider sent (RFC 6749 §5.1), with
    `id_token_claims` where there was an ID token, proven, and with `refresh_on` (seconds since
    1970) where the provider said from when it is to be renewed. One from the cache has only
    `access_token`, `token_type`, `expires_in` and `token_source`, perhaps `refresh_on`.

    A refusal has `error`, and what the provider said of it (RFC 6749 §5.2): Microsoft's have
    `error_codes`, `correlation_id`, `trace_id`, perhaps `suberror` and `claims`.
    `acquire_token_silent_with_error` adds `classification`, MSAL's word for what can be done.
    """

    access_token: str
    token_type: str
    expires_in: int
    ext_expires_in: int
    refresh_on: int
    scope: str
    refresh_token: str
    id_token: str
    id_token_claims: dict[str, Any]
    client_info: str
    token_source: str
    error: str
    error_description: str
    error_codes: list[int]
    error_uri: str
    suberror: str
    claims: str
    classification: str
    timestamp: str
    trace_id: str
    correlation_id: str


class Account(TypedDict):
    """Somebody whom the cache knows, as `get_accounts` shows them."""

    home_account_id: str
    environment: str
    username: str
    account_source: str | None
    authority_type: str
    local_account_id: str
    realm: str


class DeviceFlow(TypedDict, total=False):
    """A sign-in on another device, begun; or, without `user_code`, the provider's refusal.

    `interval` and `expires_in` are in seconds, `expires_at` in seconds since 1970.
    """

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    message: str
    interval: int
    expires_in: int
    expires_at: float
    latest_attempt_at: float
    error: str
    error_description: str
    error_codes: list[int]
    correlation_id: str
