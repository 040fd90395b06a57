"""How often the provider is asked, and how often a key signs."""

from __future__ import annotations

import datetime as dt
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import msal
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from measure import Row, say
from world import ASKED, AUTHORITY, CLIENT, Wire

import keyfob
from keyfob_emulator import Application, Emulator
from keyfob_emulator.sample import CONTOSO, PASSWORD

ADA = "ada@contoso.example"
SITE = "be7c4000-0000-4000-8000-000000000009"
THREADS = 50
#: Seconds that a token request takes: threads that come meanwhile find nothing in the cache yet.
LATENCY = 0.2
MINUTES = 9


def rows() -> Iterator[Row]:
    say(f"{THREADS} threads, one expired token")
    ours, theirs = crowd(keyfob), crowd(msal)
    yield Row(
        f"token requests of {THREADS} threads, one expired token",
        str(ours),
        str(theirs),
        "",
        "1",
        ours == 1,
    )
    say("silent refreshes with a certificate")
    yield signatures()


def crowd(package: Any) -> int:
    """The token requests that threads cause which all need one expired token at once."""
    emulator = Emulator()
    emulator.give_consent(ADA, CLIENT, "openid profile offline_access User.Read")
    wire = Wire(emulator, latency=LATENCY)
    cache = package.TokenCache()
    app = package.PublicClientApplication(
        CLIENT, authority=AUTHORITY, http_client=wire, token_cache=cache
    )
    account = signed_in(app)
    for entry in list(cache.search("AccessToken")):
        cache.modify("AccessToken", entry, {"expires_on": str(int(time.time()) - 60)})
    wire.token_requests.clear()
    together, results = threading.Barrier(THREADS), []

    def work() -> None:
        together.wait()
        results.append(app.acquire_token_silent(ASKED, account))

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([found for found in results if found and found["access_token"]]) == THREADS
    wire.close()
    return len(wire.token_requests)


def signatures() -> Row:
    """One refresh each half minute, nine minutes long, counting the assertions that differ."""
    name, target = f"signatures in {MINUTES} minutes of refreshes", "<= 1"
    pem, certificate, thumbprint = key_and_certificate()
    credential = {"private_key": pem, "public_certificate": certificate, "thumbprint": thumbprint}
    ours = refreshes(keyfob, credential, certificate, travels=True)
    theirs = refreshes(msal, credential, certificate, travels=False)
    return Row(name, str(ours), str(theirs), f"{2 * MINUTES} refreshes", target, ours <= 1)


def refreshes(package: Any, credential: dict[str, str], certificate: str, *, travels: bool) -> int:
    """How many different assertions a row of refreshes sends.

    :param travels: whether time passes between them; msal takes no clock, so for it none does.
    """
    offset = 0.0

    def clock() -> float:
        return time.time() + offset

    emulator = Emulator(clock=clock)
    emulator.add(
        Application(SITE, "Bench", CONTOSO, certificates=(certificate,), public_flows=True)
    )
    emulator.give_consent(ADA, SITE, "openid profile offline_access User.Read")
    wire = Wire(emulator)
    app = package.ConfidentialClientApplication(
        SITE,
        client_credential=credential,
        authority=AUTHORITY,
        http_client=wire,
        **({"clock": clock} if travels else {}),
    )
    account = signed_in(app)
    wire.token_requests.clear()
    for _ in range(2 * MINUTES):
        found = app.acquire_token_silent(ASKED, account, force_refresh=True)
        assert found
        assert found["token_source"] == "identity_provider"
        offset += 30.0 if travels else 0.0
    wire.close()
    assert len(wire.token_requests) == 2 * MINUTES
    return len({form["client_assertion"] for form in wire.token_requests})


def signed_in(app: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        result = app.acquire_token_by_username_password(ADA, PASSWORD, ASKED)
    assert "access_token" in result, result
    [account] = app.get_accounts()
    return account


def key_and_certificate() -> tuple[str, str, str]:
    """A private key and its certificate as PEM texts, and the certificate's SHA-1 thumbprint."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return (
        pem.decode(),
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        certificate.fingerprint(hashes.SHA1()).hex(),
    )
