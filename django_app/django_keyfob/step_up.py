"""Views, and APIs, for those who proved more than that they are signed in."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest

from django_keyfob.gate import Check, V, guarded
from django_keyfob.session import keyfob_of
from keyfob.web.proofs import context_name


def step_up_check(context: object) -> Check:
    """What `step_up` asks.

    :raises ConfigurationError: that is no authentication context.
    """
    wanted = context_name(context)

    def check(request: HttpRequest) -> None:
        keyfob_of(request).require_context(wanted)

    return check


def step_up(context: str) -> Callable[[V], V]:
    """Let only those into a view who proved so much: others are sent to prove it, and come back.

    A caller that came with a bearer token gets a claims challenge in its place, where its client
    can answer one. Stands below `bearer_required` in an API.

    :param context: an authentication context of Microsoft Entra ID, `c1` to `c99`.
    :raises ConfigurationError: it is none.
    """
    check = step_up_check(context)

    def decorate(view: V) -> V:
        return guarded(view, check, "step_up")

    return decorate
