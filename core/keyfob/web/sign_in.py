"""Signing in: from the link to the provider, and from there back into a session."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from keyfob.cache import SerializableTokenCache
from keyfob.errors import (
    AuthorizationResponseError,
    KeyfobError,
    StoreError,
)
from keyfob.protocol.authorization import AuthorizationRefusal
from keyfob.protocol.results import TokenResult
from keyfob.protocol.scopes import scopes_of_one_resource
from keyfob.web import rounds
from keyfob.web.asked import asked_for
from keyfob.web.attempts import Attempt, Attempts, use_once
from keyfob.web.document import Document, new_key
from keyfob.web.exchange import Answer, Cookie, Pairs, WebRequest, first, redirect
from keyfob.web.identity import Identity
from keyfob.web.metrics import SIGN_IN_ATTEMPTS, SIGN_INS, SIGN_OUTS
from keyfob.web.next_url import local_path, same_site_path
from keyfob.web.problems import (
    NO_ATTEMPT,
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

if TYPE_CHECKING:
    from keyfob.web.application import WebApplication

logger = logging.getLogger(__name__)

_PROMPTS = frozenset({"none", "login", "consent", "select_account", "create"})
_MAX_HINT = 320
#: What a posted response may measure: it travels on in an address.
_MAX_RESPONSE = 6000
#: Seconds between the provider's post and our own redirect coming in.
_BOUNCE_LIFETIME = 60
#: What the provider says, where no page may be shown, of a person whom it knows.
_NEEDS_A_PAGE = frozenset(
    {"consent_required", "interaction_required", "account_selection_required"}
)
_BOUNCE = "posted authorization response"


def start(site: WebApplication, request: WebRequest) -> Answer:
    """Send the browser to the provider, with an attempt in a cookie."""
    given = request.form if request.method == "POST" else request.query
    home = request.home
    next_path = local_path(first(given, "next"), default=home)
    if request.routes.has(urlsplit(next_path).path):
        # Our own views are on the way to a page, and none to end on.
        next_path = home
    if _goes_in_circles(site, request):
        return _not_kept(site, request, login_url(request.routes.login, next_path))
    try:
        if first(given, "iss") is not None:
            next_path = _third_party_target(site, request, given)
        return _to_provider(site, request, given, next_path)
    except KeyfobError as error:
        status, page = page_for(error)
        retry = login_url(request.routes.login, next_path)
        return page_answer(status, page, retry_url=retry, home_url=home, error=error)


def _goes_in_circles(site: WebApplication, request: WebRequest) -> bool:
    return (
        rounds.is_sent(request.headers)
        and rounds.has_just_arrived(request.cookies, site.cookie_site)
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


def login_url(login: str, next_path: str, **more: str) -> str:
    """The address of our login view that leads to `next_path`."""
    query = {"next": next_path, **{name: value for name, value in more.items() if value}}
    return f"{login}?{urlencode(query)}"


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
    asked = asked_for(site, request, given, api)
    redirect_uri = public_url(request, request.routes.callback, settings.base_url)
    adds = settings.max_accounts > 1 and first(given, "add") is not None
    prompt = "none" if asked.renews else first(given, "prompt")
    if adds and prompt is None:
        prompt = "select_account"
    flow = site.client.initiate_auth_code_flow(
        asked.scopes,
        redirect_uri=redirect_uri,
        prompt=prompt if prompt in _PROMPTS else None,
        login_hint=_hint(given, "login_hint") or _known_name(site, request, given),
        domain_hint=_hint(given, "domain_hint"),
        claims_challenge=asked.claims,
        max_age=asked.max_age,
        response_mode="form_post" if settings.response_mode == "form_post" else None,
    )
    sent = rounds.is_sent(request.headers)
    attempt = Attempt(flow, next_path, api, site.clock(), sent, asked.renews, adds)
    cookies = _attempts(site, request).start(
        attempt,
        home=request.home,
        path=request.routes.folder,
        secure=cookie_is_secure(request, settings.base_url),
    )
    site.observer.count(SIGN_IN_ATTEMPTS, purpose=attempt.purpose)
    return redirect(flow["auth_uri"], cookies=cookies)


def _redeemed(site: WebApplication, attempt: Attempt) -> list[str]:
    """The scopes to exchange the code for: at Microsoft those of one resource, the one that is
    asked for; the others were consented to, and come by the refresh token."""
    asked = list(attempt.flow["scope"])
    if not site.settings.authority.is_microsoft:
        return asked
    wanted = site.api_settings(attempt.api).scopes if attempt.api else site.settings.scopes
    return scopes_of_one_resource(asked, wanted)


def finish(
    site: WebApplication, request: WebRequest, establish: Callable[[Identity], None]
) -> Answer:
    """Take what came back, prove who it is, and make it a session."""
    if request.method == "POST":
        return _bounce(site, request)
    response = _response(site, request)
    state = first(response, "state")
    attempt = _attempts(site, request).find(state) if state else None
    if attempt is None:
        return _no_attempt(site, request)
    used = _attempts(site, request).end_of(
        attempt.state,
        path=request.routes.folder,
        secure=cookie_is_secure(request, site.settings.base_url),
    )
    answer = _finish_attempt(site, request, attempt, response, establish)
    return replace(answer, cookies=(*answer.cookies, *used))


def _bounce(site: WebApplication, request: WebRequest) -> Answer:
    """`form_post` without SameSite=None cookies: the provider's cross-site POST carries no Lax
    cookie, but the GET that we redirect it to does. The response travels sealed, so that no code
    stands in an address (OAuth 2.0 Form Post Response Mode §1).
    """
    content = json.dumps([list(pair) for pair in request.form]).encode()
    if len(content) > _MAX_RESPONSE:
        error = AuthorizationResponseError("The posted response is too large", code="too_large")
        status, page = page_for(error)
        return page_answer(status, page, retry_url=request.routes.login, error=error)
    # Compressed, since what is sealed grows by a third: some servers take no address over 4 kB.
    sealed = site.sealer.seal_text(zlib.compress(content), context=_BOUNCE, now=site.clock())
    return redirect(f"{request.routes.callback}?{urlencode({'posted': sealed})}", status=303)


def _response(site: WebApplication, request: WebRequest) -> Pairs:
    posted = first(request.query, "posted")
    if posted is None:
        return request.query
    content = site.sealer.unseal_text(
        posted, context=_BOUNCE, max_age=_BOUNCE_LIFETIME, now=site.clock()
    )
    pairs = json.loads(zlib.decompress(content)) if content else []
    return [(name, value) for name, value in pairs]


def _no_attempt(site: WebApplication, request: WebRequest, next_path: str = "") -> Answer:
    """A callback that answers nothing we know of: the back button, a restored tab, a forgery."""
    if site.session(request.session).is_signed_in:
        return redirect(next_path or request.home)
    site.observer.count(SIGN_INS, outcome="unknown")
    status, page = NO_ATTEMPT
    return page_answer(
        status, page, retry_url=request.routes.login, home_url=request.home, detail="no attempt"
    )


def _finish_attempt(
    site: WebApplication,
    request: WebRequest,
    attempt: Attempt,
    response: Pairs,
    establish: Callable[[Identity], None],
) -> Answer:
    next_path = local_path(attempt.next, default=request.home)
    adds = "1" if attempt.adds else ""
    retry = login_url(request.routes.login, next_path, api=attempt.api, add=adds)
    try:
        if not use_once(site.store, attempt, site.clock()):
            return _no_attempt(site, request, next_path)
        document = Document(new_key(site.tag), {}, SerializableTokenCache())
        result = site.client.with_cache(document.cache).acquire_token_by_auth_code_flow(
            attempt.flow, _unambiguous(response), scopes=_redeemed(site, attempt)
        )
        if "error" in result:
            _count(site, attempt, "refused", error=result["error"])
            if attempt.renews and result["error"] in _NEEDS_A_PAGE:
                return redirect(retry)
            if attempt.renews and result["error"] not in SAYS_NOTHING_OF_THE_PERSON:
                return _run_out(site, request, attempt, result, retry)
            return _refused(result, retry, request.home)
        identity = Identity.from_claims(
            result["id_token_claims"],
            is_microsoft=site.settings.authority.is_microsoft,
            authority=site.name,
        )
        _begin(site, request, attempt, document, identity, establish)
    except KeyfobError as error:
        _count(site, attempt, "failed", error=error)
        status, page = page_for(error)
        if status == 403:
            # Who may not come in as this person may as another; the provider must ask which.
            retry = login_url(request.routes.login, next_path, prompt="select_account", add=adds)
        return page_answer(status, page, retry_url=retry, home_url=request.home, error=error)
    _count(site, attempt, "done")
    return redirect(next_path, cookies=_arrival(site, request) if attempt.sent else ())


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


def _unambiguous(response: Pairs) -> dict[str, str]:
    """RFC 6749 §3.1: no parameter may come twice; which one counts would be anybody's guess."""
    names = [name for name, _ in response]
    if len(names) != len(set(names)):
        raise AuthorizationResponseError("A parameter came twice", code="repeated_parameter")
    return dict(response)


def _begin(
    site: WebApplication,
    request: WebRequest,
    attempt: Attempt,
    document: Document,
    identity: Identity,
    establish: Callable[[Identity], None],
) -> None:
    """Save the tokens, then let the framework in, then write the session: whatever fails on the
    way leaves nobody signed in."""
    document.claims = dict(identity.claims)
    session = site.session(request.session)
    former, current = session.document(), session.current()
    waiting, left = waiting_after(
        session.waiting,
        current if attempt.adds else None,
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


def _refused(result: TokenResult, retry: str, home: str) -> Answer:
    if result["error"] in REFUSALS_OF_THE_SITE:
        logger.error("The provider does not accept this site: look at CLIENT_ID and CLIENT_SECRET")
    refusal = AuthorizationRefusal(
        one_line(result["error"])[:100], str(result.get("error_description", ""))
    )
    status, page = refusal_page(refusal)
    return page_answer(
        status,
        page,
        retry_url=retry,
        home_url=home,
        correlation_id=result.get("correlation_id") or "",
        detail=refusal.description or refusal.error,
    )


def _attempts(site: WebApplication, request: WebRequest) -> Attempts:
    return Attempts(request.cookies, sealer=site.sealer, site=site.cookie_site, now=site.clock())


def _known_name(site: WebApplication, request: WebRequest, given: Pairs) -> str | None:
    """Whose token this trip is for, so that the provider need not ask which account it is.

    A plain sign-in names nobody: it may be meant for another account.
    """
    if first(given, "api") is None and first(given, "ask") is None:
        return None
    name = site.session(request.session).named.username
    return name if 0 < len(name) <= _MAX_HINT and name.isprintable() else None


def _hint(given: Pairs, name: str) -> str | None:
    value = first(given, name)
    return value if value and len(value) <= _MAX_HINT and value.isprintable() else None
