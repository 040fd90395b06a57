"""The userinfo endpoint, for providers whose ID tokens lack the profile (OpenID Connect §5.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyfob.errors import UserInfoError
from keyfob.protocol.http import HttpRequest, HttpResponse, json_object, refuse_unusable_status

_WHAT = "The userinfo endpoint"
#: Claims that only a signature can prove; userinfo does not add or change them.
_PROVEN_ONLY = frozenset(
    "iss sub aud exp iat nbf nonce azp at_hash c_hash auth_time acr amr sid tid oid jti".split()
)


def lacks_profile(claims: Mapping[str, Any]) -> bool:
    return not claims.get("name") and not claims.get("preferred_username")


def build_userinfo_request(endpoint: str, access_token: str) -> HttpRequest:
    return HttpRequest(
        "GET",
        endpoint,
        "the userinfo endpoint",
        headers={"Accept": "application/json", "Authorization": f"Bearer {access_token}"},
    )


def merge_userinfo(claims: Mapping[str, Any], response: HttpResponse) -> dict[str, Any]:
    """The ID token's claims, with the profile that the userinfo endpoint adds.

    :raises UserInfoError: the answer is unusable, or about somebody else (§5.3.4).
    """
    refuse_unusable_status(response, _WHAT)
    if response.status != 200:
        raise UserInfoError(f"{_WHAT} answered HTTP {response.status}", code="userinfo_refused")
    answer = json_object(response, _WHAT, UserInfoError)
    if answer.get("sub") != claims.get("sub"):
        raise UserInfoError(f"{_WHAT} answered about somebody else", code="userinfo_sub")
    added = {k: v for k, v in answer.items() if k not in _PROVEN_ONLY and k not in claims}
    return {**claims, **added}
