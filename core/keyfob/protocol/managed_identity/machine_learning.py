"""Azure Machine Learning's compute instances and clusters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyfob.protocol.http import HttpRequest, HttpResponse
from keyfob.protocol.managed_identity.answers import MOST_WORDS, document_in, no_token, token_in
from keyfob.protocol.managed_identity.identity import PARAMETERS, Identity, ManagedIdentity
from keyfob.protocol.managed_identity.sources import (
    ManagedIdentitySource,
    endpoint_in,
    secret_in,
)

_SOURCE = ManagedIdentitySource.MACHINE_LEARNING
#: This version of its interface writes the client id without the underscore.
_PARAMETERS = {**PARAMETERS, ManagedIdentity.CLIENT_ID: "clientid"}


def build_request(environ: Mapping[str, str], identity: Identity, resource: str) -> HttpRequest:
    """One token request.

    :raises ManagedIdentityError: what the environment says cannot be used.
    """
    return HttpRequest(
        "GET",
        endpoint_in(environ, "MSI_ENDPOINT", _SOURCE),
        _SOURCE.what,
        params={
            "api-version": "2017-09-01",
            "resource": resource,
            **identity.parameter(_PARAMETERS),
        },
        headers={"secret": secret_in(environ, "MSI_SECRET", _SOURCE)},
        direct=True,
    )


def parse_answer(response: HttpResponse, *, resource: str, now: float) -> dict[str, Any]:
    """The token; or `invalid_scope` with everything Azure Machine Learning said.

    Like App Service it says HTTP 500, in its own form, of what cannot be.

    :raises TokenResponseError: it is neither.
    :raises TransportError: something before it answered a redirect, 429 or 5xx.
    """
    answer = document_in(response, _SOURCE, is_refusal=_is_refusal)
    token = token_in(answer, response, _SOURCE, resource=resource, now=now)
    if token is not None:
        return token
    if response.status < 400 and not _is_refusal(answer):
        raise no_token(response, _SOURCE)
    return {"error": "invalid_scope", "error_description": str(answer)[:MOST_WORDS]}


def _is_refusal(answer: Mapping[str, Any]) -> bool:
    return "error" in answer
