"""Microsoft's admin consent endpoint, v2.0: an administrator agrees for a whole organisation.

"Admin consent on the Microsoft identity platform". What comes back is a redirect with parameters
that anybody can write: it proves nothing, neither that somebody agreed nor for which tenant.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from keyfob.errors import AuthorizationResponseError, StateMismatchError
from keyfob.protocol.authority import GUID, Authority, is_tenant_name
from keyfob.protocol.authorization import AuthorizationRefusal, refusal_in

#: Where no tenant is named: whichever the administrator is of. Not `common`, says Microsoft.
ANY_ORGANISATION = "organizations"
#: Directory roles, by their template ids, whose holders may agree to what an application asks for:
#: Global Administrator, Privileged Role Administrator, Application Administrator, Cloud
#: Application Administrator ("Microsoft Entra built-in roles").
CONSENTING_ROLES = frozenset(
    {
        "62e90394-69f5-4237-9190-012177145e10",
        "e8611ab8-c189-46e8-94e1-60213ab1f814",
        "9b895d92-2cd3-44c2-9d02-a6ac2d5ea5c3",
        "158c047a-c907-4556-b7ef-446551a6b5f7",
    }
)


@dataclass(frozen=True)
class AdminConsentClaim:
    """What a response says, which is not to be believed: that this tenant's administrator agreed.

    :ivar tenant: its id, in lower case.
    """

    tenant: str


def build_admin_consent_url(
    authority: Authority,
    *,
    client_id: str,
    redirect_uri: str,
    scopes: Collection[str],
    state: str,
    tenant: str | None = None,
) -> str:
    """Where the administrator's browser is sent.

    :param scopes: what to agree to; one resource with `/.default` for all that is registered.
    :param tenant: a tenant's id or domain; anything else counts as none.
    """
    segment = tenant if tenant and is_tenant_name(tenant) else ANY_ORGANISATION
    query = {
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(scopes),
        "state": state,
    }
    return f"{authority.origin}/{segment}/v2.0/adminconsent?{urlencode(query)}"


def judge_admin_consent_response(
    response: Mapping[str, str], *, state: str
) -> AdminConsentClaim | AuthorizationRefusal:
    """Whether this response answers the attempt with this `state`, and what it says.

    :raises StateMismatchError: it belongs to no attempt, or to another.
    :raises AuthorizationResponseError: it is no such response, or says nothing usable.
    """
    given = response.get("state", "").encode("utf-8", "replace")
    if not hmac.compare_digest(given, state.encode("utf-8", "replace")):
        raise StateMismatchError("The response's state is not that of this attempt")
    refusal = refusal_in(response)
    if refusal is not None:
        return refusal
    if "code" in response or response.get("admin_consent", "").lower() != "true":
        raise AuthorizationResponseError(
            "The response is none of the admin consent endpoint's", code="no_admin_consent"
        )
    tenant = response.get("tenant", "")
    if not GUID.fullmatch(tenant):
        raise AuthorizationResponseError(
            "The response names no tenant's id", code="no_admin_consent"
        )
    return AdminConsentClaim(tenant.lower())


def may_consent_for_all(claims: Mapping[str, Any]) -> bool | None:
    """Whether proven claims show somebody who may agree for their organisation; None where they do
    not say: `wids` is in an ID token only where the application's registration asks for directory
    roles among the groups.
    """
    roles = claims.get("wids")
    if not isinstance(roles, list):
        return None
    return any(isinstance(role, str) and role.lower() in CONSENTING_ROLES for role in roles)
