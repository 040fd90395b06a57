"""Pages that call an API by other clients, for the contract."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.urls import include, path

from support.contract_downstream import azure_call, httpx_call


def address() -> str:
    return str(settings.KEYFOB["DOWNSTREAM_APIS"]["api"]["base_url"])


async def by_httpx(request: HttpRequest) -> JsonResponse:
    keyfob: Any = request.keyfob  # type: ignore[attr-defined]
    return JsonResponse(await httpx_call(keyfob, address()))


def by_azure(request: HttpRequest) -> JsonResponse:
    keyfob: Any = request.keyfob  # type: ignore[attr-defined]
    return JsonResponse(azure_call(keyfob, address()))


urlpatterns = [
    path("httpx", by_httpx),
    path("azure", by_azure),
    path("", include("django_app.urls")),
]
