"""Views for people who have an app role, or are in a group."""

from __future__ import annotations

from collections.abc import Callable, Collection

from flask_keyfob.guard import View, guarded
from flask_keyfob.proxies import web_session
from keyfob.web.permissions import Permission, permission, require_permission


def roles_required(*any_of: str, all_of: Collection[str] | None = None) -> Callable[[View], View]:
    """Let only people into a view who have one of these app roles, as of their sign-in.

    Who is not signed in is sent to sign in, as by `login_required`; who lacks the role gets a page
    with status 403, and scripts a problem document. It stands below the route's decorator; several
    of these decorators must all let a person in.

    :param any_of: roles of which one is enough; or
    :param all_of: roles that are all needed.
    :raises TypeError: no role is named.
    """
    return _decorator(permission("role", any_of, all_of, where="roles_required"), "roles_required")


def groups_required(*any_of: str, all_of: Collection[str] | None = None) -> Callable[[View], View]:
    """Let only people into a view who are in one of these groups. As `roles_required` else.

    A person in more groups than their claims have room for is looked up in Microsoft Graph; where
    that fails, the view is closed, with status 503.

    :param any_of: names in KEYFOB_GROUPS, or object ids, of which one is enough; or
    :param all_of: the same, where all are needed.
    :raises TypeError: no group is named.
    """
    needed = permission("group", any_of, all_of, where="groups_required")
    return _decorator(needed, "groups_required")


def _decorator(needed: Permission, name: str) -> Callable[[View], View]:
    def check() -> None:
        require_permission(web_session(), needed)

    def decorate(view: View) -> View:
        return guarded(view, check, name)

    return decorate
