"""Flask's request into the core's values, and the core's answer into Flask's response."""

from __future__ import annotations

import json
import secrets
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from flask import Response, current_app, request, session, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.urls import iri_to_uri

from flask_keyfob.proxies import web_session
from keyfob.errors import AuthorizationResponseError
from keyfob.web import Answer, Cookie, Page, Routes, WebRequest
from keyfob.web.exchange import NO_STORE, PostedForm, page_headers

_TEMPLATE = "keyfob/page.html"
_FORM_TEMPLATE = "keyfob/resume.html"
_BASE_TEMPLATE = "keyfob/base.html"
_OUR_TEMPLATES = Path(__file__).parent / "templates" / "keyfob"
# RFC 3986 §3.3 and §3.4, with what is encoded already.
_PATH_CHARACTERS = "!$&'()*+,/:;=@"
_QUERY_CHARACTERS = _PATH_CHARACTERS + "?%[]"
#: Bytes of a form posted to us. Flask itself has no limit, and would read it all.
_MAX_FORM = 65_536
#: Bytes of another view's form that are read so that it can be kept: percent-encoding makes of each
#: byte up to three.
_MAX_READ = 262_144


def web_request(*, with_form: bool = False) -> WebRequest:
    """The current request.

    :param with_form: read the body, too. Only for our own views: another view's body is its own.
    :raises AuthorizationResponseError: the body cannot be read.
    """
    # Flask gives the path decoded; browsers and redirects need it as it was.
    path = quote(request.root_path + request.path, safe=_PATH_CHARACTERS)
    return WebRequest(
        method=request.method,
        scheme=request.scheme,
        host=request.host,
        path=path,
        routes=routes(),
        session=session,
        root_path=quote(request.root_path, safe=_PATH_CHARACTERS),
        query_string=quote(request.query_string, safe=_QUERY_CHARACTERS),
        query=list(request.args.items(multi=True)),
        form=_form() if with_form else (),
        cookies=request.cookies.to_dict(),
        headers={name.lower(): value for name, value in request.headers},
        posted_form=_posted_form,
        caller=web_session().caller,
    )


def _posted_form() -> PostedForm | None:
    """The view's form. A large one is not read for this, but where it was read already it may be
    had."""
    length, read = request.content_length, vars(request)
    if "form" not in read:
        is_gone = "stream" in read and read.get("_cached_data") is None
        if is_gone or length is None or length > _MAX_READ:
            return None
    try:
        files = [file for _, file in request.files.items(multi=True) if file.filename]
        return PostedForm(list(request.form.items(multi=True)), len(files))
    except HTTPException:  # MAX_CONTENT_LENGTH, MAX_FORM_MEMORY_SIZE, a broken upload
        return None


def fresh_proof() -> list[tuple[str, str]]:
    """The field by which Flask-WTF knows its forms, as it is now; none without Flask-WTF."""
    flask_wtf = sys.modules.get("flask_wtf.csrf")
    if flask_wtf is None:
        return []
    name = current_app.config.get("WTF_CSRF_FIELD_NAME", "csrf_token")
    return [(name, flask_wtf.generate_csrf())]


def take_body() -> None:
    """Read what was posted, and make nothing of it: a connection that is closed over an unread body
    may lose the answer. A kept form's is never larger than this."""
    length = request.content_length
    if length is not None and length <= _MAX_READ:
        request.get_data(cache=False)


def routes() -> Routes:
    """Where our views are for this request: a mount point and a SERVER_NAME count."""
    return Routes(
        login=path_for("keyfob.login"),
        callback=path_for("keyfob.callback"),
        logout=path_for("keyfob.logout"),
        logged_out=path_for("keyfob.logged_out"),
        resume=path_for("keyfob.resume"),
        done=path_for("keyfob.done"),
        script=path_for("keyfob.script"),
    )


def path_for(endpoint: str, **values: Any) -> str:
    """Where one of our views is."""
    # With host_matching the address is absolute; url_defaults may have added a query; the mount
    # point in it is not encoded.
    return iri_to_uri(urlsplit(url_for(endpoint, **values)).path)


def _form() -> list[tuple[str, str]]:
    length = request.content_length
    if length is None:  # none, or chunked, which no browser's form is
        return []
    if length > _MAX_FORM:
        raise AuthorizationResponseError("The posted form is too large", code="too_large")
    try:
        return list(request.form.items(multi=True))
    except HTTPException as error:  # MAX_CONTENT_LENGTH, MAX_FORM_MEMORY_SIZE, a broken upload
        raise AuthorizationResponseError(
            f"The posted form cannot be read: {error.description}", code="unreadable_form"
        ) from error


def response_for(answer: Answer) -> Response:
    """Flask's response for an answer of the core."""
    if answer.page is not None:
        template = _FORM_TEMPLATE if answer.page.form else _TEMPLATE
        response = page_response(answer.page, template)
    elif answer.problem is not None:
        body = json.dumps(answer.problem)
        response = Response(body, mimetype="application/problem+json")
    elif answer.json is not None:
        response = Response(json.dumps(answer.json), mimetype="application/json")
    elif answer.text is not None:
        response = Response(answer.text)
    else:
        response = Response(mimetype="text/html")
    response.status_code = answer.status
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.update(answer.headers)
    if answer.location:
        response.location = answer.location
    for cookie in answer.cookies:
        _set(response, cookie)
    return response


def page_response(page: Page, template_name: str = _TEMPLATE, **more: object) -> Response:
    """A page of ours, made by the site's own template where it has one.

    :param template_name: one that extends the usual page's, or that page's base.
    """
    nonce = secrets.token_urlsafe(16)
    environment = current_app.jinja_env
    template = environment.get_template(template_name)
    context: dict[str, object] = {"page": page, "keyfob_nonce": nonce, **more}
    current_app.update_template_context(context)
    response = Response(template.render(context), mimetype="text/html", headers=NO_STORE)
    below = _BASE_TEMPLATE if template_name == _FORM_TEMPLATE else _TEMPLATE
    found = (template.filename, environment.get_template(below).filename)
    is_ours = all(name is not None and Path(name).parent == _OUR_TEMPLATES for name in found)
    response.headers.update(page_headers(nonce, own_template=not is_ours))
    return response


def _set(response: Response, cookie: Cookie) -> None:
    response.set_cookie(
        cookie.name,
        cookie.value,
        max_age=cookie.max_age,
        expires=None if cookie.value else 0,
        path=cookie.path,
        secure=cookie.secure,
        httponly=True,
        samesite=cookie.same_site,
    )
