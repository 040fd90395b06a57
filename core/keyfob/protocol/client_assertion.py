"""The signed assertion that proves a client (RFC 7523 §2.2 and §3, OpenID Connect Core §9)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from keyfob.errors import CredentialError
from keyfob.protocol.certificate import Certificate, Thumbprint
from keyfob.protocol.client_auth import Proof
from keyfob.protocol.metadata import ProviderMetadata
from keyfob.protocol.pkce import RandomBytes

if TYPE_CHECKING:
    from keyfob.protocol.certificate import PrivateKey

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: Seconds that an assertion is valid for.
LIFETIME = 600
#: Seconds before its end in which it is used no more: it has a way to go yet.
MARGIN = 60

_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


@dataclass(frozen=True)
class Signer:
    """A private key, and what tells the provider which one it is.

    :param chain: its certificates, its own first.
    :param thumbprint: in the place of its certificate's.
    :param kid: the key's name in the key set that the provider knows.
    :param sends_chain: whether the assertion carries the chain (`x5c`), for a provider that knows
        who certifies the client, and by what name.
    """

    private: PrivateKey = field(repr=False)
    chain: tuple[Certificate, ...] = field(default=(), repr=False)
    thumbprint: Thumbprint | None = None
    kid: str | None = None
    sends_chain: bool = False


@dataclass(frozen=True)
class Assertion:
    """One that is signed; `usable_until` is in seconds since 1970."""

    text: str = field(repr=False)
    issued_at: int
    usable_until: float


def assertion_proof(assertion: str) -> Proof:
    """How an assertion is sent (RFC 7521 §4.2)."""
    return Proof(form={"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion})


def refuse_other_methods(metadata: ProviderMetadata) -> None:
    """Microsoft takes signed assertions whatever it lists; so may one that lists nothing.

    :raises CredentialError: the provider says that it takes none.
    """
    methods = metadata.token_auth_methods
    if metadata.is_microsoft or not methods or "private_key_jwt" in methods:
        return
    raise CredentialError(
        "The provider takes no assertion signed with a private key; its metadata lists "
        f"{', '.join(sorted(methods))}",
        code="auth_method",
    )


def sign_assertion(
    signer: Signer,
    *,
    client_id: str,
    metadata: ProviderMetadata,
    now: float,
    random_bytes: RandomBytes,
    claims: Mapping[str, Any],
) -> Assertion:
    """A new assertion for the provider's token endpoint.

    :param now: seconds since 1970.
    :param claims: the application's own. They win over all others.
    :raises CredentialError: the provider takes none that this key can sign.
    """
    header = _header(signer, metadata)
    issued_at = int(now)
    payload = {
        "aud": metadata.token_endpoint,
        "iss": client_id,
        "sub": client_id,
        "iat": issued_at,
        "nbf": issued_at,
        "exp": issued_at + LIFETIME,
        "jti": base64.urlsafe_b64encode(random_bytes(16)).rstrip(b"=").decode("ascii"),
        **claims,
    }
    end = payload["exp"]
    if isinstance(end, bool) or not isinstance(end, (int, float)):
        end = issued_at  # whatever the application meant by it, this one is used once
    return Assertion(_signed(signer, header, payload), issued_at, end - MARGIN)


def _signed(signer: Signer, header: dict[str, Any], payload: dict[str, Any]) -> str:
    from joserfc.jwk import ECKey, RSAKey
    from joserfc.jws import JWSRegistry, serialize_compact

    private: Any = signer.private
    algorithm = header["alg"]
    kind: Any = ECKey if algorithm.startswith("ES") else RSAKey
    return serialize_compact(
        header,
        json.dumps(payload, separators=(",", ":")).encode("utf-8"),
        kind(private, private),
        registry=JWSRegistry(algorithms=[algorithm]),
    )


def _header(signer: Signer, metadata: ProviderMetadata) -> dict[str, Any]:
    by_sha1 = _is_adfs(metadata) or (
        signer.thumbprint is not None and signer.thumbprint.header == "x5t"
    )
    header: dict[str, Any] = {"alg": _algorithm(signer, metadata, by_sha1=by_sha1), "typ": "JWT"}
    thumbprint = signer.thumbprint
    if thumbprint is None and signer.chain:
        thumbprint = signer.chain[0].sha1 if by_sha1 else signer.chain[0].sha256
    if thumbprint is not None:
        header[thumbprint.header] = thumbprint.value
    if signer.kid is not None:
        header["kid"] = signer.kid
    if signer.sends_chain and signer.chain:
        header["x5c"] = [each.x5c for each in signer.chain]
    return header


def _is_adfs(metadata: ProviderMetadata) -> bool:
    return metadata.is_microsoft and metadata.realm.lower() == "adfs"


def _algorithm(signer: Signer, metadata: ProviderMetadata, *, by_sha1: bool) -> str:
    """What the key can sign with and the provider takes.

    At Microsoft PS256, as MSAL does it, or RS256 where the key is known by a SHA-1 thumbprint.
    """
    private: Any = signer.private
    if hasattr(private, "curve"):
        usable = [_CURVES[private.curve.name]] if private.curve.name in _CURVES else []
    else:
        usable = ["RS256", "PS256"]
    if metadata.is_microsoft:
        if "PS256" not in usable:
            raise CredentialError(
                "Microsoft takes assertions of RSA keys only; this is one on an elliptic curve. "
                "Register a certificate with an RSA key"
            )
        return "RS256" if by_sha1 else "PS256"
    taken = metadata.token_auth_algorithms
    found = next((each for each in usable if taken is None or each in taken), None)
    if found is None:
        listed = ", ".join(sorted(taken)) if taken else "ES256, ES384, ES512, RS256 and PS256"
        raise CredentialError(
            f"The client's private key signs with {' or '.join(usable) or 'no known algorithm'}, "
            f"and the provider takes {listed}",
            code="auth_method",
        )
    return found
