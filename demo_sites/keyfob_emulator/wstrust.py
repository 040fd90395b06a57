"""The request a client sends to a federation service to have a password checked.

WS-Trust 1.3 and its predecessor of February 2005, with a UsernameToken and a Timestamp of
WS-Security 1.0 in a SOAP 1.2 envelope: what AD FS calls "username mixed".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Final
from xml.etree import ElementTree as ET

from keyfob_emulator.saml import AUDIENCE, TOKEN_TYPES

SOAP: Final = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING: Final = "http://www.w3.org/2005/08/addressing"
POLICY: Final = "http://schemas.xmlsoap.org/ws/2004/09/policy"
_OASIS: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity"
SECURITY: Final = f"{_OASIS}-secext-1.0.xsd"
UTILITY: Final = f"{_OASIS}-utility-1.0.xsd"
TRUST: Final = {
    "13": "http://docs.oasis-open.org/ws-sx/ws-trust/200512",
    "2005": "http://schemas.xmlsoap.org/ws/2005/02/trust",
}
_KEY_TYPES: Final = {
    "13": "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Bearer",
    "2005": "http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey",
}
_SKEW: Final = 300
_INSTANT: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?Z")


class Fault(Exception):
    """A SOAP fault: its subcode in the namespace of WS-Security or WS-Trust, and a reason."""

    def __init__(self, subcode: str, reason: str, *, namespace: str = SECURITY) -> None:
        super().__init__(reason)
        self.subcode = subcode
        self.reason = reason
        self.namespace = namespace


@dataclass(frozen=True)
class SecurityTokenRequest:
    """A request that is complete and in time; whether the password is right is another matter."""

    username: str
    password: str = field(repr=False)
    applies_to: str
    message_id: str
    saml_version: int | None
    """What ``TokenType`` asks for, None when that is left to the service."""


def parse(body: bytes, version: str, now: float) -> SecurityTokenRequest:
    """Read a request to issue a token, or refuse it with a :class:`Fault`."""
    envelope = _envelope(body)
    header, content = envelope.find(f"{{{SOAP}}}Header"), envelope.find(f"{{{SOAP}}}Body")
    trust = TRUST[version]
    request = content.find(f"{{{trust}}}RequestSecurityToken") if content is not None else None
    if header is None or request is None:
        raise Fault("InvalidRequest", "There is no RequestSecurityToken.", namespace=trust)
    if header.findtext(f"{{{ADDRESSING}}}Action") != f"{trust}/RST/Issue":
        raise Fault("ActionNotSupported", "The action must be RST/Issue.", namespace=ADDRESSING)
    username, password = _credentials(header, now)
    return SecurityTokenRequest(
        username=username,
        password=password,
        applies_to=_applies_to(request, version),
        message_id=header.findtext(f"{{{ADDRESSING}}}MessageID", ""),
        saml_version=_saml_version(request, trust),
    )


def _envelope(body: bytes) -> ET.Element:
    if b"<!" in body:  # Document types are forbidden in SOAP (SOAP 1.2 part 1 section 5).
        raise Fault("InvalidSecurity", "A document type or a comment is not allowed.")
    try:
        envelope = ET.fromstring(body)  # noqa: S314  no document type, so no entities
    except (ET.ParseError, ValueError, LookupError):
        raise Fault("InvalidSecurity", "The message is not XML.") from None
    if envelope.tag != f"{{{SOAP}}}Envelope":
        raise Fault("InvalidSecurity", "The message is not a SOAP 1.2 envelope.")
    return envelope


def _credentials(header: ET.Element, now: float) -> tuple[str, str]:
    security = header.find(f"{{{SECURITY}}}Security")
    if security is None:
        raise Fault("InvalidSecurity", "There is no Security header.")
    stamp = security.find(f"{{{UTILITY}}}Timestamp")
    if stamp is None:
        raise Fault("InvalidSecurity", "There is no Timestamp.")
    created = _time(stamp.findtext(f"{{{UTILITY}}}Created"))
    expires = _time(stamp.findtext(f"{{{UTILITY}}}Expires"))
    if not created - _SKEW <= now < expires + _SKEW:
        raise Fault("MessageExpired", "The message is not within its valid time range.")
    token = security.find(f"{{{SECURITY}}}UsernameToken")
    username = token.findtext(f"{{{SECURITY}}}Username") if token is not None else None
    password = token.findtext(f"{{{SECURITY}}}Password") if token is not None else None
    if not username or password is None:
        raise Fault("InvalidSecurityToken", "There is no UsernameToken with name and password.")
    return username, password


def _time(text: str | None) -> float:
    match = _INSTANT.fullmatch(text or "")
    try:
        read = datetime.strptime(match[1], "%Y-%m-%dT%H:%M:%S") if match else None  # noqa: DTZ007
    except ValueError:
        read = None
    if read is None:
        raise Fault("InvalidSecurity", "Created and Expires must be times in UTC.")
    return read.replace(tzinfo=timezone.utc).timestamp()


def _applies_to(request: ET.Element, version: str) -> str:
    trust = TRUST[version]
    place = f"{{{POLICY}}}AppliesTo/{{{ADDRESSING}}}EndpointReference/{{{ADDRESSING}}}Address"
    address = request.findtext(place, "")
    if address != AUDIENCE:
        raise Fault("InvalidScope", f"AppliesTo must be {AUDIENCE}.", namespace=trust)
    if request.findtext(f"{{{trust}}}RequestType") != f"{trust}/Issue":
        raise Fault("InvalidRequest", "RequestType must be Issue.", namespace=trust)
    if request.findtext(f"{{{trust}}}KeyType", _KEY_TYPES[version]) != _KEY_TYPES[version]:
        raise Fault("InvalidRequest", "KeyType must be that of bearer tokens.", namespace=trust)
    return address


def _saml_version(request: ET.Element, trust: str) -> int | None:
    asked = request.findtext(f"{{{trust}}}TokenType")
    if asked is None:
        return None
    for version, token_type in TOKEN_TYPES.items():
        if asked == token_type:
            return version
    raise Fault("InvalidRequest", "TokenType is not one of SAML's.", namespace=trust)
