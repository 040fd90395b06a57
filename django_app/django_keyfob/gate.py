"""What every decorator and mixin does: ask before a view runs, and answer in its place."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import wraps
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse

from django_keyfob.conf import current_site
from django_keyfob.exchange import to_response, web_request
from django_keyfob.session import keyfob_of
from keyfob.errors import ConfigurationError, KeyfobError
from keyfob.web.proofs import seconds

V = TypeVar("V", bound=Callable[..., Any])
#: Raises the KeyfobError that keeps a request out.
Check = Callable[[HttpRequest], object]


def refusal(request: HttpRequest, check: Check) -> HttpResponse | None:
    """None where the view may run, else what to answer in its place.

    :raises ConfigurationError: the developer's mistake, and no page.
    """
    try:
        check(request)
    except ConfigurationError:
        raise
    except KeyfobError as error:
        return to_response(request, current_site().handle(web_request(request), error))
    return None


def guarded(view: V, check: Check, name: str) -> V:
    """The view, sync or async, which runs where the check raises nothing.

    :param name: the decorator's, for messages.
    """
    if not callable(view):
        raise TypeError(f"{name} guards a view, and was given {view!r}")
    wrap = _asynchronous if iscoroutinefunction(view) else _plain
    return wrap(view, check)  # type: ignore[return-value]  # as `view` in all that counts


def _plain(view: Callable[..., Any], check: Check) -> Callable[..., Any]:
    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        refused = refusal(request, check)
        return view(request, *args, **kwargs) if refused is None else refused

    return wrapper


def _asynchronous(view: Callable[..., Any], check: Check) -> Callable[..., Any]:
    @wraps(view)
    async def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        refused = await sync_to_async(refusal)(request, check)
        return await view(request, *args, **kwargs) if refused is None else refused

    return wrapper


def login_check(
    api: str | None,
    scopes: Collection[str] | None,
    authority: str | None = None,
    max_age: int | None = None,
) -> Check:
    """What `login_required` asks.

    Without any of them every user of the site is let in, by whichever backend they came, as
    with the stock decorator. A token, and a fresh proof, need a sign-in of ours.

    :raises TypeError: both, or one text in the place of a list.
    :raises ConfigurationError: `max_age` is no whole number of seconds.
    """
    if api is not None and scopes is not None:
        raise TypeError("login_required takes either api= or scopes=, not both")
    if isinstance(scopes, str):
        raise TypeError(f"login_required takes a list of scopes: scopes=[{scopes!r}]")
    age = None if max_age is None else seconds(max_age)
    is_plain = all(asked is None for asked in (api, scopes, authority, age))

    def check(request: HttpRequest) -> None:
        keyfob = keyfob_of(request)
        # Django REST framework has a user for a caller too, who is nobody that signed in here.
        is_others = keyfob.caller is None and not keyfob.is_ours
        if is_plain and is_others and request.user.is_authenticated:
            return
        if age is not None:
            keyfob.require_recent(age, authority=authority)
        keyfob.require(api=api, scopes=scopes, authority=authority)

    return check
