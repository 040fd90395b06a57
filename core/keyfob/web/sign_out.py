"""Signing out: here first, then at the provider (OpenID Connect RP-Initiated Logout 1.0)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from keyfob.errors import ConfigurationError, KeyfobError, StoreError
from keyfob.protocol.logout import build_end_session_url
from keyfob.web import easy_auth
from keyfob.web.document import Document
from keyfob.web.exchange import NO_STORE, Answer, Page, WebRequest, first, redirect
from keyfob.web.metrics import SIGN_OUTS
from keyfob.web.redirect_uri import public_url
from keyfob.web.sign_in import end_of_arrival

if TYPE_CHECKING:
    from keyfob.web.application import WebApplication

logger = logging.getLogger(__name__)

_STATE = "sign-out"
_BOTH, _SITE_ONLY = b"both", b"site only"
_ENDED = {
    _BOTH: "You are signed out of this site and of the sign-in service.",
    _SITE_ONLY: "You are signed out of this site. The sign-in service may still know you: on a "
    "shared computer, close the browser as well.",
}
#: Seconds the provider may take to send the browser back.
_STATE_LIFETIME = 3600


def start(site: WebApplication, request: WebRequest, end: Callable[[], None]) -> Answer:
    """End the session, then send the browser to the provider, if it has a place for that."""
    session = site.session(request.session)
    if not session.is_signed_in:
        end()
        back = request.routes.logged_out
        return redirect(easy_auth.sign_out_url(site, request, back) or back, status=303)
    document: Document | None = None
    try:
        document = session.document()
    except StoreError as error:
        # Without the store the provider gets no hint; the person is signed out here all the same.
        logger.warning("A sign-out could not read the token store: %s", error)
    session.forget()
    end()
    site.observer.count(SIGN_OUTS, channel="site")
    ended = end_of_arrival(site, request)
    if platform := easy_auth.sign_out_url(site, request, _told(site, request, _BOTH)):
        return redirect(platform, cookies=ended, status=303)
    try:
        target = _provider_target(site, request, document)
    except KeyfobError as error:
        logger.warning("The provider could not be told of a sign-out: %s", error)
        return replace(_only_here(request), cookies=ended)
    return redirect(target or _told(site, request, _SITE_ONLY), cookies=ended, status=303)


def finish(site: WebApplication, request: WebRequest, next_url: str | None) -> Answer:
    """The page after a sign-out, or the site's own, where it has one."""
    home = request.home
    if site.session(request.session).is_signed_in:
        # Signed in again meanwhile, or the address was typed: there is nothing to confirm.
        return redirect(home)
    if next_url:
        return redirect(next_url)
    state = first(request.query, "state")
    ended = state and site.sealer.unseal_text(
        state, context=_STATE, max_age=_STATE_LIFETIME, now=site.clock()
    )
    page = Page(
        "You are signed out",
        _ENDED.get(ended or b"", "You are not signed in to this site."),
        retry_url=request.routes.login,
        retry_label="Sign in again",
        home_url=home,
    )
    return Answer(200, page=page, headers=NO_STORE)


def _provider_target(
    site: WebApplication, request: WebRequest, document: Document | None
) -> str | None:
    claims: Mapping[str, Any] = document.claims if document is not None else {}
    try:
        back: str | None = public_url(request, request.routes.logged_out, site.settings.base_url)
    except ConfigurationError:
        back = None
    client = site.client_for(document.user_flow if document is not None else "")
    return build_end_session_url(
        client.metadata(),
        client_id=site.settings.client_id,
        claims=claims,
        id_token=document.id_token(client.authority.environment) if document else None,
        post_logout_redirect_uri=back,
        state=_state(site, _BOTH),
    )


def _told(site: WebApplication, request: WebRequest, ended: bytes) -> str:
    """Our own page, for who does not bring a state of ours back: a provider that has no place to
    sign out at, or a platform in front of us."""
    return f"{request.routes.logged_out}?{urlencode({'state': _state(site, ended)})}"


def _state(site: WebApplication, ended: bytes) -> str:
    return site.sealer.seal_text(ended, context=_STATE, now=site.clock())


def _only_here(request: WebRequest) -> Answer:
    page = Page(
        "You are signed out of this site",
        "The sign-in service could not be told, so you may still be signed in there.",
        "On a shared computer, close the browser as well.",
        retry_url=request.routes.login,
        retry_label="Sign in again",
        home_url=request.home,
    )
    return Answer(200, page=page, headers=NO_STORE)
