"""Sealing: what leaves the process is encrypted, authenticated, and bound to its place.

AES-256-GCM (NIST SP 800-38D) under keys derived with HKDF-SHA256 (RFC 5869). A sealed value is

    version (1 byte) | key hint (4 bytes) | nonce (12 bytes) | ciphertext | tag (16 bytes)

The first two parts and the caller's `context` are authenticated with it, so that a value cannot be
moved to another record, another purpose or another format. docs/decisions/token-store-at-rest.md
says why it looks like this and how keys are rotated.

`cryptography` is imported where it is used: it would be most of this module's import time.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import struct
from collections.abc import Callable, Sequence

from keyfob.errors import ConfigurationError

#: How far ahead a sealed time may be, in seconds: two machines' clocks never agree exactly.
MAX_AHEAD = 60
#: Longer texts are not decoded, in characters. They travel in cookies and forms.
MAX_TEXT_LENGTH = 64 * 1024

_VERSION = b"\x01"
_HINT_SIZE = 4
_NONCE_SIZE = 12
_TAG_SIZE = 16
_KEY_SIZE = 32
_HEADER_SIZE = len(_VERSION) + _HINT_SIZE
_OVERHEAD = _HEADER_SIZE + _NONCE_SIZE + _TAG_SIZE
_TIME = struct.Struct(">d")
_SALT = b"keyfob sealing v1"
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


class KeyRing:
    """Secrets, oldest to newest, and the encryption keys that follow from them for one purpose.

    The newest seals; all of them unseal. The keys are derived at first use, not here.

    :param keys: at least one secret, text or bytes of any length; text counts as its UTF-8.
    :param purpose: what the keys are for. Keys of different purposes have nothing in common, so
        that a value sealed for one cannot be unsealed for another, though the secrets be the same.
    :raises ConfigurationError: for no secret, an empty one, or something that is none.
    """

    __slots__ = ("_derived", "_purpose", "_secrets")

    def __init__(self, keys: Sequence[str | bytes], *, purpose: str = "general") -> None:
        # A lone string is a sequence of strings, too: of one-letter keys.
        if isinstance(keys, (str, bytes)) or not keys:
            raise ConfigurationError(
                "a key ring needs a list of at least one key, oldest to newest",
                setting="TOKEN_STORE_KEYS",
            )
        candidates: Sequence[object] = keys  # they come from a site's configuration, unchecked
        if not all(isinstance(key, (str, bytes)) and key for key in candidates):
            raise ConfigurationError(
                "every key of a key ring must be text or bytes, and not empty",
                setting="TOKEN_STORE_KEYS",
            )
        self._secrets = tuple(key.encode() if isinstance(key, str) else bytes(key) for key in keys)
        self._purpose = purpose
        self._derived: tuple[tuple[bytes, bytes], ...] = ()

    @classmethod
    def derive(cls, secrets: Sequence[str | bytes], purpose: str) -> KeyRing:
        """The ring of `secrets`, oldest to newest, for `purpose`."""
        return cls(secrets, purpose=purpose)

    def __repr__(self) -> str:
        return f"<KeyRing: {len(self._secrets)} keys for {self._purpose!r}>"

    def __len__(self) -> int:
        return len(self._secrets)

    def newest(self) -> tuple[bytes, bytes]:
        """The hint and the key to seal with."""
        return self._pairs()[-1]

    def with_hint(self, hint: bytes) -> list[bytes]:
        """The keys that `hint` may stand for, the newest first. As a rule one, or none."""
        return [key for known, key in reversed(self._pairs()) if known == hint]

    def newest_first(self) -> list[bytes]:
        """All keys of the ring."""
        return [key for _, key in reversed(self._pairs())]

    def _pairs(self) -> tuple[tuple[bytes, bytes], ...]:
        # Two threads may both derive them. They get the same, so no lock is needed.
        if not self._derived:
            self._derived = tuple(_derive(secret, self._purpose) for secret in self._secrets)
        return self._derived


class Sealer:
    """Seals values with the newest key of a ring and unseals them with any.

    Safe to share between threads. One key may seal 2**32 values before the chance that two random
    nonces meet is no longer negligible (NIST SP 800-38D §8.3).

    :param keys: the ring.
    :param random: gives so many random bytes; only tests have a reason to change it.
    """

    __slots__ = ("_keys", "_random")

    def __init__(self, keys: KeyRing, *, random: Callable[[int], bytes] = os.urandom) -> None:
        self._keys = keys
        self._random = random

    def __repr__(self) -> str:
        return f"<Sealer with {self._keys!r}>"

    def seal(self, plaintext: bytes, *, context: str) -> bytes:
        """Encrypt `plaintext` for the one place that `context` names, such as a record's key."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        hint, key = self._keys.newest()
        header = _VERSION + hint
        nonce = self._random(_NONCE_SIZE)
        return header + nonce + AESGCM(key).encrypt(nonce, plaintext, header + context.encode())

    def unseal(self, token: bytes, *, context: str) -> bytes | None:
        """What was sealed for `context`, or None for anything that cannot be read; never raises.

        Which it is that is wrong (cut off, altered, of a foreign key, for another context, of
        another version) makes no difference to a caller, and is not told.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if len(token) < _OVERHEAD or token[:1] != _VERSION:
            return None
        header = bytes(token[:_HEADER_SIZE])
        nonce = token[_HEADER_SIZE : _HEADER_SIZE + _NONCE_SIZE]
        sealed = token[_HEADER_SIZE + _NONCE_SIZE :]
        try:
            data = header + context.encode()
        except UnicodeEncodeError:  # a lone surrogate: nothing was ever sealed for this context
            return None
        for key in self._keys.with_hint(header[len(_VERSION) :]):
            with contextlib.suppress(InvalidTag):
                return AESGCM(key).decrypt(nonce, sealed, data)
        return None

    def seal_text(self, data: bytes, *, context: str, now: float) -> str:
        """Seal `data` and the time into text that fits cookies, forms and addresses.

        :param data: what to seal.
        :param context: as in `seal`; the two kinds do not open each other's values.
        :param now: the time, in seconds since 1970.
        :returns: unpadded base64url (RFC 4648 §5).
        """
        sealed = self.seal(_TIME.pack(now) + data, context=_text_context(context))
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def unseal_text(
        self, text: object, *, context: str, max_age: float | None, now: float
    ) -> bytes | None:
        """What `seal_text` sealed, or None for anything unreadable or too old; never raises.

        :param text: what came back; anything that is not such a text is unreadable.
        :param context: the one it was sealed for.
        :param max_age: how old it may be, in seconds; None for as old as it likes.
        :param now: the time, in seconds since 1970. A text from more than 60 seconds ahead is
            refused whatever `max_age` says.
        """
        sealed = _decode(text)
        plaintext = None if sealed is None else self.unseal(sealed, context=_text_context(context))
        if plaintext is None or len(plaintext) < _TIME.size:
            return None
        (sealed_at,) = _TIME.unpack_from(plaintext)
        # Written so that a time which is not a number is refused as well.
        if not sealed_at <= now + MAX_AHEAD:
            return None
        if max_age is not None and not now - sealed_at <= max_age:
            return None
        return plaintext[_TIME.size :]


def _derive(secret: bytes, purpose: str) -> tuple[bytes, bytes]:
    """The hint and the key that follow from `secret`.

    Both come out of one HKDF expansion, of which no part tells anything about another; so the
    hint, which stands in the clear, says nothing about the key.
    """
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    kdf = HKDF(SHA256(), _KEY_SIZE + _HINT_SIZE, salt=_SALT, info=purpose.encode())
    material = kdf.derive(secret)
    return material[_KEY_SIZE:], material[:_KEY_SIZE]


def _text_context(context: str) -> str:
    # Without this a plain sealed value could pass for a dated one, its first bytes for the time.
    return f"dated text: {context}"


def _decode(text: object) -> bytes | None:
    if not isinstance(text, str) or len(text) > MAX_TEXT_LENGTH or not _BASE64URL.fullmatch(text):
        return None
    try:
        sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    # The last character may carry unused bits. Only one spelling is accepted, so that a list of
    # texts already used cannot be got round by respelling one.
    if base64.urlsafe_b64encode(sealed).rstrip(b"=").decode() != text:
        return None
    return sealed
