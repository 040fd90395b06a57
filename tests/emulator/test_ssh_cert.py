"""SSH certificates in the place of access tokens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
)
from hypothesis import given
from hypothesis import strategies as st

from emulator.test_token_endpoint import check
from keyfob_emulator.errors import ProtocolError
from keyfob_emulator.keys import base64url
from keyfob_emulator.parameters import Parameters
from keyfob_emulator.sample import DESKTOP_TOOL, NIGHTLY_JOB, NIGHTLY_JOB_SECRET, PASSWORD
from keyfob_emulator.ssh_cert import read_key

if TYPE_CHECKING:
    import requests

    from emulator.conftest import Client, Clock, KeyPool

ADA = "ada@contoso.example"
SCOPE = "openid profile offline_access User.Read"


@pytest.fixture
def key(key_pool: KeyPool) -> RSAPrivateKey:
    make = key_pool.for_one_test()
    return [make() for _ in range(6)][-1]


def jwk(key: RSAPrivateKey, **changes: Any) -> str:
    numbers = key.public_key().public_numbers()
    size = (numbers.n.bit_length() + 7) // 8
    value = {
        "kty": "RSA",
        "n": base64url(numbers.n.to_bytes(size, "big")),
        "e": base64url(numbers.e.to_bytes(3, "big")),
        "kid": "key-1",
        **changes,
    }
    return json.dumps({name: part for name, part in value.items() if part is not None})


def ask(client: Client, req_cnf: str | None, **changes: str | None) -> requests.Response:
    client.client_id, client.secret, client.tenant = DESKTOP_TOOL, None, "organizations"
    client.server.emulator.give_consent(ADA, DESKTOP_TOOL, SCOPE)
    body: dict[str, str | None] = {
        "grant_type": "password",
        "username": ADA,
        "password": PASSWORD,
        "scope": SCOPE,
        "token_type": "ssh-cert",
        "key_id": "key-1",
        "req_cnf": req_cnf,
    }
    return client.token(**{**body, **changes})


def read(answer: dict[str, Any]) -> SSHCertificate:
    line = f"ssh-rsa-cert-v01@openssh.com {answer['access_token']}"
    certificate = load_ssh_public_identity(line.encode())
    assert isinstance(certificate, SSHCertificate)
    certificate.verify_cert_signature()
    return certificate


def test_the_answer_is_a_certificate_for_the_key_and_the_person(
    client: Client, clock: Clock, key: RSAPrivateKey
) -> None:
    answer = ask(client, jwk(key)).json()
    assert answer["token_type"] == "ssh-cert"
    assert answer["refresh_token"]
    certificate = read(answer)
    assert certificate.type is SSHCertificateType.USER
    assert certificate.key_id == b"key-1"
    assert certificate.public_key() == key.public_key()
    assert certificate.valid_principals[0] == ADA.encode()
    assert certificate.valid_after <= clock.now < certificate.valid_before
    assert certificate.valid_before == clock.now + answer["expires_in"]


def test_a_certificate_is_signed_by_one_authority_for_all(
    client: Client, key: RSAPrivateKey
) -> None:
    first = read(ask(client, jwk(key)).json())
    client.server.emulator.rotate_keys(keep_old=False)
    second = read(ask(client, jwk(key, kid=None)).json())
    assert first.signature_key() == second.signature_key()
    assert first.serial != second.serial


def test_a_refresh_gives_a_certificate_or_a_bearer_token(
    client: Client, key: RSAPrivateKey
) -> None:
    token = ask(client, jwk(key)).json()["refresh_token"]
    assert client.refresh(token).json()["token_type"] == "Bearer"
    wanted = {"token_type": "ssh-cert", "key_id": "key-1", "req_cnf": jwk(key)}
    assert read(client.refresh(token, **wanted).json()).key_id == b"key-1"


def test_an_application_gets_one_for_itself(client: Client, key: RSAPrivateKey) -> None:
    client.client_id, client.secret, client.tenant = (
        NIGHTLY_JOB,
        NIGHTLY_JOB_SECRET,
        "contoso.example",
    )
    answer = client.token(
        grant_type="client_credentials",
        scope="api://orders/.default",
        token_type="ssh-cert",
        key_id="key-1",
        req_cnf=jwk(key),
    )
    principal = client.server.emulator.application(NIGHTLY_JOB).principal_id
    assert read(answer.json()).valid_principals == [principal.encode()]


def test_malformed_keys_are_refused(client: Client, key: RSAPrivateKey) -> None:
    for req_cnf in (
        "no json",
        "[]",
        "{}",
        jwk(key, kty="EC"),
        jwk(key, n=None),
        jwk(key, n=7),
        jwk(key, n="%%%"),
        jwk(key, n="AQAB"),
        jwk(key, e="AA"),
        jwk(key, e="Ag"),
        jwk(key, kid="key-2"),
        jwk(key, n="_" * 3000),
    ):
        check(ask(client, req_cnf), 400, "invalid_request", 9002313)
    check(ask(client, None), 400, "invalid_request", 900144)
    check(ask(client, jwk(key), key_id=None), 400, "invalid_request", 900144)
    check(ask(client, jwk(key), token_type="pop"), 400, "invalid_request", 90023)
    assert ask(client, None, token_type="Bearer").json()["token_type"] == "Bearer"


@given(st.text(max_size=100) | st.recursive(
    st.none() | st.text() | st.integers(), lambda inner: st.dictionaries(
        st.sampled_from(["kty", "n", "e", "kid"]), inner), max_leaves=8
).map(json.dumps))  # fmt: skip
def test_no_key_makes_the_provider_stumble(req_cnf: str) -> None:
    given = {"token_type": ["ssh-cert"], "key_id": ["k"], "req_cnf": [req_cnf]}
    with pytest.raises(ProtocolError):
        read_key(Parameters(given))
