"""The signed assertion: its header and claims, for each provider and each shape, and as MSAL's."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

import keyfob
from keyfob.errors import CredentialError
from keyfob.protocol.certificate import Thumbprint, chain_for, parse_certificates
from keyfob.protocol.client_assertion import (
    LIFETIME,
    Signer,
    refuse_other_methods,
    sign_assertion,
)
from support.client_keys import CLIENT_ID, PASSPHRASE, ClientKey, client_key, opened
from support.id_tokens import metadata

CLIENT = client_key()
NOW = 1_800_000_000.75
X5C = [base64.b64encode(each.public_bytes(Encoding.DER)).decode() for each in CLIENT.chain]
ALGORITHMS = "token_endpoint_auth_signing_alg_values_supported"
METHODS = "token_endpoint_auth_methods_supported"
TENANT = "11111111-aaaa-4bbb-8ccc-222222222222"


def signer(client: ClientKey = CLIENT, **more: Any) -> Signer:
    chain = parse_certificates(client.chain_pem.encode(), "x")
    return Signer(client.key.private, chain_for(client.key.private, chain, "x"), **more)


def signed(
    by: Signer, about: Any, key: ClientKey = CLIENT, **claims: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    made = sign_assertion(
        by,
        client_id=CLIENT_ID,
        metadata=about,
        now=NOW,
        random_bytes=lambda count: bytes(range(count)),
        claims=claims,
    )
    return opened(made.text, key.key)


def thumbprint(digits: str, header: str) -> dict[str, str]:
    value = base64.urlsafe_b64encode(bytes.fromhex(digits)).rstrip(b"=").decode()
    return {header: value}


def adfs() -> Any:
    from keyfob.protocol.authority import microsoft_authority
    from keyfob.protocol.metadata import parse_metadata
    from support.sign_in import answer

    host = "https://fs.contoso.example/adfs"
    document = {
        "issuer": host,
        "authorization_endpoint": f"{host}/oauth2/authorize",
        "token_endpoint": f"{host}/oauth2/token",
        "jwks_uri": f"{host}/discovery/keys",
    }
    return parse_metadata(microsoft_authority(host), answer(document))


def test_the_claims_are_the_rfcs_whole_numbers_and_a_random_name() -> None:
    _, claims = signed(signer(), metadata("common"))
    assert claims == {
        "aud": "https://idp.example/token",
        "iss": CLIENT_ID,
        "sub": CLIENT_ID,
        "iat": 1_800_000_000,
        "nbf": 1_800_000_000,
        "exp": 1_800_000_000 + LIFETIME,
        "jti": "AAECAwQFBgcICQoLDA0ODw",
    }
    assert all(type(claims[name]) is int for name in ("iat", "nbf", "exp"))


def test_the_applications_claims_win() -> None:
    _, claims = signed(signer(), metadata("common"), aud="other", ip="10.0.0.1")
    assert (claims["aud"], claims["ip"], claims["iss"]) == ("other", "10.0.0.1", CLIENT_ID)


@pytest.mark.parametrize("end", [1_800_000_030, "soon", True, None])
def test_an_end_of_the_applications_own_is_kept_to(end: Any) -> None:
    made = sign_assertion(
        signer(),
        client_id=CLIENT_ID,
        metadata=metadata("common"),
        now=NOW,
        random_bytes=bytes,
        claims={"exp": end},
    )
    assert made.usable_until < NOW


@pytest.mark.parametrize(
    ("about", "more", "expected"),
    [
        (metadata("common"), {}, {"alg": "PS256", **thumbprint(CLIENT.sha256, "x5t#S256")}),
        (
            metadata("common"),
            {"sends_chain": True},
            {"alg": "PS256", **thumbprint(CLIENT.sha256, "x5t#S256"), "x5c": X5C},
        ),
        (
            metadata("common"),
            {"thumbprint": Thumbprint("x5t", "abc")},
            {"alg": "RS256", "x5t": "abc"},
        ),
        (
            metadata("common"),
            {"thumbprint": Thumbprint("x5t#S256", "abc")},
            {"alg": "PS256", "x5t#S256": "abc"},
        ),
        (adfs(), {}, {"alg": "RS256", **thumbprint(CLIENT.sha1, "x5t")}),
        (metadata(), {}, {"alg": "RS256", **thumbprint(CLIENT.sha256, "x5t#S256")}),
        (
            metadata(**{ALGORITHMS: ["ES256", "PS256"]}),
            {"kid": "k"},
            {"alg": "PS256", "kid": "k", **thumbprint(CLIENT.sha256, "x5t#S256")},
        ),
    ],
    ids=["entra", "entra x5c", "sha1", "sha256", "adfs", "oidc", "oidc that lists"],
)
def test_the_header_fits_the_provider_and_the_key(
    about: Any, more: dict[str, Any], expected: dict[str, Any]
) -> None:
    header, _ = signed(signer(**more), about)
    assert header == {"typ": "JWT", **expected}


@pytest.mark.parametrize(("curve", "alg"), [("P-256", "ES256"), ("P-384", "ES384"),
                                            ("P-521", "ES512")])  # fmt: skip
def test_elliptic_keys_sign_for_providers_other_than_microsoft(curve: Any, alg: str) -> None:
    client = client_key(f"client-{curve}", curve=curve)
    header, claims = signed(signer(client), metadata(), client)
    assert (header["alg"], claims["sub"]) == (alg, CLIENT_ID)
    with pytest.raises(CredentialError, match="RSA keys only"):
        signed(signer(client), metadata("common"), client)


def test_a_provider_that_takes_nothing_the_key_can_do_is_named_with_what_it_takes() -> None:
    with pytest.raises(CredentialError, match="RS256 or PS256, and the provider takes ES256"):
        signed(signer(), metadata(**{ALGORITHMS: ["ES256"]}))
    odd = client_key("client-k1", curve="secp256k1")
    with pytest.raises(CredentialError, match="no known algorithm"):
        signed(signer(odd), metadata(), odd)


@pytest.mark.parametrize("listed", [None, [], ["private_key_jwt"], ["none", "private_key_jwt"]])
def test_a_provider_that_lists_it_or_nothing_useful_is_sent_one(listed: Any) -> None:
    refuse_other_methods(metadata(**({} if listed is None else {METHODS: listed})))


def test_a_provider_that_takes_secrets_only_is_told_apart_but_for_microsoft() -> None:
    with pytest.raises(CredentialError, match="client_secret_post"):
        refuse_other_methods(metadata(**{METHODS: ["client_secret_post"]}))
    refuse_other_methods(metadata("common", **{METHODS: ["client_secret_post"]}))


# Side by side with MSAL


class Recorder:
    """An `http_client` of MSAL's duck type, which answers as Microsoft does and keeps the form."""

    def __init__(self, authority: str) -> None:
        self.authority = authority
        self.form: dict[str, Any] = {}

    def get(self, url: str, **_: Any) -> Any:
        base = self.authority
        return _Answer(
            {
                "issuer": base if base.endswith("/adfs") else f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "jwks_uri": f"{base}/keys",
            }
        )

    def post(self, url: str, data: Any = None, **_: Any) -> Any:
        self.form = dict(data)
        return _Answer({"access_token": "at", "token_type": "Bearer", "expires_in": 3600})

    def close(self) -> None: ...


class _Answer:
    status_code = 200
    headers: dict[str, str] = {}

    def __init__(self, document: Any) -> None:
        self.text = json.dumps(document)


ENTRA = f"https://login.microsoftonline.com/{TENANT}"
ADFS = "https://fs.contoso.example/adfs"
SHAPES: dict[str, Any] = {
    "thumbprint": {"private_key": CLIENT.key_pem(), "thumbprint": CLIENT.sha1},
    "thumbprint and chain": {
        "private_key": CLIENT.key_pem(PASSPHRASE),
        "passphrase": PASSPHRASE,
        "thumbprint": CLIENT.sha1,
        "public_certificate": CLIENT.chain_pem,
    },
    "thumbprint and bare base64": {
        "private_key": CLIENT.key_pem(),
        "thumbprint": CLIENT.sha1,
        "public_certificate": "\n".join(CLIENT.chain_pem.split("-----")[2].split()),
    },
    "certificate": {"private_key": CLIENT.key_pem(), "public_certificate": CLIENT.chain_pem},
    "pfx": {"private_key_pfx_path": "pfx", "passphrase": PASSPHRASE},
    "pfx with chain": {
        "private_key_pfx_path": "pfx",
        "passphrase": PASSPHRASE,
        "public_certificate": True,
    },
    "pfx and chain beside": {
        "private_key_pfx_path": "pfx",
        "passphrase": PASSPHRASE,
        "public_certificate": CLIENT.chain_pem,
    },
}
#: Where MSAL drops all but the first certificate, and we send the chain.
LEAF_ONLY = {"certificate", "pfx with chain"}


@pytest.mark.parametrize("authority", [ENTRA, ADFS])
@pytest.mark.parametrize("shape", SHAPES)
def test_header_and_claims_are_msals(shape: str, authority: str, tmp_path: Path) -> None:
    msal = pytest.importorskip("msal")
    credential = dict(SHAPES[shape])
    if "private_key_pfx_path" in credential:
        path = tmp_path / "client.pfx"
        path.write_bytes(CLIENT.pfx(PASSPHRASE))
        credential["private_key_pfx_path"] = str(path)
    found = []
    for library in (msal, keyfob):
        http = Recorder(authority)
        app = library.ConfidentialClientApplication(
            CLIENT_ID,
            client_credential=credential,
            authority=authority,
            http_client=http,
            instance_discovery=False,
            client_claims={"ip": "10.0.0.1"},
        )
        assert "access_token" in app.acquire_token_for_client(["api://x/.default"])
        assertion = http.form["client_assertion"]
        text = assertion.decode() if isinstance(assertion, bytes) else assertion
        found.append((http.form, *opened(text, CLIENT.key)))
    (their_form, theirs, their_claims), (our_form, ours, our_claims) = found
    assert set(their_form) == set(our_form)
    assert their_form["client_assertion_type"] == our_form["client_assertion_type"]

    if shape in LEAF_ONLY:
        assert [_tidy(each) for each in theirs["x5c"]] == ours["x5c"][:1]
        assert ours.pop("x5c") == X5C
        del theirs["x5c"]
    if "x5c" in theirs:
        theirs["x5c"] = [_tidy(each) for each in theirs["x5c"]]
    # RFC 7515 §4.1.7: base64url has no padding; MSAL sends one.
    for name in ("x5t", "x5t#S256"):
        if name in theirs:
            theirs[name] = theirs[name].rstrip("=")
    assert ours == theirs

    assert our_claims.pop("nbf") == our_claims["iat"]
    for claims in (our_claims, their_claims):
        assert re.fullmatch(r"[\w-]{22,36}", claims.pop("jti"))
        assert claims.pop("exp") - claims.pop("iat") == LIFETIME
    assert our_claims == their_claims


def _tidy(certificate: str) -> str:
    return "".join(certificate.split())


def raised_by(library: Any, credential: Any) -> Exception:
    """What a client with this credential raises, by the time that it needs it."""
    try:
        app = library.ConfidentialClientApplication(
            CLIENT_ID,
            client_credential=credential,
            authority=ENTRA,
            http_client=Recorder(ENTRA),
            instance_discovery=False,
        )
        app.acquire_token_for_client(["api://x/.default"])
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("credential", "also"),
    [
        ({"private_key": CLIENT.key_pem()}, ValueError),
        ({"nothing": "known"}, ValueError),
        ({"private_key": CLIENT.key_pem(), "thumbprint": "no hex"}, None),
        ({"private_key": CLIENT.key_pem(PASSPHRASE), "thumbprint": CLIENT.sha1}, None),
        (
            {
                "private_key": CLIENT.key_pem(PASSPHRASE),
                "thumbprint": CLIENT.sha1,
                "passphrase": "another",
            },
            ValueError,
        ),
        ({"private_key_pfx_path": "/no/such/file.pfx"}, OSError),
    ],
    ids=["no thumbprint", "unknown", "thumbprint", "no passphrase", "passphrase", "no file"],
)
def test_what_msal_raises_catches_what_is_raised_here(credential: Any, also: Any) -> None:
    msal = pytest.importorskip("msal")
    theirs, ours = (raised_by(library, credential) for library in (msal, keyfob))
    kind = OSError if isinstance(theirs, FileNotFoundError) else type(theirs)
    assert isinstance(ours, kind)
    assert also is None or isinstance(ours, also)
    assert isinstance(ours, CredentialError)
    assert str(ours).startswith("client_credential")
