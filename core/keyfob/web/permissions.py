"""What a guarded view asks of whoever is signed in: app roles and groups."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from keyfob.errors import PermissionMissing

if TYPE_CHECKING:
    from keyfob.web.session import WebSession

Kind = Literal["role", "group"]


@dataclass(frozen=True)
class Permission:
    """Roles, or groups, of which a person must have one, or all."""

    kind: Kind
    names: tuple[str, ...]
    needs_all: bool = False

    def is_met_by(self, held: Collection[str]) -> bool:
        """Whether these are enough. Of nothing, nothing is enough."""
        have = [name in held for name in self.names]
        return bool(have) and (all(have) if self.needs_all else any(have))

    def __str__(self) -> str:
        which = "all" if self.needs_all and len(self.names) > 1 else "one"
        return f"the {self.kind}{_of(self.names, which)}"


def permission(
    kind: Kind, any_of: Collection[str], all_of: Collection[str] | None, *, where: str
) -> Permission:
    """What a decorator or a mixin was told to ask.

    :param where: what it is called, for messages.
    :raises TypeError: it names nothing, or both, or what is no name: such a guard would keep out
        nobody, or everybody.
    """
    for given in (any_of, all_of):
        if isinstance(given, str):
            raise TypeError(f"{where} takes a list of {kind}s: [{given!r}]")
    if any_of and all_of is not None:
        raise TypeError(
            f"{where} names {kind}s of which one is enough, and some that are all "
            "needed: one of both, or guard it twice"
        )
    names: tuple[object, ...] = tuple(any_of if all_of is None else all_of)
    if not names:
        raise TypeError(f"{where} guards nothing: it names no {kind}")
    named: list[str] = []
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise TypeError(f"{where} takes names of {kind}s, and was given {name!r}")
        named.append(name)
    return Permission(kind, tuple(named), all_of is not None)


def require_permission(session: WebSession, needed: Permission) -> None:
    """Returns where the signed-in person has what is needed.

    It is for people who are signed in: whoever comes with a bearer token is no such person, and
    `bearer_required` asks for their roles.

    :raises ConfigurationError: GROUPS has no such group.
    :raises PermissionMissing: they have not.
    :raises GroupsUnknown: nobody can tell.
    :raises InteractionRequired: nobody is signed in, or the sign-in was ended elsewhere.
    :raises KeyfobError: whatever `WebSession.require` raises.
    """
    if needed.kind == "group":
        session.check_group_names(needed.names)
    if session.caller is not None:
        raise _missing(needed, "Whoever comes with a bearer token is asked by bearer_required for")
    session.require()
    if needed.kind == "role":
        held: Collection[str] = session.user.roles
    else:
        held = session.groups_among(needed.names)
    if not needed.is_met_by(held):
        raise _missing(needed, "The signed-in person lacks")


def _missing(needed: Permission, what: str) -> PermissionMissing:
    named = {"roles" if needed.kind == "role" else "groups": needed.names}
    return PermissionMissing(f"{what} {needed}", code=needed.kind, **named)


def _of(names: tuple[str, ...], which: str) -> str:
    shown = ", ".join(map(repr, names))
    return f" {shown}" if len(names) == 1 else f"s: {which} of {shown}"
