"""Azure App Service, Azure Functions and Azure Automation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyfob.protocol.http import HttpRequest, HttpResponse
from keyfob.protocol.managed_identity.answers import document_in, no_token, token_in
from keyfob.protocol.managed_identity.identity import PARAMETERS, Identity, ManagedIdentity
from keyfob.protocol.managed_identity.sources import (
    ManagedIdentitySource,
    endpoint_in,
    secret_in,
)

_SOURCE = ManagedIdentitySource.APP_SERVICE
_PARAMETERS = {**PARAMETERS, ManagedIdentity.RESOURCE_ID: "mi_res_id"}


def build_request(environ: Mapping[str, str], identity: Identity, resource: str) -> HttpRequest:
    """One token request.

    :raises ManagedIdentityError: what the environment says cannot be used.
    """
    return HttpRequest(
        "GET",
        endpoint_in(environ, "IDENTITY_ENDPOINT", _SOURCE),
        _SOURCE.what,
        params={
            "api-version": "2019-08-01",
            "resource": resource,
            **identity.parameter(_PARAMETERS),
        },
        headers={
            "X-IDENTITY-HEADER": secret_in(environ, "IDENTITY_HEADER", _SOURCE),
            "Metadata": "true",  # for Azure Automation
        },
        direct=True,
    )


def parse_answer(response: HttpResponse, *, resource: str, now: float) -> dict[str, Any]:
    """The token; or `invalid_scope` with App Service's status and message.

    It says HTTP 500, in its own form, of a resource that does not exist: that is its answer, and
    no failure that passes.

    :raises TokenResponseError: it is neither.
    :raises TransportError: something before App Service answered a redirect, 429 or 5xx.
    """
    answer = document_in(response, _SOURCE, is_refusal=_is_refusal)
    token = token_in(answer, response, _SOURCE, resource=resource, now=now)
    if token is not None:
        return token
    if response.status < 400 and not _is_refusal(answer):
        raise no_token(response, _SOURCE)
    return {
        "error": "invalid_scope",
        "error_description": f"{answer.get('statusCode')}, {answer.get('message')}",
    }


def _is_refusal(answer: Mapping[str, Any]) -> bool:
    return "statusCode" in answer and "message" in answer
