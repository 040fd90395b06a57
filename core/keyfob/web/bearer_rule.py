"""What a view of a web API asks of a token: delegated permissions, app roles, or both."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from keyfob.errors import ConfigurationError, PermissionMissing
from keyfob.web.caller import Caller

Names = Collection[str] | None


@dataclass(frozen=True)
class BearerRule:
    """Who may call a view. Made by `bearer_rule`, which refuses what lets nobody in.

    :ivar scopes: one of them is needed in a person's token; all of `all_scopes`.
    :ivar roles: one of them is needed of the person as well; all of `all_roles`.
    :ivar app_roles: one of them lets an application in that calls in its own name; all of
        `all_app_roles` are needed.
    """

    scopes: tuple[str, ...] = ()
    all_scopes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    all_roles: tuple[str, ...] = ()
    app_roles: tuple[str, ...] = ()
    all_app_roles: tuple[str, ...] = ()

    def judge(self, caller: Caller) -> None:
        """Refuse a caller whose token allows too little.

        :raises PermissionMissing: with what is missing.
        """
        if caller.is_app:
            self._judge_app(caller)
        else:
            self._judge_person(caller)

    def _judge_app(self, caller: Caller) -> None:
        if not (self.app_roles or self.all_app_roles):
            raise PermissionMissing(
                "Only people may call this; the token is an application's own",
                scopes=(*self.scopes, *self.all_scopes),
                code="insufficient_scope",
            )
        if not _has(caller.roles, self.app_roles, self.all_app_roles):
            raise PermissionMissing(
                "The application lacks a role that this needs",
                roles=(*self.app_roles, *self.all_app_roles),
                code="role",
            )

    def _judge_person(self, caller: Caller) -> None:
        if not (self.scopes or self.all_scopes):
            raise PermissionMissing(
                "Only applications by themselves may call this; the token is a person's",
                roles=(*self.app_roles, *self.all_app_roles),
                code="role",
            )
        if not _has(caller.scopes, self.scopes, self.all_scopes):
            raise PermissionMissing(
                "The access token lacks a scope that this needs",
                scopes=(*self.scopes, *self.all_scopes),
                code="insufficient_scope",
            )
        if not _has(caller.roles, self.roles, self.all_roles):
            raise PermissionMissing(
                "The person lacks a role that this needs",
                roles=(*self.roles, *self.all_roles),
                code="role",
            )

    def for_api(self, audiences: Collection[str], *, is_microsoft: bool) -> BearerRule:
        """The same with scopes as they stand in tokens, whichever way they were written.

        At Microsoft a scope is asked for with its API's address in front, and a token has the rest
        of it alone.

        :raises ConfigurationError: a scope is another API's.
        """
        if not is_microsoft:
            return self
        return replace(
            self,
            scopes=tuple(_short(each, audiences) for each in self.scopes),
            all_scopes=tuple(_short(each, audiences) for each in self.all_scopes),
        )


def bearer_rule(
    *,
    scopes: Names = None,
    all_scopes: Names = None,
    roles: Names = None,
    all_roles: Names = None,
    app_roles: Names = None,
    all_app_roles: Names = None,
    name: str = "bearer_required",
) -> BearerRule:
    """The rule for a view.

    :param name: what was called, for messages.
    :raises TypeError: nothing is named that would let anybody in, or something is no list of names.
    """
    rule = BearerRule(
        _names(scopes, "scopes", name),
        _names(all_scopes, "all_scopes", name),
        _names(roles, "roles", name),
        _names(all_roles, "all_roles", name),
        _names(app_roles, "app_roles", name),
        _names(all_app_roles, "all_app_roles", name),
    )
    people = rule.scopes or rule.all_scopes
    if not (people or rule.app_roles or rule.all_app_roles):
        raise TypeError(
            f"{name} lets nobody in: name scopes=[...] for people, app_roles=[...] for "
            "applications that call in their own name, or both"
        )
    if (rule.roles or rule.all_roles) and not people:
        raise TypeError(
            f"{name} asks people for roles, and lets no people in: name scopes=[...] as well. What "
            "an application needs that calls in its own name is app_roles=[...]"
        )
    return rule


def _names(value: object, parameter: str, name: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise TypeError(f"{name} takes a list of texts: {parameter}=[{value!r}]")
    for each in value:
        if not isinstance(each, str) or not each or each != each.strip() or " " in each:
            raise TypeError(f"{name} takes names without spaces: {parameter} has {each!r} in it")
    if not value:
        raise TypeError(f"{name} was given an empty list: {parameter}=[]")
    return tuple(sorted(value) if isinstance(value, (set, frozenset)) else dict.fromkeys(value))


def _short(scope: str, audiences: Collection[str]) -> str:
    # Of two that it begins with, such as https://a and https://a/b, the longer one is its API.
    for audience in sorted(audiences, key=len, reverse=True):
        prefix = f"{audience.rstrip('/')}/"
        if scope.startswith(prefix):
            return scope[len(prefix) :].removeprefix("/")
    if "://" in scope:
        raise ConfigurationError(
            f"bearer_required names the scope {scope!r}, which is another API's: this one is "
            f"{' or '.join(sorted(audiences))}. Write the scope's name alone, or set AUDIENCES",
            setting="AUDIENCES",
        )
    return scope


def _has(held: Collection[str], one_of: Collection[str], all_of: Collection[str]) -> bool:
    return (not one_of or any(each in held for each in one_of)) and all(
        each in held for each in all_of
    )
