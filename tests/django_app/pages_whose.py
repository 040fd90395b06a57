"""Pages of a Django site that calls APIs in somebody's name; its URLconf."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, JsonResponse
from django.urls import include, path
from django.views.static import serve

from django_keyfob import start_background
from django_keyfob.decorators import bearer_required, login_required
from django_settings import DATABASE_FOLDER

FILES = DATABASE_FOLDER / "files"
FILES.mkdir(exist_ok=True)
(FILES / "orders.css").write_text("p {}\n")


def seen(request: Any) -> HttpResponse:
    """Which tokens are ready, and whose each is."""
    ready = sorted(request.keyfob.tokens)
    whose = {request.keyfob.api(name).get("/me").json()["id"] for name in ready}
    return JsonResponse({"ready": ready, "whose": sorted(whose)})


def ready(request: Any, number: int = 0) -> HttpResponse:
    return seen(request)


async def async_ready(request: Any) -> HttpResponse:
    """Reads what is ready where neither network nor database may be asked."""
    token = request.keyfob.tokens["api"]
    return JsonResponse({"ready": sorted(request.keyfob.tokens), "length": len(token)})


def lazy(request: Any) -> HttpResponse:
    if "idle" not in request.GET:
        assert request.keyfob.tokens["api"] == request.keyfob.token(api="api")
    return seen(request)


@bearer_required(scopes=["Orders.Read"], app_roles=["Orders.Read.All"])
def as_caller(request: Any) -> HttpResponse:
    assert request.keyfob.tokens["api"] == request.keyfob.token(api="api")
    return seen(request)


@bearer_required(scopes=["Orders.Read"])
def start_as_caller(request: Any) -> HttpResponse:
    return HttpResponse(start_background(request, api="api"))


@login_required(api="api")
def start(request: Any) -> HttpResponse:
    return HttpResponse(start_background(request, api="api"))


def shown(request: Any) -> HttpResponse:
    assert request.keyfob.tokens["api"]
    return HttpResponse(repr(request.keyfob.tokens))


urlpatterns = [
    path("", seen),
    path("orders/", ready),
    path("orders/<int:number>", ready),
    path("orders/async", async_ready),
    path("orders/as-caller", as_caller),
    path("orderships", ready),
    path("ORDERS/7", ready),
    path("both", ready),
    path("jobs", ready),
    path("as-caller", as_caller),
    path("lazy", lazy),
    path("start", start),
    path("start-as-caller", start_as_caller),
    path("shown", shown),
    path("static/<path:path>", serve, {"document_root": FILES}),
    path("auth/", include("django_keyfob.urls")),
]
