"""The trip of an administrator who agrees for their organisation, as far as the sign-in."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from keyfob.errors import KeyfobError
from keyfob.protocol.admin_consent import judge_admin_consent_response
from keyfob.protocol.authorization import AuthorizationRefusal
from keyfob.protocol.pkce import new_state
from keyfob.web import onboarding
from keyfob.web.attempts import Attempt, use_once
from keyfob.web.exchange import Answer, Pairs, WebRequest, first
from keyfob.web.metrics import SIGN_IN_ATTEMPTS
from keyfob.web.next_url import local_path
from keyfob.web.problems import page_answer, page_for
from keyfob.web.redirect_uri import public_url
from keyfob.web.trips import next_in, no_attempt, response_mode, sent_away, unambiguous

if TYPE_CHECKING:
    from keyfob.web.application import WebApplication


def start(site: WebApplication, request: WebRequest) -> Answer:
    """Ask an administrator of another organisation to agree for its people."""
    home = request.home
    if site.settings.admin_consent is None:
        status, page = onboarding.NO_SUCH_VIEW
        return page_answer(status, page, home_url=home)
    next_path = next_in(request, request.query)
    state = new_state(secrets.token_bytes)
    try:
        back = public_url(request, request.routes.callback, site.settings.base_url)
        tenant = first(request.query, "tenant")
        url = onboarding.consent_url(site, redirect_uri=back, state=state, tenant=tenant)
    except KeyfobError as error:
        status, page = page_for(error)
        retry = retry_url(request, next_path)
        return page_answer(status, page, retry_url=retry, home_url=home, error=error)
    attempt = Attempt({"state": state}, next_path, started=site.clock(), kind="consent")
    return sent_away(site, request, attempt, url)


def retry_url(request: WebRequest, next_path: str) -> str:
    """The address that asks once more."""
    return f"{request.routes.admin_consent}?{urlencode({'next': next_path})}"


def finish(site: WebApplication, request: WebRequest, attempt: Attempt, response: Pairs) -> Answer:
    """What the consent page answers proves nothing: a sign-in has to."""
    next_path = local_path(attempt.next, default=request.home)
    retry = retry_url(request, next_path)
    try:
        if not use_once(site.store, attempt, site.clock()):
            return no_attempt(site, request, next_path)
        answer = judge_admin_consent_response(unambiguous(response), state=attempt.state)
        if isinstance(answer, AuthorizationRefusal):
            status, page = onboarding.NOT_AGREED
            detail = answer.description or answer.error
            return page_answer(status, page, retry_url=retry, home_url=request.home, detail=detail)
        flow = site.client.initiate_auth_code_flow(
            list(site.settings.scopes),
            redirect_uri=public_url(request, request.routes.callback, site.settings.base_url),
            response_mode=response_mode(site),
        )
    except KeyfobError as error:
        status, page = page_for(error)
        return page_answer(status, page, retry_url=retry, home_url=request.home, error=error)
    follows = Attempt(
        flow, next_path, started=site.clock(), kind="onboarding", tenant=answer.tenant
    )
    site.observer.count(SIGN_IN_ATTEMPTS, purpose=follows.purpose)
    return sent_away(site, request, follows, flow["auth_uri"])
