"""From Django's request to the web layer's, and from its answer to Django's response."""

from __future__ import annotations

import secrets
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.middleware.csrf import get_token
from django.shortcuts import resolve_url
from django.template import Engine, RequestContext, TemplateDoesNotExist, loader
from django.urls import NoReverseMatch, get_script_prefix, reverse
from django.utils.encoding import iri_to_uri

from django_keyfob.session import keyfob_of
from keyfob.errors import ConfigurationError
from keyfob.web import Answer, Page, Routes, WebRequest
from keyfob.web.exchange import Pairs, PostedForm, page_headers

#: The namespace of our addresses.
NAMESPACE = "keyfob"
PAGE_TEMPLATE = "django_keyfob/page.html"
FORM_TEMPLATE = "django_keyfob/resume.html"
BASE_TEMPLATE = "django_keyfob/base.html"

_TEMPLATES = Path(__file__).parent / "templates"
_MAX_PARAMETERS = 100
#: Bytes of a form that is read by `posted_pairs`.
_MAX_FORM = 65_536
#: Bytes of another view's form that are read so that it can be kept: percent-encoding makes of each
#: byte up to three.
_MAX_READ = 262_144
_ANSWER_MARK = "_keyfob_answer"


def routes() -> Routes:
    """Where the project has put our views.

    :raises ConfigurationError: it has not.
    """
    try:
        return Routes(
            login=reverse(f"{NAMESPACE}:login"),
            callback=reverse(f"{NAMESPACE}:callback"),
            logout=reverse(f"{NAMESPACE}:logout"),
            logged_out=reverse(f"{NAMESPACE}:logged_out"),
            resume=reverse(f"{NAMESPACE}:resume"),
            done=reverse(f"{NAMESPACE}:done"),
            script=reverse(f"{NAMESPACE}:script"),
        )
    except NoReverseMatch:
        raise ConfigurationError(
            "Keyfob's addresses are not in the URLconf: add "
            "path('auth/', include('django_keyfob.urls')) to urlpatterns",
            setting="ROOT_URLCONF",
        ) from None


def default_next() -> str:
    """Where a sign-in ends that names no page: the project's place, else the site's root."""
    # Django's own default, /accounts/profile/, is a page that hardly any site has.
    if settings.is_overridden("LOGIN_REDIRECT_URL"):
        return resolve_url(settings.LOGIN_REDIRECT_URL)
    return get_script_prefix()


def web_request(
    request: HttpRequest, *, form: Pairs = (), query: Pairs | None = None
) -> WebRequest:
    """The request as the web layer wants it. What was posted is not read: a view may want to.

    :param form: the posted pairs, where they are ours.
    :param query: the address's pairs, where they are not as they came.
    """
    path, _, query_string = request.get_full_path().partition("?")
    keyfob = keyfob_of(request)
    return WebRequest(
        method=request.method or "GET",
        scheme=request.scheme or "http",
        host=request.get_host(),
        path=path,
        routes=routes(),
        session=keyfob.mapping,
        root_path=get_script_prefix().removesuffix("/"),
        query_string=query_string,
        query=query_pairs(request) if query is None else query,
        form=form,
        cookies=request.COOKIES,
        headers={name.lower(): value for name, value in request.headers.items()},
        posted_form=partial(_posted_form, request),
        caller=keyfob.caller,
    )


def _posted_form(request: HttpRequest) -> PostedForm | None:
    """The view's form, where it was read already, or is not too large to be read for this."""
    try:
        if not hasattr(request, "_post"):
            # As Django itself finds out: a view has taken the body for itself.
            is_gone = getattr(request, "_read_started", False) and not hasattr(request, "_body")
            if is_gone or int(request.META.get("CONTENT_LENGTH") or 0) > _MAX_READ:
                return None
        files = sum(len(found) for _, found in request.FILES.lists())
        return PostedForm(pairs(request.POST), files)
    except (ValueError, SuspiciousOperation, MultiPartParserError, UnreadablePostError):
        return None


def fresh_proof(request: HttpRequest) -> Pairs:
    """The field by which Django knows its forms, as it is now."""
    return [("csrfmiddlewaretoken", get_token(request))]


def take_body(request: HttpRequest) -> None:
    """Read what was posted, and make nothing of it: a connection that is closed over an unread body
    may lose the answer. A kept form's is never larger than this."""
    with suppress(ValueError, SuspiciousOperation, UnreadablePostError):
        if int(request.META.get("CONTENT_LENGTH") or 0) <= _MAX_READ:
            request.read()


def _query_string(request: HttpRequest) -> str:
    """As text. WSGI gives each byte as a character (PEP 3333), and some clients send UTF-8."""
    raw = request.META.get("QUERY_STRING", "")
    try:
        return str(raw).encode("latin-1").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return str(raw)


def query_pairs(request: HttpRequest) -> Pairs:
    """The address's pairs; none where there are more than any of our addresses has.

    Not `request.GET`: for too many it raises, and then Django's debug page fails at it again.
    """
    try:
        return parse_qsl(
            _query_string(request),
            keep_blank_values=True,
            errors="replace",
            max_num_fields=_MAX_PARAMETERS,
        )
    except ValueError:
        return ()


def pairs(values: QueryDict) -> Pairs:
    return [(name, value) for name, found in values.lists() for value in found]


def posted_pairs(request: HttpRequest) -> Pairs:
    """The form of who needs no page about what is wrong with it: none where it cannot be read, or
    is larger than any of ours."""
    try:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
        return pairs(request.POST) if length <= _MAX_FORM else ()
    except (ValueError, SuspiciousOperation, MultiPartParserError, UnreadablePostError):
        return ()


def to_response(request: HttpRequest, answer: Answer) -> HttpResponse:
    """What Django is to send for an answer of the web layer."""
    if answer.page is not None:
        template = FORM_TEMPLATE if answer.page.form else PAGE_TEMPLATE
        response = page_response(request, answer.page, template)
    elif answer.problem is not None:
        response = JsonResponse(dict(answer.problem), content_type="application/problem+json")
    elif answer.json is not None:
        response = JsonResponse(dict(answer.json))
    elif answer.text is not None:
        response = HttpResponse(answer.text)
    else:
        response = HttpResponse()
        if answer.location:
            # Not HttpResponseRedirect: that refuses addresses of more than 2048 characters, and a
            # sign-in with many scopes, or a posted response on its way, may be longer.
            response.headers["Location"] = iri_to_uri(answer.location)
    response.status_code = answer.status
    for name, value in answer.headers.items():
        response.headers[name] = value
    for cookie in answer.cookies:
        response.set_cookie(
            cookie.name,
            cookie.value,
            max_age=cookie.max_age,
            path=cookie.path,
            secure=cookie.secure,
            httponly=True,
            samesite=cookie.same_site,
        )
    setattr(response, _ANSWER_MARK, True)
    return response


def is_answer(response: Any) -> bool:
    """Whether the web layer gave this response."""
    return getattr(response, _ANSWER_MARK, False) is True


def page_response(
    request: HttpRequest, page: Page, template_name: str = PAGE_TEMPLATE, **more: object
) -> HttpResponse:
    """A page of ours, made by the project's own template where it has one.

    :param template_name: one that extends the usual page's, or that page's base.
    """
    nonce = secrets.token_urlsafe(16)
    context = {"page": page, "keyfob_nonce": nonce, **more}
    is_ours = True
    try:
        template = loader.get_template(template_name)
        below = BASE_TEMPLATE if template_name == FORM_TEMPLATE else PAGE_TEMPLATE
        is_ours = _is_ours(template) and _is_ours(loader.get_template(below))
        body = template.render(context, request)
    except TemplateDoesNotExist:
        # A project whose TEMPLATES look into no app.
        engine = Engine(dirs=[str(_TEMPLATES)])
        body = engine.get_template(template_name).render(RequestContext(request, context))
    response = HttpResponse(body, content_type="text/html; charset=utf-8")
    for header, value in page_headers(nonce, own_template=not is_ours).items():
        response.headers[header] = value
    return response


def _is_ours(template: Any) -> bool:
    origin = getattr(template, "origin", None)
    return Path(getattr(origin, "name", "")).is_relative_to(_TEMPLATES)
