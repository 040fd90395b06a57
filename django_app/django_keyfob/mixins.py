"""The decorators for class-based views."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from django_keyfob.gate import Check, login_check, refusal

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from django.http.response import HttpResponseBase
    from django.views import View

    _Base = View
else:
    _Base = object


class GuardMixin(_Base):
    """What the mixins share: a check before `dispatch`, in sync and async views."""

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
    #: Who must have signed the person in: a name in AUTHORITIES, "" for the site's own.
    authority: str | None = None

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        login_check(initkwargs.get("api", cls.api), initkwargs.get("scopes", cls.scopes))
        return super().as_view(**initkwargs)

    def keyfob_checks(self) -> list[Check]:
        return [login_check(self.api, self.scopes, self.authority), *super().keyfob_checks()]
