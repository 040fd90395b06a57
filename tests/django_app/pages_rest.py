"""A web API in Django REST framework."""

from __future__ import annotations

from typing import Any

from django.urls import include, path
from django.utils.decorators import method_decorator
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import (
    api_view,
    authentication_classes,
    permission_classes,
    throttle_classes,
)
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from django_keyfob.decorators import login_required, step_up
from django_keyfob.rest_framework import KeyfobAuthentication, bearer_permission

READ = bearer_permission(scopes=["Orders.Read"], app_roles=["Orders.Read.All"])
ADMIN = bearer_permission(scopes=["Orders.Read"], roles=["Admin"])
WRITE = bearer_permission(scopes=["Orders.Write"])


def who_calls(request: Any) -> Response:
    caller = request.auth
    return Response(
        {
            "user": str(request.user),
            "pk": request.user.pk,
            "key": caller.key if caller else None,
            "is_authenticated": request.user.is_authenticated,
            "same": request.auth is request.keyfob.caller,
        }
    )


class Orders(APIView):
    authentication_classes = [KeyfobAuthentication]
    permission_classes = [READ]

    def get(self, request: Any) -> Response:
        return who_calls(request)

    post = get


class Payments(Orders):
    @method_decorator(step_up("c1"))
    def get(self, request: Any) -> Response:
        return who_calls(request)


class Admins(Orders):
    permission_classes = [ADMIN]


class Either(Orders):
    permission_classes = [WRITE | READ]


class RefusedByTheView(Either):
    def get(self, request: Any) -> Response:
        raise PermissionDenied


class Neither(Orders):
    permission_classes = [WRITE & READ]


class Unguarded(Orders):
    permission_classes = [IsAuthenticated]


class Public(Orders):
    permission_classes = [AllowAny]


class OwnUsers(KeyfobAuthentication):
    def user_for(self, caller: Any) -> Any:
        from django.contrib.auth import get_user_model

        return get_user_model()(pk=7, username=caller.name)


class OfThePerson(Public):
    @method_decorator(login_required)
    def get(self, request: Any) -> Response:
        return who_calls(request)


class OfThePersonToo(Public):
    authentication_classes = [OwnUsers]

    @method_decorator(login_required)
    def get(self, request: Any) -> Response:
        return who_calls(request)


class BothWays(Orders):
    authentication_classes = [SessionAuthentication, KeyfobAuthentication]


class Once(UserRateThrottle):
    rate = "1/day"


class OfOwnUsers(Orders):
    authentication_classes = [OwnUsers]


@api_view(["GET"])
@authentication_classes([KeyfobAuthentication])
@permission_classes([READ])
@throttle_classes([Once])
def throttled(request: Any) -> Response:
    return who_calls(request)


urlpatterns = [
    path("orders", Orders.as_view()),
    path("payments", Payments.as_view()),
    path("admins", Admins.as_view()),
    path("either", Either.as_view()),
    path("refused-by-the-view", RefusedByTheView.as_view()),
    path("neither", Neither.as_view()),
    path("unguarded", Unguarded.as_view()),
    path("public", Public.as_view()),
    path("of-the-person", OfThePerson.as_view()),
    path("of-the-person-too", OfThePersonToo.as_view()),
    path("both-ways", BothWays.as_view()),
    path("own-users", OfOwnUsers.as_view()),
    path("throttled", throttled),
    path("auth/", include("django_keyfob.urls")),
]
