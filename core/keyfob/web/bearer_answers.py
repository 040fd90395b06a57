"""What callers of a web API of ours are answered in the place of a view (RFC 6750 §3, RFC 9728)."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any

from keyfob.errors import AccessTokenError, KeyfobError, PermissionMissing, StepUpRequired
from keyfob.protocol.www_authenticate import build_challenge, encode_claims
from keyfob.web.exchange import NO_STORE, Answer, WebRequest
from keyfob.web.metrics import BEARER_REFUSALS
from keyfob.web.problems import one_line

if TYPE_CHECKING:
    from keyfob.web.application import WebApplication

logger = logging.getLogger(__name__)

#: Where the document about the API is, below the site's own root (RFC 9728 §3).
WELL_KNOWN = "/.well-known/oauth-protected-resource"
#: Refusals that the log tells of at once, and then one more each so many seconds.
REFUSALS_LOGGED, REFUSALS_INTERVAL = 20, 15.0
#: Seconds for which others may keep the document.
_DOCUMENT_AGE = 3600
_METADATA_PATH = "/.well-known/openid-configuration"


def is_refusal(request: WebRequest, error: KeyfobError) -> bool:
    """Whether this is to be answered to a caller of the API, rather than to a browser."""
    if isinstance(error, PermissionMissing):
        return request.caller is not None
    return isinstance(error, (AccessTokenError, StepUpRequired))


def refusal(site: WebApplication, request: WebRequest, error: KeyfobError) -> Answer:
    """A challenge, and the same as a problem document (RFC 9457)."""
    status, title, parameters = _outcome(error)
    described = _description(error) if "error" in parameters else ""
    more: dict[str, Any] = {}
    if described:
        parameters["error_description"] = more["detail"] = described
    if isinstance(error, PermissionMissing):
        more |= {"scopes": list(error.scopes), "roles": list(error.roles)}
    number = str(uuid.uuid4())
    _tell(site, error, number)
    return Answer(
        status,
        problem={
            "type": "about:blank",
            "title": title,
            "status": status,
            "code": error.code,
            "correlation_id": number,
            **more,
        },
        headers={
            **NO_STORE,
            "Vary": "Authorization",
            "WWW-Authenticate": challenge(site, request, parameters),
        },
    )


def challenge(site: WebApplication, request: WebRequest, parameters: dict[str, str]) -> str:
    """The header WWW-Authenticate, with where the API describes itself (RFC 9728 §5.1)."""
    return build_challenge(
        "Bearer", {**parameters, "resource_metadata": f"{resource(site, request)}{WELL_KNOWN}"}
    )


def challenge_for(site: WebApplication, request: WebRequest, error: KeyfobError) -> str:
    """The header for a refusal, for those who make an answer of their own of it."""
    return refusal(site, request, error).headers["WWW-Authenticate"]


def resource(site: WebApplication, request: WebRequest) -> str:
    """The API's own address."""
    return site.settings.base_url or f"{request.origin}{request.root_path.rstrip('/')}"


def protected_resource(site: WebApplication, request: WebRequest) -> Answer:
    """The document about the API: whose tokens it takes, and which scopes there are (RFC 9728 §2).

    For everybody, and every origin: it says what every challenge and every token says.
    """
    document: dict[str, Any] = {
        "resource": resource(site, request),
        "authorization_servers": [
            site.settings.authority.metadata_url.removesuffix(_METADATA_PATH)
        ],
        "bearer_methods_supported": ["header"],
    }
    if site.settings.api_scopes:
        document["scopes_supported"] = list(site.settings.api_scopes)
    headers = {
        "Cache-Control": f"public, max-age={_DOCUMENT_AGE}",
        "Access-Control-Allow-Origin": "*",
    }
    return Answer(200, json=document, headers=headers)


def _outcome(error: KeyfobError) -> tuple[int, str, dict[str, str]]:
    """Status, title, and the challenge's parameters (RFC 6750 §3.1)."""
    if isinstance(error, StepUpRequired):
        claims = encode_claims(error.claims) if error.claims else ""
        parameters = {"error": "insufficient_claims", "claims": claims}
        # Without a challenge there is nothing that the client could do about it.
        return 401 if claims else 403, "The access token proves too little", parameters
    if isinstance(error, PermissionMissing):
        parameters = {"error": "insufficient_scope", "scope": " ".join(error.scopes)}
        return 403, "The access token allows too little", parameters
    if error.code == "missing":
        # Who brought nothing is told of no error (§3.1).
        return 401, "An access token is required", {}
    return 401, "The access token is not accepted", {"error": "invalid_token"}


def _description(error: KeyfobError) -> str:
    """What `error_description` may hold: no quotes, no backslashes, nothing beyond ASCII."""
    text = one_line(error).encode("ascii", "replace").decode()
    return text.replace('"', "'").replace("\\", "/")[:400]


def _tell(site: WebApplication, error: KeyfobError, number: str) -> None:
    if error.code == "missing":
        return
    site.observer.count(BEARER_REFUSALS, error=error)
    if site.bearer_refusals.take(site.clock()):
        logger.warning(
            "A bearer token was refused (%s), correlation id %s: %s",
            error.code,
            number,
            one_line(error),
        )
