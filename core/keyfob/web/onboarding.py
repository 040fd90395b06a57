"""Another organisation joins: its administrator agrees, signs in, and the site hears of it.

The answer of the consent page proves nothing, since it is an address that anybody can write. So
a sign-in follows, and the site hears only of the tenant that it proves. See
docs/decisions/admin-consent.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from keyfob.errors import ConfigurationError, IdTokenError, KeyfobError, SignInRefused
from keyfob.protocol.admin_consent import build_admin_consent_url, may_consent_for_all
from keyfob.protocol.authority import PERSONAL_ACCOUNTS_TENANT
from keyfob.protocol.id_token import tenant_is_allowed
from keyfob.web.attempts import Attempt
from keyfob.web.exchange import Page, WebRequest
from keyfob.web.identity import Identity

if TYPE_CHECKING:
    from keyfob.web.application import WebApplication


@dataclass(frozen=True)
class Onboarding:
    """A tenant whose administrator says to have agreed, and who signed in.

    :ivar tenant: its id in lower case, from the proven ID token.
    :ivar identity: who signed in, with all proven claims.
    :ivar administrator: whether they hold a role that may agree for everybody; None where the ID
        token has no `wids` to tell. It is never False: such people get a page.
    """

    tenant: str
    identity: Identity = field(repr=False)
    administrator: bool | None


#: What an adapter does with one: it sends the framework's signal.
Onboarded = Callable[[Onboarding], None]

NO_SUCH_VIEW = (
    404,
    Page("There is no such page", "This site does not ask administrators for their consent."),
)
#: The consent page was left without an agreement.
NOT_AGREED = (
    403,
    Page(
        "Your organisation has not agreed",
        "The consent was cancelled or refused, so nothing has changed.",
        "Only an administrator of the organisation can give it.",
        code="admin_consent",
    ),
)
_NOW_IN = Page(
    "Your organisation can use this site",
    "You agreed for your organisation, and are signed in.",
    retry_label="Go on",
)
_STILL_TO_BE_ADMITTED = Page(
    "Your organisation has agreed",
    "Whoever runs this site has yet to admit your organisation.",
    "Ask them, and then sign in.",
)


def consent_url(site: WebApplication, *, redirect_uri: str, state: str, tenant: str | None) -> str:
    """Where the administrator's browser is sent."""
    consent = site.settings.admin_consent
    scopes = consent.scopes if consent else ()
    return build_admin_consent_url(
        site.settings.authority,
        client_id=site.settings.client_id,
        redirect_uri=redirect_uri,
        scopes=scopes or (_all_registered(site),),
        state=state,
        tenant=tenant,
    )


def _all_registered(site: WebApplication) -> str:
    """`/.default` of any resource asks for all that the application is registered for."""
    graph = site.client.metadata().graph_url
    if graph is None:
        raise ConfigurationError(
            "The provider's metadata do not say where Microsoft Graph is; name the scopes to agree "
            "to in ADMIN_CONSENT",
            setting="ADMIN_CONSENT",
        )
    return f"{graph.removesuffix('/v1.0')}/.default"


def onboard(
    site: WebApplication, attempt: Attempt, identity: Identity, onboarded: Onboarded
) -> bool:
    """Tell the site of the tenant that this sign-in proves. Whether its people may come in now.

    :raises SignInRefused: it is another tenant's person, or one who may not agree for it.
    :raises TenantRuleError: whether they may come in, nobody can tell.
    """
    tenant = str(identity.claims.get("tid", "")).lower()
    if not tenant or tenant != attempt.tenant or tenant == PERSONAL_ACCOUNTS_TENANT:
        raise SignInRefused(
            "The consent was for one organisation, and you signed in with an account of another. "
            "Start again, and use the same account for both.",
            code="onboarding_tenant",
        )
    administrator = may_consent_for_all(identity.claims)
    if administrator is False:
        raise SignInRefused(
            "Only an administrator can agree for an organisation, and your account is none.",
            code="onboarding_role",
        )
    onboarded(Onboarding(tenant, identity, administrator))
    rule = site.settings.allowed_tenants
    return rule is None or tenant_is_allowed(tenant, rule)


def result_page(request: WebRequest, next_path: str, *, is_in: bool) -> Page:
    """What the administrator sees in the end."""
    if is_in:
        return replace(_NOW_IN, retry_url=next_path, home_url=request.home)
    return replace(_STILL_TO_BE_ADMITTED, home_url=request.home)


def invited(site: WebApplication, request: WebRequest, page: Page, error: object) -> Page:
    """The page for somebody who may not come in because of their organisation: with the way for
    their administrator, where the site has one.

    :param error: what was raised, or the provider's code.
    """
    refused = isinstance(error, KeyfobError) and _is_of_no_allowed_tenant(error)
    if site.settings.admin_consent is None or not request.routes.admin_consent:
        return page
    if not refused and error != "access_denied":
        return page
    advice = (
        "If your organisation wants to use this site, its administrator can agree to that. Or sign "
        "in with another account."
    )
    return replace(
        page,
        advice=advice if refused else page.advice,
        more_url=f"{request.routes.admin_consent}?{urlencode({'next': request.home})}",
        more_label="I am an administrator",
    )


def _is_of_no_allowed_tenant(error: KeyfobError) -> bool:
    return isinstance(error, IdTokenError) and error.code == "tenant_not_allowed"
