"""The views. Each asks the web layer, and gives its answer."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import auth
from django.contrib.auth.decorators import login_not_required
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.shortcuts import resolve_url
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import (
    require_GET,
    require_http_methods,
    require_POST,
    require_safe,
)

from django_keyfob.backends import is_keyfob_backend
from django_keyfob.conf import current_site
from django_keyfob.database_errors import database_errors
from django_keyfob.exchange import (
    default_next,
    fresh_proof,
    page_response,
    pairs,
    posted_pairs,
    query_pairs,
    take_body,
    to_response,
    web_request,
)
from django_keyfob.session import keyfob_of
from keyfob.errors import ConfigurationError, KeyfobError, SignInRefused
from keyfob.web import Answer, Identity, Page, WebRequest
from keyfob.web.accounts import add_url
from keyfob.web.exchange import Pairs, first, redirect
from keyfob.web.next_url import local_path
from keyfob.web.problems import FORGED_CHOICE, FORGED_FORM, page_answer

# A session, or a user, that the database does not give is a page with advice, as a token is.
# None of them is in a transaction of the request's (ATOMIC_REQUESTS): they talk to the provider
# meanwhile, and what they save is to be seen by the next request at once.


@login_not_required
@non_atomic_requests
@never_cache
@csrf_exempt  # other parties may start a sign-in by POST (OpenID Connect Core §4)
@require_http_methods(["GET", "HEAD", "POST"])
@database_errors()
def login(request: HttpRequest, authority: str = "") -> HttpResponse:
    """Start a sign-in."""
    query, form = query_pairs(request), pairs(request.POST)
    asked = web_request(request, query=_with_next(query), form=_with_next(form))
    return to_response(request, current_site().login(asked, authority))


@login_not_required
@non_atomic_requests
@never_cache
@csrf_exempt  # the provider may post (form_post); `state` proves that we asked it to
@require_http_methods(["GET", "POST"])
@database_errors()
def callback(request: HttpRequest, authority: str = "") -> HttpResponse:
    """Finish a sign-in."""

    def establish(identity: Identity) -> None:
        with database_errors():
            _sign_in(request, identity)

    answered = web_request(request, form=pairs(request.POST))
    return to_response(request, current_site().callback(answered, establish, authority))


@login_not_required
@non_atomic_requests
@never_cache
@csrf_exempt  # checked below, so that a refusal is a page of ours, with or without the middleware
@require_POST
@database_errors()
def logout(request: HttpRequest) -> HttpResponse:
    """Sign out, here and at the provider."""
    asked = web_request(request)
    reason = _FormCheck.refusal(request)
    if reason:
        status, page = FORGED_FORM
        return to_response(request, page_answer(status, page, home_url=asked.home, detail=reason))

    return to_response(request, current_site().logout(asked, lambda: _end_session(request)))


@login_not_required
@non_atomic_requests
@never_cache
@require_GET
@database_errors()
def logged_out(request: HttpRequest, authority: str = "") -> HttpResponse:
    """Where the provider sends the browser after it signed out."""
    target = settings.LOGOUT_REDIRECT_URL
    next_url = resolve_url(target) if target else None
    answer = current_site().logged_out(web_request(request), next_url, authority)
    return to_response(request, answer)


@login_not_required
@non_atomic_requests
@never_cache
@csrf_exempt  # checked below, as at the sign-out
@require_http_methods(["GET", "HEAD", "POST"])
@database_errors()
def accounts(request: HttpRequest) -> HttpResponse:
    """The accounts of this browser, to choose one."""
    asked, site = web_request(request, form=pairs(request.POST)), current_site()
    if not keyfob_of(request).user:
        return to_response(request, redirect(asked.routes.login, status=303))
    if request.method == "POST":
        return to_response(request, _choose_account(request, asked))
    try:
        found = site.accounts(asked)
    except KeyfobError as error:
        return to_response(request, site.handle(asked, error))
    next_url = local_path(first(asked.query, "next"), default=default_next())
    return page_response(
        request,
        Page("Your accounts", "These are signed in to this site, in this browser."),
        "django_keyfob/accounts.html",
        accounts=found,
        accounts_url=asked.path,
        add_url=add_url(site, asked, next_url),
        next_url=next_url,
        has_several=site.settings.max_accounts > 1,
    )


def _choose_account(request: HttpRequest, asked: WebRequest) -> Answer:
    reason = _FormCheck.refusal(request)
    if reason:
        status, page = FORGED_CHOICE
        return page_answer(status, page, home_url=asked.home, detail=reason)

    def establish(identity: Identity) -> None:
        with database_errors():
            _sign_in(request, identity)

    return current_site().choose_account(asked, establish)


@login_not_required
@non_atomic_requests
@never_cache
@xframe_options_exempt  # the answer has a policy of its own: the provider's pages may frame it
@require_safe
@database_errors()
def frontchannel_logout(request: HttpRequest, authority: str = "") -> HttpResponse:
    """The provider signs a person out, in a frame of its own page."""
    answer = current_site().frontchannel_logout(
        web_request(request), lambda: _end_session(request), authority
    )
    return to_response(request, answer)


@login_not_required
@non_atomic_requests
@never_cache
@csrf_exempt  # the provider posts, and its signature proves more than a form's token
@require_POST
def backchannel_logout(request: HttpRequest, authority: str = "") -> HttpResponse:
    """The provider signs a person out, by a POST of its own. No browser is there."""
    posted = web_request(request, form=posted_pairs(request))
    return to_response(request, current_site().backchannel_logout(posted, authority))


@login_not_required
@non_atomic_requests
@never_cache
@csrf_exempt  # nothing is done here: the view that it is sent on to checks it
@require_http_methods(["GET", "HEAD", "POST"])
@database_errors()
def resume(request: HttpRequest) -> HttpResponse:
    """A form that was kept, for its person to send it again."""
    asked = web_request(request)
    if request.method == "POST":
        take_body(request)
        return to_response(request, current_site().resume(asked, ()))
    return to_response(request, current_site().resume(asked, fresh_proof(request)))


@login_not_required
@non_atomic_requests
@require_safe
def done(request: HttpRequest) -> HttpResponse:
    """Where the script's popups end."""
    return to_response(request, current_site().done(web_request(request)))


@login_not_required
@non_atomic_requests
@require_safe
def script(request: HttpRequest) -> HttpResponse:
    """The script for pages that fetch."""
    return to_response(request, current_site().script(web_request(request)))


def _end_session(request: HttpRequest) -> None:
    if auth.SESSION_KEY in request.session:
        auth.logout(request)
    else:
        request.session.flush()


class _FormCheck(CsrfViewMiddleware):
    """Django's own check of a form, whose refusal is told and not answered."""

    @classmethod
    def refusal(cls, request: HttpRequest) -> str:
        """Why the form is not to be believed; "" where it is."""
        check = cls(lambda _: HttpResponse())
        check.process_request(request)
        reason = check.process_view(request, logged_out, (), {})
        return str(reason) if reason is not None else ""

    def _reject(self, _request: HttpRequest, reason: str) -> Any:
        return f"CSRF: {reason}"


def _with_next(given: Pairs) -> Pairs:
    """The request's pairs, with the project's own place to go to where they name none."""
    if any(name == auth.REDIRECT_FIELD_NAME for name, _ in given):
        return given
    return [*given, (auth.REDIRECT_FIELD_NAME, default_next())]


def _sign_in(request: HttpRequest, identity: Identity) -> None:
    """Make the proven person Django's user of this session."""
    user = auth.authenticate(request, keyfob_identity=identity)
    if user is None:
        if not any(is_keyfob_backend(path) for path in settings.AUTHENTICATION_BACKENDS):
            raise ConfigurationError(
                "AUTHENTICATION_BACKENDS has no 'django_keyfob.backends.KeyfobBackend'",
                setting="AUTHENTICATION_BACKENDS",
            )
        raise SignInRefused("Your account at this site is not active. Ask whoever runs the site.")
    before = request.session.session_key
    auth.login(request, user)
    if before is not None and request.session.session_key == before:
        # Django keeps the session's id when the same person signs in again.
        request.session.cycle_key()
