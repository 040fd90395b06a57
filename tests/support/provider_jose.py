"""The test provider's keys and signatures, made by hand so that every mistake can be made too.

Only `cryptography` is used here: an implementation independent of what Keyfob checks with.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509.oid import NameOID

Json = dict[str, Any]
Curve = Literal["P-256", "P-384", "P-521", "secp256k1"]

_HASHES: dict[str, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    "256": hashes.SHA256,
    "384": hashes.SHA384,
    "512": hashes.SHA512,
}
_CURVES: dict[Curve, Callable[[], ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1,
    "P-384": ec.SECP384R1,
    "P-521": ec.SECP521R1,
    "secp256k1": ec.SECP256K1,
}
CURVE_OF_ALG: dict[str, Curve] = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def b64_int(number: int) -> str:
    return b64(number.to_bytes((number.bit_length() + 7) // 8 or 1, "big"))


def dumps(value: object) -> bytes:
    """Compact JSON in UTF-8; half characters, which UTF-8 has not, are escaped."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode("ascii")


def half_hash(text: str, alg: str) -> str:
    """`at_hash` and `c_hash` (OpenID Connect Core §3.1.3.6)."""
    digest = hashlib.new(f"sha{alg[-3:]}", text.encode("ascii")).digest()
    return b64(digest[: len(digest) // 2])


@dataclass(frozen=True)
class Key:
    """One signing key with its name."""

    kid: str
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

    def public_jwk(self) -> Json:
        """The bare public key: no use, alg or kid."""
        if isinstance(self.private, rsa.RSAPrivateKey):
            numbers = self.private.public_key().public_numbers()
            return {"kty": "RSA", "n": b64_int(numbers.n), "e": b64_int(numbers.e)}
        point = self.private.public_key().public_numbers()
        size = (self.private.curve.key_size + 7) // 8
        name = next(n for n, curve in _CURVES.items() if curve().name == self.private.curve.name)
        return {
            "kty": "EC",
            "crv": name,
            "x": b64(point.x.to_bytes(size, "big")),
            "y": b64(point.y.to_bytes(size, "big")),
        }

    def private_jwk(self) -> Json:
        if isinstance(self.private, rsa.RSAPrivateKey):
            n = self.private.private_numbers()
            members = {"d": n.d, "p": n.p, "q": n.q, "dp": n.dmp1, "dq": n.dmq1, "qi": n.iqmp}
            return {**self.public_jwk(), **{name: b64_int(v) for name, v in members.items()}}
        size = (self.private.curve.key_size + 7) // 8
        secret = self.private.private_numbers().private_value
        return {**self.public_jwk(), "d": b64(secret.to_bytes(size, "big"))}

    def certificate(self) -> tuple[str, str]:
        """A self-signed certificate for the key, as x5c wants it, and its SHA-1 thumbprint."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.kid)])
        now = dt.datetime.now(dt.timezone.utc)
        built = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + dt.timedelta(days=1))
            .sign(self.private, hashes.SHA256())
            .public_bytes(serialization.Encoding.DER)
        )
        return base64.b64encode(built).decode(), b64(hashlib.sha1(built).digest())

    def public_pem(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, alg: str, data: bytes) -> bytes:
        """The signature that `alg` asks for."""
        digest = _HASHES[alg[-3:]]()
        if isinstance(self.private, rsa.RSAPrivateKey):
            if alg.startswith("PS"):
                pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
                return self.private.sign(data, pss, digest)
            return self.private.sign(data, padding.PKCS1v15(), digest)
        size = (self.private.curve.key_size + 7) // 8
        r, s = utils.decode_dss_signature(self.sign_der(alg, data))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    def sign_der(self, alg: str, data: bytes) -> bytes:
        """An ECDSA signature in the wrong clothes: DER instead of R || S."""
        if isinstance(self.private, rsa.RSAPrivateKey):
            raise TypeError("only elliptic-curve signatures have a DER form")
        return self.private.sign(data, ec.ECDSA(_HASHES[alg[-3:]]()))


_made: dict[tuple[str, str], Key] = {}
_making = threading.Lock()


def rsa_key(name: str, size: int = 2048) -> Key:
    """The RSA key of this name; made once per process, because that is slow."""
    with _making:
        if (name, str(size)) not in _made:
            _made[name, str(size)] = Key(name, rsa.generate_private_key(65537, size))
        return _made[name, str(size)]


def ec_key(name: str, curve: Curve = "P-256") -> Key:
    """The elliptic-curve key of this name."""
    with _making:
        if (name, curve) not in _made:
            _made[name, curve] = Key(name, ec.generate_private_key(_CURVES[curve]()))
        return _made[name, curve]


def key_for(alg: str, name: str) -> Key:
    """A key of the kind that `alg` signs with."""
    if alg in CURVE_OF_ALG:
        return ec_key(f"{name}-{alg.lower()}", CURVE_OF_ALG[alg])
    return rsa_key(name)


def compact(header: Json | bytes, payload: bytes, sign: Callable[[bytes], bytes]) -> str:
    """A compact JWS; `sign` turns the signing input into the signature."""
    head = header if isinstance(header, bytes) else dumps(header)
    signing_input = f"{b64(head)}.{b64(payload)}"
    return f"{signing_input}.{b64(sign(signing_input.encode('ascii')))}"


def hmac_sign(secret: bytes, alg: str = "HS256") -> Callable[[bytes], bytes]:
    return lambda data: hmac.new(secret, data, f"sha{alg[-3:]}").digest()


def pkcs1_block(data: bytes, size: int) -> bytes:
    """What RS256 raises to the power of d: EMSA-PKCS1-v1_5 (RFC 8017 §9.2)."""
    info = bytes.fromhex("3031300d060960864801650304020105000420")
    digest = info + hashlib.sha256(data).digest()
    return b"\x00\x01" + b"\xff" * (size - 3 - len(digest)) + b"\x00" + digest


class TinyRsa:
    """A 512-bit RSA key, broken in an hour by anybody; `cryptography` would not even make one."""

    _P = 0xC1F5D8B8DED5C48F702E8DA6E6888A6D27D301365D45F205E7DB10E5FE6620D7
    _Q = 0xCA04F7CB92D9683A05060B5DEF79B4901FC9A63AF1653F3B3E25632F1F39F8AF
    n = _P * _Q

    @classmethod
    def public_jwk(cls) -> Json:
        return {"kty": "RSA", "n": b64_int(cls.n), "e": "AQAB"}

    @classmethod
    def sign(cls, data: bytes) -> bytes:
        """RS256."""
        d = pow(65537, -1, (cls._P - 1) * (cls._Q - 1))
        block = int.from_bytes(pkcs1_block(data, 64), "big")
        return pow(block, d, cls.n).to_bytes(64, "big")
