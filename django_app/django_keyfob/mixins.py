"""The decorators for class-based views."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from django_keyfob.gate import check_wanted, refusal

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase
    from django.views import View

    _Base = View
else:
    _Base = object


class LoginRequiredMixin(_Base):
    """As the decorator `login_required`. It goes before the other base classes."""

    #: A name in DOWNSTREAM_APIS; or
    api: str | None = None
    #: what a token must be good for.
    scopes: Collection[str] | None = None

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        check_wanted(initkwargs.get("api", cls.api), initkwargs.get("scopes", cls.scopes))
        return super().as_view(**initkwargs)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if self.view_is_async:
            return self._adispatch(request, *args, **kwargs)
        refused = refusal(request, api=self.api, scopes=self.scopes)
        return super().dispatch(request, *args, **kwargs) if refused is None else refused

    async def _adispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        refused = await sync_to_async(refusal)(request, api=self.api, scopes=self.scopes)
        if refused is not None:
            return refused
        response: Any = super().dispatch(request, *args, **kwargs)
        return await response
