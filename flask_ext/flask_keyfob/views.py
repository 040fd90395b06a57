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
from flask_keyfob.translate import fresh_proof, response_for, take_body, web_request
from keyfob.errors import AuthorizationResponseError
from keyfob.web import Answer, Identity, WebRequest
from keyfob.web.csrf import FIELD
from keyfob.web.exchange import first
from keyfob.web.problems import FORGED_FORM, page_answer

View = Callable[[WebRequest], Answer]


def make_blueprint(url_prefix: str) -> Blueprint:
    """A blueprint for one app."""
    blueprint = Blueprint("keyfob", __name__, url_prefix=url_prefix, template_folder="templates")
    blueprint.add_url_rule("/login", "login", _as_view(login), methods=["GET", "POST"])
    blueprint.add_url_rule("/callback", "callback", _as_view(callback), methods=["GET", "POST"])
    blueprint.add_url_rule("/logout", "logout", _as_view(logout), methods=["POST"])
    blueprint.add_url_rule("/logged-out", "logged_out", _as_view(logged_out), methods=["GET"])
    blueprint.add_url_rule(
        "/frontchannel-logout", "frontchannel_logout", _as_view(frontchannel_logout)
    )
    blueprint.add_url_rule(
        "/backchannel-logout", "backchannel_logout", backchannel_logout, methods=["POST"]
    )
    blueprint.add_url_rule("/resume", "resume", resume, methods=["GET", "POST"])
    blueprint.add_url_rule("/done", "done", _as_view(done))
    blueprint.add_url_rule("/keyfob.js", "script", _as_view(script))
    return blueprint


def _as_view(view: View) -> Callable[[], Response]:
    @wraps(view)
    def flask_view() -> Response:
        try:
            request = web_request(with_form=True)
        except AuthorizationResponseError as error:
            return response_for(current_site().handle(web_request(), error))
        return response_for(view(request))

    return flask_view


def login(request: WebRequest) -> Answer:
    """Start a sign-in."""
    return current_site().login(request)


def callback(request: WebRequest) -> Answer:
    """Finish a sign-in: the redirect URI."""
    proven: list[Identity] = []

    def establish(identity: Identity) -> None:
        _make_session_new(identity)
        proven.append(identity)

    answer = current_site().callback(request, establish)
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


def logged_out(request: WebRequest) -> Answer:
    """Where the provider sends the browser after a sign-out."""
    return current_site().logged_out(request)


def frontchannel_logout(request: WebRequest) -> Answer:
    """The provider signs a person out, in a frame of its own page."""
    # A frame that names a session needs nothing of this browser's, which is not even read then.
    is_own = first(request.query, "sid") is None
    leaving = current_user._get_current_object() if is_own else None  # type: ignore[attr-defined]  # noqa: SLF001

    def end() -> None:
        app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
        session.clear()
        user_logged_out.send(app, user=leaving)

    answer = current_site().frontchannel_logout(request, end)
    renew_web_session()
    return answer


def backchannel_logout() -> Response:
    """The provider signs a person out, by a POST of its own. No browser is there."""
    try:
        request = web_request(with_form=True)
    except AuthorizationResponseError:  # no form that can be read has no logout token
        request = web_request()
    return response_for(current_site().backchannel_logout(request))


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
