"""Client authentication at the token endpoint.

RFC 6749 section 2.3.1 (``client_secret_basic``, ``client_secret_post``), RFC 7523 and OpenID
Connect Core section 9 (``private_key_jwt``), public clients by their id alone.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import unquote_plus

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from keyfob_emulator.errors import problem
from keyfob_emulator.keys import base64url
from keyfob_emulator.model import Application, Directory
from keyfob_emulator.parameters import Parameters
from keyfob_emulator.realm import Realm

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ALGORITHMS: Final = ["RS256", "PS256"]
_SKEW: Final = 300


class ClientAuthentication:
    """Decides which application sent a token request."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def authenticate(
        self,
        parameters: Parameters,
        authorization: str | None,
        realm: Realm,
        audiences: Iterable[str],
        now: float,
    ) -> Application:
        """The application, proved. ``audiences`` are the values an assertion may be made out to."""
        basic = _basic(authorization)
        assertion = parameters.get("client_assertion")
        secret = parameters.get("client_secret")
        # RFC 6749 section 2.3: one method per request.
        if sum(given is not None for given in (basic, assertion, secret)) > 1:
            raise problem(9002313, reason="more than one way of client authentication")
        client = self._client(parameters, basic, realm)
        if basic is not None:
            secret = basic[1]
        if assertion is not None:
            self._check_assertion(client, parameters, assertion, set(audiences), now)
        elif secret is not None:
            _check_secret(client, secret)
        elif not client.public:
            raise problem(7000218)
        return client

    def _client(
        self, parameters: Parameters, basic: tuple[str, str] | None, realm: Realm
    ) -> Application:
        client_id = parameters.get("client_id")
        if basic is not None:
            if client_id is not None and client_id.lower() != basic[0].lower():
                raise problem(9002313, reason="two different client ids")
            client_id = basic[0]
        if client_id is None:
            raise problem(900144, parameter="client_id")
        client = self._directory.application(client_id)
        if client is None:
            raise problem(700016, client_id=client_id, tenant=realm.title)
        realm.check_application(client)
        return client

    def _check_assertion(
        self,
        client: Application,
        parameters: Parameters,
        assertion: str,
        audiences: set[str],
        now: float,
    ) -> None:
        """RFC 7523 section 3, with the certificate headers Entra reads (``x5t``, ``x5t#S256``)."""
        if parameters.get("client_assertion_type") != ASSERTION_TYPE:
            raise problem(900144, parameter="client_assertion_type")
        if client.public:
            raise problem(700025)
        claims = _verified(client, assertion)
        if claims.get("iss") != client.client_id or claims.get("sub") != client.client_id:
            raise problem(700027, reason="issuer and subject must be the client id")
        audience = claims.get("aud")
        given = set(audience) if isinstance(audience, list) else {str(audience)}
        if not given & audiences:
            raise problem(700023, audience=audience)
        expires, start = claims.get("exp"), claims.get("nbf", 0)
        if not isinstance(expires, (int, float)) or not isinstance(start, (int, float)):
            raise problem(700024)
        if now >= expires + _SKEW or now < start - _SKEW:
            raise problem(700024)


def require_public_flows(client: Application) -> None:
    """AADSTS7000218 for a client without credentials that is not allowed to do without."""
    if client.public and not client.public_flows:
        raise problem(7000218)


def _basic(authorization: str | None) -> tuple[str, str] | None:
    """Client id and secret of a Basic header; both are form-urlencoded inside it."""
    if authorization is None:
        return None
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise problem(9002313, reason=f"authorization scheme {scheme}")
    try:
        text = base64.b64decode(rest.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        raise problem(9002313, reason="the Authorization header is not base64") from None
    client_id, colon, secret = text.partition(":")
    if not colon:
        raise problem(9002313, reason="the Authorization header has no colon")
    return unquote_plus(client_id), unquote_plus(secret)


def _check_secret(client: Application, secret: str) -> None:
    if client.public:
        raise problem(700025)
    given = secret.encode("utf-8", "surrogatepass")
    if not any(hmac.compare_digest(given, known.encode()) for known in client.secrets):
        raise problem(7000215, client_id=client.client_id)


def _verified(client: Application, assertion: str) -> dict[str, Any]:
    try:
        header = jws.extract_compact(assertion.encode("ascii")).headers()
    except (JoseError, ValueError) as error:
        raise problem(700027, reason="the assertion is not a signed JWT") from error
    for pem in client.certificates:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        if not _names(header, certificate):
            continue
        public = certificate.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        try:
            return dict(
                jwt.decode(assertion, RSAKey.import_key(public), algorithms=_ALGORITHMS).claims
            )
        except (JoseError, ValueError) as error:
            raise problem(700027, reason=type(error).__name__) from error
    raise problem(700027, reason="no registered certificate has this thumbprint")


def _names(header: dict[str, Any], certificate: x509.Certificate) -> bool:
    # Entra accepts SHA-1 thumbprints with either alphabet; MSAL sends standard or URL-safe base64.
    sha1 = base64url(certificate.fingerprint(hashes.SHA1()))  # noqa: S303
    sha256 = base64url(certificate.fingerprint(hashes.SHA256()))
    x5t = str(header.get("x5t", "")).rstrip("=").translate(str.maketrans("+/", "-_"))
    return x5t == sha1 or str(header.get("x5t#S256", "")).rstrip("=") == sha256
