"""A web API in Django, as the bearer contract wants it; and one in Django REST framework."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from django.views import View

from django_keyfob.decorators import bearer_required
from django_keyfob.mixins import BearerRequiredMixin
from keyfob.errors import StepUpRequired
from support.contract_bearer import CHALLENGE

BOTH = bearer_required(scopes=["Orders.Read"], app_roles=["Orders.Read.All"])


def who_calls(request: Any) -> HttpResponse:
    caller = request.keyfob.caller
    return JsonResponse(
        {
            "name": caller.name,
            "is_app": caller.is_app,
            "scopes": sorted(caller.scopes),
            "roles": sorted(caller.roles),
            "user": bool(request.keyfob.user) or request.user.is_authenticated,
        }
    )


@bearer_required(scopes=["Orders.Read"])
def stepped_up(request: HttpRequest) -> HttpResponse:
    raise StepUpRequired("A stronger proof is needed", claims=CHALLENGE)


def whoami(request: Any) -> HttpResponse:
    return JsonResponse(
        {"user": request.user.is_authenticated, "caller": request.keyfob.caller is not None}
    )


class ClassBased(BearerRequiredMixin, View):
    scopes = ["Orders.Read"]
    app_roles = ["Orders.Read.All"]

    def get(self, request: HttpRequest) -> HttpResponse:
        return who_calls(request)

    def post(self, request: HttpRequest) -> HttpResponse:
        return who_calls(request)


async def _who_calls_async(request: Any) -> HttpResponse:
    assert not (await request.auser()).is_authenticated
    return who_calls(request)


class AsyncClassBased(BearerRequiredMixin, View):
    scopes = ["Orders.Read"]

    async def get(self, request: HttpRequest) -> HttpResponse:
        return await _who_calls_async(request)


@bearer_required(scopes=["https://graph.microsoft.com/User.Read"])
def foreign(request: HttpRequest) -> HttpResponse:
    return HttpResponse("never")


urlpatterns = [
    path("orders", BOTH(who_calls)),
    path("people", bearer_required(scopes=["Orders.Read"])(who_calls)),
    path("daemons", bearer_required(app_roles=["Orders.Read.All"])(who_calls)),
    path("admins", bearer_required(scopes=["Orders.Read"], roles=["Admin"])(who_calls)),
    path("class-based", ClassBased.as_view()),
    path("stepped-up", stepped_up),
    path("whoami", whoami),
    path("foreign", foreign),
    path("async", bearer_required(scopes=["Orders.Read"])(_who_calls_async)),
    path("async-class-based", AsyncClassBased.as_view()),
    path("auth/", include("django_keyfob.urls")),
]
