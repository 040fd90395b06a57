"""Client assertions: whose signature on them holds.

RFC 7523 section 3. Signed by the client itself, with a registered certificate or one that a trusted
authority issued to a trusted subject (``x5c``); or a token of another issuer that the client trusts
("Workload identity federation"), which may be this provider's own token for a managed identity.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from keyfob_emulator.errors import problem
from keyfob_emulator.keys import KeyRings, base64url
from keyfob_emulator.model import (
    TOKEN_EXCHANGE_CLIENT_ID,
    TOKEN_EXCHANGE_URL,
    Application,
    FederatedCredential,
)

if TYPE_CHECKING:
    from keyfob_emulator.workload_identity import ExternalIssuer

_ALGORITHMS: Final = ["RS256", "PS256"]
_SKEW: Final = 300
_MAXIMUM_HEADER: Final = 32 * 1024
"""Octets of a header, in which a chain of certificates may stand."""


def check_own_assertion(
    client: Application, assertion: str, audiences: set[str], now: float
) -> None:
    """An assertion the client signed with a certificate (``private_key_jwt``)."""
    claims = _verified(client, assertion, now)
    if claims.get("iss") != client.client_id or claims.get("sub") != client.client_id:
        raise problem(700027, reason="issuer and subject must be the client id")
    if not audiences_of(claims) & audiences:
        raise problem(700023, audience=claims.get("aud"))
    _check_times(claims, now)


def check_federated_assertion(
    client: Application,
    assertion: str,
    issuers: Mapping[str, ExternalIssuer],
    own_keys: KeyRings,
    now: float,
) -> None:
    """A token of another issuer, which one of the client's federated credentials names."""
    issuer = str(unverified_claims(assertion).get("iss"))
    credentials = [c for c in client.federated_credentials if c.issuer == issuer]
    if not credentials:
        raise problem(700211, issuer=issuer)
    known = issuers.get(issuer)
    claims = known.verify(assertion) if known else own_keys.verify(assertion)
    if claims is None:
        raise problem(5000611, issuer=issuer)
    credentials = [c for c in credentials if c.subject == claims.get("sub")]
    if not credentials:
        raise problem(700213, subject=claims.get("sub"))
    if not any(_meant_for(credential, claims) for credential in credentials):
        raise problem(700212, audience=claims.get("aud"))
    _check_times(claims, now)


def _registry() -> jws.JWSRegistry:
    registry = jws.JWSRegistry(algorithms=_ALGORITHMS)
    registry.max_header_length = _MAXIMUM_HEADER  # The library's own limit is 512.
    return registry


def audiences_of(claims: Mapping[str, Any]) -> set[str]:
    """``aud``, which is a text or a list (RFC 7519 section 4.1.3)."""
    audience = claims.get("aud")
    return {str(one) for one in audience} if isinstance(audience, list) else {str(audience)}


def _meant_for(credential: FederatedCredential, claims: Mapping[str, Any]) -> bool:
    accepted = {credential.audience}
    if credential.audience == TOKEN_EXCHANGE_URL:
        accepted.add(TOKEN_EXCHANGE_CLIENT_ID)  # how this provider's own tokens write it
    return bool(audiences_of(claims) & accepted)


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    expires, start = claims.get("exp"), claims.get("nbf", 0)
    if not isinstance(expires, (int, float)) or not isinstance(start, (int, float)):
        raise problem(700024)
    if now >= expires + _SKEW or now < start - _SKEW:
        raise problem(700024)


def _extracted(assertion: str) -> jws.CompactSignature:
    return jws.extract_compact(assertion.encode("ascii"), registry=_registry())


def unverified_claims(assertion: str) -> dict[str, Any]:
    """What an assertion says, to find out whose key to ask; AADSTS700027 when it is no JWT."""
    try:
        claims = json.loads(_extracted(assertion).payload)
    except (JoseError, ValueError) as error:
        raise problem(700027, reason="the assertion is not a signed JWT") from error
    if not isinstance(claims, dict):
        raise problem(700027, reason="the assertion is not a signed JWT")
    return claims


def _verified(client: Application, assertion: str, now: float) -> dict[str, Any]:
    try:
        header = _extracted(assertion).headers()
    except (JoseError, ValueError) as error:
        raise problem(700027, reason="the assertion is not a signed JWT") from error
    certificate = _certificate(client, header, now)
    public = certificate.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    try:
        key = RSAKey.import_key(public)
        return dict(jwt.decode(assertion, key, _ALGORITHMS, registry=_registry()).claims)
    except (JoseError, ValueError) as error:
        raise problem(700027, reason=type(error).__name__) from error


def _certificate(client: Application, header: Mapping[str, Any], now: float) -> x509.Certificate:
    """The certificate an assertion must be signed with: a registered one, or a trusted one."""
    for pem in client.certificates:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        if _names(header, certificate):
            return certificate
    if not client.trusted_subjects or "x5c" not in header:
        raise problem(700027, reason="no registered certificate has this thumbprint")
    chain = _chain(header["x5c"])
    if not _names(header, chain[0]):
        raise problem(700027, reason="the thumbprint is not that of the first certificate of x5c")
    names = [str(a.value) for a in chain[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    for trusted in client.trusted_subjects:
        authority = x509.load_pem_x509_certificate(trusted.authority.encode())
        if trusted.common_name in names and _issued([*chain, authority], now):
            return chain[0]
    raise problem(700027, reason="no trusted authority issued this certificate to this subject")


def _chain(given: object) -> list[x509.Certificate]:
    """``x5c`` (RFC 7515 section 4.1.6): base64, not base64url; the signer's certificate first."""
    if not isinstance(given, list) or not given:
        raise problem(700027, reason="x5c is not a list of certificates")
    try:
        return [x509.load_der_x509_certificate(base64.b64decode("".join(c.split()))) for c in given]
    except (AttributeError, binascii.Error, ValueError) as error:
        raise problem(700027, reason="x5c is not a list of certificates") from error


def _issued(chain: list[x509.Certificate], now: float) -> bool:
    """Whether each certificate was issued by the next, and all are valid now.

    A chain that already ends with the authority is as good as one that stops before it.
    """
    if len(chain) > 2 and chain[-1] == chain[-2]:
        chain = chain[:-1]
    moment = datetime.fromtimestamp(now, timezone.utc)
    if any(not c.not_valid_before_utc <= moment <= c.not_valid_after_utc for c in chain):
        return False
    try:
        for certificate, issuer in pairwise(chain):
            certificate.verify_directly_issued_by(issuer)
            constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints)
            if not constraints.value.ca:
                return False
    except (InvalidSignature, TypeError, ValueError, x509.ExtensionNotFound):
        return False
    return True


def _names(header: Mapping[str, Any], certificate: x509.Certificate) -> bool:
    # Entra accepts SHA-1 thumbprints with either alphabet; MSAL sends standard or URL-safe base64.
    sha1 = base64url(certificate.fingerprint(hashes.SHA1()))  # noqa: S303
    sha256 = base64url(certificate.fingerprint(hashes.SHA256()))
    x5t = str(header.get("x5t", "")).rstrip("=").translate(str.maketrans("+/", "-_"))
    return x5t == sha1 or str(header.get("x5t#S256", "")).rstrip("=") == sha256
