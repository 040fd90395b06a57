"""Views for people who are signed in, and for whom an API's token is at hand."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import overload

from django_keyfob.bearer import bearer_required
from django_keyfob.gate import V, guarded, login_check
from django_keyfob.permissions import groups_required, roles_required
from django_keyfob.step_up import step_up

__all__ = ["bearer_required", "groups_required", "login_required", "roles_required", "step_up"]


@overload
def login_required(view: V) -> V: ...
@overload
def login_required(
    *,
    api: str | None = None,
    scopes: Collection[str] | None = None,
    max_age: int | None = None,
    authority: str | None = None,
) -> Callable[[V], V]: ...


def login_required(
    view: V | None = None,
    *,
    api: str | None = None,
    scopes: Collection[str] | None = None,
    max_age: int | None = None,
    authority: str | None = None,
) -> V | Callable[[V], V]:
    """As `django.contrib.auth.decorators.login_required`; scripts get a 401 rather than a page.

    :param api: also see to it that there is a token for this API of DOWNSTREAM_APIS: the person is
        asked for consent on the way in, if it is missing; or
    :param scopes: for these scopes.
    :param max_age: seconds in which the person must have proved who they are, at the provider;
        whoever did it longer ago does it again on the way in.
    :param authority: who must have signed the person in: a name in AUTHORITIES, "" for the site's
        own. Without it, any of them, and any other backend.
    """
    check = login_check(api, scopes, authority, max_age)

    def decorate(view: V) -> V:
        if not callable(view):
            raise TypeError(f"login_required takes names for what it is given: api={view!r}")
        return guarded(view, check, "login_required")

    return decorate if view is None else decorate(view)
