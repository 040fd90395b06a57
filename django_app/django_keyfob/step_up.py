"""Views, and APIs, for those who proved more than that they are signed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from django_keyfob.gate import Check, V, guarded
from django_keyfob.mixins import GuardMixin
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


class StepUpMixin(GuardMixin):
    """As the decorator `step_up`. It goes behind `BearerRequiredMixin` in an API, and before the
    other base classes."""

    #: An authentication context, `c1` to `c99`.
    step_up: str = ""

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        step_up_check(initkwargs.get("step_up", cls.step_up))
        return super().as_view(**initkwargs)

    def keyfob_checks(self) -> list[Check]:
        return [step_up_check(self.step_up), *super().keyfob_checks()]
