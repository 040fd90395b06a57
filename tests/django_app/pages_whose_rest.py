"""A web API in Django REST framework that goes on in its caller's name."""

from __future__ import annotations

from typing import Any

from django.urls import include, path
from rest_framework.response import Response
from rest_framework.views import APIView

from django_keyfob.rest_framework import KeyfobAuthentication, bearer_permission


class Orders(APIView):
    authentication_classes = [KeyfobAuthentication]
    permission_classes = [bearer_permission(scopes=["Orders.Read"])]

    def get(self, request: Any) -> Response:
        return Response(request.keyfob.api("api").get("/me").json())


urlpatterns = [
    path("orders/", Orders.as_view()),
    path("auth/", include("django_keyfob.urls")),
]
