"""The corner of Microsoft Graph a sign-in needs: the person, their photo, and userinfo.

Bearer tokens: RFC 6750. Userinfo: OpenID Connect Core section 5.3. Error bodies: Graph's.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from flask import Blueprint, Response, g, jsonify, request

from keyfob_emulator import web
from keyfob_emulator.avatar import portrait
from keyfob_emulator.errors import Incident, problem
from keyfob_emulator.model import GRAPH_CLIENT_ID, Account

blueprint = Blueprint("graph", __name__)


class GraphError(Exception):
    """A refusal in Graph's shape."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class ClaimsChallenge(GraphError):
    """Continuous access evaluation: the token is from before something critical happened.

    "Claims challenges, claims requests and client capabilities", with the parameters that Graph's
    answers have.
    """

    def __init__(self, since: float) -> None:
        super().__init__(
            401,
            "InvalidAuthenticationToken",
            "Continuous access evaluation resulted in challenge with result: InteractionRequired "
            "and code: TokenIssuedBeforeRevocationTimestamp",
        )
        self.since = since

    def header(self, base_url: str) -> str:
        """``WWW-Authenticate``: a newer token will do, or a sign-in if there is none to be had."""
        claims = {"access_token": {"nbf": {"essential": True, "value": str(int(self.since))}}}
        parameters = {
            "realm": "",
            "authorization_uri": f"{base_url}/common/oauth2/authorize",
            "client_id": GRAPH_CLIENT_ID,
            "error": "insufficient_claims",
            "claims": base64.b64encode(json.dumps(claims, separators=(",", ":")).encode()).decode(),
        }
        return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in parameters.items())


@blueprint.before_request
def weather() -> Response | None:
    """The failure that all of Graph was made to have."""
    return web.take_failure("graph")


@blueprint.errorhandler(GraphError)
def tell(error: GraphError) -> Response:
    """The answer to a request that is refused."""
    told = Incident(problem(70000), web.emulator().now(), g.correlation_id)
    response = jsonify(
        {
            "error": {
                "code": error.code,
                "message": error.message,
                "innerError": {
                    "date": told.timestamp.replace(" ", "T").rstrip("Z"),
                    "request-id": told.trace_id,
                    "client-request-id": g.correlation_id,
                },
            }
        }
    )
    response.status_code = error.status
    if isinstance(error, ClaimsChallenge):
        response.headers["WWW-Authenticate"] = error.header(web.base_url())
    elif error.status == 401:
        known = f'Bearer realm="", authorization_uri="{web.base_url()}/common/oauth2/authorize"'
        if "Authorization" in request.headers:  # RFC 6750 section 3.1
            known += ', error="invalid_token"'
        response.headers["WWW-Authenticate"] = known
    return response


def _claims() -> dict[str, Any]:
    """The claims of the request's access token, which must be one for Graph and still good."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise GraphError(401, "InvalidAuthenticationToken", "Access token is empty.")
    state = web.emulator()
    claims = state.keys.verify(token.strip())
    if claims is None:
        raise GraphError(401, "InvalidAuthenticationToken", "Access token validation failure.")
    audiences = {url.lower() for url in web.graph_urls()} | {GRAPH_CLIENT_ID}
    if str(claims.get("aud", "")).rstrip("/").lower() not in audiences or "appid" not in claims:
        message = "Access token validation failure. Invalid audience."
        raise GraphError(401, "InvalidAuthenticationToken", message)
    now = state.now()
    if now >= claims["exp"] or now < claims["nbf"]:
        message = "Lifetime validation failed, the token is expired."
        raise GraphError(401, "InvalidAuthenticationToken", message)
    known = state.grants.access_token(claims["uti"])
    if known is not None and known.refused_since is not None:
        if known.capable:
            raise ClaimsChallenge(known.refused_since)
        raise GraphError(401, "InvalidAuthenticationToken", "The token has been revoked.")
    return claims


def person(*needed: str) -> tuple[Account, dict[str, Any]]:
    """The person behind the token, who must have agreed to one of the permissions, or to all of
    several that stand together."""
    claims = _claims()
    granted = set(str(claims.get("scp", "")).split())
    if not any(granted.issuperset(each.split()) for each in needed):
        raise GraphError(
            403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."
        )
    account = web.emulator().directory.account_in(claims["tid"], claims["oid"])
    if account is None or not account.enabled:
        raise GraphError(401, "InvalidAuthenticationToken", "The account is gone or disabled.")
    return account, claims


@blueprint.route("/oidc/userinfo", methods=["GET", "POST"])
def userinfo() -> Response:
    """Who the token is about, as OpenID Connect says it."""
    failure = web.take_failure("userinfo")
    if failure:
        return failure
    account, claims = person("openid")
    granted = str(claims["scp"]).split()
    answer = {"sub": claims["sub"]}
    if "profile" in granted:
        answer |= {
            "name": account.name,
            "family_name": account.surname,
            "given_name": account.given_name,
            "picture": f"{web.graph_urls()[0]}/v1.0/me/photo/$value",
        }
    if "email" in granted and account.email:
        answer["email"] = account.email
    return jsonify(answer)


@blueprint.get("/v1.0/me")
def me() -> Response:
    """The person's profile."""
    failure = web.take_failure("me")
    if failure:
        return failure
    account, claims = person("User.Read")
    answer = {
        "@odata.context": f"{web.graph_urls()[0]}/v1.0/$metadata#users/$entity",
        "businessPhones": [],
        "displayName": account.name,
        "givenName": account.given_name,
        "jobTitle": account.job_title,
        "mail": account.email,
        "mobilePhone": None,
        "officeLocation": account.office_location,
        "preferredLanguage": None,
        "surname": account.surname,
        "userPrincipalName": account.username,
        "id": claims["oid"],
    }
    selected = request.args.get("$select")
    if selected:
        wanted = {"@odata.context", *(name.strip() for name in selected.split(","))}
        answer = {name: value for name, value in answer.items() if name in wanted}
    return jsonify(answer)


@blueprint.get("/v1.0/me/photo/$value")
def photo() -> Response:
    """The person's photo."""
    failure = web.take_failure("photo")
    if failure:
        return failure
    account, _ = person("User.Read")
    if not account.photo:
        raise GraphError(404, "ImageNotFound", "The photo wasn't found.")
    return Response(portrait(account.object_id), content_type="image/png")
