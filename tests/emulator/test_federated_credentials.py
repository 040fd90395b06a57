"""Federated credentials, and certificates trusted for their subject and issuer; real msal there."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msal
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import RSAKey

from keyfob_emulator import (
    Emulator,
    ExternalIssuer,
    FederatedCredential,
    Source,
    TrustedSubject,
    service_account,
    workload_environment,
)
from keyfob_emulator.in_process import mount
from keyfob_emulator.managed_identity import IMDS_ORIGIN, USER_ASSIGNED
from keyfob_emulator.sample import CONTOSO, NIGHTLY_JOB
from keyfob_emulator.workload_identity import WORKLOAD_VARIABLES

AUTHORITY = f"https://login.microsoftonline.com/{CONTOSO}"
CLUSTER = "https://oidc.cluster.example/"
SUBJECT = service_account("billing", "worker")
EXCHANGE = "api://AzureADTokenExchange"
ORDERS = ["api://orders/.default"]


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        yield made


@pytest.fixture
def emulator(session: requests.Session) -> Emulator:
    return mount(session, origins=(IMDS_ORIGIN,))


@pytest.fixture(scope="module")
def cluster() -> ExternalIssuer:
    return ExternalIssuer(CLUSTER)


@pytest.fixture(scope="module")
def impostor() -> ExternalIssuer:
    return ExternalIssuer(CLUSTER)


@pytest.fixture
def trusting(emulator: Emulator, cluster: ExternalIssuer) -> Emulator:
    """The nightly job trusts a service account of the cluster, and has no secret."""
    emulator.trust(cluster)
    credential = FederatedCredential(CLUSTER, SUBJECT)
    job = emulator.application(NIGHTLY_JOB)
    emulator.add(replace(job, secrets=(), federated_credentials=(credential,)))
    return emulator


def job(session: requests.Session, credential: dict[str, Any]) -> dict[str, Any]:
    app = msal.ConfidentialClientApplication(
        NIGHTLY_JOB, credential, authority=AUTHORITY, http_client=session
    )
    return dict(app.acquire_token_for_client(ORDERS))


def with_assertion(session: requests.Session, text: str) -> dict[str, Any]:
    return job(session, {"client_assertion": lambda: text})


def code(result: dict[str, Any]) -> int:
    (number,) = result["error_codes"]
    return int(number)


@pytest.mark.usefixtures("trusting")
def test_a_pods_token_is_accepted_in_place_of_a_secret(
    session: requests.Session, cluster: ExternalIssuer, tmp_path: Path
) -> None:
    path = tmp_path / "azure-identity-token"
    cluster.write_token(path, SUBJECT)
    environment = workload_environment(
        path,
        client_id=NIGHTLY_JOB,
        tenant_id=CONTOSO,
        authority_host="https://login.microsoftonline.com",
    )
    assert set(environment) == set(WORKLOAD_VARIABLES)
    app = msal.ConfidentialClientApplication(
        environment["AZURE_CLIENT_ID"],
        {"client_assertion": lambda: Path(environment["AZURE_FEDERATED_TOKEN_FILE"]).read_text()},
        authority=environment["AZURE_AUTHORITY_HOST"] + environment["AZURE_TENANT_ID"],
        http_client=session,
    )
    assert "access_token" in app.acquire_token_for_client(ORDERS)


def test_a_renewed_token_replaces_the_file_in_one_step(
    cluster: ExternalIssuer, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    first = cluster.write_token(path, SUBJECT, lifetime=60)
    second = cluster.write_token(path, SUBJECT, lifetime=120)
    assert first != second == path.read_text(encoding="ascii")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"subject": service_account("billing", "other")}, 700213),
        ({"subject": SUBJECT.upper()}, 700213),
        ({"audience": "api://other"}, 700212),
        ({"iss": "https://oidc.cluster.example"}, 700211),
        ({"lifetime": -301}, 700024),
        ({"nbf": 99_999_999_999}, 700024),
        ({"exp": None}, 700024),
    ],
)
def test_another_subject_audience_issuer_or_time_is_refused(
    session: requests.Session, cluster: ExternalIssuer, changes: dict[str, Any], expected: int
) -> None:
    given = dict(changes)
    text = cluster.token(given.pop("subject", SUBJECT), **given)
    result = with_assertion(session, text)
    assert result["error"] == "invalid_client"
    assert code(result) == expected


@pytest.mark.usefixtures("trusting")
def test_another_key_is_refused(session: requests.Session, impostor: ExternalIssuer) -> None:
    assert code(with_assertion(session, impostor.token(SUBJECT))) == 5000611


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("text", ["x.y.z", "nonsense", "e30.W10.x"])
def test_what_is_no_token_is_refused(session: requests.Session, text: str) -> None:
    assert code(with_assertion(session, text)) == 700027


def test_an_issuer_nobody_vouched_for_is_refused(
    session: requests.Session, emulator: Emulator, cluster: ExternalIssuer
) -> None:
    credential = FederatedCredential(CLUSTER, SUBJECT)
    emulator.add(replace(emulator.application(NIGHTLY_JOB), federated_credentials=(credential,)))
    assert code(with_assertion(session, cluster.token(SUBJECT))) == 5000611


def test_a_credential_can_name_another_audience(
    session: requests.Session, trusting: Emulator, cluster: ExternalIssuer
) -> None:
    credential = FederatedCredential(CLUSTER, SUBJECT, "api://mine")
    changed = replace(trusting.application(NIGHTLY_JOB), federated_credentials=(credential,))
    trusting.add(changed)
    assert "access_token" in with_assertion(session, cluster.token(SUBJECT, audience="api://mine"))
    assert code(with_assertion(session, cluster.token(SUBJECT))) == 700212


def test_a_managed_identity_is_accepted_in_place_of_a_secret(
    session: requests.Session, emulator: Emulator
) -> None:
    credential = FederatedCredential(f"{AUTHORITY}/v2.0", USER_ASSIGNED.object_id)
    registered = emulator.application(NIGHTLY_JOB)
    emulator.add(replace(registered, secrets=(), federated_credentials=(credential,)))
    identity = msal.UserAssignedManagedIdentity(client_id=USER_ASSIGNED.client_id)
    agent = msal.ManagedIdentityClient(identity, http_client=session)
    with emulator.machine.environment(Source.VIRTUAL_MACHINE, IMDS_ORIGIN).active():

        def token(resource: str = EXCHANGE) -> str:
            return str(agent.acquire_token_for_client(resource=resource)["access_token"])

        assert "access_token" in job(session, {"client_assertion": token})
        for_vault = token("https://vault.azure.net")
    assert code(with_assertion(session, for_vault)) == 700211  # a token of version 1


# Certificates


@dataclass(frozen=True)
class Signer:
    """A key with a certificate, issued by itself or by an authority."""

    private: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def private_pem(self) -> str:
        return self.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()


def signer(name: str, issuer: Signer | None = None, *, ca: bool = False, days: int = 1) -> Signer:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(issuer.private if issuer else private, hashes.SHA256())
    )
    return Signer(private, certificate)


@dataclass(frozen=True)
class Authority:
    """A certificate authority with an intermediate, and what they issued."""

    root: Signer
    intermediate: Signer
    leaf: Signer


@pytest.fixture(scope="module")
def authority() -> Authority:
    root = signer("root", ca=True)
    intermediate = signer("intermediate", root, ca=True)
    return Authority(root, intermediate, signer("nightly.contoso.example", intermediate))


@pytest.fixture
def subject_trusted(emulator: Emulator, authority: Authority) -> Emulator:
    trusted = TrustedSubject("nightly.contoso.example", authority.root.pem)
    registered = emulator.application(NIGHTLY_JOB)
    emulator.add(replace(registered, secrets=(), trusted_subjects=(trusted,)))
    return emulator


def by_certificate(
    session: requests.Session, leaf: Signer, *chain: Signer, thumbprint: bool = True
) -> dict[str, Any]:
    """A token for the job with a certificate. msal sends a whole chain only with a thumbprint."""
    credential: dict[str, Any] = {"private_key": leaf.private_pem}
    if chain or not thumbprint:
        credential["public_certificate"] = "".join(one.pem for one in (chain or (leaf,)))
    if thumbprint:
        credential["thumbprint"] = leaf.certificate.fingerprint(hashes.SHA1()).hex()
    return job(session, credential)


@pytest.mark.usefixtures("subject_trusted")
def test_a_certificate_of_a_trusted_authority_is_accepted_for_its_subject(
    session: requests.Session, authority: Authority
) -> None:
    leaf, intermediate, root = authority.leaf, authority.intermediate, authority.root
    assert "access_token" in by_certificate(session, leaf, leaf, intermediate)
    assert "access_token" in by_certificate(session, leaf, leaf, intermediate, root)
    renewed = signer("nightly.contoso.example", intermediate)
    assert "access_token" in by_certificate(session, renewed, renewed, intermediate)


@pytest.mark.usefixtures("subject_trusted")
def test_chains_that_do_not_hold_are_refused(
    session: requests.Session, authority: Authority
) -> None:
    leaf, intermediate = authority.leaf, authority.intermediate
    other_name = signer("other.contoso.example", intermediate)
    alone = signer("nightly.contoso.example")
    expired = signer("nightly.contoso.example", intermediate, days=-1)
    no_authority = signer("no authority", intermediate)
    issued_by_it = signer("nightly.contoso.example", no_authority)
    refused = {
        "intermediate missing": (leaf, leaf),
        "wrong order": (leaf, intermediate, leaf),
        "other name": (other_name, other_name, intermediate),
        "self-signed": (alone, alone, intermediate),
        "expired": (expired, expired, intermediate),
        "not a CA": (issued_by_it, issued_by_it, no_authority, intermediate),
        "key of another": (replace(leaf, private=alone.private), leaf, intermediate),
        "no chain": (leaf,),
    }
    for why, (signing, *chain) in refused.items():
        result = by_certificate(session, signing, *chain)
        assert "access_token" not in result, why
        assert code(result) == 700027, why


@pytest.mark.usefixtures("subject_trusted")
@pytest.mark.parametrize("x5c", [None, "text", [], [1], ["!"], ["AAAA"]])
def test_a_chain_that_is_none_is_refused(
    session: requests.Session, authority: Authority, x5c: object
) -> None:
    digest = authority.leaf.certificate.fingerprint(hashes.SHA256())
    header = {"alg": "PS256", "x5t#S256": base64.urlsafe_b64encode(digest).decode().rstrip("=")}
    key = RSAKey.import_key(authority.leaf.private_pem)
    text = jwt.encode(header, {"iss": NIGHTLY_JOB}, key, algorithms=["PS256"])
    head, payload, signature = text.split(".")
    forged = json.dumps({**header, "x5c": x5c}).encode()
    head = base64.urlsafe_b64encode(forged).decode().rstrip("=")
    assert code(with_assertion(session, f"{head}.{payload}.{signature}")) == 700027


@pytest.mark.parametrize("thumbprint", [True, False], ids=["x5t and RS256", "x5t#S256 and PS256"])
@pytest.mark.parametrize(
    "address", ["https://login.microsoftonline.com/" + CONTOSO, "https://adfs.example/adfs"]
)
def test_msals_certificate_assertions_are_accepted(
    session: requests.Session, authority: Authority, address: str, *, thumbprint: bool
) -> None:
    emulator = mount(session, origins=("https://adfs.example",))
    registered = emulator.application(NIGHTLY_JOB)
    emulator.add(replace(registered, secrets=(), certificates=(authority.leaf.pem,)))
    leaf = authority.leaf
    credential = {"private_key": leaf.private_pem, "public_certificate": leaf.pem}
    if thumbprint:
        credential["thumbprint"] = leaf.certificate.fingerprint(hashes.SHA1()).hex()
    app = msal.ConfidentialClientApplication(
        NIGHTLY_JOB, credential, authority=address, http_client=session
    )
    assert "access_token" in app.acquire_token_for_client(ORDERS)


def test_a_regional_endpoint_accepts_an_assertion_for_the_central_one(
    session: requests.Session, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGION_NAME", "westus2")
    emulator = mount(session, origins=("https://westus2.login.microsoft.com",))
    registered = emulator.application(NIGHTLY_JOB)
    emulator.add(replace(registered, secrets=(), certificates=(authority.leaf.pem,)))
    leaf = authority.leaf
    app = msal.ConfidentialClientApplication(
        NIGHTLY_JOB,
        {"private_key": leaf.private_pem, "public_certificate": leaf.pem},
        authority=AUTHORITY,
        azure_region="westus2",
        http_client=session,
    )
    assert "access_token" in app.acquire_token_for_client(ORDERS)


def test_a_federated_application_without_an_assertion_is_told_what_is_missing(
    session: requests.Session, trusting: Emulator
) -> None:
    response = session.post(
        f"{AUTHORITY}/oauth2/v2.0/token",
        data={
            "grant_type": "client_credentials",
            "client_id": NIGHTLY_JOB,
            "scope": ORDERS[0],
        },
    )
    assert response.json()["error_codes"] == [7000218]
