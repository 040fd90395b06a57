"""Access tokens made by hand: good ones of every kind.

mint = Mint(provider)
mint.person(scp="Orders.Read")
WRONG["expired"].make(mint)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwe
from joserfc.jwk import RSAKey

from support.provider import ABSENT, HOME_TENANT, Provider
from support.provider_jose import (
    Key,
    compact,
    dumps,
    rsa_key,
)

#: The application that calls; and one that is on no list.
CALLER = "aaaaaaaa-1111-4222-8333-444444444444"
STRANGER = "bbbbbbbb-1111-4222-8333-444444444444"
SERVICE = "99999999-0000-4000-8000-888888888888"
#: The algorithms that this suite encrypts with: those that are refused, too.
JWE = jwe.JWERegistry(
    algorithms=[
        *("RSA-OAEP", "RSA-OAEP-256", "RSA1_5", "dir", "A128KW", "PBES2-HS256+A128KW"),
        *("A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512", "A128GCM", "A192GCM", "A256GCM"),
        "DEF",
    ]
)

Claims = dict[str, Any]


@dataclass(frozen=True)
class Mint:
    """Makes tokens of a running provider in Entra's shape, for its client as an API."""

    provider: Provider
    tenant: str = HOME_TENANT

    def person(self, *, header: Claims | None = None, **changes: Any) -> str:
        """A person's token, of version 2."""
        return self.sign(self.person_claims(**changes), header)

    def app(self, *, header: Claims | None = None, **changes: Any) -> str:
        """An application's own token, of version 2."""
        return self.sign(self.app_claims(**changes), header)

    def v1(self, **changes: Any) -> str:
        """A person's token, of version 1."""
        return self.sign(self.v1_claims(**changes))

    def id_token(self, **changes: Any) -> str:
        gone = dict.fromkeys(("scp", "azp", "azpacr"), ABSENT)
        return self.person(**{**gone, "nonce": "n-0S6_WzA2Mj", "sub": "person-0001", **changes})

    def person_claims(self, **changes: Any) -> Claims:
        person = self.provider.person
        found = {
            **self._common(),
            "sub": person.sub,
            "oid": person.oid,
            "name": person.name,
            "preferred_username": person.preferred_username,
            "scp": "Orders.Read Orders.List",
        }
        return _kept({**found, **changes})

    def app_claims(self, **changes: Any) -> Claims:
        found = {
            **self._common(),
            "sub": SERVICE,
            "oid": SERVICE,
            "idtyp": "app",
            "roles": ["Orders.Read.All"],
        }
        return _kept({**found, **changes})

    def v1_claims(self, **changes: Any) -> Claims:
        old = {
            "iss": f"{self.provider.base}/{self.tenant}/",
            "ver": "1.0",
            "aud": f"api://{self.provider.client_id}",
            "azp": ABSENT,
            "azpacr": ABSENT,
            "appid": CALLER,
            "appidacr": "1",
            "upn": "ada@contoso.example",
        }
        return self.person_claims(**{**old, **changes})

    def sign(self, claims: Claims | bytes, header: Claims | None = None) -> str:
        return self.provider.sign(self.header(**(header or {})), _payload(claims))

    def signed_by(self, key: Key, claims: Claims, alg: str = "RS256", **header: Any) -> str:
        head = self.header(alg=alg, **header)
        return compact(head, _payload(claims), lambda data: key.sign(alg, data))

    def header(self, **changes: Any) -> Claims:
        head = {"typ": "JWT", "alg": "RS256", "kid": self.provider.key.kid}
        return _kept({**head, **changes})

    def encrypted(
        self,
        inner: str | None = None,
        *,
        key: str = "decryption",
        alg: str = "RSA-OAEP-256",
        enc: str = "A256CBC-HS512",
        **header: Any,
    ) -> str:
        plain = self.person() if inner is None else inner
        head = {"alg": alg, "enc": enc, "cty": "JWT", **header}
        public = RSAKey.import_key(rsa_key(key).public_pem())
        return jwe.encrypt_compact(head, plain.encode(), public, registry=JWE)

    def now(self) -> int:
        return int(self.provider.now())

    def _common(self) -> Claims:
        return {
            "iss": self.provider.tenant_issuer(self.tenant),
            "aud": self.provider.client_id,
            "iat": self.now() - 300,
            "nbf": self.now() - 300,
            "exp": self.now() + 3600,
            "azp": CALLER,
            "azpacr": "1",
            "tid": self.tenant,
            "uti": "mO5SpQnYh0mEmFJmSQ",
            "ver": "2.0",
        }


def _kept(claims: Claims) -> Claims:
    return {name: value for name, value in claims.items() if value is not ABSENT}


def _payload(claims: Claims | bytes) -> bytes:
    return claims if isinstance(claims, bytes) else dumps(claims)


@lru_cache(maxsize=4)
def private_pem(name: str = "decryption") -> str:
    private = rsa_key(name).private
    assert isinstance(private, rsa.RSAPrivateKey)
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
