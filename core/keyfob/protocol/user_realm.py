"""Who checks a person's password: Microsoft, or a server of their own (user realm discovery)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from keyfob.errors import FederationError
from keyfob.protocol.authority import Authority
from keyfob.protocol.http import HttpRequest, HttpResponse, json_object, refuse_unusable_status

_WHAT = "Microsoft's user realm"
#: Whom a federated server is asked to vouch to, where Microsoft does not say.
DEFAULT_AUDIENCE = "urn:federation:MicrosoftOnline"


@dataclass(frozen=True)
class UserRealm:
    """Where a person's password is checked; at Microsoft where there is no `metadata_url`."""

    metadata_url: str | None = None
    audience: str = DEFAULT_AUDIENCE


def build_user_realm_request(
    authority: Authority, username: str, headers: Mapping[str, str]
) -> HttpRequest:
    return HttpRequest(
        "GET",
        f"{authority.origin}/common/userrealm/{quote(username, safe='@')}",
        "Microsoft's user realm",
        params={"api-version": "1.0"},
        headers={"Accept": "application/json", **headers},
    )


def parse_user_realm(response: HttpResponse) -> UserRealm:
    """Judge the answer. A host that has no user realms checks its passwords itself.

    :raises FederationError: (a ValueError and RuntimeError) it is no answer.
    :raises TransportError: the host answered a redirect, 429 or 5xx.
    """
    refuse_unusable_status(response, _WHAT)
    if response.status == 404:
        return UserRealm()
    answer = json_object(response, _WHAT, FederationError)
    if response.status != 200:
        raise FederationError(f"{_WHAT} answered HTTP {response.status}", code="user_realm")
    if answer.get("account_type") != "Federated":
        return UserRealm()
    url, audience = answer.get("federation_metadata_url"), answer.get("cloud_audience_urn")
    if not isinstance(url, str) or not url:
        raise FederationError(
            f"{_WHAT} says that the person's password is checked elsewhere, and not where",
            code="user_realm",
        )
    return UserRealm(url, audience if isinstance(audience, str) and audience else DEFAULT_AUDIENCE)
