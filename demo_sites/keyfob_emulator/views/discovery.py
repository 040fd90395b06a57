"""What clients read before they start: metadata, keys, instance discovery.

OpenID Connect Discovery section 4, RFC 7517, and the Microsoft identity platform's instance
discovery.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, jsonify, request

from keyfob_emulator import web
from keyfob_emulator.authorities import Authority, Kind
from keyfob_emulator.clouds import CLOUDS, cloud_of
from keyfob_emulator.errors import problem
from keyfob_emulator.keys import CONSUMERS, ORGANISATIONS
from keyfob_emulator.realm import Realm

blueprint = Blueprint("discovery", __name__)

_CLAIMS = (
    "sub iss cloud_instance_name cloud_instance_host_name cloud_graph_host_name msgraph_host aud "
    "exp iat auth_time acr nonce preferred_username name tid ver at_hash c_hash email"
).split()


def metadata(realm: Realm, graph: str) -> dict[str, Any]:
    """The metadata of a realm, with the members Entra publishes and in Entra's order; and those of
    back-channel logout, which Entra does not have.

    As at Entra ``code_challenge_methods_supported`` is absent although S256 works: a client that
    insists on it would fail there, so it must fail here. ``response_types_supported`` and the
    authentication methods list what this provider really serves.
    """
    tenant, authority = realm.endpoint_segment, realm.authority
    return {
        "token_endpoint": authority.endpoint("token", tenant),
        "token_endpoint_auth_methods_supported": [
            "client_secret_post",
            "private_key_jwt",
            "client_secret_basic",
        ],
        "jwks_uri": authority.keys_url(tenant),
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": authority.issuer(realm.issuer_tenant),
        "request_uri_parameter_supported": False,
        "userinfo_endpoint": f"{graph}/oidc/userinfo",
        "authorization_endpoint": authority.endpoint("authorize", tenant),
        "device_authorization_endpoint": authority.endpoint("devicecode", tenant),
        "http_logout_supported": True,
        "frontchannel_logout_supported": True,
        "frontchannel_logout_session_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "end_session_endpoint": authority.endpoint("logout", tenant),
        "claims_supported": _CLAIMS,
        "tenant_region_scope": realm.tenant.region if realm.tenant else None,
        **_cloud_members(authority, graph),
    }


def _cloud_members(authority: Authority, graph: str) -> dict[str, str]:
    cloud, host = authority.cloud, urlsplit(graph).netloc
    return {
        "cloud_instance_name": authority.cloud_name,
        "cloud_graph_host_name": cloud.directory_host if cloud else host,
        "msgraph_host": host,
        "rbac_url": authority.home,
    }


# What Entra publishes and the others do not.
_ENTRA_ONLY = frozenset(
    "tenant_region_scope cloud_instance_name cloud_graph_host_name msgraph_host rbac_url "
    "request_uri_parameter_supported userinfo_endpoint http_logout_supported".split()
)
_B2C_CLAIMS = "name given_name family_name emails oid sub iss aud exp iat auth_time nonce".split()
_ADFS_CLAIMS = "aud iss iat exp auth_time nonce at_hash sub upn unique_name sid".split()


def published(realm: Realm, graph: str) -> dict[str, Any]:
    """The metadata, as the kind of authority publishes it."""
    document, authority = metadata(realm, graph), realm.authority
    if authority.kind not in (Kind.B2C, Kind.ADFS):
        return document
    document = {name: value for name, value in document.items() if name not in _ENTRA_ONLY}
    if authority.kind is Kind.B2C:
        policy = "acr" if authority.flow and authority.flow.acr else "tfp"
        return document | {"claims_supported": [*_B2C_CLAIMS, policy]}
    return document | {
        "access_token_issuer": authority.access_token_issuer,
        "userinfo_endpoint": f"{authority.address}/adfs/userinfo",
        "claims_supported": _ADFS_CLAIMS,
    }


@blueprint.get("/<tenant>/v2.0/.well-known/openid-configuration")
def openid_configuration(tenant: str) -> Response:
    """The metadata document. Any web page may read it, as at Entra."""
    failure = web.take_failure("metadata")
    if failure:
        return failure
    return _public(jsonify(published(web.realm(tenant), web.graph_urls()[0])))


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
    # Entra's keys each say which issuer they sign for; those of the others do not.
    entra = realm.authority.kind in (Kind.ENTRA, Kind.EXTERNAL_ID)
    issuer = realm.authority.issuer("{tenantid}") if entra else None
    return _public(jsonify(web.emulator().keys.key_set(rings, issuer)))


@blueprint.get("/common/discovery/instance")
def instance() -> Response:
    """Instance discovery: whether a host belongs to a cloud, and under which names.

    ``tenant_discovery_endpoint`` stays at the host that was asked about; from ``api-version=1.1``
    on the answer has the aliases in ``metadata``.
    """
    failure = web.take_failure("instance")
    if failure:
        return failure
    parameters = web.query_parameters()
    asked = parameters.require("authorization_endpoint")
    version = parameters.get("api-version") or "1.0"
    if version not in ("1.0", "1.1"):
        raise problem(90023, value=version, parameter="api-version")
    try:
        parts = urlsplit(asked)
    except ValueError:
        parts = urlsplit("")
    host = parts.netloc.lower()
    segments = [segment for segment in parts.path.split("/") if segment]
    own = urlsplit(web.base_url()).netloc
    clouds = _instances(own)
    if not segments or not any(host in cloud["aliases"] for cloud in clouds):
        raise problem(50049, host=asked)
    address = f"https://{host}" if host != own and cloud_of(host) else web.base_url()
    answer: dict[str, Any] = {
        "tenant_discovery_endpoint": (
            f"{address}/{segments[0]}/v2.0/.well-known/openid-configuration"
        ),
        "api-version": version,
    }
    if version == "1.1":
        answer["metadata"] = clouds
    return _public(jsonify(answer))


def _instances(own: str) -> list[dict[str, Any]]:
    """The clouds this host knows: Microsoft's at one of theirs, else just this provider itself."""
    if cloud_of(own) is not None:
        return [cloud.as_instance() for cloud in CLOUDS]
    return [{"preferred_network": own, "preferred_cache": own, "aliases": _aliases(own)}]


def _aliases(own: str) -> list[str]:
    """The names of one provider: the loopback names with its port, or just its fixed host."""
    host, _, port = own.rpartition(":")
    loopback = ("localhost", "127.0.0.1", "[::1]")
    if host not in loopback:
        return [own]
    return [own, *(f"{name}:{port}" for name in loopback if name != host)]


@blueprint.get("/adfs/userinfo")
def adfs_userinfo() -> Response:
    """Userinfo of ADFS, which tells nothing but the subject."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    claims = web.emulator().keys.verify(token.strip()) if scheme.lower() == "bearer" else None
    own = web.authority().access_token_issuer
    if not claims or claims["iss"] != own or web.emulator().now() >= claims["exp"]:
        refused = Response(status=401)
        refused.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
        return refused
    return jsonify({"sub": claims["sub"]})


def _public(response: Response) -> Response:
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Allow-Methods"] = "GET, OPTIONS"
    response.headers["Cache-Control"] = "max-age=86400, private"
    response.headers["Pragma"] = "no-cache"
    return response
