"""Ways in and out, for pages: also in every template, as `keyfob_login_url` and
`keyfob_logout_form`.
"""

from __future__ import annotations

from flask import request
from flask import session as flask_session
from markupsafe import Markup

from flask_keyfob.proxies import current_site, current_user
from flask_keyfob.translate import routes, web_request
from keyfob.web.csrf import FIELD
from keyfob.web.next_url import local_path
from keyfob.web.trips import login_url as core_login_url

_FORM = Markup(
    '<form method="post" action="{action}"{class_}>'
    '<input type="hidden" name="{field}" value="{token}">'
    '<button type="submit">{label}</button></form>'
)


def login_url(
    next: str | None = None,  # noqa: A002 - as the query parameter
    *,
    api: str = "",
    flow: str = "",
    prompt: str = "",
    login_hint: str = "",
    domain_hint: str = "",
) -> str:
    """The address that starts a sign-in.

    :param next: the local path to come back to; default: the page that is shown now.
    :param api: a downstream API to ask consent for at once.
    :param flow: one of USER_FLOWS, such as `edit_profile`; default: the one that signs people in.
    :param prompt: `login`, `select_account`, `consent`, `create` or `none`.
    :param login_hint: who is probably signing in.
    :param domain_hint: whose sign-in page to go to directly, where the provider has several.
    :raises ConfigurationError: USER_FLOWS has no such flow.
    """
    if flow:
        current_site().settings.check_user_flow(flow)
    target = _here() if next is None else local_path(next)
    return core_login_url(
        routes().login,
        target,
        api=api,
        flow=flow,
        prompt=prompt,
        login_hint=login_hint,
        domain_hint=domain_hint,
    )


def logout_form(label: str = "Sign out", *, class_: str = "") -> Markup:
    """A form with one button that signs out; nothing where nobody is signed in.

    :param label: the button's text.
    :param class_: the form's class, for style sheets.
    """
    if not current_user:
        return Markup("")
    return _FORM.format(
        action=routes().logout,
        class_=Markup(' class="{}"').format(class_) if class_ else "",
        field=FIELD,
        token=current_site().csrf_token(flask_session),
        label=label,
    )


def _here() -> str:
    """The shown page; but never one of ours, whose address may hold an answer of the provider."""
    page = web_request()
    if request.method not in ("GET", "HEAD") or request.blueprint == "keyfob":
        return page.home
    return local_path(page.full_path, default=page.home)
