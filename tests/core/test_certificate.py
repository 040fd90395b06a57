"""Private keys and certificates: what can be read, in which order, and what is said otherwise."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import ConfigurationError, CredentialError, PassphraseError, ThumbprintError
from keyfob.protocol.certificate import (
    chain_for,
    parse_certificates,
    parse_pfx,
    parse_private_key,
    parse_thumbprint,
)
from support.client_keys import PASSPHRASE, client_key, pem_of

NAME = "client_credential['x']"
CLIENT = client_key()
SECRET = PASSPHRASE.encode()


def pem(key: Any) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def ders(chain: Any) -> list[bytes]:
    return [each.der for each in chain]


EXPECTED = [each.public_bytes(Encoding.DER) for each in CLIENT.chain]


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_a_key_is_read_with_its_passphrase_or_without(passphrase: str | None) -> None:
    found = parse_private_key(
        CLIENT.key_pem(passphrase).encode(), passphrase.encode() if passphrase else None, NAME
    )
    assert found.private_numbers() == CLIENT.key.private.private_numbers()


def test_keys_in_the_older_form_are_read_as_well() -> None:
    text = CLIENT.key.private.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(SECRET)
    )
    assert parse_private_key(text, SECRET, NAME).key_size == 2048
    with pytest.raises(PassphraseError):
        parse_private_key(text, b"another", NAME)
    elliptic = client_key("client-ec", curve="P-256")
    assert parse_private_key(elliptic.key_pem().encode(), None, NAME).key_size == 256


def test_a_key_is_found_among_certificates() -> None:
    text = CLIENT.chain_pem + CLIENT.key_pem()
    assert parse_private_key(text.encode(), None, NAME).key_size == 2048


@pytest.mark.parametrize(
    ("stored", "given_with", "cure"),
    [
        (PASSPHRASE, None, "add its 'passphrase'"),
        (PASSPHRASE, b"another", "does not open with this 'passphrase'"),
        (None, SECRET, "leave 'passphrase' out"),
    ],
)
def test_a_passphrase_that_does_not_fit_is_told(
    stored: str | None, given_with: bytes | None, cure: str
) -> None:
    with pytest.raises(PassphraseError, match=cure) as caught:
        parse_private_key(CLIENT.key_pem(stored).encode(), given_with, NAME)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, TypeError)
    assert caught.value.setting == "CLIENT_CREDENTIAL"
    assert str(caught.value).startswith(NAME)
    assert PASSPHRASE not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"rubbish",
        CLIENT.chain_pem.encode(),
        CLIENT.key_pem().encode()[:-60],
        CLIENT.key_pem().replace("\n", "\\n").encode(),
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ],
    ids=["nothing", "rubbish", "certificates", "half", "one line", "no key"],
)
def test_what_is_no_key_is_refused_and_not_shown(text: bytes) -> None:
    with pytest.raises(CredentialError, match="BEGIN PRIVATE KEY") as caught:
        parse_private_key(text, None, NAME)
    assert not isinstance(caught.value, PassphraseError)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_keys_that_sign_no_assertions_are_refused() -> None:
    for key in (ed25519.Ed25519PrivateKey.generate(), dsa.generate_private_key(1024)):
        with pytest.raises(CredentialError, match="use an RSA key"):
            parse_private_key(pem(key), None, NAME)
    with pytest.raises(CredentialError, match="1024 bits"):
        parse_private_key(pem(rsa.generate_private_key(65537, 1024)), None, NAME)


def test_all_certificates_of_a_text_are_found_whatever_is_between() -> None:
    text = "Bag Attributes\n" + CLIENT.chain_pem.replace("\n", "\r\n") + CLIENT.key_pem() + "# end"
    found = parse_certificates(text.encode(), NAME)
    assert ders(found) == EXPECTED
    leaf = found[0]
    assert leaf.x5c == base64.b64encode(EXPECTED[0]).decode()
    assert base64.urlsafe_b64decode(leaf.sha1.value + "=").hex().upper() == CLIENT.sha1
    assert base64.urlsafe_b64decode(leaf.sha256.value + "=").hex() == CLIENT.sha256
    assert leaf.sha1 == parse_thumbprint(CLIENT.sha1, NAME)
    assert leaf.sha256 == parse_thumbprint(CLIENT.sha256, NAME)


@pytest.mark.parametrize(
    "text",
    ["", CLIENT.key_pem(), CLIENT.chain_pem[:200], CLIENT.chain_pem.replace("MII", "AAA")],
    ids=["nothing", "key", "half", "damaged"],
)
def test_what_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(CredentialError, match="certificate"):
        parse_certificates(text.encode(), NAME)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
def test_a_chain_is_put_into_order_the_keys_own_certificate_first(order: tuple[int, ...]) -> None:
    stranger = client_key("client-other").leaf
    mixed = pem_of([CLIENT.chain[index] for index in order] + [stranger])
    found = chain_for(CLIENT.key.private, parse_certificates(mixed.encode(), NAME), NAME)
    assert ders(found) == [*EXPECTED, stranger.public_bytes(Encoding.DER)]


def test_a_certificate_of_another_key_is_refused() -> None:
    found = parse_certificates(client_key("client-other").chain_pem.encode(), NAME)
    with pytest.raises(CredentialError, match="of another private key"):
        chain_for(CLIENT.key.private, found, NAME)


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_a_pfx_file_gives_its_key_and_its_whole_chain(passphrase: str | None) -> None:
    key, found = parse_pfx(
        CLIENT.pfx(passphrase), passphrase.encode() if passphrase else None, NAME
    )
    assert key.private_numbers() == CLIENT.key.private.private_numbers()
    assert ders(chain_for(key, found, NAME)) == EXPECTED


@pytest.mark.parametrize("wrong", [None, b"another", b""])
def test_a_pfx_file_that_does_not_open_is_told(wrong: bytes | None) -> None:
    with pytest.raises(PassphraseError, match="wrong or missing") as caught:
        parse_pfx(CLIENT.pfx(PASSPHRASE), wrong, NAME)
    assert isinstance(caught.value, ValueError)


def test_what_is_no_pfx_file_is_told_apart() -> None:
    with pytest.raises(CredentialError, match="private_key_path"):
        parse_pfx(CLIENT.key_pem().encode(), None, NAME)
    for damaged in (CLIENT.pfx()[:300], b"\x30\x80", b"\x30" + bytes(100)):
        with pytest.raises(CredentialError, match="damaged"):
            parse_pfx(damaged, None, NAME)


def test_a_pfx_file_with_half_of_it_is_refused() -> None:
    alone = pkcs12.serialize_key_and_certificates(
        b"n", CLIENT.key.private, None, None, NoEncryption()
    )
    without = pkcs12.serialize_key_and_certificates(b"n", None, None, [CLIENT.leaf], NoEncryption())
    for half in (alone, without):
        with pytest.raises(CredentialError, match="export it with both"):
            parse_pfx(half, None, NAME)


@pytest.mark.parametrize(
    "written",
    [
        CLIENT.sha1,
        CLIENT.sha1.lower().encode(),
        ":".join(CLIENT.sha1[i : i + 2] for i in range(0, 40, 2)),
        "\u200e" + " ".join(CLIENT.sha1[i : i + 2] for i in range(0, 40, 2)) + "\n",
    ],
    ids=["upper", "lower bytes", "colons", "windows"],
)
def test_a_thumbprint_may_be_written_as_tools_show_it(written: str | bytes) -> None:
    found = parse_thumbprint(written, NAME)
    assert found.header == "x5t"
    der = CLIENT.leaf.public_bytes(Encoding.DER)
    assert base64.urlsafe_b64decode(found.value + "=") == hashlib.sha1(der).digest()
    assert parse_thumbprint(CLIENT.sha256, NAME).header == "x5t#S256"


@pytest.mark.parametrize("text", ["", "xyz", "a" * 39, "a" * 38, "a" * 42, "é" * 40])
def test_what_is_no_thumbprint_raises_what_msal_raises(text: str) -> None:
    with pytest.raises(ThumbprintError, match="40 hexadecimal digits") as caught:
        parse_thumbprint(text, NAME)
    assert isinstance(caught.value, binascii.Error)


@given(data=st.binary(max_size=300), passphrase=st.none() | st.binary(min_size=1, max_size=9))
def test_rubbish_is_a_typed_error_in_every_reader(data: bytes, passphrase: bytes | None) -> None:
    readers: list[Any] = [
        lambda: parse_private_key(data, passphrase, NAME),
        lambda: parse_private_key(b"-----BEGIN PRIVATE KEY-----\n" + data, passphrase, NAME),
        lambda: parse_pfx(b"\x30" + data, passphrase, NAME),
        lambda: parse_pfx(data, passphrase, NAME),
        lambda: parse_certificates(
            b"-----BEGIN CERTIFICATE-----" + data + b"-----END CERTIFICATE-----", NAME
        ),
        lambda: parse_thumbprint(data, NAME),
        lambda: parse_thumbprint(data.decode("latin-1"), NAME),
    ]
    for read in readers:
        with pytest.raises(ConfigurationError) as caught:
            read()
        assert str(caught.value).startswith(NAME)
