"""A page with links to user flows, and one that renews a token, for a Django site."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_not_required, login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template import engines
from django.urls import include, path

from support.provider import claims_of

LINKS = """{% load keyfob %}<!doctype html>
<title>Links</title>
<a href="{% keyfob_login_url '/profile' flow='edit_profile' %}">Edit</a>
<a href="{% keyfob_login_url '/profile' flow='sign_up' %}">Sign up</a>
"""
WRONG_LINK = "{% load keyfob %}{% keyfob_login_url flow='no_such_flow' %}"


def _rendered(text: str, request: HttpRequest) -> HttpResponse:
    return HttpResponse(engines["django"].from_string(text).render({}, request))


@login_not_required
def links(request: HttpRequest) -> HttpResponse:
    return _rendered(LINKS, request)


@login_not_required
def wrong_link(request: HttpRequest) -> HttpResponse:
    return _rendered(WRONG_LINK, request)


@login_not_required
def profile(request: Any) -> HttpResponse:
    return HttpResponse(f'<p id="who">{request.keyfob.user.name or "Nobody"}</p>')


def edit(_: HttpRequest) -> HttpResponse:
    return redirect("/auth/login?next=/profile&flow=edit_profile")


@login_required
def renewed(request: Any) -> HttpResponse:
    claims = claims_of(request.keyfob.token(api="api", force_refresh=True))
    return JsonResponse({**claims, "key": request.keyfob.user.key, "user": request.user.pk})


urlpatterns = [
    path("links", links),
    path("wrong-link", wrong_link),
    path("profile", profile),
    path("edit", edit),
    path("renewed", renewed),
    path("", include("django_app.urls")),
]
