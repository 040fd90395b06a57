"""Where the passwords of federated people are checked: a federation service like AD FS.

User realm discovery says which service looks after a domain; its metadata (WS-MetadataExchange)
name its endpoints; the endpoint answers a name and a password with a SAML assertion (WS-Trust).
"""

from __future__ import annotations

import base64
import uuid
from typing import Any, Final
from urllib.parse import urlsplit

from flask import Blueprint, Response, jsonify, render_template, request

from keyfob_emulator import saml, web, wstrust
from keyfob_emulator.errors import problem
from keyfob_emulator.keys import FEDERATION
from keyfob_emulator.model import Account
from keyfob_emulator.password import proves

blueprint = Blueprint("federation", __name__)

_TRUST: Final = "/adfs/services/trust"
_TARGET: Final = "http://schemas.microsoft.com/ws/2008/06/identity/securitytokenservice"
_POLICIES: Final = {
    "13": "http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702",
    "2005": "http://schemas.xmlsoap.org/ws/2005/07/securitypolicy",
}


@blueprint.get("/common/userrealm/<path:username>")
def user_realm(username: str) -> Response:
    """User realm discovery, version 1.0: who checks the passwords of this user name's domain."""
    failure = web.take_failure("userrealm")
    if failure:
        return failure
    if web.query_parameters().require("api-version") != "1.0":
        raise problem(90023, value=request.args["api-version"], parameter="api-version")
    cloud = {
        "cloud_instance_name": web.authority().cloud_name,
        "cloud_audience_urn": saml.AUDIENCE,
    }
    domain = username.rpartition("@")[2].lower()
    directory = web.emulator().directory
    if "@" not in username or directory.tenant(domain) is None:
        return jsonify({"ver": "1.0", "account_type": "Unknown", **cloud})
    answer: dict[str, Any] = {"ver": "1.0", "account_type": "Managed", "domain_name": domain}
    if directory.federated(domain):
        service = f"{web.federation_url()}{_TRUST}"
        answer |= {
            "account_type": "Federated",
            "federation_protocol": "WSTrust",
            "federation_metadata_url": f"{service}/mex",
            "federation_active_auth_url": f"{service}/2005/usernamemixed",
        }
    return jsonify(answer | cloud)


@blueprint.get(f"{_TRUST}/mex")
def mex() -> Response:
    """The metadata of the federation service (WS-MetadataExchange, WSDL 1.1, WS-Policy)."""
    failure = web.take_failure("mex")
    if failure:
        return failure
    ports = [
        _port(version, certificate=certificate)
        for version in ("2005", "13")
        for certificate in (True, False)
    ]
    return _xml("mex.xml", ports=ports, target=_TARGET)


def _port(version: str, *, certificate: bool) -> dict[str, str]:
    """One endpoint of the metadata, with what its policy asks for."""
    kind = "certificatemixed" if certificate else "usernamemixed"
    tokens = "SignedSupportingTokens" if version == "2005" else "SignedEncryptedSupportingTokens"
    return {
        "name": f"{kind}_{version}",
        "address": f"{web.federation_url()}{_TRUST}/{version}/{kind}",
        "trust": wstrust.TRUST[version],
        "policy": _POLICIES[version],
        "tokens": "EndorsingSupportingTokens" if certificate else tokens,
        "token": "X509Token" if certificate else "UsernameToken",
        "profile": "WssX509V3Token10" if certificate else "WssUsernameToken10",
    }


@blueprint.post(f"{_TRUST}/<any('13', '2005'):version>/<kind>")
def trust(version: str, kind: str) -> Response:
    """Check a password (WS-Trust). Faults are told with status 500, as AD FS does."""
    failure = web.take_failure("wstrust")
    if failure:
        return failure
    try:
        if kind != "usernamemixed":
            raise wstrust.Fault("FailedCheck", "Only user names with passwords are known here.")
        asked = wstrust.parse(request.get_data(), version, web.emulator().now())
        account = _authenticated(asked)
    except wstrust.Fault as fault:
        return _xml("fault.xml", 500, fault=fault, soap=wstrust.SOAP)
    return _issued(asked, account, version)


def _authenticated(asked: wstrust.SecurityTokenRequest) -> Account:
    directory = web.emulator().directory
    account = directory.account(asked.username)
    if (
        account is None
        or not directory.federated(account.domain)
        or not proves(account, asked.password)
        or not account.enabled
    ):
        # One answer for all: it must not tell which user names exist.
        raise wstrust.Fault("FailedAuthentication", "The user name or the password is wrong.")
    return account


def _issued(asked: wstrust.SecurityTokenRequest, account: Account, version: str) -> Response:
    state = web.emulator()
    saml_version = asked.saml_version or state.saml_version
    host = urlsplit(web.federation_url()).netloc
    statement = saml.Statement(
        issuer=f"http://{host}/adfs/services/trust",
        username=account.username,
        immutable_id=base64.b64encode(uuid.UUID(account.object_id).bytes_le).decode(),
        now=state.now(),
    )
    return _xml(
        "rstr.xml",
        assertion=saml.issue(statement, state.keys.current(FEDERATION), saml_version),
        token_type=saml.TOKEN_TYPES[saml_version],
        version=version,
        trust=wstrust.TRUST[version],
        asked=asked,
        created=saml.instant(state.now()),
        expires=saml.instant(state.now() + saml.LIFETIME),
        message_id=f"urn:uuid:{uuid.uuid4()}",
    )


def _xml(template: str, status: int = 200, **context: object) -> Response:
    text = render_template(f"keyfob_emulator/{template}", **context)
    kind = "text/xml" if template == "mex.xml" else "application/soap+xml"
    return Response(text, status, content_type=f"{kind}; charset=utf-8")
