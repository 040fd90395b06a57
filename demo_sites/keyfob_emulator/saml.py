"""Assertions of the federation service: written, signed and checked (SAML 1.1 and 2.0).

SAML 1.1 core section 2.3, SAML 2.0 core section 2.3, XML Signature with exclusive canonicalization.
An assertion is written in canonical form from the start, so that its text is what is signed. When
one comes back it must be the signed text still, but for white space inside tags and the like.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from keyfob_emulator.errors import ProtocolError, problem
from keyfob_emulator.keys import SigningKey

AUDIENCE: Final = "urn:federation:MicrosoftOnline"
TOKEN_TYPES: Final = {
    1: "urn:oasis:names:tc:SAML:1.0:assertion",
    2: "urn:oasis:names:tc:SAML:2.0:assertion",
}
LIFETIME: Final = 3600
_SKEW: Final = 300
_DS: Final = "http://www.w3.org/2000/09/xmldsig#"
_SIGNATURE: Final = f"{{{_DS}}}Signature"
_ID_ATTRIBUTES: Final = {1: "AssertionID", 2: "ID"}
_UPN: Final = {1: "UPN", 2: "http://schemas.xmlsoap.org/claims/UPN"}


@dataclass(frozen=True)
class Statement:
    """What an assertion says: this person has just proved their password here."""

    issuer: str
    username: str
    immutable_id: str
    now: float


def instant(time: float) -> str:
    """A time as XML Schema writes it, in UTC."""
    return datetime.fromtimestamp(time, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def issue(statement: Statement, key: SigningKey, version: int) -> str:
    """A signed assertion."""
    assertion_id = f"_{uuid.uuid4()}"
    write = {1: _saml_1, 2: _saml_2}[version]
    unsigned = write(statement, assertion_id, "")
    digest = base64.b64encode(hashlib.sha256(unsigned.encode()).digest()).decode()
    signed_info = _signed_info(assertion_id, digest)
    value = base64.b64encode(
        key.private.sign(signed_info.encode(), padding.PKCS1v15(), hashes.SHA256())
    ).decode()
    # Inside the Signature element the namespace is declared already.
    inner = signed_info.replace(f' xmlns:ds="{_DS}"', "", 1)
    signature = (
        f'<ds:Signature xmlns:ds="{_DS}">{inner}<ds:SignatureValue>{value}</ds:SignatureValue>'
        f"<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{key.x5c}</ds:X509Certificate>"
        "</ds:X509Data></ds:KeyInfo></ds:Signature>"
    )
    return write(statement, assertion_id, signature)


def verify(document: bytes, key: SigningKey, *, version: int, now: float) -> str:
    """The user name an assertion speaks of, if the key signed it and it holds now."""
    try:
        text = document.decode("utf-8")
        if "<!" in text:  # Neither document types nor comments have any business here.
            raise _refused("it is not an assertion")
        root = ET.fromstring(text)  # noqa: S314  no document type, so no entities
        rest = ET.canonicalize(text, exclude_tags=[_SIGNATURE])
    except (UnicodeDecodeError, ET.ParseError, ValueError, RecursionError):
        raise _refused("it is not XML") from None
    if root.tag != f"{{{TOKEN_TYPES[version]}}}Assertion":
        raise _refused("it is not an assertion of the version that the grant type names")
    assertion_id = root.get(_ID_ATTRIBUTES[version], "")
    _check_signature(root, assertion_id, rest, key)
    return _check_content(root, version, now)


def _refused(reason: str) -> ProtocolError:
    return problem(50008, reason=reason)


def _check_signature(root: ET.Element, assertion_id: str, rest: str, key: SigningKey) -> None:
    """Everything but the one signature must be what was signed: nothing can be wrapped around."""
    signatures = list(root.iter(_SIGNATURE))
    if len(signatures) != 1 or signatures[0] not in list(root):
        raise _refused("it does not have exactly one signature")
    digest = base64.b64encode(hashlib.sha256(rest.encode()).digest()).decode()
    try:
        value = base64.b64decode(signatures[0].findtext(f"{{{_DS}}}SignatureValue", ""))
        key.private.public_key().verify(
            value,
            _signed_info(assertion_id, digest).encode(),
            padding.PKCS1v15(),
            hashes.SHA256(),
        )
    except (InvalidSignature, ValueError):
        raise _refused("the federation service did not sign it, or it was changed") from None


def _check_content(root: ET.Element, version: int, now: float) -> str:
    space = f"{{{TOKEN_TYPES[version]}}}"
    conditions = root.find(f"{space}Conditions")
    start = conditions.get("NotBefore", "") if conditions is not None else ""
    end = conditions.get("NotOnOrAfter", "") if conditions is not None else ""
    # All are written by ``instant``, where the order of texts is the order of times.
    if not (start <= instant(now + _SKEW) and instant(now - _SKEW) < end):
        raise problem(500133)
    if AUDIENCE not in [node.text for node in root.iter(f"{space}Audience")]:
        raise _refused("it is made out to another audience")
    name = "AttributeName" if version == 1 else "Name"
    for attribute in root.iter(f"{space}Attribute"):
        if attribute.get(name) == _UPN[version]:
            return attribute.findtext(f"{space}AttributeValue", "")
    raise _refused("it names nobody")


def _signed_info(assertion_id: str, digest: str) -> str:
    return (
        f'<ds:SignedInfo xmlns:ds="{_DS}">'
        '<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">'
        "</ds:CanonicalizationMethod>"
        '<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256">'
        "</ds:SignatureMethod>"
        f'<ds:Reference URI="#{assertion_id}"><ds:Transforms>'
        f'<ds:Transform Algorithm="{_DS}enveloped-signature"></ds:Transform>'
        '<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:Transform>'
        '</ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256">'
        f"</ds:DigestMethod><ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>"
        "</ds:SignedInfo>"
    )


def _saml_1(told: Statement, assertion_id: str, signature: str) -> str:
    space = TOKEN_TYPES[1]
    subject = (
        "<saml:Subject>"
        '<saml:NameIdentifier Format="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified">'
        f"{escape(told.immutable_id)}</saml:NameIdentifier><saml:SubjectConfirmation>"
        "<saml:ConfirmationMethod>urn:oasis:names:tc:SAML:1.0:cm:bearer</saml:ConfirmationMethod>"
        "</saml:SubjectConfirmation></saml:Subject>"
    )
    return (
        f'<saml:Assertion xmlns:saml="{space}" AssertionID="{assertion_id}" '
        f'IssueInstant="{instant(told.now)}" Issuer="{escape(told.issuer)}" MajorVersion="1" '
        f'MinorVersion="1"><saml:Conditions NotBefore="{instant(told.now)}" '
        f'NotOnOrAfter="{instant(told.now + LIFETIME)}"><saml:AudienceRestrictionCondition>'
        f"<saml:Audience>{AUDIENCE}</saml:Audience></saml:AudienceRestrictionCondition>"
        f"</saml:Conditions><saml:AttributeStatement>{subject}"
        '<saml:Attribute AttributeName="UPN" AttributeNamespace="http://schemas.xmlsoap.org/claims">'
        f"<saml:AttributeValue>{escape(told.username)}</saml:AttributeValue></saml:Attribute>"
        '<saml:Attribute AttributeName="ImmutableID" '
        'AttributeNamespace="http://schemas.microsoft.com/LiveID/Federation/2008/05">'
        f"<saml:AttributeValue>{escape(told.immutable_id)}</saml:AttributeValue></saml:Attribute>"
        "</saml:AttributeStatement>"
        f'<saml:AuthenticationStatement AuthenticationInstant="{instant(told.now)}" '
        f'AuthenticationMethod="urn:oasis:names:tc:SAML:1.0:am:password">{subject}'
        f"</saml:AuthenticationStatement>{signature}</saml:Assertion>"
    )


def _saml_2(told: Statement, assertion_id: str, signature: str) -> str:
    space = TOKEN_TYPES[2]
    end = instant(told.now + LIFETIME)
    return (
        f'<saml:Assertion xmlns:saml="{space}" ID="{assertion_id}" '
        f'IssueInstant="{instant(told.now)}" Version="2.0">'
        f"<saml:Issuer>{escape(told.issuer)}</saml:Issuer>{signature}<saml:Subject>"
        '<saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">'
        f"{escape(told.immutable_id)}</saml:NameID>"
        '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">'
        f'<saml:SubjectConfirmationData NotOnOrAfter="{end}"></saml:SubjectConfirmationData>'
        "</saml:SubjectConfirmation></saml:Subject>"
        f'<saml:Conditions NotBefore="{instant(told.now)}" NotOnOrAfter="{end}">'
        f"<saml:AudienceRestriction><saml:Audience>{AUDIENCE}</saml:Audience>"
        "</saml:AudienceRestriction></saml:Conditions><saml:AttributeStatement>"
        + _attribute_2(_UPN[2], told.username)
        + _attribute_2(
            "http://schemas.microsoft.com/LiveID/Federation/2008/05/ImmutableID", told.immutable_id
        )
        + f'</saml:AttributeStatement><saml:AuthnStatement AuthnInstant="{instant(told.now)}">'
        "<saml:AuthnContext><saml:AuthnContextClassRef>"
        "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
        "</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement></saml:Assertion>"
    )


def _attribute_2(name: str, value: str) -> str:
    return (
        f'<saml:Attribute Name="{name}"><saml:AttributeValue>{escape(value)}</saml:AttributeValue>'
        "</saml:Attribute>"
    )
