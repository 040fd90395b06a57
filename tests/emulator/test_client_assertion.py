"""``private_key_jwt`` with a certificate (RFC 7523, OpenID Connect Core section 9)."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import RSAKey

from keyfob_emulator.sample import FLASK_SITE

if TYPE_CHECKING:
    import requests

    from emulator.conftest import Client, Clock

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Credential:
    """A private key with its certificate."""

    def __init__(self) -> None:
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
        now = datetime.now(timezone.utc)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(private.public_key())
            .serial_number(1)
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=1))
            .sign(private, hashes.SHA256())
        )
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()
        self.key = RSAKey.import_key(
            private.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def thumbprint(self, algorithm: hashes.HashAlgorithm) -> str:
        value = self.certificate.fingerprint(algorithm)
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def credential() -> Credential:
    return Credential()


@pytest.fixture(scope="module")
def stranger() -> Credential:
    return Credential()


@pytest.fixture
def certified(client: Client, credential: Credential) -> Client:
    state = client.server.emulator
    state.add(replace(state.application(FLASK_SITE), certificates=(credential.pem,), secrets=()))
    client.secret = None
    return client


def assertion(
    client: Client,
    credential: Credential,
    now: float,
    *,
    header: dict[str, str] | None = None,
    **changes: Any,
) -> str:
    """A client assertion as MSAL makes it; None leaves a claim out."""
    claims = {
        "aud": client.endpoint("token"),
        "iss": FLASK_SITE,
        "sub": FLASK_SITE,
        "exp": now + 600,
        "nbf": now,
        "jti": "an id",
        **changes,
    }
    names = header or {"alg": "PS256", "x5t#S256": credential.thumbprint(hashes.SHA256())}
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(names, kept, credential.key, algorithms=[names["alg"]])


def redeem(client: Client, text: str, **more: str | None) -> requests.Response:
    code = client.sign_in()["code"]
    given = {"client_assertion": text, "client_assertion_type": TYPE, **more}
    return client.redeem(code, **given)


def test_an_assertion_signed_with_the_registered_certificate_is_accepted(
    certified: Client, credential: Credential, clock: Clock
) -> None:
    assert redeem(certified, assertion(certified, credential, clock.now)).status_code == 200
    sha1 = {"alg": "RS256", "x5t": credential.thumbprint(hashes.SHA1())}
    text = assertion(certified, credential, clock.now, header=sha1)
    body = redeem(certified, text).json()
    assert certified.claims(body["access_token"])["appidacr"] == "2"


def test_the_issuer_will_do_as_audience(
    certified: Client, credential: Credential, clock: Clock
) -> None:
    audience = f"{certified.server.url}/common/v2.0"
    text = assertion(certified, credential, clock.now, aud=["x", audience])
    assert redeem(certified, text).status_code == 200


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "https://elsewhere.example/token"}, 700023),
        ({"aud": None}, 700023),
        ({"iss": "somebody"}, 700027),
        ({"sub": None}, 700027),
        ({"exp": 1}, 700024),
        ({"exp": None}, 700024),
        ({"exp": "soon"}, 700024),
        ({"nbf": 9_999_999_999}, 700024),
    ],
)
def test_wrong_claims_are_refused(
    certified: Client, credential: Credential, clock: Clock, changes: dict[str, Any], code: int
) -> None:
    response = redeem(certified, assertion(certified, credential, clock.now, **changes))
    assert response.status_code == 401
    assert response.json()["error"] == "invalid_client"
    assert response.json()["error_codes"] == [code]


def test_another_key_is_refused_whatever_thumbprint_it_claims(
    certified: Client, credential: Credential, stranger: Credential, clock: Clock
) -> None:
    own = assertion(certified, stranger, clock.now)
    borrowed = {"alg": "PS256", "x5t#S256": credential.thumbprint(hashes.SHA256())}
    forged = assertion(certified, stranger, clock.now, header=borrowed)
    for text in (own, forged, "x.y.z", "nonsense", "é"):
        assert redeem(certified, text).json()["error_codes"] == [700027]


def test_an_assertion_needs_its_type(
    certified: Client, credential: Credential, clock: Clock
) -> None:
    text = assertion(certified, credential, clock.now)
    response = redeem(certified, text, client_assertion_type="other")
    assert response.json()["error_codes"] == [900144]
    assert redeem(certified, None).json()["error_codes"] == [7000218]  # type: ignore[arg-type]
