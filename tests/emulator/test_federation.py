"""A federation service: its metadata, WS-Trust, and the assertions it issues."""

from __future__ import annotations

import base64
import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.test_token_endpoint import check
from keyfob_emulator.errors import ProtocolError
from keyfob_emulator.keys import SigningKey, new_private_key
from keyfob_emulator.saml import AUDIENCE, TOKEN_TYPES, Statement, issue, verify
from keyfob_emulator.sample import DESKTOP_TOOL, PASSWORD
from keyfob_emulator.wstrust import Fault, parse

if TYPE_CHECKING:
    import requests

    from emulator.conftest import Client, Clock

NOW = 1_800_000_000.0
ADA, KATHERINE = "ada@contoso.example", "katherine@northwind.example"
SCOPE = "openid profile offline_access User.Read"
TRUST = {
    "13": "http://docs.oasis-open.org/ws-sx/ws-trust/200512",
    "2005": "http://schemas.xmlsoap.org/ws/2005/02/trust",
}
DS = "{http://www.w3.org/2000/09/xmldsig#}"
WSU = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd}"
NAMES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "wsdl": "http://schemas.xmlsoap.org/wsdl/",
    "wsp": "http://schemas.xmlsoap.org/ws/2004/09/policy",
    "wsa": "http://www.w3.org/2005/08/addressing",
    "soap12": "http://schemas.xmlsoap.org/wsdl/soap12/",
}


def envelope(
    now: float,
    *,
    version: str = "13",
    username: str = KATHERINE,
    password: str = PASSWORD,
    applies_to: str = AUDIENCE,
    token_type: str = "",
    created: str | None = None,
    action: str | None = None,
) -> str:
    """A request for a security token, as WS-Trust and WS-Security write it."""
    trust = TRUST[version]
    stamp = datetime.fromtimestamp(now, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    end = datetime.fromtimestamp(now + 600, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    asked = f"<t:TokenType>{token_type}</t:TokenType>" if token_type else ""
    security = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
    return f"""<e:Envelope xmlns:e="{NAMES["s"]}" xmlns:a="{NAMES["wsa"]}">
      <e:Header><a:Action>{action or trust + "/RST/Issue"}</a:Action>
        <a:MessageID>urn:uuid:1</a:MessageID>
        <o:Security xmlns:o="{security}" xmlns:u="{WSU.strip("{}")}">
          <u:Timestamp><u:Created>{created or stamp}</u:Created>
            <u:Expires>{end}</u:Expires></u:Timestamp>
          <o:UsernameToken><o:Username>{escape(username)}</o:Username>
            <o:Password>{escape(password)}</o:Password></o:UsernameToken>
        </o:Security></e:Header>
      <e:Body><t:RequestSecurityToken xmlns:t="{trust}" xmlns:p="{NAMES["wsp"]}">
        <p:AppliesTo><a:EndpointReference><a:Address>{applies_to}</a:Address></a:EndpointReference>
        </p:AppliesTo><t:RequestType>{trust}/Issue</t:RequestType>{asked}
      </t:RequestSecurityToken></e:Body></e:Envelope>"""


def post(client: Client, body: str | bytes, version: str = "13") -> requests.Response:
    data = body.encode() if isinstance(body, str) else body
    return client.http.post(
        f"{client.server.url}/adfs/services/trust/{version}/usernamemixed",
        data=data,
        headers={"Content-Type": "application/soap+xml; charset=utf-8"},
    )


def assertion(client: Client, clock: Clock, **changes: str) -> str:
    """The text of an assertion, as it stands in the response."""
    version = changes.get("version", "13")
    response = post(client, envelope(clock.now, **changes), version)  # type: ignore[arg-type]
    assert response.status_code == 200, response.text
    found = re.search(r"RequestedSecurityToken>(.*)</trust:RequestedSecurityToken", response.text)
    assert found is not None
    return found[1]


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


@pytest.fixture
def tool(client: Client) -> Client:
    client.client_id, client.secret, client.tenant = DESKTOP_TOOL, None, "organizations"
    client.server.emulator.give_consent(KATHERINE, DESKTOP_TOOL, SCOPE)
    return client


def redeem(client: Client, text: str, version: int = 1, **data: str) -> requests.Response:
    name = {1: "saml1_1-bearer", 2: "saml2-bearer"}[version]
    body = {"scope": SCOPE, "assertion": encoded(text), **data}
    return client.token(grant_type=f"urn:ietf:params:oauth:grant-type:{name}", **body)


# Metadata


def test_the_metadata_name_the_endpoints_and_their_policies(client: Client) -> None:
    response = client.http.get(f"{client.server.url}/adfs/services/trust/mex")
    assert response.headers["Content-Type"].startswith("text/xml")
    root = ET.fromstring(response.content)
    policies = {f"#{node.get(WSU + 'Id')}": node for node in root.findall("wsp:Policy", NAMES)}
    found = {}
    for port in root.findall("wsdl:service/wsdl:port", NAMES):
        name = str(port.get("binding")).partition(":")[2]
        binding = root.find(f"wsdl:binding[@name='{name}']", NAMES)
        assert binding is not None
        reference = binding.find("wsp:PolicyReference", NAMES)
        operation = binding.find("wsdl:operation/soap12:operation", NAMES)
        address = port.findtext("wsa:EndpointReference/wsa:Address", namespaces=NAMES)
        assert reference is not None
        assert operation is not None
        tags = {node.tag for node in policies[str(reference.get("URI"))].iter()}
        if any(tag.endswith("}UsernameToken") for tag in tags):
            found[operation.get("soapAction")] = address
    service = f"{client.server.url}/adfs/services/trust"
    assert found == {
        f"{TRUST['13']}/RST/Issue": f"{service}/13/usernamemixed",
        f"{TRUST['2005']}/RST/Issue": f"{service}/2005/usernamemixed",
    }
    client.server.emulator.fail_next("mex")
    assert client.http.get(f"{service}/mex").status_code == 503


# Passwords


@pytest.mark.parametrize("version", ["13", "2005"])
@pytest.mark.parametrize("saml", [1, 2])
def test_a_right_password_is_worth_an_assertion_and_that_tokens(
    tool: Client, clock: Clock, version: str, saml: int
) -> None:
    text = assertion(tool, clock, version=version, token_type=TOKEN_TYPES[saml])
    tokens = redeem(tool, text, saml).json()
    assert tool.claims(tokens["id_token"])["preferred_username"] == KATHERINE
    assert tokens["refresh_token"]


def test_the_service_answers_the_version_it_is_set_to(client: Client, clock: Clock) -> None:
    assert 'MajorVersion="1"' in assertion(client, clock)
    client.server.emulator.saml_version = 2
    assert 'Version="2.0"' in assertion(client, clock)


@pytest.mark.parametrize("version", [1, 2])
def test_an_assertion_is_canonical_and_really_signed(
    client: Client, clock: Clock, version: int
) -> None:
    """XML Signature, checked step by step with nothing but the standard library's C14N."""
    text = assertion(client, clock, token_type=TOKEN_TYPES[version])
    assert ET.canonicalize(text) == text
    root = ET.fromstring(text)
    (signature,) = root.findall(f"{DS}Signature")
    rest = ET.canonicalize(text, exclude_tags=[f"{DS}Signature"])
    digest = hashes.Hash(hashes.SHA256())
    digest.update(rest.encode())
    value = signature.findtext(f"{DS}SignedInfo/{DS}Reference/{DS}DigestValue")
    assert value == base64.b64encode(digest.finalize()).decode()
    der = base64.b64decode(signature.findtext(f".//{DS}X509Certificate") or "")
    public = x509.load_der_x509_certificate(der).public_key()
    assert isinstance(public, RSAPublicKey)
    start, end = text.index("<ds:SignedInfo>"), text.index("</ds:SignedInfo>")
    inner = text[start : end + len("</ds:SignedInfo>")]
    apex = inner.replace("<ds:SignedInfo>", f'<ds:SignedInfo xmlns:ds="{DS.strip("{}")}">')
    signed = base64.b64decode(signature.findtext(f"{DS}SignatureValue") or "")
    public.verify(signed, ET.canonicalize(apex).encode(), padding.PKCS1v15(), hashes.SHA256())


def subcode(response: requests.Response) -> str:
    assert response.status_code == 500
    assert response.headers["Content-Type"].startswith("application/soap+xml")
    fault = ET.fromstring(response.content).find("s:Body/s:Fault", NAMES)
    assert fault is not None
    assert fault.findtext("s:Reason/s:Text", namespaces=NAMES)
    return str(fault.findtext("s:Code/s:Subcode/s:Value", namespaces=NAMES)).partition(":")[2]


def test_wrong_passwords_strangers_and_managed_people_get_one_and_the_same_fault(
    client: Client, clock: Clock
) -> None:
    emulator = client.server.emulator
    faults = [
        post(client, envelope(clock.now, password="wrong & <worse>")),
        post(client, envelope(clock.now, username="who@northwind.example")),
        post(client, envelope(clock.now, username=ADA)),
    ]
    emulator.disable_account(KATHERINE)
    faults.append(post(client, envelope(clock.now)))
    assert {subcode(fault) for fault in faults} == {"FailedAuthentication"}
    assert len({fault.text for fault in faults}) == 1


def test_faulty_messages_are_told_apart(client: Client, clock: Clock) -> None:
    now = clock.now
    for body, expected in [
        ("no xml", "InvalidSecurity"),
        ("<x/>", "InvalidSecurity"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]>" + envelope(now), "InvalidSecurity"),
        (envelope(now - 3600), "MessageExpired"),
        (envelope(now + 3600), "MessageExpired"),
        (envelope(now, created="yesterday"), "InvalidSecurity"),
        (envelope(now, created="2027-99-99T00:00:00Z"), "InvalidSecurity"),
        (envelope(now, username=""), "InvalidSecurityToken"),
        (envelope(now, applies_to="urn:other"), "InvalidScope"),
        (envelope(now, action="urn:other"), "ActionNotSupported"),
        (envelope(now, token_type="urn:other"), "InvalidRequest"),
        (envelope(now, version="2005"), "InvalidRequest"),
        (envelope(now).replace("/Issue</t:", "/Renew</t:"), "InvalidRequest"),
        (envelope(now).replace("u:Timestamp", "u:Time"), "InvalidSecurity"),
        (envelope(now).replace("o:Security", "o:Safety"), "InvalidSecurity"),
    ]:
        assert subcode(post(client, body)) == expected, body


def test_endpoints_for_certificates_are_named_but_know_nobody(client: Client) -> None:
    url = f"{client.server.url}/adfs/services/trust/13/certificatemixed"
    assert subcode(client.http.post(url, data=b"<x/>")) == "FailedCheck"
    client.server.emulator.fail_next("wstrust", status=502)
    assert client.http.post(url, data=b"<x/>").status_code == 502


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode()))
def test_no_message_makes_the_service_stumble(body: bytes) -> None:
    with pytest.raises(Fault):
        parse(body, "13", 0)


# Assertions that come back


def test_an_assertion_survives_another_spelling_of_its_markup(tool: Client, clock: Clock) -> None:
    """The signature is over the canonical form: order and quotes of attributes do not count."""
    text = assertion(tool, clock)
    changed = text.replace(
        'MajorVersion="1" MinorVersion="1"', "MinorVersion='1'  MajorVersion='1'"
    )
    assert changed != text
    assert redeem(tool, changed).status_code == 200


def test_a_changed_assertion_is_refused(tool: Client, clock: Clock) -> None:
    text = assertion(tool, clock)
    signature = text[text.index("<ds:Signature ") : text.index("</saml:Assertion>")]
    wrapped = (
        f'<saml:Assertion xmlns:saml="{TOKEN_TYPES[1]}" AssertionID="_x">{text}</saml:Assertion>'
    )
    for changed in (
        text.replace(KATHERINE, ADA),
        text.replace(signature, ""),
        text.replace(signature, signature * 2),
        text.replace("AssertionID", "ID"),
        wrapped,
        "<x/>",
        "not xml",
        "<!-- -->" + text,
    ):
        assert changed != text
        check(redeem(tool, changed), 400, "invalid_grant", 50008)
    check(redeem(tool, "", assertion="%%%"), 400, "invalid_grant", 50008)
    assert redeem(tool, text).status_code == 200


def test_an_assertion_of_another_service_is_refused(tool: Client, clock: Clock) -> None:
    statement = Statement("http://sts.evil.example", KATHERINE, "aWQ=", clock.now)
    text = issue(statement, SigningKey(new_private_key(), clock.now), 1)
    check(redeem(tool, text), 400, "invalid_grant", 50008)


def test_the_grant_type_names_the_version_of_the_assertion(tool: Client, clock: Clock) -> None:
    check(redeem(tool, assertion(tool, clock), 2), 400, "invalid_grant", 50008)


def test_an_assertion_is_good_for_an_hour(tool: Client, clock: Clock) -> None:
    text = assertion(tool, clock)
    clock.now += 3600 + 299
    assert redeem(tool, text).status_code == 200
    clock.now += 2
    check(redeem(tool, text), 400, "invalid_grant", 500133)


def test_an_assertion_does_not_help_where_a_password_does_not(tool: Client, clock: Clock) -> None:
    text = assertion(tool, clock)
    tool.server.emulator.withdraw_consent(KATHERINE, DESKTOP_TOOL)
    check(redeem(tool, text), 400, "invalid_grant", 65001)
    tool.server.emulator.disable_account(KATHERINE)
    check(redeem(tool, text), 400, "invalid_grant", 50057)
    tool.tenant = "common"
    check(redeem(tool, text), 400, "invalid_request", 9001023)


@pytest.fixture(scope="module")
def signed() -> tuple[SigningKey, str]:
    key = SigningKey(new_private_key(), NOW)
    statement = Statement("http://sts.northwind.example/adfs", KATHERINE, "aWQ=", NOW)
    return key, issue(statement, key, 1)


@settings(max_examples=200)
@given(position=st.integers(0, 5000), character=st.characters(codec="ascii"))
def test_no_single_changed_character_gets_anybody_else_in(
    signed: tuple[SigningKey, str], position: int, character: str
) -> None:
    key, text = signed
    position %= len(text)
    changed = text[:position] + character + text[position + 1 :]
    try:
        username = verify(changed.encode(), key, version=1, now=NOW)
    except ProtocolError:
        return
    assert username == KATHERINE
