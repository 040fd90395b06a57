"""What to answer where a view needs more than the request has: a sign-in, a consent, a token."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from keyfob.errors import (
    CallerMustInteract,
    InteractionRequired,
    KeyfobError,
    PermissionMissing,
)
from keyfob.web import bearer_answers, caller_challenge, kept_forms, rounds
from keyfob.web.asked import seal_asked
from keyfob.web.audience import wants_page
from keyfob.web.exchange import NO_STORE, Answer, Page, WebRequest, redirect
from keyfob.web.kept_forms import Kept
from keyfob.web.next_url import local_path, same_site_path
from keyfob.web.onboarding import invited
from keyfob.web.problems import (
    FILES_NOT_KEPT,
    FORM_KEPT,
    FORM_NOT_TAKEN,
    page_answer,
    page_for,
)
from keyfob.web.trips import login_url

if TYPE_CHECKING:
    from keyfob.web.application import WebApplication

_REASONS = {
    "not_signed_in": "login_required",
    "tokens_lost": "login_required",
    "account_check": "login_required",
    "step_up": "step_up_required",
    "too_long_ago": "reauthentication_required",
}
#: What the provider may cure without showing a page: it still knows the person, most likely.
_RENEWABLE = frozenset({"tokens_lost", "account_check"})
#: Microsoft's reasons for an `invalid_grant` that concern the token alone.
_TOKEN_ENDED = frozenset({"", "bad_token", "token_expired"})


def answer(site: WebApplication, request: WebRequest, error: KeyfobError) -> Answer:
    """A page, or a problem document for a script; for a missing token the way to it."""
    if bearer_answers.is_refusal(request, error):
        return bearer_answers.refusal(site, request, error)
    if isinstance(error, CallerMustInteract):
        return caller_challenge.answer(
            site, request, error, consent_url=lambda: _consent_url(site, request, error)
        )
    if isinstance(error, InteractionRequired):
        return _interaction(site, request, error)
    status, page = page_for(error)
    page = invited(site, request, page, error)
    retry = _here(site, request)
    if isinstance(error, PermissionMissing):
        # Never by itself: the provider would send the same person straight back.
        retry = login_url(request.routes.login, retry, prompt="select_account")
    found = page_answer(status, page, retry_url=retry, home_url=request.home, error=error)
    if wants_page(request):
        return found
    correlation_id = found.page.correlation_id if found.page else ""
    return _as_problem(found, page.title, error.code, correlation_id=correlation_id)


def _interaction(site: WebApplication, request: WebRequest, error: InteractionRequired) -> Answer:
    if not wants_page(request):
        return _unauthorized(site, request, error)
    session = site.session(request.session)
    is_read = request.method in ("GET", "HEAD")
    renews = session.is_signed_in and _is_renewable(error)
    newcomer = error.code == "not_signed_in"
    kept = None if is_read else kept_forms.keep(site, request, api=error.api, for_newcomer=newcomer)
    next_path = kept.url if kept else _here(site, request)
    counts = session.is_signed_in and (is_read or not renews)
    if counts and not session.count_round(_wanted(error)):
        status, page = page_for(error)
        return _signs_in(site, request, error, (status, page), next_path, kept)
    if kept is not None:
        return _challenged(_signs_in(site, request, error, _page_of(kept), next_path, kept), error)
    if not is_read and (renews or kept_forms.has_body(request)):
        # It cannot be sent through a sign-in, and must not be thought to have arrived.
        return _challenged(_signs_in(site, request, error, FORM_NOT_TAKEN, next_path), error)
    return redirect(_login(site, request, error, next_path), status=302 if is_read else 303)


def _is_renewable(error: InteractionRequired) -> bool:
    """Whether the sign-in itself is in doubt, and not what the person agreed to: the tokens are
    gone, or the provider ended them (RFC 6749 §5.2) without asking for anything."""
    ended = error.error == "invalid_grant" and error.suberror in _TOKEN_ENDED and not error.claims
    return error.code in _RENEWABLE or ended


def _page_of(kept: Kept) -> tuple[int, Page]:
    """What was posted waits until its person comes back, who sees it again and sends it."""
    status, page = FORM_KEPT
    if kept.form.files:
        page = replace(page, advice=f"{page.advice} {FILES_NOT_KEPT}")
    return status, page


def _signs_in(
    site: WebApplication,
    request: WebRequest,
    error: InteractionRequired,
    shown: tuple[int, Page],
    next_path: str,
    kept: Kept | None = None,
) -> Answer:
    """A page whose one way on is to sign in."""
    status, page = shown
    retry = _login(site, request, error, next_path)
    answer = page_answer(status, page, retry_url=retry, home_url=request.home, error=error)
    return replace(answer, cookies=(kept.cookie,)) if kept else answer


def _challenged(answer: Answer, error: InteractionRequired) -> Answer:
    challenge = {"WWW-Authenticate": f'Keyfob error="{_reason(error)}"'}
    return replace(answer, headers={**answer.headers, **challenge})


def _reason(error: InteractionRequired) -> str:
    return _REASONS.get(error.code, "interaction_required")


def _wanted(error: InteractionRequired) -> str:
    return rounds.want(error.scopes, error.claims, new=error.force_refresh)


def _login(
    site: WebApplication, request: WebRequest, error: InteractionRequired, next_path: str
) -> str:
    ask, renews, session = "", "", site.session(request.session)
    # Whoever is here by another authority stays signed in, where there is room.
    is_elsewhere = session.is_signed_in and session.authority != site.name
    add = "1" if is_elsewhere and site.settings.max_accounts > 1 else ""
    if _is_renewable(error):
        renews = session.mark
    is_more = error.claims or error.max_age is not None or (error.scopes and not error.api)
    if renews or is_more:
        scopes = () if error.api else error.scopes
        ask = seal_asked(site, scopes, error.claims, renews=renews, max_age=error.max_age)
    return login_url(request.routes.login, next_path, api=error.api, ask=ask, add=add)


def _consent_url(site: WebApplication, request: WebRequest, error: InteractionRequired) -> str:
    """Absolute, since the program that gets it is elsewhere."""
    base = site.settings.base_url or request.origin
    return base + _login(site, request, error, request.home)


def _unauthorized(site: WebApplication, request: WebRequest, error: InteractionRequired) -> Answer:
    """RFC 9457, with where to sign in. A script's own address is no page to come back to: the
    page that it runs in is."""
    came_from = _shown_page(site, request)
    reason = _reason(error)
    login = _login(site, request, error, came_from)
    answer = Answer(401, headers={**NO_STORE, "WWW-Authenticate": f'Keyfob error="{reason}"'})
    return _as_problem(
        answer, "Sign-in is required", reason, login_url=login, scopes=list(error.scopes)
    )


def _as_problem(found: Answer, title: str, code: str, **more: Any) -> Answer:
    problem = {"type": "about:blank", "title": title, "status": found.status, "code": code, **more}
    return replace(found, page=None, problem=problem)


def _here(site: WebApplication, request: WebRequest) -> str:
    """The page to come back to. What was posted cannot be asked for again by its address."""
    if request.method in ("GET", "HEAD"):
        return local_path(request.full_path, default=request.home)
    return _shown_page(site, request)


def _shown_page(site: WebApplication, request: WebRequest) -> str:
    """The page of ours that a form or a script is in."""
    base = site.settings.base_url or request.origin
    return same_site_path(
        request.headers.get("referer"), origins=[base, request.origin], default=request.home
    )
