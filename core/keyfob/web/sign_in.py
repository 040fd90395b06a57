"""Signing in: from the link to the provider, and from there back into a session."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from keyfob.cache import SerializableTokenCache
from keyfob.errors import (
    AuthorizationResponseError,
    KeyfobError,
    StoreError,
)
from keyfob.protocol.authorization import AuthorizationRefusal
from keyfob.protocol.results import TokenResult
from keyfob.protocol.scopes import scopes_of_one_resource
from keyfob.web import consent_trip, easy_auth, onboarding, posted_response, rounds, user_flows
from keyfob.web.asked import asked_for
from keyfob.web.attempts import Attempt, use_once
from keyfob.web.document import Document, new_key
from keyfob.web.exchange import NO_STORE, Answer, Cookie, Pairs, WebRequest, first, redirect
from keyfob.web.identity import Identity
from keyfob.web.metrics import SIGN_IN_ATTEMPTS, SIGN_INS, SIGN_OUTS
from keyfob.web.next_url import local_path, same_site_path
from keyfob.web.problems import (
    REFUSALS_OF_THE_SITE,
    SAYS_NOTHING_OF_THE_PERSON,
    SESSION_NOT_KEPT,
    SIGN_IN_ENDED,
    one_line,
    page_answer,
    page_for,
    refusal_page,
)
from keyfob.web.redirect_uri import cookie_is_secure, public_url
from keyfob.web.session_entry import SESSION_KEY, waiting_after
from keyfob.web.trips import (
    attempts_of,
    login_url,
    next_in,
    no_attempt,
    response_mode,
    sent_away,
    unambiguous,
)

if TYPE_CHECKING:
    from keyfob.web.application import WebApplication

logger = logging.getLogger(__name__)

_PROMPTS = frozenset({"none", "login", "consent", "select_account", "create"})
_MAX_HINT = 320
#: What the provider says, where no page may be shown, of a person whom it knows.
_NEEDS_A_PAGE = frozenset(
    {"consent_required", "interaction_required", "account_selection_required"}
)


def start(
    site: WebApplication, request: WebRequest, establish: Callable[[Identity], None]
) -> Answer:
    """Send the browser to the provider, with an attempt in a cookie; or let in at once whom App
    Service has signed in."""
    given = request.form if request.method == "POST" else request.query
    home = request.home
    next_path = next_in(request, given)
    if user_flows.has_just_cancelled(site, request):
        return user_flows.cancelled(site, request, login_url(request.routes.login, next_path))
    if _goes_in_circles(site, request):
        return _not_kept(site, request, login_url(request.routes.login, next_path))
    try:
        if first(given, "iss") is not None:
            next_path = _third_party_target(site, request, given)
        if easy_auth.is_to_sign_in(site, given):
            answer = _by_platform(site, request, given, next_path, establish)
            if answer is not None:
                return answer
        return _to_provider(site, request, given, next_path)
    except KeyfobError as error:
        status, page = page_for(error)
        retry = login_url(request.routes.login, next_path)
        return page_answer(status, page, retry_url=retry, home_url=home, error=error)


def _by_platform(
    site: WebApplication,
    request: WebRequest,
    given: Pairs,
    next_path: str,
    establish: Callable[[Identity], None],
) -> Answer | None:
    """Let in whom App Service has signed in, or send the browser to it; None where that was tried
    just now, and the provider is to be asked."""
    if _is_not_kept(site, request):
        return _not_kept(site, request, login_url(request.routes.login, next_path))
    try:
        claims = easy_auth.proven_claims(site, request)
        if claims is None:
            return easy_auth.way_to_sign_in(request, given, next_path)
        document = Document(new_key(site.tag), {}, SerializableTokenCache())
        easy_auth.take_tokens(site, request, document, claims)
        _begin(site, request, document, user_flows.proven_identity(site, "", claims), establish)
    except KeyfobError as error:
        site.observer.count(SIGN_INS, purpose="person", outcome="failed", error=error)
        status, page = page_for(error)
        retry = login_url(request.routes.login, next_path, prompt="select_account")
        if status == 403:
            page = onboarding.invited(site, request, page, error)
        return page_answer(status, page, retry_url=retry, home_url=request.home, error=error)
    site.observer.count(SIGN_INS, purpose="person", outcome="done")
    # No page of the provider's is on this way: only this cookie ends a circle.
    return redirect(next_path, cookies=_arrival(site, request))


def _goes_in_circles(site: WebApplication, request: WebRequest) -> bool:
    return rounds.is_sent(request.headers) and _is_not_kept(site, request)


def _is_not_kept(site: WebApplication, request: WebRequest) -> bool:
    return (
        rounds.has_just_arrived(request.cookies, site.cookie_site)
        # One that was kept, and is over by now, is another matter: ended elsewhere, or too old.
        and SESSION_KEY not in list(request.session)
    )


def _not_kept(site: WebApplication, request: WebRequest, retry: str) -> Answer:
    status, page = SESSION_NOT_KEPT
    answer = page_answer(status, page, retry_url=retry, home_url=request.home)
    return replace(answer, cookies=end_of_arrival(site, request))


def end_of_arrival(site: WebApplication, request: WebRequest) -> tuple[Cookie, ...]:
    """What lets the next sign-in begin with a clean slate."""
    if not rounds.has_just_arrived(request.cookies, site.cookie_site):
        return ()
    secure = cookie_is_secure(request, site.settings.base_url)
    return (rounds.end_of_arrival(site.cookie_site, path=request.routes.folder, secure=secure),)


def _third_party_target(site: WebApplication, request: WebRequest, given: Pairs) -> str:
    """Where a sign-in that a third party starts is to end (OpenID Connect Core §4).

    Anybody can make such a request. It may name our own provider only, and lead nowhere but into
    this site.
    """
    if not site.client.metadata().is_issuer(first(given, "iss") or ""):
        raise AuthorizationResponseError(
            "The sign-in was started for another provider", code="foreign_issuer"
        )
    base = site.settings.base_url or request.origin
    target = first(given, "target_link_uri")
    return same_site_path(target, origins=[base], default=request.home)


def _to_provider(site: WebApplication, request: WebRequest, given: Pairs, next_path: str) -> Answer:
    settings = site.settings
    api = first(given, "api") or ""
    if api not in settings.downstream_apis or site.api_settings(api).app_only:
        # Anybody can write a link. Where it is the site's mistake, the view that needs it says so.
        api = ""
    user_flow = first(given, "flow") or ""
    if user_flow not in settings.user_flows:
        user_flow = ""
    asked = asked_for(site, request, given, api)
    redirect_uri = public_url(request, request.routes.callback, settings.base_url)
    adds = settings.max_accounts > 1 and first(given, "add") is not None
    prompt = "none" if asked.renews else first(given, "prompt")
    if adds and prompt is None:
        prompt = "select_account"
    flow = site.client_for(user_flow).initiate_auth_code_flow(
        asked.scopes,
        redirect_uri=redirect_uri,
        prompt=prompt if prompt in _PROMPTS else None,
        login_hint=_hint(given, "login_hint") or _known_name(site, request, given),
        domain_hint=_hint(given, "domain_hint"),
        claims_challenge=asked.claims,
        max_age=asked.max_age,
        response_mode=response_mode(site),
    )
    sent = rounds.is_sent(request.headers)
    attempt = Attempt(
        flow, next_path, api, site.clock(), sent, asked.renews, adds, user_flow=user_flow
    )
    site.observer.count(SIGN_IN_ATTEMPTS, purpose=attempt.purpose)
    return sent_away(site, request, attempt, flow["auth_uri"])


def _redeemed(site: WebApplication, attempt: Attempt) -> list[str]:
    """The scopes to exchange the code for: at Microsoft those of one resource, the one that is
    asked for; the others were consented to, and come by the refresh token."""
    asked = list(attempt.flow["scope"])
    if not site.settings.authority.is_microsoft:
        return asked
    wanted = site.api_settings(attempt.api).scopes if attempt.api else site.settings.scopes
    return scopes_of_one_resource(asked, wanted)


def finish(
    site: WebApplication,
    request: WebRequest,
    establish: Callable[[Identity], None],
    onboarded: onboarding.Onboarded,
) -> Answer:
    """Take what came back, prove who it is, and make it a session."""
    if request.method == "POST":
        return posted_response.bounce(site, request)
    response = posted_response.received(site, request)
    state = first(response, "state")
    attempt = attempts_of(site, request).find(state) if state else None
    if attempt is None:
        return no_attempt(site, request)
    used = attempts_of(site, request).end_of(
        attempt.state,
        path=request.routes.folder,
        secure=cookie_is_secure(request, site.settings.base_url),
    )
    if attempt.kind == "consent":
        answer = consent_trip.finish(site, request, attempt, response)
    else:
        answer = _finish_attempt(site, request, attempt, response, establish, onboarded)
    return replace(answer, cookies=(*answer.cookies, *used))


def _finish_attempt(
    site: WebApplication,
    request: WebRequest,
    attempt: Attempt,
    response: Pairs,
    establish: Callable[[Identity], None],
    onboarded: onboarding.Onboarded,
) -> Answer:
    next_path = local_path(attempt.next, default=request.home)
    adds = "1" if attempt.adds else ""
    retry = login_url(
        request.routes.login, next_path, api=attempt.api, flow=attempt.user_flow, add=adds
    )
    onboards = attempt.kind == "onboarding"
    try:
        if not use_once(site.store, attempt, site.clock()):
            return no_attempt(site, request, next_path)
        flow = attempt.user_flow
        document = Document(new_key(site.tag), {}, SerializableTokenCache(), user_flow=flow)
        # A tenant that joins is asked about once the site has heard of it.
        client = site.client.for_every_tenant() if onboards else site.client_for(flow)
        result = client.with_cache(document.cache).acquire_token_by_auth_code_flow(
            attempt.flow, unambiguous(response), scopes=_redeemed(site, attempt)
        )
        if "error" in result:
            _count(site, attempt, "refused", error=result["error"])
            if way := user_flows.way_on(site, request, attempt, result, next_path):
                return way
            if attempt.renews and result["error"] in _NEEDS_A_PAGE:
                return redirect(retry)
            if attempt.renews and result["error"] not in SAYS_NOTHING_OF_THE_PERSON:
                return _run_out(site, request, attempt, result, retry)
            return _refused(site, request, result, retry)
        identity = user_flows.proven_identity(site, flow, result["id_token_claims"])
        if _renews_another(site, request, attempt, identity):
            # Without a page nobody would notice whom they go on as.
            _count(site, attempt, "refused", error="login_required")
            return _run_out(site, request, attempt, {"error": "login_required"}, retry)
        if onboards and not onboarding.onboard(site, attempt, identity, onboarded):
            page = onboarding.result_page(request, next_path, is_in=False)
            return Answer(200, page=page, headers=NO_STORE)
        _begin(site, request, document, identity, establish, adds=attempt.adds)
    except KeyfobError as error:
        _count(site, attempt, "failed", error=error)
        status, page = page_for(error)
        if status == 403:
            # Who may not come in as this person may as another; the provider must ask which.
            retry = login_url(request.routes.login, next_path, prompt="select_account", add=adds)
            page = onboarding.invited(site, request, page, error)
        if onboards:
            retry = consent_trip.retry_url(request, next_path)
        return page_answer(status, page, retry_url=retry, home_url=request.home, error=error)
    _count(site, attempt, "done")
    if onboards:
        page = onboarding.result_page(request, next_path, is_in=True)
        return Answer(200, page=page, headers=NO_STORE)
    return redirect(next_path, cookies=_arrival(site, request) if attempt.sent else ())


def _renews_another(
    site: WebApplication, request: WebRequest, attempt: Attempt, identity: Identity
) -> bool:
    """Whether a renewal brought somebody else than who is here: the provider's session is theirs
    by now, and it passed over the hint."""
    session = site.session(request.session)
    is_here = bool(attempt.renews) and session.mark == attempt.renews
    return is_here and session.named.key != identity.key


def _count(
    site: WebApplication, attempt: Attempt, outcome: str, **error: str | BaseException
) -> None:
    site.observer.count(SIGN_INS, purpose=attempt.purpose, outcome=outcome, **error)


def _run_out(
    site: WebApplication, request: WebRequest, attempt: Attempt, result: TokenResult, retry: str
) -> Answer:
    """The provider would not confirm a sign-in without a page: it is over here, too. What the
    person was on their way to is one click away."""
    session = site.session(request.session)
    if session.mark == attempt.renews:
        session.forget()
        site.observer.count(SIGN_OUTS, channel="renewal")
    status, page = SIGN_IN_ENDED
    return page_answer(status, page, retry_url=retry, home_url=request.home, detail=result["error"])


def _arrival(site: WebApplication, request: WebRequest) -> tuple[Cookie, ...]:
    secure = cookie_is_secure(request, site.settings.base_url)
    return (rounds.arrival(site.cookie_site, path=request.routes.folder, secure=secure),)


def _begin(
    site: WebApplication,
    request: WebRequest,
    document: Document,
    identity: Identity,
    establish: Callable[[Identity], None],
    *,
    adds: bool = False,
) -> None:
    """Save the tokens, then let the framework in, then write the session: whatever fails on the
    way leaves nobody signed in.

    :param adds: whether who was here stays signed in, and waits.
    """
    document.claims = dict(identity.claims)
    if document.user_flow:
        document.whose = identity.key
    session = site.session(request.session)
    former, current = session.document(), session.current()
    waiting, left = waiting_after(
        session.waiting,
        current if adds else None,
        identity.key,
        site.settings.max_accounts - 1,
    )
    if not site.documents.create(document, site.document_expiry()):
        raise StoreError("A new session's key was taken")
    try:
        establish(identity)
    except BaseException:
        _discard(site, document.key)
        raise
    session.begin(document.key, identity, waiting=waiting)
    if former is not None and not any(each.key == former.key for each in waiting):
        _discard(site, former.key)
    for each in left:
        _discard(site, each.key)


def _discard(site: WebApplication, key: str) -> None:
    """Remove a record that no session names any more; if need be it expires by itself."""
    try:
        site.members.of_key(key).documents.delete(key)
    except StoreError as error:
        logger.warning("A sign-in could not remove a record of the token store: %s", error)


def _refused(site: WebApplication, request: WebRequest, result: TokenResult, retry: str) -> Answer:
    if result["error"] in REFUSALS_OF_THE_SITE:
        logger.error("The provider does not accept this site: look at CLIENT_ID and CLIENT_SECRET")
    refusal = AuthorizationRefusal(
        one_line(result["error"])[:100], str(result.get("error_description", ""))
    )
    status, page = refusal_page(refusal)
    return page_answer(
        status,
        onboarding.invited(site, request, page, result["error"]),
        retry_url=retry,
        home_url=request.home,
        correlation_id=result.get("correlation_id") or "",
        detail=refusal.description or refusal.error,
    )


def _known_name(site: WebApplication, request: WebRequest, given: Pairs) -> str | None:
    """Whose token this trip is for, so that the provider need not ask which account it is.

    A plain sign-in names nobody: it may be meant for another account.
    """
    if first(given, "api") is None and first(given, "ask") is None:
        return None
    session = site.session(request.session)
    adds = site.settings.max_accounts > 1 and first(given, "add") is not None
    if adds or session.authority != site.name:
        return None  # for somebody else; and another authority is not to hear the name
    name = session.named.username
    return name if 0 < len(name) <= _MAX_HINT and name.isprintable() else None


def _hint(given: Pairs, name: str) -> str | None:
    value = first(given, name)
    return value if value and len(value) <= _MAX_HINT and value.isprintable() else None
