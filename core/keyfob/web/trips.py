"""What every trip to the provider needs, there and back: whatever it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from keyfob.errors import AuthorizationResponseError
from keyfob.web.attempts import Attempt, Attempts
from keyfob.web.exchange import Answer, Pairs, WebRequest, first, redirect
from keyfob.web.metrics import SIGN_INS
from keyfob.web.next_url import local_path
from keyfob.web.problems import NO_ATTEMPT, page_answer
from keyfob.web.redirect_uri import cookie_is_secure

if TYPE_CHECKING:
    from keyfob.web.application import WebApplication


def login_url(login: str, next_path: str, **more: str) -> str:
    """The address of our login view that leads to `next_path`."""
    query = {"next": next_path, **{name: value for name, value in more.items() if value}}
    return f"{login}?{urlencode(query)}"


def next_in(request: WebRequest, given: Pairs) -> str:
    """Where a trip is to end: a path of this site. Our own views are on the way to a page, and
    none to end on.
    """
    next_path = local_path(first(given, "next"), default=request.home)
    return request.home if request.routes.has(urlsplit(next_path).path) else next_path


def response_mode(site: WebApplication) -> str | None:
    """How the answer is to come; None for the provider's usual way."""
    return "form_post" if site.settings.response_mode == "form_post" else None


def sent_away(site: WebApplication, request: WebRequest, attempt: Attempt, url: str) -> Answer:
    """To the provider, with the attempt in a cookie."""
    cookies = attempts_of(site, request).start(
        attempt,
        home=request.home,
        path=request.routes.folder,
        secure=cookie_is_secure(request, site.settings.base_url),
    )
    return redirect(url, cookies=cookies)


def no_attempt(site: WebApplication, request: WebRequest, next_path: str = "") -> Answer:
    """A callback that answers nothing we know of: the back button, a restored tab, a forgery."""
    if site.session(request.session).is_signed_in:
        return redirect(next_path or request.home)
    site.observer.count(SIGN_INS, outcome="unknown")
    status, page = NO_ATTEMPT
    return page_answer(
        status, page, retry_url=request.routes.login, home_url=request.home, detail="no attempt"
    )


def unambiguous(response: Pairs) -> dict[str, str]:
    """RFC 6749 §3.1: no parameter may come twice; which one counts would be anybody's guess."""
    names = [name for name, _ in response]
    if len(names) != len(set(names)):
        raise AuthorizationResponseError("A parameter came twice", code="repeated_parameter")
    return dict(response)


def attempts_of(site: WebApplication, request: WebRequest) -> Attempts:
    return Attempts(request.cookies, sealer=site.sealer, site=site.cookie_site, now=site.clock())
