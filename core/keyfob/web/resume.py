"""The page where a kept form is sent again: shown first, and sent on by a click."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from keyfob.errors import KeyfobError
from keyfob.web import kept_forms
from keyfob.web.exchange import Answer, Page, Pairs, WebRequest, first, redirect
from keyfob.web.kept_forms import KeptForm
from keyfob.web.own_pages import is_from_here
from keyfob.web.problems import FORM_GONE, FORM_NOT_YOURS, FORM_OF_A_STRANGER, page_answer, page_for
from keyfob.web.sign_in import login_url

if TYPE_CHECKING:
    from keyfob.web.application import WebApplication

#: The framework's check of the form that is sent on wants to see which page it came from.
_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "same-origin"}


def answer(site: WebApplication, request: WebRequest, fresh: Pairs) -> Answer:
    """Show a kept form (GET), or send it on (POST).

    :param fresh: the framework's own proof against forgery, as names and values of fields.
    """
    try:
        return _answer(site, request, fresh)
    except KeyfobError as error:
        status, page = page_for(error)
        here = kept_forms.resume_url(request, first(request.query, "form") or "")
        return page_answer(status, page, retry_url=here, home_url=request.home, error=error)


def _answer(site: WebApplication, request: WebRequest, fresh: Pairs) -> Answer:
    sends = request.method == "POST"
    if sends and not is_from_here(request, site.settings.base_url):
        return _refused(request, FORM_OF_A_STRANGER, "sent by no page of ours")
    found = kept_forms.find(site, request)
    if found is None:
        return _refused(request, FORM_GONE, "no such form")
    here = kept_forms.resume_url(request, first(request.query, "form") or "")
    person = site.session(request.session).user.key
    if person is None:
        routes = request.routes.of(found.form.authority)
        login = login_url(routes.login, here, api=found.form.api)
        return redirect(login, status=303 if sends else 302)
    if found.form.person and found.form.person != person:
        return _refused(request, FORM_NOT_YOURS, "another person's form")
    if not sends:
        return _shown(request, found.form, here, fresh)
    if not found.take(site):
        return _refused(request, FORM_GONE, "sent on already")
    # 307: the browser posts what it has just posted, and this time to where it belongs.
    return Answer(307, location=found.form.target, headers=_HEADERS)


def _shown(request: WebRequest, form: KeptForm, here: str, fresh: Pairs) -> Answer:
    page = Page(
        "Send it now?",
        "This is what you filled in. It was kept for you, and nothing was done with it yet.",
        home_url=request.home,
        form=kept_forms.resumed(form, here, fresh),
    )
    return Answer(200, page=page, headers=_HEADERS)


def _refused(request: WebRequest, refusal: tuple[int, Page], detail: str) -> Answer:
    status, page = refusal
    found = page_answer(status, page, home_url=request.home, detail=detail)
    return replace(found, headers={**found.headers, **_HEADERS})
