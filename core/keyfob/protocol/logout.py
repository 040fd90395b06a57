"""The provider's sign-out address (OpenID Connect RP-Initiated Logout 1.0 §2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from keyfob.protocol.metadata import ProviderMetadata

#: An ID token longer than this makes an address that servers refuse.
MAX_HINT_LENGTH = 4000


def build_end_session_url(
    metadata: ProviderMetadata,
    *,
    client_id: str,
    claims: Mapping[str, Any],
    id_token: str | None,
    post_logout_redirect_uri: str | None,
    state: str | None,
) -> str | None:
    """Where the browser is sent to end the provider's session too; None where it has no such
    address.

    Microsoft takes the `login_hint` claim as `logout_hint`, and then asks nothing; never a user
    name. Everywhere else, and at Microsoft without that claim, the session is known by
    `id_token_hint`. An ID token proves nothing to anybody but us, yet it names the person: it
    goes to the provider only where no lesser hint does.
    """
    if metadata.end_session_endpoint is None:
        return None
    hint: dict[str, str] = {}
    if metadata.is_microsoft and isinstance(claims.get("login_hint"), str):
        hint["logout_hint"] = claims["login_hint"]
    elif id_token and len(id_token) <= MAX_HINT_LENGTH:
        hint["id_token_hint"] = id_token
    elif not metadata.is_microsoft and isinstance(claims.get("preferred_username"), str):
        hint["logout_hint"] = claims["preferred_username"]
    query = {
        **hint,
        "client_id": client_id,
        "post_logout_redirect_uri": post_logout_redirect_uri,
        "state": state if post_logout_redirect_uri else None,
    }
    endpoint = metadata.end_session_endpoint
    encoded = urlencode({name: value for name, value in query.items() if value})
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{encoded}"
