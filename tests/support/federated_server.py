"""A federated domain's own server: WS-Trust's metadata, and an endpoint that takes passwords.

It shares no code with Keyfob and none with its emulator. Assertions are not signed: who would check
that is Microsoft. That they arrive byte for byte is what the tests look at.
"""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from support.provider_http import HttpServer, Reply, Request

if TYPE_CHECKING:
    from typing_extensions import Self

WST13 = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
WST2005 = "http://schemas.xmlsoap.org/ws/2005/02/trust"
SAML11 = "urn:oasis:names:tc:SAML:1.0:assertion"
SAML20 = "urn:oasis:names:tc:SAML:2.0:assertion"
USERNAME, PASSWORD = "fay@federated.example", "open<&>sesame"

_ACTIONS = {"13": f"{WST13}/RST/Issue", "2005": f"{WST2005}/RST/Issue"}
_POLICIES = {
    "13": "http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702",
    "2005": "http://schemas.xmlsoap.org/ws/2005/07/securitypolicy",
}


class FederatedServer:
    """Listens on loopback.

    :param versions: of WS-Trust that it offers: "13", "2005".
    :param kind: of the assertions that it gives.
    """

    def __init__(self, versions: Sequence[str] = ("2005", "13"), kind: str = SAML11) -> None:
        self.versions = list(versions)
        self.kind = kind
        self.assertion = (
            "<saml:Assertion  xmlns:saml='urn:x' ID=\"_1\"><saml:Subject>Fäy &amp; Co"
            "<!-- kept --></saml:Subject>\n<ds:Signature xmlns:ds='urn:ds'/></saml:Assertion>"
        )
        self.mex: bytes | None = None
        self.answer: Reply | None = None
        self.requests: list[Request] = []
        self._server = HttpServer(self._respond)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def grant(self) -> str:
        return base64.urlsafe_b64encode(self.assertion.encode()).rstrip(b"=").decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()

    def _respond(self, request: Request) -> Reply:
        self.requests.append(request)
        if request.path == "/mex":
            return Reply(200, {"Content-Type": "text/xml"}, self.mex or self.metadata())
        if self.answer is not None:
            return self.answer
        return self._trust(request)

    def _trust(self, request: Request) -> Reply:
        root = ET.fromstring(request.body)
        secext = (
            "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd}"
        )
        given = (root.findtext(f".//{secext}Username"), root.findtext(f".//{secext}Password"))
        if given != (USERNAME, PASSWORD):
            return self.fault("a:FailedAuthentication")
        namespace = WST13 if request.path.endswith("13") else WST2005
        body = (
            '<?xml version="1.0" encoding="utf-8"?>'
            '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>'
            f'<t:RequestSecurityTokenResponseCollection xmlns:t="{namespace}">'
            "<t:RequestSecurityTokenResponse><t:TokenType>urn:something-else</t:TokenType>"
            "<t:RequestedSecurityToken><other/></t:RequestedSecurityToken>"
            "</t:RequestSecurityTokenResponse>"
            f"<t:RequestSecurityTokenResponse><t:TokenType>{self.kind}</t:TokenType>"
            f"<t:RequestedSecurityToken>\n  {self.assertion}\n</t:RequestedSecurityToken>"
            "</t:RequestSecurityTokenResponse>"
            "</t:RequestSecurityTokenResponseCollection></s:Body></s:Envelope>"
        )
        return Reply(200, {"Content-Type": "application/soap+xml"}, body.encode())

    @staticmethod
    def fault(code: str, reason: str = "no") -> Reply:
        body = (
            '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault>'
            f"<s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>{code}</s:Value></s:Subcode>"
            f"</s:Code><s:Reason><s:Text>{reason}</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>"
        )
        return Reply(500, {"Content-Type": "application/soap+xml"}, body.encode())

    def metadata(self) -> bytes:
        """A document in AD FS' shape, with an endpoint for Windows' own sign-in beside ours."""
        policies = "".join(
            f'<wsp:Policy wsu:Id="p{v}"><wsp:ExactlyOne><wsp:All>'
            f'<sp:TransportBinding xmlns:sp="{_POLICIES[v]}"/>'
            f'<sp:SignedSupportingTokens xmlns:sp="{_POLICIES[v]}"><wsp:Policy><sp:UsernameToken>'
            "<wsp:Policy><sp:WssUsernameToken10/></wsp:Policy></sp:UsernameToken></wsp:Policy>"
            "</sp:SignedSupportingTokens></wsp:All></wsp:ExactlyOne></wsp:Policy>"
            for v in self.versions
        )
        bindings = "".join(
            f'<wsdl:binding name="b{v}" type="tns:x"><wsp:PolicyReference URI="#p{v}"/>'
            '<soap12:binding transport="http://schemas.xmlsoap.org/soap/http"/>'
            f'<wsdl:operation name="op"><soap12:operation soapAction="{_ACTIONS[v]}"/>'
            "</wsdl:operation></wsdl:binding>"
            for v in self.versions
        )
        ports = "".join(
            f'<wsdl:port name="port{v}" binding="tns:b{v}"><wsa10:EndpointReference>'
            f"<wsa10:Address>{self.url}/trust/{v}</wsa10:Address></wsa10:EndpointReference>"
            "</wsdl:port>"
            for v in self.versions
        )
        return (
            '<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:tns="urn:tns" '
            'xmlns:wsp="http://schemas.xmlsoap.org/ws/2004/09/policy" '
            'xmlns:wsu="http://docs.oasis-open.org/wss/2004/01/'
            'oasis-200401-wss-wssecurity-utility-1.0.xsd" '
            'xmlns:wsa10="http://www.w3.org/2005/08/addressing" '
            'xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/">'
            f'<wsp:Policy wsu:Id="windows"/>{policies}'
            '<wsdl:binding name="windows" type="tns:x"><wsp:PolicyReference URI="#windows"/>'
            f'<wsdl:operation name="op"><soap12:operation soapAction="{_ACTIONS["13"]}"/>'
            f"</wsdl:operation></wsdl:binding>{bindings}"
            '<wsdl:service name="s"><wsdl:port name="w" binding="tns:windows">'
            "<wsa10:EndpointReference><wsa10:Address>https://windows.example/</wsa10:Address>"
            f"</wsa10:EndpointReference></wsdl:port>{ports}</wsdl:service></wsdl:definitions>"
        ).encode()
