"""What happens to our tokens when a person is signed in or out by other means than our views."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

from django_keyfob.conf import current_site
from django_keyfob.session import KeyfobSession, belongs_to_session
from keyfob.errors import ConfigurationError
from keyfob.web import SESSION_KEY, WebSession


def forget_tokens(*, request: HttpRequest | None, **_: Any) -> None:
    """`user_logged_out`: somebody called `django.contrib.auth.logout`."""
    session = _session(request)
    if session is not None and SESSION_KEY in session:
        _forget(request, session)


def forget_other_sign_ins(*, request: HttpRequest | None, **_: Any) -> None:
    """`user_logged_in`: if it was through another backend, our entry is about the past."""
    session = _session(request)
    entry = session.get(SESSION_KEY) if session is not None else None
    if session is not None and entry and not belongs_to_session(entry, session):
        _forget(request, session)


def _session(request: HttpRequest | None) -> SessionBase | None:
    session = getattr(request, "session", None)
    return session if isinstance(session, SessionBase) else None


def _forget(request: HttpRequest | None, session: SessionBase) -> None:
    keyfob = getattr(request, "keyfob", None)
    if isinstance(keyfob, KeyfobSession):
        keyfob.reset()
    try:
        site = current_site()
    except ConfigurationError:
        session.pop(SESSION_KEY, None)
        return
    # On Django's session itself: whom the entry is about does not matter any more.
    WebSession(site, session).forget()
