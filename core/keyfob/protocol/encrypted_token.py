"""Access tokens that came encrypted to a key of the API's own (RFC 7516, RFC 7519 §5.2).

An encrypted token is an envelope: whoever has the public key can make one, so that it proves
nothing. What is inside goes through every check of a token that came without.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from keyfob.errors import AccessTokenError, ConfigurationError
from keyfob.protocol.access_token import MAX_LENGTH as MAX_INNER_LENGTH
from keyfob.protocol.keys import RSA_BITS
from keyfob.protocol.unverified import json_object_in

if TYPE_CHECKING:
    from joserfc.jwk import RSAKey

#: Characters: what is inside, again in base64url, with a wrapped key beside it.
MAX_LENGTH = MAX_INNER_LENGTH * 3 // 2
#: How the content's key is wrapped (RFC 7518 §4.3), and not with the padding of old, RSA1_5, which
#: answers tell apart (RFC 8725 §3.2); nor by passwords, whose counting could be made endless.
_WRAPPINGS = ("RSA-OAEP", "RSA-OAEP-256")
#: How the content is encrypted (RFC 7518 §5): all of them tell when it was altered.
_CONTENTS = (
    *("A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512"),
    *("A128GCM", "A192GCM", "A256GCM"),
)
#: What makes a library do more than to unwrap and decrypt: `zip` inflates what is small (RFC 8725
#: §3.6), `crit` asks for what is not understood.
_REFUSED_MEMBERS = ("zip", "crit", "b64", "epk", "p2c", "p2s", "apu", "apv")
_COMPACT = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){4}", re.ASCII)


@dataclass(frozen=True)
class DecryptionKeys:
    """The private keys to which an API's tokens may be encrypted, oldest to newest.

    :param pems: each an RSA private key of 2048 bits or more, in PEM, without a passphrase.
    """

    pems: tuple[str, ...] = field(repr=False)

    def check(self) -> None:
        """Read the keys.

        :raises ConfigurationError: one of them cannot be used.
        """
        _ = self._keys

    @cached_property
    def _keys(self) -> tuple[RSAKey, ...]:
        return tuple(_key(pem) for pem in reversed(self.pems))

    def opened(self, token: str) -> str:
        """The token inside of an encrypted one.

        :raises AccessTokenError: with code `encrypted`: it is not encrypted to one of the keys, or
            not in a way that is accepted. Nothing tells what of it was wrong.
        """
        _judge_header(token)
        for key in self._keys:
            inner = _decrypted(token, key)
            if inner is not None:
                if is_encrypted(inner):
                    raise _refusal("The access token is encrypted twice")
                return inner
        raise _refusal("The access token is encrypted, and not to a key of this API's")


def is_encrypted(token: str) -> bool:
    """Whether it has the five parts of a compact JWE (RFC 7516 §7.1)."""
    return token.count(".") == 4


def _key(pem: str) -> RSAKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from joserfc.jwk import RSAKey

    try:
        private = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, RSAPrivateKey) or private.key_size not in RSA_BITS:
        raise ConfigurationError(
            "TOKEN_DECRYPTION_KEYS has a key that is no RSA private key of 2048 bits or more, in "
            "PEM and without a passphrase",
            setting="TOKEN_DECRYPTION_KEYS",
        )
    found: RSAKey = RSAKey.import_key(pem)
    return found


def _judge_header(token: str) -> None:
    if len(token) > MAX_LENGTH or not _COMPACT.fullmatch(token):
        raise _refusal("The encrypted access token is too long, or is not five parts of base64url")
    header = json_object_in(token.split(".", 1)[0], unique_names=True)
    if header is None or any(name in header for name in _REFUSED_MEMBERS):
        raise _refusal("The encrypted access token's header cannot be used")
    if header.get("alg") not in _WRAPPINGS or header.get("enc") not in _CONTENTS:
        raise _refusal(
            f"The access token is encrypted by other means than {_named(_WRAPPINGS)} with "
            f"{_named(_CONTENTS)}"
        )


def _decrypted(token: str, key: RSAKey) -> str | None:
    from joserfc.errors import JoseError
    from joserfc.jwe import decrypt_compact

    try:
        found = decrypt_compact(token, key, registry=_registry(len(token)))
        plain = found.plaintext
        return plain.decode("ascii") if plain is not None else None
    except (JoseError, ValueError, TypeError, AssertionError, RecursionError):
        return None


def _registry(length: int) -> Any:
    from joserfc.jwe import JWERegistry

    # Unknown header members are to be ignored (RFC 7516 §4); all of the token was measured before.
    registry = JWERegistry(algorithms=[*_WRAPPINGS, *_CONTENTS], strict_check_header=False)
    registry.max_protected_header_length = length
    registry.max_ciphertext_length = length
    registry.max_encrypted_key_length = length
    return registry


def _named(names: Iterable[str]) -> str:
    return ", ".join(names)


def _refusal(message: str) -> AccessTokenError:
    return AccessTokenError(message, code="encrypted")
