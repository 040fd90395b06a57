"""What clients read before they start: metadata, keys, instance discovery.

OpenID Connect Discovery section 4, RFC 7517, and the Microsoft identity platform's instance
discovery.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, jsonify

from keyfob_emulator import web
from keyfob_emulator.errors import problem
from keyfob_emulator.keys import CONSUMERS, ORGANISATIONS
from keyfob_emulator.realm import Realm

blueprint = Blueprint("discovery", __name__)

_CLAIMS = (
    "sub iss cloudinstance_name cloud_instance_host_name cloud_graph_host_name msgraph_host aud "
    "exp iat auth_time acr nonce preferred_username name tid ver at_hash c_hash email"
).split()


def metadata(realm: Realm, base: str, graph: str) -> dict[str, Any]:
    """The metadata of a realm, with the members Entra publishes and in Entra's order.

    As at Entra ``code_challenge_methods_supported`` is absent although S256 works: a client that
    insists on it would fail there, so it must fail here. ``response_types_supported`` and the
    authentication methods list what this provider really serves.
    """
    tenant = realm.endpoint_segment
    endpoints = f"{base}/{tenant}/oauth2/v2.0"
    return {
        "token_endpoint": f"{endpoints}/token",
        "token_endpoint_auth_methods_supported": [
            "client_secret_post",
            "private_key_jwt",
            "client_secret_basic",
        ],
        "jwks_uri": f"{base}/{tenant}/discovery/v2.0/keys",
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": f"{base}/{realm.issuer_tenant}/v2.0",
        "request_uri_parameter_supported": False,
        "userinfo_endpoint": f"{graph}/oidc/userinfo",
        "authorization_endpoint": f"{endpoints}/authorize",
        "device_authorization_endpoint": f"{endpoints}/devicecode",
        "http_logout_supported": True,
        "frontchannel_logout_supported": True,
        "end_session_endpoint": f"{endpoints}/logout",
        "claims_supported": _CLAIMS,
        "tenant_region_scope": realm.tenant.region if realm.tenant else None,
        "cloudinstance_name": instance_name(base),
        "cloud_graph_host_name": urlsplit(graph).netloc,
        "msgraph_host": urlsplit(graph).netloc,
        "rbac_url": base,
    }


def instance_name(base: str) -> str:
    """The name of the cloud that is reached at an address."""
    host = urlsplit(base).netloc
    return "microsoftonline.com" if host == "login.microsoftonline.com" else host


@blueprint.get("/<tenant>/v2.0/.well-known/openid-configuration")
def openid_configuration(tenant: str) -> Response:
    """The metadata document. Any web page may read it, as at Entra."""
    failure = web.take_failure("metadata")
    if failure:
        return failure
    realm = web.realm(tenant)
    return _public(jsonify(metadata(realm, web.base_url(), web.graph_urls()[0])))


@blueprint.get("/<tenant>/discovery/v2.0/keys")
def keys(tenant: str) -> Response:
    """The key set. ``consumers`` and ``organizations`` publish their own keys, others both."""
    failure = web.take_failure("keys")
    if failure:
        return failure
    realm = web.realm(tenant)
    rings = []
    if realm.organisations:
        rings.append(ORGANISATIONS)
    if realm.personal:
        rings.append(CONSUMERS)
    issuer = f"{web.base_url()}/{{tenantid}}/v2.0"
    return _public(jsonify(web.emulator().keys.key_set(rings, issuer)))


@blueprint.get("/common/discovery/instance")
def instance() -> Response:
    """Instance discovery: whether a host belongs to this cloud, and under which names."""
    failure = web.take_failure("instance")
    if failure:
        return failure
    parameters = web.query_parameters()
    asked = parameters.require("authorization_endpoint")
    try:
        parts = urlsplit(asked)
    except ValueError:
        parts = urlsplit("")
    own = urlsplit(web.base_url()).netloc
    aliases = _aliases(own)
    segments = [segment for segment in parts.path.split("/") if segment]
    if parts.netloc.lower() not in aliases or not segments:
        raise problem(50049, host=asked)
    discovery = f"{web.base_url()}/{segments[0]}/v2.0/.well-known/openid-configuration"
    return _public(
        jsonify(
            {
                "tenant_discovery_endpoint": discovery,
                "api-version": "1.1",
                "metadata": [
                    {"preferred_network": own, "preferred_cache": own, "aliases": aliases}
                ],
            }
        )
    )


def _aliases(own: str) -> list[str]:
    """The names of one provider: the loopback names with its port, or just its fixed host."""
    host, _, port = own.rpartition(":")
    loopback = ("localhost", "127.0.0.1", "[::1]")
    if host not in loopback:
        return [own]
    return [own, *(f"{name}:{port}" for name in loopback if name != host)]


def _public(response: Response) -> Response:
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Allow-Methods"] = "GET, OPTIONS"
    response.headers["Cache-Control"] = "max-age=86400, private"
    response.headers["Pragma"] = "no-cache"
    return response
