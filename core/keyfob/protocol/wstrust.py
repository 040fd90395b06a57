"""Asking somebody's own server about a password: WS-Trust 1.3 and its draft of 2005.

Old, and spoken by AD FS to this day. Its metadata (MEX) say where it takes a user name and a
password; there a SAML assertion is had for them, which Microsoft takes in a token's place.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from html import escape
from typing import TYPE_CHECKING

from keyfob.errors import FederationError
from keyfob.protocol.http import HttpRequest, HttpResponse, refuse_unusable_status
from keyfob.protocol.urls import parse_secure_url, without_query
from keyfob.protocol.xml_documents import element_bytes, parse_xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
_SOAP12 = "{http://schemas.xmlsoap.org/wsdl/soap12/}"
_POLICY = "{http://schemas.xmlsoap.org/ws/2004/09/policy}"
_ADDRESSING = "{http://www.w3.org/2005/08/addressing}"
_UTILITY = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd}"
_ENVELOPE = "{http://www.w3.org/2003/05/soap-envelope}"
_SECURITY_POLICIES = (
    "{http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702}",
    "{http://schemas.xmlsoap.org/ws/2005/07/securitypolicy}",
)
_ASSERTION_TYPES = {
    "urn:oasis:names:tc:SAML:1.0:assertion": "saml1_1-bearer",
    "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1": "saml1_1-bearer",
    "urn:oasis:names:tc:SAML:2.0:assertion": "saml2-bearer",
    "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV2.0": "saml2-bearer",
}
_GRANT_PREFIX = "urn:ietf:params:oauth:grant-type:"
#: Seconds for which the request is good.
_LIFETIME = 600


@dataclass(frozen=True)
class _Version:
    namespace: str
    key_type: str

    @property
    def action(self) -> str:
        return f"{self.namespace}/RST/Issue"


_V13_NAMESPACE = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
_V13 = _Version(_V13_NAMESPACE, f"{_V13_NAMESPACE}/Bearer")
_V2005 = _Version(
    "http://schemas.xmlsoap.org/ws/2005/02/trust",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey",
)


@dataclass(frozen=True)
class TrustEndpoint:
    """Where a user name and a password are taken, and in which version's words."""

    url: str
    version: _Version


@dataclass(frozen=True)
class Assertion:
    """What the server vouches with: a SAML assertion, and the grant that it serves for."""

    grant_type: str
    encoded: str = field(repr=False)


def build_mex_request(url: str) -> HttpRequest:
    """Ask for the server's metadata.

    :raises FederationError: the address must not be used.
    """
    return HttpRequest("GET", _secure(url), "the federated server's metadata")


def parse_mex(response: HttpResponse) -> TrustEndpoint:
    """The endpoint for user names and passwords; of the newer version where there are both.

    :raises FederationError: (a ValueError) there is none, or the metadata cannot be read.
    """
    what = "The federated server's metadata"
    refuse_unusable_status(response, what)
    if response.status != 200:
        raise FederationError(f"{what} answered HTTP {response.status}", code="mex")
    try:
        root = parse_xml(response.body)
    except ValueError as reason:
        raise FederationError(f"{what} cannot be read: {reason}", code="mex") from None
    policies = set(_password_policies(root))
    bindings = dict(_bindings(root, policies))
    found = dict(_ports(root, bindings))
    for version in (_V13, _V2005):
        if version in found:
            return TrustEndpoint(_secure(found[version]), version)
    raise FederationError(
        f"{what} at {without_query(response.url)} names no address that takes a user name and a "
        "password",
        code="mex",
    )


def build_trust_request(
    endpoint: TrustEndpoint,
    username: str,
    password: str,
    audience: str,
    *,
    now: float,
    message_id: str,
) -> HttpRequest:
    """The request for an assertion (WS-Trust 1.3 §4.1, with a WS-Security username token).

    :param audience: whom the assertion is for.
    :param now: seconds since 1970.
    :param message_id: a fresh UUID.
    """
    return HttpRequest(
        "POST",
        endpoint.url,
        "the federated server",
        headers={
            "Content-Type": "application/soap+xml; charset=utf-8",
            "SOAPAction": endpoint.version.action,
        },
        content=_envelope(endpoint, username, password, audience, now, message_id),
    )


def parse_trust_response(response: HttpResponse, endpoint: TrustEndpoint) -> Assertion:
    """The assertion, byte for byte as it was signed.

    :raises FederationError: (a RuntimeError) the server refused, or its answer cannot be read.
    """
    what = "The federated server"
    if response.status != 500:  # with which SOAP says what was wrong (SOAP 1.2 part 2 §7.5.2.2)
        refuse_unusable_status(response, what)
    try:
        root = parse_xml(response.body)
    except ValueError as reason:
        raise FederationError(
            f"{what} did not answer in SOAP (HTTP {response.status}): {reason}", code="not_soap"
        ) from None
    fault = root.find(f".//{_ENVELOPE}Fault")
    if fault is not None:
        raise _refusal(fault)
    namespace = f"{{{endpoint.version.namespace}}}"
    tokens = list(root.iter(f"{namespace}RequestedSecurityToken"))
    for answer in root.iter(f"{namespace}RequestSecurityTokenResponse"):
        kind = (answer.findtext(f"{namespace}TokenType") or "").strip()
        token = answer.find(f"{namespace}RequestedSecurityToken")
        if kind in _ASSERTION_TYPES and token is not None and len(token) and len(token[0]):
            number = next(i for i, found in enumerate(tokens) if found is token)
            raw = element_bytes(response.body, f"{namespace}RequestedSecurityToken", number)
            encoded = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
            return Assertion(_GRANT_PREFIX + _ASSERTION_TYPES[kind], encoded)
    raise FederationError(f"{what} answered without an assertion", code="no_assertion")


def _secure(url: str) -> str:
    """A password goes to https only, or to this very machine."""
    try:
        parse_secure_url(url)
    except ValueError as reason:
        raise FederationError(f"The federated server's address {reason}", code="address") from None
    return url


def _password_policies(root: Element) -> Iterator[str]:
    """The ids of the policies that take a user name and a password over TLS."""
    for policy in root.iter(f"{_POLICY}Policy"):
        name = policy.get(f"{_UTILITY}Id")
        if name and any(
            policy.find(f".//{namespace}TransportBinding") is not None
            and policy.find(f".//{namespace}WssUsernameToken10") is not None
            for namespace in _SECURITY_POLICIES
        ):
            yield f"#{name}"


def _bindings(root: Element, policies: set[str]) -> Iterator[tuple[str, _Version]]:
    """The bindings that follow such a policy, with the version they speak."""
    versions = {version.action: version for version in (_V13, _V2005)}
    for binding in root.iter(f"{_WSDL}binding"):
        references = {ref.get("URI") for ref in binding.iter(f"{_POLICY}PolicyReference")}
        operation = binding.find(f".//{_SOAP12}operation")
        version = None if operation is None else versions.get(operation.get("soapAction") or "")
        if version is not None and references & policies:
            yield binding.get("name") or "", version


def _ports(root: Element, bindings: dict[str, _Version]) -> Iterator[tuple[_Version, str]]:
    for port in root.iter(f"{_WSDL}port"):
        version = bindings.get((port.get("binding") or "").rpartition(":")[2])
        address = port.findtext(f".//{_ADDRESSING}Address")
        if version is not None and address:
            yield version, address.strip()


def _refusal(fault: Element) -> FederationError:
    """The server's `no`. Its reason is for people, and might repeat what it was sent: left out."""
    code = fault.findtext(f".//{_ENVELOPE}Subcode/{_ENVELOPE}Value") or ""
    name = "".join(c for c in code.rpartition(":")[2][:60] if c.isalnum())
    return FederationError(
        f"The federated server refused the user name or the password ({name or 'no reason given'})",
        code="federation_refused",
    )


def _envelope(
    endpoint: TrustEndpoint,
    username: str,
    password: str,
    audience: str,
    now: float,
    message_id: str,
) -> str:
    version = endpoint.version
    created = datetime.fromtimestamp(now, timezone.utc)
    expires = created + timedelta(seconds=_LIFETIME)
    return (
        f'<s:Envelope xmlns:s="{_ENVELOPE[1:-1]}" xmlns:a="{_ADDRESSING[1:-1]}" '
        f'xmlns:u="{_UTILITY[1:-1]}">'
        "<s:Header>"
        f'<a:Action s:mustUnderstand="1">{version.action}</a:Action>'
        f"<a:MessageID>urn:uuid:{message_id}</a:MessageID>"
        "<a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address>"
        "</a:ReplyTo>"
        f'<a:To s:mustUnderstand="1">{escape(endpoint.url, quote=False)}</a:To>'
        '<o:Security s:mustUnderstand="1" xmlns:o="http://docs.oasis-open.org/wss/2004/01/'
        'oasis-200401-wss-wssecurity-secext-1.0.xsd">'
        f'<u:Timestamp u:Id="_0"><u:Created>{_time(created)}</u:Created>'
        f"<u:Expires>{_time(expires)}</u:Expires></u:Timestamp>"
        '<o:UsernameToken u:Id="username">'
        f"<o:Username>{escape(username, quote=False)}</o:Username>"
        f"<o:Password>{escape(password, quote=False)}</o:Password>"
        "</o:UsernameToken></o:Security></s:Header>"
        "<s:Body>"
        f'<t:RequestSecurityToken xmlns:t="{version.namespace}">'
        f'<p:AppliesTo xmlns:p="{_POLICY[1:-1]}"><a:EndpointReference>'
        f"<a:Address>{escape(audience, quote=False)}</a:Address>"
        "</a:EndpointReference></p:AppliesTo>"
        f"<t:KeyType>{version.key_type}</t:KeyType>"
        f"<t:RequestType>{version.namespace}/Issue</t:RequestType>"
        "</t:RequestSecurityToken></s:Body></s:Envelope>"
    )


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
