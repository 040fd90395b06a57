"""The decorators for class-based views."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, cast

from asgiref.sync import sync_to_async
from django.views import View

from django_keyfob.bearer import bearer_check, for_callers, varied
from django_keyfob.gate import Check, login_check, refusal
from django_keyfob.permissions import permission_check
from django_keyfob.step_up import step_up_check
from keyfob.web.bearer_rule import BearerRule, bearer_rule
from keyfob.web.permissions import permission

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from django.http.response import HttpResponseBase

    _Base = View
else:
    _Base = object


class GuardMixin(_Base):
    """What the mixins share: a check before `dispatch`, in sync and async views.

    :raises TypeError: (where a view is defined) it is not before Django's own `View`.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        order = cls.__mro__
        # `View.dispatch` calls no other: behind it, nothing would guard the view.
        if View in order and order.index(View) < order.index(GuardMixin):
            raise TypeError(
                f"{cls.__name__} is not guarded: write the mixin before the other base classes"
            )

    def keyfob_checks(self) -> list[Check]:
        """What keeps a request out, made of the view's attributes; a mixin adds its own in front
        of those of the others (`super()`)."""
        return []

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if self.view_is_async:
            return self._adispatch(request, *args, **kwargs)
        refused = self._refusal(request)
        return super().dispatch(request, *args, **kwargs) if refused is None else refused

    async def _adispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        refused = await sync_to_async(self._refusal)(request)
        if refused is not None:
            return refused
        response: Any = super().dispatch(request, *args, **kwargs)
        return await response

    def _refusal(self, request: HttpRequest) -> HttpResponse | None:
        for check in self.keyfob_checks():
            refused = refusal(request, check)
            if refused is not None:
                return refused
        return None


class LoginRequiredMixin(GuardMixin):
    """As the decorator `login_required`. It goes before the other base classes."""

    #: A name in DOWNSTREAM_APIS; or
    api: str | None = None
    #: what a token must be good for.
    scopes: Collection[str] | None = None
    #: Seconds in which the person must have proved who they are, at the provider.
    max_age: int | None = None
    #: Who must have signed the person in: a name in AUTHORITIES, "" for the site's own.
    authority: str | None = None

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        api, scopes = initkwargs.get("api", cls.api), initkwargs.get("scopes", cls.scopes)
        login_check(api, scopes, max_age=initkwargs.get("max_age", cls.max_age))
        return super().as_view(**initkwargs)

    def keyfob_checks(self) -> list[Check]:
        check = login_check(self.api, self.scopes, self.authority, self.max_age)
        return [check, *super().keyfob_checks()]


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


class BearerRequiredMixin(GuardMixin):
    """As the decorator `bearer_required`, for class-based views. It goes before the other base
    classes."""

    #: As the decorator's parameters.
    scopes: Collection[str] | None = None
    all_scopes: Collection[str] | None = None
    roles: Collection[str] | None = None
    all_roles: Collection[str] | None = None
    app_roles: Collection[str] | None = None
    all_app_roles: Collection[str] | None = None

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        _bearer_rule(cls, initkwargs)
        view: Any = for_callers(varied(super().as_view(**initkwargs)))
        return cast("Callable[..., HttpResponseBase]", view)

    def keyfob_checks(self) -> list[Check]:
        return [bearer_check(_bearer_rule(self, {})), *super().keyfob_checks()]


_BEARER = ("scopes", "all_scopes", "roles", "all_roles", "app_roles", "all_app_roles")


def _bearer_rule(view: object, given: dict[str, Any]) -> BearerRule:
    named = {name: given.get(name, getattr(view, name)) for name in _BEARER}
    return bearer_rule(**named, name="BearerRequiredMixin")


class RolesRequiredMixin(GuardMixin):
    """As the decorator `roles_required`. It goes before the other base classes."""

    #: App roles of which one is enough; or
    any_of_roles: Collection[str] = ()
    #: app roles that are all needed.
    all_of_roles: Collection[str] | None = None

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        any_of = initkwargs.get("any_of_roles", cls.any_of_roles)
        permission("role", any_of, initkwargs.get("all_of_roles", cls.all_of_roles), where=_of(cls))
        return super().as_view(**initkwargs)

    def keyfob_checks(self) -> list[Check]:
        needed = permission("role", self.any_of_roles, self.all_of_roles, where=_of(type(self)))
        return [permission_check(needed), *super().keyfob_checks()]


class GroupsRequiredMixin(GuardMixin):
    """As the decorator `groups_required`. It goes before the other base classes."""

    #: Names in KEYFOB["GROUPS"], or object ids, of which one is enough; or
    any_of_groups: Collection[str] = ()
    #: the same, where all are needed.
    all_of_groups: Collection[str] | None = None

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        any_of = initkwargs.get("any_of_groups", cls.any_of_groups)
        all_of = initkwargs.get("all_of_groups", cls.all_of_groups)
        permission("group", any_of, all_of, where=_of(cls))
        return super().as_view(**initkwargs)

    def keyfob_checks(self) -> list[Check]:
        needed = permission("group", self.any_of_groups, self.all_of_groups, where=_of(type(self)))
        return [permission_check(needed), *super().keyfob_checks()]


def _of(view: type) -> str:
    return f"the view {view.__name__}"
