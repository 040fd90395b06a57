"""Views, and APIs, for those who proved more than that they are signed in."""

from __future__ import annotations

from collections.abc import Callable

from flask_keyfob.guard import View, guarded
from flask_keyfob.proxies import web_session
from keyfob.web.proofs import context_name


def step_up(context: str) -> Callable[[View], View]:
    """Let only those into a view who proved so much: others are sent to prove it, and come back.

    A caller that came with a bearer token gets a claims challenge in its place, where its client
    can answer one. Stands below the route's decorator, and below `bearer_required` in an API.

    :param context: an authentication context of Microsoft Entra ID, `c1` to `c99`.
    :raises ConfigurationError: it is none.
    """
    wanted = context_name(context)

    def check() -> None:
        web_session().require_context(wanted)

    def decorate(view: View) -> View:
        return guarded(view, check, "step_up")

    return decorate
