"""Azure VM: the Instance Metadata Service (IMDS), at an address that only the VM reaches."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from keyfob.errors import ProviderUnavailable
from keyfob.protocol.http import HttpRequest, HttpResponse, retry_after_seconds
from keyfob.protocol.managed_identity.answers import document_in, no_token, title, token_in
from keyfob.protocol.managed_identity.identity import PARAMETERS, Identity
from keyfob.protocol.managed_identity.sources import ManagedIdentitySource, endpoint_in

_SOURCE = ManagedIdentitySource.DEFAULT_TO_VM
_HOST = "http://169.254.169.254"
_PATH = "/metadata/identity/oauth2/token"

#: IMDS is being updated, for 70 seconds at most, says its documentation.
_UPDATING = 410
_UPDATE_PAUSES: tuple[float, ...] = (10.0,) * 7
#: The other statuses after which Azure wants the same request again, and after how long.
_PASSING = frozenset({404, 408, 429})
_PAUSES: tuple[float, ...] = (1.0, 2.0, 4.0)
#: What only a token's answer has, and what Keyfob itself adds to one.
_OURS = frozenset({"access_token", "token_source", "refresh_on"})
#: Seconds. Who is to wait longer is told so, and not held.
_LONGEST_PAUSE = 10


def build_request(environ: Mapping[str, str], identity: Identity, resource: str) -> HttpRequest:
    """One token request.

    :raises ManagedIdentityError: AZURE_POD_IDENTITY_AUTHORITY_HOST is no address.
    """
    from keyfob._version import __version__

    host = endpoint_in(environ, "AZURE_POD_IDENTITY_AUTHORITY_HOST", _SOURCE, _HOST)
    return HttpRequest(
        "GET",
        host.strip("/") + _PATH,
        _SOURCE.what,
        params={
            "api-version": "2018-02-01",
            "resource": resource,
            **identity.parameter(PARAMETERS),
        },
        headers={
            "Metadata": "true",
            "x-client-SKU": "Keyfob.Python",
            "x-client-Ver": __version__,
            "x-ms-client-request-id": str(uuid.uuid4()),
        },
        direct=True,
    )


def pause_before_retry(response: HttpResponse, retried: int) -> float | None:
    """Seconds to wait before the request is sent once more; None where it is not to be.

    :param retried: how often it has been sent again already.
    """
    if response.status == _UPDATING:
        pauses = _UPDATE_PAUSES
    elif response.status in _PASSING or response.status >= 500:
        pauses = _PAUSES
    else:
        return None
    asked = retry_after_seconds(response) or 0
    if retried >= len(pauses) or asked > _LONGEST_PAUSE:
        return None
    return max(pauses[retried], float(asked))


def parse_answer(response: HttpResponse, *, resource: str, now: float) -> dict[str, Any]:
    """The token, or what IMDS says of its refusal, as it says it, with `error`.

    :raises TokenResponseError: it is neither.
    :raises TransportError: IMDS answered a redirect, 410, 429 or 5xx.
    """
    if response.status == _UPDATING:
        raise ProviderUnavailable(
            f"{title(_SOURCE)} is being updated (HTTP 410), and has been for longer than it should",
            status=response.status,
            url=response.url,
        )
    answer = document_in(response, _SOURCE)
    token = token_in(answer, response, _SOURCE, resource=resource, now=now)
    if token is not None:
        return token
    if response.status < 400 and "error" not in answer:
        raise no_token(response, _SOURCE)
    refusal = {name: value for name, value in answer.items() if name not in _OURS}
    if not isinstance(refusal.get("error"), str) or not refusal["error"]:
        refusal["error"] = "invalid_request"
    return refusal
