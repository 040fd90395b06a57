"""A project that has a page of its own where ours would be."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def own(request: HttpRequest) -> HttpResponse:
    return HttpResponse("the project's own")


urlpatterns = [
    path(".well-known/oauth-protected-resource", own),
    path("auth/", include("django_keyfob.urls")),
]
