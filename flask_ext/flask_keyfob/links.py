"""Ways in and out, for pages: also in every template, as `keyfob_login_url`, `keyfob_logout_form`
and `keyfob_script`.
"""

from __future__ import annotations

from flask import request
from flask import session as flask_session
from markupsafe import Markup

from flask_keyfob.proxies import current_site, current_user
from flask_keyfob.translate import path_for, web_request
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
    target = _here() if next is None else local_path(next)
    named = _authority_for(authority, flow)
    return core_login_url(
        path_for("keyfob.login", **({"authority": named} if named else {})),
        target,
        api=api,
        flow=flow,
        prompt=prompt,
        login_hint=login_hint,
        domain_hint=domain_hint,
        add="1" if add else "",
    )


def logout_form(label: str = "Sign out", *, class_: str = "") -> Markup:
    """A form with one button that signs out; nothing where nobody is signed in.

    :param label: the button's text.
    :param class_: the form's class, for style sheets.
    """
    if not current_user:
        return Markup("")
    return _FORM.format(
        action=path_for("keyfob.logout"),
        class_=Markup(' class="{}"').format(class_) if class_ else "",
        field=FIELD,
        token=current_site().csrf_token(flask_session),
        label=label,
    )


def script_tag(*, nonce: str = "") -> Markup:
    """The tag of the script by which `fetch` and htmx sign in where that is needed.

    :param nonce: of the page's Content-Security-Policy; default: Flask-Talisman's, if it gives one.
    """
    nonce = nonce or str(getattr(request, "csp_nonce", None) or "")
    attribute = Markup(' nonce="{}"').format(nonce) if nonce else ""
    return Markup('<script src="{}"{} defer></script>').format(path_for("keyfob.script"), attribute)


def _authority_for(name: str | None, flow: str) -> str:
    """Whose login address is meant.

    :raises ConfigurationError: AUTHORITIES has none of that name, or USER_FLOWS no such flow.
    """
    members = current_site().members
    if name is not None:
        named = members.named(name)
        if flow:
            named.settings.check_user_flow(flow)
        return named.name
    member = members.of_session(flask_session)
    return (members.with_flow(member, flow) if flow else member).name


def _here() -> str:
    """The shown page; but never one of ours, whose address may hold an answer of the provider."""
    page = web_request()
    if request.method not in ("GET", "HEAD") or request.blueprint == "keyfob":
        return page.home
    return local_path(page.full_path, default=page.home)
