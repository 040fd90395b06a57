"""Views for people who are signed in, and for whom an API's token is at hand."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import wraps
from typing import Any, TypeVar, overload

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest

from django_keyfob.gate import check_wanted, refusal

V = TypeVar("V", bound=Callable[..., Any])


@overload
def login_required(view: V) -> V: ...
@overload
def login_required(
    *, api: str | None = None, scopes: Collection[str] | None = None
) -> Callable[[V], V]: ...


def login_required(
    view: V | None = None, *, api: str | None = None, scopes: Collection[str] | None = None
) -> V | Callable[[V], V]:
    """As `django.contrib.auth.decorators.login_required`; scripts get a 401 rather than a page.

    :param api: also see to it that there is a token for this API of DOWNSTREAM_APIS: the person is
        asked for consent on the way in, if it is missing; or
    :param scopes: for these scopes.
    """
    check_wanted(api, scopes)

    def decorate(view: V) -> V:
        if not callable(view):
            raise TypeError(f"login_required takes names for what it is given: api={view!r}")
        wrap = _asynchronous if _is_async(view) else _plain
        return wrap(view, api, scopes)  # type: ignore[return-value]  # as `view` in all that counts

    return decorate if view is None else decorate(view)


def _is_async(view: Callable[..., Any]) -> bool:
    return bool(iscoroutinefunction(view))


def _plain(
    view: Callable[..., Any], api: str | None, scopes: Collection[str] | None
) -> Callable[..., Any]:
    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        refused = refusal(request, api=api, scopes=scopes)
        return view(request, *args, **kwargs) if refused is None else refused

    return wrapper


def _asynchronous(
    view: Callable[..., Any], api: str | None, scopes: Collection[str] | None
) -> Callable[..., Any]:
    @wraps(view)
    async def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        refused = await sync_to_async(refusal)(request, api=api, scopes=scopes)
        return await view(request, *args, **kwargs) if refused is None else refused

    return wrapper
