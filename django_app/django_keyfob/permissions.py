"""Views for people who have an app role, or are in a group."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from django_keyfob.gate import Check, V, guarded
from django_keyfob.session import keyfob_of
from keyfob.web.permissions import Permission, permission, require_permission

if TYPE_CHECKING:
    from django.http import HttpRequest


def permission_check(needed: Permission) -> Check:
    """What the decorators and mixins ask. A sign-in by another backend has no roles or groups of
    ours: such a person is sent to sign in here."""

    def check(request: HttpRequest) -> None:
        require_permission(keyfob_of(request), needed)

    return check


def roles_required(*any_of: str, all_of: Collection[str] | None = None) -> Callable[[V], V]:
    """Let only people into a view who have one of these app roles, as of their sign-in.

    Who is not signed in is sent to sign in, as by `login_required`; who lacks the role gets a page
    with status 403, and scripts a problem document. For sync and async views; several of these
    decorators must all let a person in.

    :param any_of: roles of which one is enough; or
    :param all_of: roles that are all needed.
    :raises TypeError: no role is named.
    """
    return _decorator(permission("role", any_of, all_of, where="roles_required"), "roles_required")


def groups_required(*any_of: str, all_of: Collection[str] | None = None) -> Callable[[V], V]:
    """Let only people into a view who are in one of these groups. As `roles_required` else.

    A person in more groups than their claims have room for is looked up in Microsoft Graph; where
    that fails, the view is closed, with status 503.

    :param any_of: names in KEYFOB["GROUPS"], or object ids, of which one is enough; or
    :param all_of: the same, where all are needed.
    :raises TypeError: no group is named.
    """
    needed = permission("group", any_of, all_of, where="groups_required")
    return _decorator(needed, "groups_required")


def _decorator(needed: Permission, name: str) -> Callable[[V], V]:
    check = permission_check(needed)

    def decorate(view: V) -> V:
        return guarded(view, check, name)

    return decorate
