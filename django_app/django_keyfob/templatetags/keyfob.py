"""`{% load keyfob %}`: the link to sign in, and the button to sign out."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import template
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest
from django.template import Context
from django.urls import reverse

from django_keyfob.exchange import NAMESPACE

register = template.Library()


@register.simple_tag(takes_context=True)
def keyfob_login_url(context: Context, next: str | None = None, **hints: str) -> str:  # noqa: A002
    """The address that starts a sign-in, and comes back to this page, or to `next`.

    `login_hint`, `domain_hint` and `prompt` may be given as well.
    """
    request = context.get("request")
    if next is None and isinstance(request, HttpRequest):
        next = _here(request)  # noqa: A001
    query = {REDIRECT_FIELD_NAME: next, **hints}
    found = urlencode({name: value for name, value in query.items() if value})
    return f"{reverse(f'{NAMESPACE}:login')}?{found}" if found else reverse(f"{NAMESPACE}:login")


@register.inclusion_tag("django_keyfob/logout_form.html", takes_context=True)
def keyfob_logout_form(context: Context, label: str = "Sign out") -> dict[str, Any]:
    """A form with one button, which signs out; nothing where nobody is signed in."""
    user = getattr(context.get("request"), "user", None)
    return {"label": label, "is_signed_in": user is not None and user.is_authenticated}


def _here(request: HttpRequest) -> str | None:
    """The shown page; but never one of ours, whose address may hold an answer of the provider."""
    match = request.resolver_match
    if request.method not in ("GET", "HEAD") or (match and NAMESPACE in match.app_names):
        return None
    return request.get_full_path()
