"""What it means for a person, or for the site, that the provider gave no token."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from typing import Any

from keyfob.errors import InteractionRequired, KeyfobError, ProviderUnavailable, TokenResponseError
from keyfob.web.problems import PASSING_ERRORS, one_line

logger = logging.getLogger(__name__)

#: Errors that the person can do something about, by signing in or consenting anew (OpenID Connect
#: Core §3.1.2.6, RFC 6749 §5.2). Other errors are the site's own.
_CURED_BY_THE_PERSON = frozenset(
    {
        "invalid_grant",
        "interaction_required",
        "login_required",
        "consent_required",
        "account_selection_required",
    }
)
#: Characters of a claims challenge: it travels in an address and in an attempt's cookie.
_MAX_CHALLENGE = 1000


def refused_token(
    result: Mapping[str, Any] | None,
    scopes: Collection[str],
    *,
    api: str = "",
    claims: str = "",
    force_refresh: bool = False,
) -> KeyfobError:
    """The error to raise for a token that could not be had.

    :param result: what the provider answered; None where there was nothing to ask it with.
    :param claims: the claims challenge that the token was to answer.
    """
    result = result or {}
    error = one_line(result.get("error", ""))[:100]
    if not error or error in _CURED_BY_THE_PERSON:
        return InteractionRequired(
            "The person must sign in, or consent, for this token",
            scopes=tuple(scopes),
            api=api,
            claims=claims or _challenge(result),
            force_refresh=force_refresh,
            error=error,
            suberror=one_line(result.get("suberror", ""))[:100],
        )
    description = one_line(result.get("error_description") or "")
    logger.error("The provider refused a token: %s %s", error, description)
    message = f"The provider refused a token: {error}"
    if error in PASSING_ERRORS:
        return ProviderUnavailable(message, status=503)
    return TokenResponseError(message, code=error)


def _challenge(result: Mapping[str, Any]) -> str:
    """The claims challenge in a provider's refusal, where it is one that can be passed on."""
    claims = result.get("claims")
    if not isinstance(claims, str) or len(claims) > _MAX_CHALLENGE:
        return ""
    try:
        return claims if isinstance(json.loads(claims), dict) else ""
    except ValueError:
        return ""
