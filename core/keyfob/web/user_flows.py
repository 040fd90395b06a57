"""What is particular to Azure AD B2C's user flows, on the way back from one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from keyfob.protocol.authorization import AuthorizationRefusal
from keyfob.protocol.issuer import tenant_of_issuer
from keyfob.protocol.results import TokenResult
from keyfob.protocol.user_flow import (
    CANCELLED,
    FORGOTTEN_PASSWORD,
    judge_user_flow,
    user_flow_code,
)
from keyfob.web import rounds
from keyfob.web.attempts import Attempt
from keyfob.web.exchange import Answer, WebRequest, redirect
from keyfob.web.identity import Identity
from keyfob.web.problems import page_answer, refusal_page
from keyfob.web.redirect_uri import cookie_is_secure
from keyfob.web.settings_flows import RESET_PASSWORD
from keyfob.web.trips import login_url

if TYPE_CHECKING:
    from keyfob.web.application import WebApplication


def proven_identity(site: WebApplication, user_flow: str, claims: Mapping[str, Any]) -> Identity:
    """Who signed in, who is the same person whichever flow they came through.

    A flow may have itself in its issuer. That names no other provider: the person is known by the
    issuer of the flow that signs people in, if that is the same tenant's.

    :param user_flow: "" for the flow of AUTHORITY.
    :raises IdTokenError: the token does not say that it is of this flow.
    """
    authority = site.settings.authority
    identity = Identity.from_claims(
        claims, is_microsoft=authority.is_microsoft, authority=site.name
    )
    if not user_flow:
        return identity
    policy = site.client_for(user_flow).authority.policy
    judge_user_flow(claims, policy, must_be_named=True)
    home, tenant = site.client.metadata().issuer, tenant_of_issuer(identity.issuer)
    if tenant is None or tenant != tenant_of_issuer(home):
        return identity
    return replace(identity, issuer=home)


def way_on(
    site: WebApplication,
    request: WebRequest,
    attempt: Attempt,
    result: TokenResult,
    next_path: str,
) -> Answer | None:
    """Where somebody goes who pressed a link on a flow's page that ends it; None for any other
    answer, which is a refusal.
    """
    if site.settings.authority.kind != "b2c" or attempt.renews:
        return None
    code = user_flow_code(result["error"], str(result.get("error_description", "")))
    if code == FORGOTTEN_PASSWORD and attempt.user_flow != RESET_PASSWORD:
        if RESET_PASSWORD not in site.settings.user_flows:
            return None
        adds = "1" if attempt.adds else ""
        login = login_url(request.routes.login, next_path, flow=RESET_PASSWORD, add=adds)
        return redirect(login)
    if code == CANCELLED:
        cookie = rounds.cancellation(
            site.cookie_site,
            path=request.routes.folder,
            secure=cookie_is_secure(request, site.settings.base_url),
        )
        return redirect(next_path, cookies=[cookie])
    return None


def has_just_cancelled(site: WebApplication, request: WebRequest) -> bool:
    """Whether a guard sends somebody back to a sign-in that they have just cancelled.

    Whoever follows a link of ours wants to try again; a browser that does not say (Fetch Metadata)
    may have been redirected.
    """
    return (
        rounds.has_just_cancelled(request.cookies, site.cookie_site)
        and request.headers.get("sec-fetch-site", "").lower() != "same-origin"
    )


def cancelled(site: WebApplication, request: WebRequest, retry: str) -> Answer:
    """The page for them, and an end to it: the next one leads to the provider again."""
    status, page = refusal_page(AuthorizationRefusal("access_denied"))
    answer = page_answer(
        status, page, retry_url=retry, home_url=request.home, detail="cancelled at the user flow"
    )
    end = rounds.end_of_cancellation(
        site.cookie_site,
        path=request.routes.folder,
        secure=cookie_is_secure(request, site.settings.base_url),
    )
    return replace(answer, cookies=(end,))
