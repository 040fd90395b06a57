"""`{% load keyfob %}`: the link to sign in, the button to sign out, who may see what, and the
script."""

from __future__ import annotations

from typing import Any

from django import template
from django.http import HttpRequest
from django.template import Context
from django.urls import reverse
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString

from django_keyfob.conf import current_site
from django_keyfob.exchange import NAMESPACE, default_next, routes
from django_keyfob.session import keyfob_of
from keyfob.web import WebSession
from keyfob.web.next_url import local_path
from keyfob.web.trips import login_url

register = template.Library()


@register.simple_tag(takes_context=True)
def keyfob_login_url(
    context: Context,
    next: str | None = None,  # noqa: A002 - as the query parameter
    *,
    api: str = "",
    flow: str = "",
    prompt: str = "",
    login_hint: str = "",
    domain_hint: str = "",
    add: bool = False,
    authority: str | None = None,
) -> str:
    """The address that starts a sign-in.

    :param next: the local path to come back to; default: the page that is shown now.
    :param api: a downstream API to ask consent for at once.
    :param flow: one of USER_FLOWS, such as `edit_profile`; default: the one that signs people in.
    :param prompt: `login`, `select_account`, `consent`, `create` or `none`.
    :param login_hint: who is probably signing in.
    :param domain_hint: whose sign-in page to go to directly, where the provider has several.
    :param add: add an account to those of this browser, where MAX_ACCOUNTS has room for it.
    :param authority: who is to sign the person in: a name in AUTHORITIES, "" for the site's own.
        Default: who signed in the person that is here.
    :raises ConfigurationError: USER_FLOWS has no such flow.
    """
    target = _here(context.get("request")) if next is None else next
    return login_url(
        routes().of(_authority_for(context.get("request"), authority, flow)).login,
        local_path(target, default=default_next()),
        api=api,
        flow=flow,
        prompt=prompt,
        login_hint=login_hint,
        domain_hint=domain_hint,
        add="1" if add else "",
    )


@register.inclusion_tag("django_keyfob/logout_form.html", takes_context=True)
def keyfob_logout_form(
    context: Context, label: str = "Sign out", *, class_: str = ""
) -> dict[str, Any]:
    """A form with one button, which signs out; nothing where nobody is signed in.

    :param label: the button's text.
    :param class_: the form's class, for style sheets.
    """
    user = getattr(context.get("request"), "user", None)
    is_signed_in = user is not None and user.is_authenticated
    return {"label": label, "class_": class_, "is_signed_in": is_signed_in}


@register.simple_tag(takes_context=True)
def keyfob_script(context: Context, *, nonce: str = "") -> SafeString:
    """The tag of the script by which `fetch` and htmx sign in where that is needed.

    :param nonce: of the page's Content-Security-Policy; default: the one that Django or django-csp
        gives, if there is one.
    """
    given = context.get("csp_nonce") or getattr(context.get("request"), "csp_nonce", None)
    value = nonce or str(given or "")
    attribute = format_html(' nonce="{}"', escape(value)) if value else ""
    address = reverse(f"{NAMESPACE}:script")
    return format_html('<script src="{}"{} defer></script>', address, attribute)


@register.filter
def has_role(keyfob: object, role: str) -> bool:
    """`{% if request.keyfob|has_role:"Orders.Approve" %}`: whether the person has an app role."""
    return isinstance(keyfob, WebSession) and keyfob.has_role(role)


@register.filter
def in_group(keyfob: object, group: str) -> bool:
    """`{% if request.keyfob|in_group:"approvers" %}`: whether the person is in a group.

    :param group: a name in KEYFOB["GROUPS"], or an object id.
    """
    return isinstance(keyfob, WebSession) and keyfob.in_group(group)


def _authority_for(request: object, name: str | None, flow: str) -> str:
    """Whose login address is meant.

    :raises ConfigurationError: AUTHORITIES has none of that name, or USER_FLOWS no such flow.
    """
    members = current_site().members
    if name is not None:
        named = members.named(name)
        if flow:
            named.settings.check_user_flow(flow)
        return named.name
    here = keyfob_of(request).authority if isinstance(request, HttpRequest) else ""
    return members.with_flow(members.named(here), flow).name if flow else here


def _here(request: object) -> str | None:
    """The shown page; but never one of ours, whose address may hold an answer of the provider."""
    if not isinstance(request, HttpRequest) or request.method not in ("GET", "HEAD"):
        return None
    match = request.resolver_match
    return None if match and NAMESPACE in match.app_names else request.get_full_path()
