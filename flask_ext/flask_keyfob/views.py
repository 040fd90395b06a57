"""The routes of the blueprint `keyfob`."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from blinker import Signal
from flask import Blueprint, Response, current_app, session
from flask import request as flask_request

from flask_keyfob.proxies import current_site, current_user, renew_web_session
from flask_keyfob.signals import user_logged_in, user_logged_out
from flask_keyfob.translate import (
    fresh_proof,
    page_response,
    response_for,
    take_body,
    web_request,
)
from keyfob.errors import AuthorizationResponseError, KeyfobError
from keyfob.web import Answer, Identity, Page, WebRequest
from keyfob.web.accounts import add_url
from keyfob.web.csrf import FIELD
from keyfob.web.exchange import first, redirect
from keyfob.web.next_url import local_path
from keyfob.web.problems import FORGED_CHOICE, FORGED_FORM, page_answer


def make_blueprint(url_prefix: str) -> Blueprint:
    """A blueprint for one app."""
    blueprint = Blueprint("keyfob", __name__, url_prefix=url_prefix, template_folder="templates")
    blueprint.add_url_rule("/logout", "logout", _as_view(logout), methods=["POST"])
    of_each_authority: tuple[tuple[str, str, Callable[..., Response], list[str]], ...] = (
        ("/login", "login", _as_view(login), ["GET", "POST"]),
        ("/callback", "callback", _as_view(callback), ["GET", "POST"]),
        ("/logged-out", "logged_out", _as_view(logged_out), ["GET"]),
        ("/frontchannel-logout", "frontchannel_logout", _as_view(frontchannel_logout), ["GET"]),
        ("/backchannel-logout", "backchannel_logout", backchannel_logout, ["POST"]),
    )
    for rule, endpoint, view, methods in of_each_authority:
        # The site's own, and each further one by its name.
        for tail in ("", "/<authority>"):
            blueprint.add_url_rule(rule + tail, endpoint, view, methods=methods)
    blueprint.add_url_rule("/accounts", "accounts", accounts, methods=["GET"])
    blueprint.add_url_rule(
        "/accounts", "choose_account", _as_view(choose_account), methods=["POST"]
    )
    blueprint.add_url_rule("/resume", "resume", resume, methods=["GET", "POST"])
    blueprint.add_url_rule("/done", "done", _as_view(done))
    blueprint.add_url_rule("/keyfob.js", "script", _as_view(script))
    return blueprint


def _as_view(view: Callable[..., Answer]) -> Callable[..., Response]:
    @wraps(view)
    def flask_view(**named: str) -> Response:
        try:
            request = web_request(with_form=True)
        except AuthorizationResponseError as error:
            return response_for(current_site().handle(web_request(), error))
        return response_for(view(request, **named))

    return flask_view


def login(request: WebRequest, authority: str = "") -> Answer:
    """Start a sign-in."""
    return current_site().login(request, authority)


def callback(request: WebRequest, authority: str = "") -> Answer:
    """Finish a sign-in: the redirect URI."""
    proven: list[Identity] = []

    def establish(identity: Identity) -> None:
        _make_session_new(identity)
        proven.append(identity)

    answer = current_site().callback(request, establish, authority)
    renew_web_session()
    if proven and current_user.key == proven[0].key:
        _send(user_logged_in, identity=proven[0])
    return answer


def logout(request: WebRequest) -> Answer:
    """Sign out here and at the provider."""
    site = current_site()
    if not current_user:
        # Nothing to protect: neither a session to end nor one that a foreign form may empty.
        return site.logout(request, end=lambda: None)
    if not site.is_csrf_token(first(request.form, FIELD), session):
        status, page = FORGED_FORM
        return page_answer(status, page, home_url=request.home, detail="no valid CSRF token")
    _send(user_logged_out)
    answer = site.logout(request, end=session.clear)
    renew_web_session()
    return answer


def logged_out(request: WebRequest, authority: str = "") -> Answer:
    """Where the provider sends the browser after a sign-out."""
    return current_site().logged_out(request, authority=authority)


def accounts() -> Response:
    """The accounts of this browser, to choose one."""
    request, site = web_request(), current_site()
    if not current_user:
        return response_for(redirect(request.routes.login))
    try:
        found = site.accounts(request)
    except KeyfobError as error:
        return response_for(site.handle(request, error))
    next_url = local_path(first(request.query, "next"), default=request.home)
    return page_response(
        Page("Your accounts", "These are signed in to this site, in this browser."),
        "keyfob/accounts.html",
        accounts=found,
        accounts_url=request.path,
        add_url=add_url(site, request, next_url),
        next_url=next_url,
        has_several=site.settings.max_accounts > 1,
        csrf_field=FIELD,
        csrf_value=site.csrf_token(session),
    )


def choose_account(request: WebRequest) -> Answer:
    """Switch to another account of this browser, or take one out."""
    site = current_site()
    if not current_user:
        return redirect(request.routes.login, status=303)
    if not site.is_csrf_token(first(request.form, FIELD), session):
        status, page = FORGED_CHOICE
        return page_answer(status, page, home_url=request.home, detail="no valid CSRF token")
    chosen: list[Identity] = []

    def establish(identity: Identity) -> None:
        _make_session_new(identity)
        chosen.append(identity)

    answer = site.choose_account(request, establish)
    renew_web_session()
    if chosen and current_user.key == chosen[0].key:
        _send(user_logged_in, identity=chosen[0])
    return answer


def frontchannel_logout(request: WebRequest, authority: str = "") -> Answer:
    """The provider signs a person out, in a frame of its own page."""
    # A frame that names a session needs nothing of this browser's, which is not even read then.
    is_own = first(request.query, "sid") is None
    leaving = current_user._get_current_object() if is_own else None  # type: ignore[attr-defined]  # noqa: SLF001

    def end() -> None:
        app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
        session.clear()
        user_logged_out.send(app, user=leaving)

    answer = current_site().frontchannel_logout(request, end, authority)
    renew_web_session()
    return answer


def backchannel_logout(authority: str = "") -> Response:
    """The provider signs a person out, by a POST of its own. No browser is there."""
    try:
        request = web_request(with_form=True)
    except AuthorizationResponseError:  # no form that can be read has no logout token
        request = web_request()
    return response_for(current_site().backchannel_logout(request, authority))


def resume() -> Response:
    """A form that was kept, for its person to send it again."""
    if flask_request.method == "POST":
        take_body()
        return response_for(current_site().resume(web_request(), ()))
    return response_for(current_site().resume(web_request(), fresh_proof()))


def done(request: WebRequest) -> Answer:
    """Where the script's popups end."""
    return current_site().done(request)


def script(request: WebRequest) -> Answer:
    """The script for pages that fetch."""
    return current_site().script(request)


def _make_session_new(identity: Identity) -> None:
    """A sign-in never goes on with somebody else's session, nor with an id that somebody else may
    know. What an anonymous visitor had, such as a cart, stays theirs.
    """
    former = current_site().session(session).user.key
    if former is not None and former != identity.key:
        session.clear()
    regenerate = getattr(current_app.session_interface, "regenerate", None)
    if callable(regenerate):
        # Flask-Session leaves an empty session's id as it is, though it may be an attacker's.
        session["_keyfob_new"] = True
        regenerate(session)
        session.pop("_keyfob_new", None)


def _send(signal: Signal, **facts: Any) -> None:
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    signal.send(app, user=current_user._get_current_object(), **facts)  # type: ignore[attr-defined]  # noqa: SLF001
