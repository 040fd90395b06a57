"""Tokens that are ready before a view runs (`attach_to` of DOWNSTREAM_APIS)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse

from django_keyfob.conf import current_site
from django_keyfob.exchange import NAMESPACE
from django_keyfob.gate import Check, refusal
from django_keyfob.session import keyfob_of

#: Where the views are that send files.
_FILES = frozenset({"django.views.static", "django.contrib.staticfiles.views"})


def attach_tokens(request: HttpRequest, view: Callable[..., Any], *_: Any) -> HttpResponse | None:
    """Have the tokens ready that the request's path asks for, in `request.keyfob.tokens`; or answer
    in the view's place where one cannot be had. Django's `process_view`."""
    check = _check(request, view)
    return None if check is None else refusal(request, check)


async def aattach_tokens(
    request: HttpRequest, view: Callable[..., Any], *_: Any
) -> HttpResponse | None:
    """The same for an asynchronous site: other requests cost it no thread."""
    check = _check(request, view)
    return None if check is None else await sync_to_async(refusal)(request, check)


def _check(request: HttpRequest, view: Callable[..., Any]) -> Check | None:
    attached = current_site().members.attached
    if (
        not attached.names(request.path_info)
        or not attached.are_for(request.method or "GET", request.META.get("HTTP_AUTHORIZATION"))
        or not _is_for_a_view(request, view)
    ):
        return None
    return lambda request: keyfob_of(request).attach(request.path_info)


def _is_for_a_view(request: HttpRequest, view: Callable[..., Any]) -> bool:
    """Whether a view of the project's own will run: no file, and nothing of ours."""
    match = request.resolver_match
    ours = match is not None and NAMESPACE in match.app_names
    return not ours and getattr(view, "__module__", "") not in _FILES
