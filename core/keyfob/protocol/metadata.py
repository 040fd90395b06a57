"""The provider's discovery document (OpenID Connect Discovery 1.0 §3 and §4.3, RFC 8414)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import urlsplit

from keyfob.errors import MetadataError
from keyfob.protocol.authority import GUID, Authority, Kind
from keyfob.protocol.http import HttpRequest, HttpResponse, json_object, refuse_unusable_status
from keyfob.protocol.issuer import TENANT_PLACEHOLDER, access_token_issuer, judge_issuer
from keyfob.protocol.signing import ASYMMETRIC_ALGORITHMS
from keyfob.protocol.urls import is_loopback_host, parse_secure_url

_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(?::\d{1,5})?")


@dataclass(frozen=True)
class ProviderMetadata:
    """What Keyfob uses of a discovery document, every member checked."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    end_session_endpoint: str | None
    device_authorization_endpoint: str | None
    signing_algorithms: frozenset[str]
    token_auth_methods: frozenset[str] | None
    scopes_supported: frozenset[str] | None
    sends_issuer: bool
    msgraph_host: str | None
    is_microsoft: bool
    #: What a client's own assertions may be signed with; None where the provider does not say.
    token_auth_algorithms: frozenset[str] | None = None
    kind: Kind = "oidc"
    #: What access tokens may name in the place of `issuer`: Entra's of version 1, with the same
    #: placeholder, and AD FS's.
    access_token_issuer: str | None = None

    @property
    def issuer_is_template(self) -> bool:
        return TENANT_PLACEHOLDER in self.issuer

    def issuer_for(self, tenant: str | None) -> str | None:
        """The issuer of tokens of `tenant`, or None where no tenant fills the template."""
        return _of_tenant(self.issuer, tenant)

    def access_token_issuer_for(self, tenant: str | None) -> str | None:
        """Likewise the other issuer of access tokens."""
        other = self.access_token_issuer
        return None if other is None else _of_tenant(other, tenant)

    def is_issuer(self, text: str) -> bool:
        """Whether `text` is the issuer of these metadata: where that is a template, of any tenant.

        Compared word for word (RFC 9207 §2.4).
        """
        before, _, after = self.issuer.partition(TENANT_PLACEHOLDER)
        return text == self.issuer_for(text.removeprefix(before).removesuffix(after))

    @cached_property
    def realm(self) -> str:
        """The first segment of the token endpoint's path: MSAL's `realm` in the token cache."""
        return urlsplit(self.token_endpoint).path.strip("/").split("/", 1)[0]

    @property
    def graph_url(self) -> str | None:
        """Microsoft Graph's v1.0 address in this provider's cloud."""
        if not self.msgraph_host:
            return None
        host = urlsplit(f"//{self.msgraph_host}").hostname
        scheme = urlsplit(self.token_endpoint).scheme if is_loopback_host(host) else "https"
        return f"{scheme}://{self.msgraph_host}/v1.0"


@lru_cache(maxsize=256)
def _of_tenant(issuer: str, tenant: str | None) -> str | None:
    if TENANT_PLACEHOLDER not in issuer:
        return issuer
    if tenant is None or not GUID.fullmatch(tenant):
        return None
    return issuer.replace(TENANT_PLACEHOLDER, tenant)


def build_metadata_request(authority: Authority, url: str | None = None) -> HttpRequest:
    """Ask for the discovery document.

    :param url: where instance discovery says it is; by default where the authority has it.
    """
    return HttpRequest(
        "GET",
        url or authority.metadata_url,
        "the provider's metadata",
        headers={"Accept": "application/json"},
        document_judge=lambda response: parse_metadata(authority, response),
    )


def parse_metadata(
    authority: Authority, response: HttpResponse, aliases: Collection[str] = ()
) -> ProviderMetadata:
    """Judge the discovery document of `authority`.

    :param aliases: hosts that instance discovery says are the same cloud as the authority's.
    :raises MetadataError: it is no discovery document, is another issuer's, or names an address
        that must not be used.
    :raises TransportError: the provider answered a redirect, 429 or 5xx.
    """
    refuse_unusable_status(response, "The provider's metadata")
    if response.status != 200:
        raise MetadataError(
            f"There is no OpenID Connect metadata at {authority.metadata_url} "
            f"(HTTP {response.status}). Is the authority or tenant spelled right?",
            code="metadata_not_found",
        )
    document = json_object(response, "The provider's metadata", MetadataError)
    issuer = _text(document, "issuer")
    judge_issuer(authority, issuer, aliases)
    return ProviderMetadata(
        issuer=issuer,
        authorization_endpoint=_address(authority, document, "authorization_endpoint"),
        token_endpoint=_address(authority, document, "token_endpoint"),
        jwks_uri=_address(authority, document, "jwks_uri"),
        userinfo_endpoint=_optional_address(authority, document, "userinfo_endpoint"),
        end_session_endpoint=_optional_address(authority, document, "end_session_endpoint"),
        device_authorization_endpoint=_optional_address(
            authority, document, "device_authorization_endpoint"
        ),
        signing_algorithms=_signing_algorithms(document),
        token_auth_methods=_names(document, "token_endpoint_auth_methods_supported"),
        scopes_supported=_names(document, "scopes_supported"),
        sends_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        msgraph_host=_host(document, "msgraph_host") if authority.is_microsoft else None,
        is_microsoft=authority.is_microsoft,
        token_auth_algorithms=_names(document, "token_endpoint_auth_signing_alg_values_supported")
        or None,
        kind=authority.kind,
        access_token_issuer=access_token_issuer(
            authority, issuer, document.get("access_token_issuer")
        ),
    )


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise MetadataError(f"The provider's metadata has no {name}", code=f"{name}_missing")
    return value


def _address(authority: Authority, document: Mapping[str, Any], name: str) -> str:
    value = _text(document, name)
    try:
        parts = parse_secure_url(value)
        if parts.scheme == "http" and authority.origin.startswith("https://"):
            # Plain http is for a provider on this machine; one elsewhere has no business here.
            raise ValueError("uses plain http, which the authority itself does not")
        if parts.fragment:
            raise ValueError("has a fragment")
    except ValueError as reason:
        raise MetadataError(
            f"The {name} of the provider's metadata {reason}", code=f"{name}_refused"
        ) from None
    return value


def _optional_address(authority: Authority, document: Mapping[str, Any], name: str) -> str | None:
    return _address(authority, document, name) if document.get(name) is not None else None


def _names(document: Mapping[str, Any], name: str) -> frozenset[str] | None:
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise MetadataError(
            f"The {name} of the provider's metadata is not a list of names", code=f"{name}_refused"
        )
    return frozenset(value)


def _host(document: Mapping[str, Any], name: str) -> str | None:
    value = document.get(name)
    if not isinstance(value, str) or not _HOST.fullmatch(value):
        return None
    try:
        parse_secure_url(f"https://{value}")
    except ValueError:
        return None
    return value


def _signing_algorithms(document: Mapping[str, Any]) -> frozenset[str]:
    """The algorithms an ID token may be signed with; RS256 where the provider does not say.

    HMAC and `none` are left out whatever the document lists: with them, whoever knows the public
    key, or nothing at all, could sign.
    """
    listed = _names(document, "id_token_signing_alg_values_supported")
    if listed is None:
        return frozenset({"RS256"})
    usable = listed & ASYMMETRIC_ALGORITHMS
    if not usable:
        raise MetadataError(
            f"The provider signs ID tokens with none of {', '.join(sorted(ASYMMETRIC_ALGORITHMS))}",
            code="no_usable_algorithm",
        )
    return usable
