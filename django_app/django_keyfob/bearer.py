"""Views of a web API, for callers with a bearer token: the decorator, and what the mixin shares."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import wraps
from typing import Any, cast

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.utils.cache import patch_vary_headers

from django_keyfob.conf import current_site
from django_keyfob.gate import Check, V, guarded
from django_keyfob.session import keyfob_of
from keyfob.web.bearer_rule import BearerRule, bearer_rule


def bearer_required(
    *,
    scopes: Collection[str] | None = None,
    all_scopes: Collection[str] | None = None,
    roles: Collection[str] | None = None,
    all_roles: Collection[str] | None = None,
    app_roles: Collection[str] | None = None,
    all_app_roles: Collection[str] | None = None,
) -> Callable[[V], V]:
    """Let only callers into a view whose access token is for this API, and allows enough.

    `request.keyfob.caller` is then who calls. Others get a 401 or a 403 with a challenge (RFC 6750)
    and a problem document. What a browser's session says is neither asked for nor believed:
    `request.user` is anonymous, and no form's token is needed (the view is `csrf_exempt`). For sync
    and async views.

    :param scopes: delegated permissions, one of which a person's token must have; without this,
        and `all_scopes`, no person's token is taken. With the API's address in front or without.
    :param all_scopes: likewise, all of which it must have.
    :param roles: app roles, one of which the person must have beside that.
    :param all_roles: likewise, all of which they must have.
    :param app_roles: application permissions, one of which lets an application in that calls in
        its own name; without this, and `all_app_roles`, no application's token is taken.
    :param all_app_roles: likewise, all of which it must have.
    :raises TypeError: nothing is named that would let anybody in.
    """
    rule = bearer_rule(
        scopes=scopes,
        all_scopes=all_scopes,
        roles=roles,
        all_roles=all_roles,
        app_roles=app_roles,
        all_app_roles=all_app_roles,
    )

    def decorate(view: V) -> V:
        if not callable(view):
            raise TypeError(f"bearer_required guards a view, and was given {view!r}")
        guarded_view = guarded(varied(view), bearer_check(rule), "bearer_required")
        return cast("V", for_callers(guarded_view))

    return decorate


def bearer_check(rule: BearerRule) -> Check:
    """What `bearer_required` asks."""

    def check(request: HttpRequest) -> None:
        bearer, keyfob = current_site().bearer, keyfob_of(request)
        bearer.require(keyfob, rule, request.headers.get("Authorization"))
        forget_session_user(request)

    return check


def forget_session_user(request: HttpRequest) -> None:
    """Whoever the browser's session names is not who calls."""
    from django.contrib.auth.models import AnonymousUser

    nobody = AnonymousUser()

    async def auser() -> AnonymousUser:
        return nobody

    request.user = nobody
    request.auser = auser


def for_callers(view: Any) -> Any:
    """No cookie is believed there: so no form's token protects it, and no login page helps."""
    view.csrf_exempt = True
    view.login_required = False  # Django's LoginRequiredMiddleware looks at that
    return view


def varied(view: Callable[..., Any]) -> Callable[..., Any]:
    """The view, whose answers no cache gives to another caller."""
    if iscoroutinefunction(view):

        @wraps(view)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            response = await view(*args, **kwargs)
            patch_vary_headers(response, ["Authorization"])
            return response

        return awaited

    @wraps(view)
    def called(*args: Any, **kwargs: Any) -> Any:
        response = view(*args, **kwargs)
        patch_vary_headers(response, ["Authorization"])
        return response

    return called
