"""Azure Service Fabric: over TLS, to a server known by its certificate's thumbprint alone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from typing import Any

from keyfob.errors import ManagedIdentityError
from keyfob.protocol.http import HttpRequest, HttpResponse
from keyfob.protocol.managed_identity.answers import document_in, no_token, token_in, words
from keyfob.protocol.managed_identity.sources import (
    ManagedIdentitySource,
    endpoint_in,
    secret_in,
)

_SOURCE = ManagedIdentitySource.SERVICE_FABRIC
_SHA1 = re.compile(r"[0-9a-f]{40}")
#: OAuth's names (RFC 6749 §5.2) for those of Service Fabric.
_ERRORS = {
    "SecretHeaderNotFound": "unauthorized_client",
    "ManagedIdentityNotFound": "invalid_client",
    "ArgumentNullOrEmpty": "invalid_scope",
}


def build_request(
    environ: Mapping[str, str],
    resource: str,
    *,
    token_to_replace: str | None = None,
    client_capabilities: Collection[str] = (),
) -> HttpRequest:
    """One token request. Which identity it is for, the cluster's configuration says.

    :param token_to_replace: a token that an API refused with a claims challenge.
    :raises ManagedIdentityError: what the environment says cannot be used.
    """
    url = endpoint_in(environ, "IDENTITY_ENDPOINT", _SOURCE)
    if not url.lower().startswith("https:"):
        raise ManagedIdentityError(
            "The environment variable IDENTITY_ENDPOINT does not start with https://, and Azure "
            "Service Fabric's secret goes out over TLS only",
            source=_SOURCE.value,
            code="endpoint",
        )
    params = {"api-version": "2019-07-01-preview", "resource": resource}
    if token_to_replace:
        digest = hashlib.sha256(token_to_replace.encode()).hexdigest()
        params["token_sha256_to_refresh"] = digest
    if client_capabilities:
        params["xms_cc"] = ",".join(client_capabilities)
    return HttpRequest(
        "GET",
        url,
        _SOURCE.what,
        params=params,
        headers={"Secret": secret_in(environ, "IDENTITY_HEADER", _SOURCE)},
        direct=True,
        fingerprint=_thumbprint(environ),
    )


def _thumbprint(environ: Mapping[str, str]) -> str:
    """In the form of `HttpRequest.fingerprint`; people copy it with colons and spaces."""
    found = re.sub(r"[\s:]", "", environ.get("IDENTITY_SERVER_THUMBPRINT", "")).lower()
    if not _SHA1.fullmatch(found):
        raise ManagedIdentityError(
            "The environment variable IDENTITY_SERVER_THUMBPRINT is not a certificate's SHA-1 "
            "thumbprint, 40 hexadecimal digits",
            source=_SOURCE.value,
            code="thumbprint",
        )
    return found


def parse_answer(response: HttpResponse, *, resource: str, now: float) -> dict[str, Any]:
    """The token, or Service Fabric's refusal by OAuth's name for it.

    :raises TokenResponseError: it is neither.
    :raises TransportError: it answered a redirect, 429 or 5xx.
    """
    answer = document_in(response, _SOURCE)
    token = token_in(answer, response, _SOURCE, resource=resource, now=now)
    if token is not None:
        return token
    if response.status < 400 and "error" not in answer:
        raise no_token(response, _SOURCE)
    error = answer.get("error")
    name = error.get("code") if isinstance(error, dict) else None
    known = _ERRORS.get(name) if isinstance(name, str) else None
    return {"error": known or "invalid_request", "error_description": words(response)}
