"""Azure Cloud Shell: the terminal in Azure's portal, where the token is the person's.

So it belongs to the verbs of a public client, and not to the machine's identity.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from keyfob.errors import TokenResponseError
from keyfob.protocol.http import HttpRequest, HttpResponse
from keyfob.protocol.managed_identity.answers import document_in, no_token, title
from keyfob.protocol.managed_identity.sources import ManagedIdentitySource
from keyfob.protocol.unverified import unverified_claims

_SOURCE = ManagedIdentitySource.CLOUD_SHELL
URL = "http://localhost:50342/oauth2/token"

#: Audiences that Cloud Shell knows by a longer name than their host's.
_AUDIENCES = (
    "https://analysis.windows.net/powerbi/api",
    "https://pas.windows.net/CheckMyAccess/Linux/.default",
)
#: Seconds that whoever sits there stays who they are, where the token does not say it.
_PERSON_STAYS = 3600


def is_cloud_shell(environ: Mapping[str, str]) -> bool:
    """Whether the program runs in Azure Cloud Shell."""
    return environ.get("AZUREPS_HOST_ENVIRONMENT", "").startswith("cloud-shell")


def resource_for(scope: str) -> str:
    """The resource a scope belongs to, as Cloud Shell, which knows no scopes, wants it named."""
    for audience in _AUDIENCES:
        if scope.startswith(audience):
            return audience
    parts = urlsplit(scope)
    if not parts.scheme:
        return scope.split("/", 1)[0]
    # Two slashes before a scope's name: the resource itself ends with one.
    slash = "/" if parts.path.startswith("//") else ""
    return f"{parts.scheme}://{parts.netloc}{slash}"


def build_request(scopes: Collection[str], data: Mapping[str, str] | None = None) -> HttpRequest:
    """One token request.

    :param data: more members of the form, such as those that ask for an SSH certificate.
    """
    resources = dict.fromkeys(resource_for(scope) for scope in scopes)
    return HttpRequest(
        "POST",
        URL,
        _SOURCE.what,
        headers={"Metadata": "true"},
        form={**(data or {}), "resource": " ".join(resources)},
        direct=True,
    )


def parse_answer(response: HttpResponse, *, token_type: str = "Bearer") -> dict[str, Any]:  # noqa: S107
    """The token, or a dict with `error`.

    :param token_type: what was asked for.
    :raises TokenResponseError: it is neither.
    :raises TransportError: Cloud Shell answered a redirect, 429 or 5xx.
    """
    answer = document_in(response, _SOURCE, is_refusal=lambda found: "error" in found)
    if response.status != 200:
        return _refusal(answer)
    token = answer.get("access_token")
    if not isinstance(token, str) or not token or not all(" " <= c <= "~" for c in token):
        raise no_token(response, _SOURCE)
    kind = answer.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != token_type.lower():
        return {
            "error": "broker_error",
            "error_description": f"This Cloud Shell gives no token of the type {token_type}",
        }
    found = {"access_token": token, "expires_in": _seconds(answer), "token_type": kind}
    refresh_token = answer.get("refresh_token")
    if isinstance(refresh_token, str) and refresh_token:
        found["refresh_token"] = refresh_token
    return found


def person_of(access_token: str, *, client_id: str, now: float) -> dict[str, Any]:
    """Who sits there, by their token, as the cache takes it: `client_info`, `id_token_claims`.

    Nobody has proven it, and it serves to file the token under an account, and for nothing else.
    """
    said = unverified_claims(access_token) or {}
    text = {name: value for name, value in said.items() if isinstance(value, str) and value}
    uid, utid = text.get("oid", "user"), text.get("tid", "cloudshell")
    issued, expires = said.get("iat"), said.get("exp")
    claims = {
        "iss": text.get("iss", "cloudshell"),
        "sub": text.get("sub", "user"),
        "aud": client_id,
        "iat": issued if isinstance(issued, int) else int(now),
        "exp": expires if isinstance(expires, int) else int(now) + _PERSON_STAYS,
        "preferred_username": text.get("preferred_username")
        or text.get("unique_name")
        or "currentuser@cloudshell",
        "tid": utid,
    }
    info = json.dumps({"uid": uid, "utid": utid}).encode()
    return {
        "client_info": base64.urlsafe_b64encode(info).decode().rstrip("="),
        "id_token_claims": claims,
    }


def _refusal(answer: Mapping[str, Any]) -> dict[str, Any]:
    error = answer.get("error")
    said: Mapping[str, Any] = error if isinstance(error, dict) else {"code": error}
    code, message = said.get("code"), said.get("message")
    found = {"error": code if isinstance(code, str) and code else "invalid_request"}
    if isinstance(message, str) and message:
        found["error_description"] = message
    return found


def _seconds(answer: Mapping[str, Any]) -> int:
    value = answer.get("expires_in")
    text = str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise TokenResponseError(
            f"{title(_SOURCE)} answered with a token and not how long it lives", code="lifetime"
        )
    return int(text)
