"""Views of a web API, for callers with a bearer token."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from flask import Response, after_this_request, request

from flask_keyfob.guard import View, guarded
from flask_keyfob.proxies import current_site, web_session
from flask_keyfob.translate import response_for, web_request
from keyfob.web.bearer_rule import bearer_rule


def bearer_required(
    *,
    scopes: Collection[str] | None = None,
    all_scopes: Collection[str] | None = None,
    roles: Collection[str] | None = None,
    all_roles: Collection[str] | None = None,
    app_roles: Collection[str] | None = None,
    all_app_roles: Collection[str] | None = None,
) -> Callable[[View], View]:
    """Let only callers into a view whose access token is for this API, and allows enough.

    Stands below the route's decorator. `current_caller` is then who calls. Others get a 401 or a
    403 with a challenge (RFC 6750) and a problem document. What a browser's session says is
    neither asked for nor believed. Also for a MethodView: `decorators = [bearer_required(...)]`.

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

    def check() -> None:
        after_this_request(_vary)
        current_site().bearer.require(web_session(), rule, request.headers.get("Authorization"))

    def decorate(each: View) -> View:
        return guarded(each, check, "bearer_required")

    return decorate


def protected_resource() -> Response:
    """What this site is as a web API, for programs that call it (RFC 9728)."""
    return response_for(current_site().protected_resource(web_request()))


def _vary(response: Any) -> Any:
    response.vary.add("Authorization")
    return response
