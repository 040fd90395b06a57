import base64

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from django_keyfob import decorators as keyfob


def home(request: HttpRequest) -> HttpResponse:
    return render(request, "home.html")


@keyfob.login_required(api="graph")
def me(request: HttpRequest) -> HttpResponse:
    graph = request.keyfob.api("graph")
    profile = graph.get("/me")
    if not profile.ok:
        return render(request, "unavailable.html", {"status": profile.status_code}, status=502)
    photo = graph.get("/me/photo/$value")
    return render(
        request,
        "me.html",
        {"profile": profile.json(), "photo": as_data_url(photo) if photo.ok else None},
    )


@login_required
def claims(request: HttpRequest) -> HttpResponse:
    return render(request, "claims.html", {"claims": sorted(request.keyfob.user.claims.items())})


def as_data_url(photo) -> str:
    """The photo for an <img>: the browser has no token to fetch it with."""
    return f"data:{photo.headers['Content-Type']};base64,{base64.b64encode(photo.content).decode()}"
