"""A table of tokens that open no API: each has a name, and the code of its refusal."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from joserfc import jwe
from joserfc.jwk import OctKey

from support.access_tokens import CALLER, JWE, SERVICE, STRANGER, Claims, Mint
from support.provider import ABSENT, OTHER_TENANT, PERSONAL_TENANT
from support.provider_jose import (
    b64,
    compact,
    dumps,
    ec_key,
    half_hash,
    hmac_sign,
    key_for,
    rsa_key,
    unb64,
)


@dataclass(frozen=True)
class Wrong:
    """A token that opens nothing, and how its refusal is called."""

    code: str
    make: Callable[[Mint], str]


def _tampered(token: str, part: int, change: Callable[[bytes], bytes]) -> str:
    parts = token.split(".")
    parts[part] = b64(change(unb64(parts[part])))
    return ".".join(parts)


def _last_bit(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])


def _respelt(token: str) -> str:
    """The same bytes, with another last letter: of its bits a decoder drops four."""
    letters = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    return token[:-1] + letters[letters.index(token[-1]) ^ 1]


def _with_text(token_claims: Claims, before: str, after: str) -> bytes:
    raw = json.dumps(token_claims)
    assert before in raw
    return raw.replace(before, after, 1).encode()


def _none(mint: Mint, alg: str, signature: str = "") -> str:
    head = mint.header(alg=alg)
    return f"{b64(dumps(head))}.{b64(dumps(mint.person_claims()))}.{signature}"


def _hmac(mint: Mint, secret: bytes, alg: str = "HS256") -> str:
    return compact(mint.header(alg=alg), dumps(mint.person_claims()), hmac_sign(secret, alg))


def _self_made(mint: Mint, **header: Any) -> str:
    """By a key that comes along with it."""
    return mint.signed_by(rsa_key("attacker"), mint.person_claims(), **header)


def _certificate() -> str:
    return rsa_key("attacker").certificate()[0]


def _two_algorithms(mint: Mint) -> str:
    head = b'{"alg":"none","alg":"RS256","kid":"' + mint.provider.key.kid.encode() + b'"}'
    key = mint.provider.key
    return compact(head, dumps(mint.person_claims()), lambda data: key.sign("RS256", data))


def _proxied(mint: Mint) -> str:
    """As Graph's: what was signed has a hash in the place of the header's nonce."""
    token = mint.person(aud="00000003-0000-0000-c000-000000000000", header={"nonce": "hash"})
    signed = token.split(".")
    return ".".join([b64(dumps(mint.header(nonce="the nonce itself"))), *signed[1:]])


def _oaep_with_dir(mint: Mint) -> str:
    key = OctKey.import_key(b"k" * 64)
    head = {"alg": "dir", "enc": "A256CBC-HS512", "cty": "JWT"}
    return jwe.encrypt_compact(head, mint.person().encode(), key, registry=JWE)


def _password_based(mint: Mint) -> str:
    head = {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 1000, "p2s": b64(b"salt" * 4)}
    key = OctKey.import_key(b"a password of some length")
    return jwe.encrypt_compact(head, mint.person().encode(), key, registry=JWE)


def _reheadered(token: str, **changes: Any) -> str:
    head = json.loads(unb64(token.split(".", 1)[0]))
    return f"{b64(dumps({**head, **changes}))}.{token.split('.', 1)[1]}"


def _old_padding(mint: Mint) -> str:
    """RSA1_5, by hand: a content key in the padding of old, and the content by it."""
    public = rsa_key("decryption").private.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    whole = mint.encrypted(alg="RSA-OAEP").split(".")
    wrapped = b64(public.encrypt(b"k" * 64, padding.PKCS1v15()))
    head = b64(dumps({"alg": "RSA1_5", "enc": "A256CBC-HS512", "cty": "JWT"}))
    return ".".join([head, wrapped, *whole[2:]])


_GRAPH = "00000003-0000-0000-c000-000000000000"
_GREEK = "Οrders.Read"  # noqa: RUF001 - its first letter is Greek

#: Refused by an API that lets in people with Orders.Read and applications with Orders.Read.All, at
#: its home tenant, from the application CALLER, with one decryption key.
WRONG: dict[str, Wrong] = {
    # Form
    "empty parts": Wrong("malformed", lambda m: ".."),
    "no token at all": Wrong("malformed", lambda m: "x"),
    "two parts": Wrong("malformed", lambda m: m.person().rpartition(".")[0]),
    "four parts": Wrong("malformed", lambda m: f"{m.person()}.x"),
    "six parts": Wrong("malformed", lambda m: f"{m.encrypted()}.x"),
    "no signature": Wrong("malformed", lambda m: m.person().rpartition(".")[0] + "."),
    "truncated": Wrong("signature", lambda m: m.person()[:-40]),
    "padded": Wrong("malformed", lambda m: f"{m.person()}=="),
    "standard base64": Wrong("malformed", lambda m: m.person().replace(".", "+.", 1)),
    "huge": Wrong("malformed", lambda m: m.person(padding="x" * 40_000)),
    "header no JSON": Wrong("malformed", lambda m: "e30x." + m.person().split(".", 1)[1]),
    "header an array": Wrong("malformed", lambda m: f"{b64(b'[]')}.{m.person().split('.', 1)[1]}"),
    "header without alg": Wrong("malformed", lambda m: m.person(header={"alg": ABSENT})),
    "alg a list": Wrong("malformed", lambda m: m.person(header={"alg": ["RS256"]})),
    "kid a number": Wrong("malformed", lambda m: m.person(header={"kid": 1})),
    "alg twice in the header": Wrong("malformed", _two_algorithms),
    "content an array": Wrong("malformed", lambda m: m.sign(b"[]")),
    "content no JSON": Wrong("malformed", lambda m: m.sign(b"{")),
    "content not UTF-8": Wrong("malformed", lambda m: m.sign(b'{"scp":"\xff"}')),
    "content nested too deeply": Wrong("malformed", lambda m: m.sign(b"[" * 9_000)),
    "aud twice": Wrong(
        "malformed",
        lambda m: m.sign(_with_text(m.person_claims(), '"aud"', f'"aud": "{_GRAPH}", "aud"')),
    ),
    "scp twice": Wrong(
        "malformed",
        lambda m: m.sign(_with_text(m.person_claims(), '"scp"', '"scp": "x", "scp"')),
    ),
    "half a character": Wrong("malformed", lambda m: m.person(name="\ud800")),
    # Header
    "type of a logout token": Wrong("wrong_type", lambda m: m.person(header={"typ": "logout+jwt"})),
    "type of a DPoP proof": Wrong("wrong_type", lambda m: m.person(header={"typ": "dpop+jwt"})),
    "type of a signed request": Wrong("wrong_type", lambda m: m.person(header={"typ": "pop"})),
    "type of a security event": Wrong(
        "wrong_type", lambda m: m.person(header={"typ": "application/secevent+jwt"})
    ),
    "type a list": Wrong("malformed", lambda m: m.person(header={"typ": ["JWT"]})),
    "crit": Wrong("unsupported_header", lambda m: m.person(header={"crit": ["exp"], "exp": 1})),
    "crit, empty": Wrong("unsupported_header", lambda m: m.person(header={"crit": []})),
    "b64": Wrong("unsupported_header", lambda m: m.person(header={"b64": False})),
    # Algorithm and key
    "alg none": Wrong("algorithm", lambda m: _none(m, "none", b64(b"x"))),
    "alg None": Wrong("algorithm", lambda m: _none(m, "None", b64(b"x"))),
    "alg none, unsigned": Wrong("malformed", lambda m: _none(m, "none")),
    "alg empty": Wrong("algorithm", lambda m: _none(m, "", b64(b"x"))),
    "HS256 by the public key": Wrong("algorithm", lambda m: _hmac(m, m.provider.key.public_pem())),
    "HS256 by the client secret": Wrong(
        "algorithm", lambda m: _hmac(m, m.provider.client_secret.encode())
    ),
    "HS256 by the empty key": Wrong("algorithm", lambda m: _hmac(m, b"")),
    "an algorithm not announced": Wrong(
        "algorithm",
        lambda m: m.signed_by(m.provider.key, m.person_claims(), "PS256"),
    ),
    "ES256 by a foreign key": Wrong(
        "algorithm", lambda m: m.signed_by(ec_key("attacker-ec"), m.person_claims(), "ES256")
    ),
    "a foreign key": Wrong("signature", _self_made),
    "a foreign key without kid": Wrong("signature", lambda m: _self_made(m, kid=ABSENT)),
    "an unknown kid": Wrong("unknown_key", lambda m: m.person(header={"kid": "no-such-key"})),
    "a kid that is a path": Wrong(
        "unknown_key", lambda m: m.person(header={"kid": "../../../dev/null"})
    ),
    "a kid that is SQL": Wrong("unknown_key", lambda m: m.person(header={"kid": "' OR 1=1 --"})),
    "an empty kid": Wrong("unknown_key", lambda m: m.person(header={"kid": ""})),
    "an embedded jwk": Wrong(
        "signature", lambda m: _self_made(m, jwk=rsa_key("attacker").public_jwk())
    ),
    "a jku": Wrong("signature", lambda m: _self_made(m, jku=m.provider.attacker.url("keys"))),
    "an x5c": Wrong(
        "signature", lambda m: _self_made(m, x5c=[rsa_key("attacker").certificate()[0]])
    ),
    "an x5u": Wrong("signature", lambda m: _self_made(m, x5u=m.provider.attacker.url("keys"))),
    "a changed claim": Wrong(
        "signature",
        lambda m: _tampered(m.person(), 1, lambda raw: raw.replace(b"Orders.Read", b"Orders.Kill")),
    ),
    "another token's signature": Wrong(
        "signature",
        lambda m: ".".join([*m.person(sub="x").split(".")[:2], m.person().split(".")[2]]),
    ),
    "another spelling of the signature": Wrong("signature", lambda m: _respelt(m.person())),
    "a signature that is too long": Wrong(
        "signature", lambda m: _tampered(m.person(), 2, lambda raw: raw + b"\0")
    ),
    "for Graph, through a proxy": Wrong("proxied", _proxied),
    "by the key of personal accounts": Wrong(
        "key_issuer",
        lambda m: m.signed_by(key_for("RS256", "personal"), m.person_claims(), kid="personal"),
    ),
    "by the key of personal accounts, version 1": Wrong(
        "key_issuer",
        lambda m: m.signed_by(key_for("RS256", "personal"), m.v1_claims(), kid="personal"),
    ),
    # Issuer and tenant
    "no issuer": Wrong("iss", lambda m: m.person(iss=ABSENT)),
    "issuer a list": Wrong("iss", lambda m: m.person(iss=[m.provider.tenant_issuer(m.tenant)])),
    "a foreign issuer": Wrong("iss", lambda m: m.person(iss="https://idp.example")),
    "the attacker's issuer": Wrong(
        "iss", lambda m: m.person(iss=m.provider.attacker.tenant_issuer(m.tenant))
    ),
    "the issuer with a slash": Wrong(
        "iss", lambda m: m.person(iss=m.provider.tenant_issuer(m.tenant) + "/")
    ),
    "the issuer's template itself": Wrong(
        "iss", lambda m: m.person(iss=m.provider.tenant_issuer("{tenantid}"))
    ),
    "the public cloud's older issuer": Wrong(
        "iss", lambda m: m.v1(iss=f"https://sts.windows.net/{m.tenant}/")
    ),
    "another tenant's issuer": Wrong(
        "iss", lambda m: m.person(iss=m.provider.tenant_issuer(OTHER_TENANT))
    ),
    "another tenant's older issuer": Wrong(
        "iss", lambda m: m.v1(iss=f"{m.provider.base}/{OTHER_TENANT}/")
    ),
    "no tenant": Wrong("iss", lambda m: m.person(tid=ABSENT)),
    "tenant a list": Wrong("tid", lambda m: m.person(tid=[m.tenant])),
    "tenant a name": Wrong(
        "iss", lambda m: m.person(tid="common", iss=m.provider.tenant_issuer("common"))
    ),
    "a tenant that is not allowed": Wrong(
        "tenant_not_allowed", lambda m: Mint(m.provider, OTHER_TENANT).person()
    ),
    "the same, version 1": Wrong(
        "tenant_not_allowed", lambda m: Mint(m.provider, OTHER_TENANT).v1()
    ),
    "the same, an application": Wrong(
        "tenant_not_allowed", lambda m: Mint(m.provider, OTHER_TENANT).app()
    ),
    "a personal account by the wrong key": Wrong(
        "tenant_not_allowed", lambda m: Mint(m.provider, PERSONAL_TENANT).person()
    ),
    "version 1 by the newer issuer": Wrong("ver", lambda m: m.person(ver="1.0")),
    "version 2 by the older issuer": Wrong("ver", lambda m: m.v1(ver="2.0")),
    "a version that is a number": Wrong("ver", lambda m: m.person(ver=2.0)),
    "version 3": Wrong("ver", lambda m: m.person(ver="3.0")),
    "version 1 with the newer claim azp": Wrong("azp", lambda m: m.v1(appid=ABSENT, azp=CALLER)),
    "version 2 with the older claim appid": Wrong(
        "azp", lambda m: m.person(azp=ABSENT, appid=CALLER)
    ),
    # Audience
    "no audience": Wrong("aud", lambda m: m.person(aud=ABSENT)),
    "for Graph": Wrong("aud", lambda m: m.person(aud=_GRAPH)),
    "for another API": Wrong("aud", lambda m: m.person(aud=STRANGER)),
    "for the client": Wrong("aud", lambda m: m.person(aud=CALLER)),
    "audience a list": Wrong("aud", lambda m: m.person(aud=[m.provider.client_id])),
    "audience in capitals": Wrong("aud", lambda m: m.person(aud=m.provider.client_id.upper())),
    "audience with a path": Wrong(
        "aud", lambda m: m.person(aud=f"api://{m.provider.client_id}/Orders")
    ),
    "audience an object": Wrong("aud", lambda m: m.person(aud={"id": m.provider.client_id})),
    # Times
    "expired": Wrong("exp", lambda m: m.person(exp=m.now() - 3600)),
    "expired a moment ago": Wrong("exp", lambda m: m.person(exp=m.now() - 61)),
    "without an end": Wrong("exp", lambda m: m.person(exp=ABSENT)),
    "its end a text": Wrong("exp", lambda m: m.person(exp=str(m.now() + 3600))),
    "its end true": Wrong("exp", lambda m: m.person(exp=True)),
    "its end a list": Wrong("exp", lambda m: m.person(exp=[m.now() + 3600])),
    "its end NaN": Wrong(
        "malformed", lambda m: m.sign(_with_text(m.person_claims(exp="@"), '"@"', "NaN"))
    ),
    "its end Infinity": Wrong(
        "malformed", lambda m: m.sign(_with_text(m.person_claims(exp="@"), '"@"', "Infinity"))
    ),
    "its end 1e400": Wrong(
        "exp", lambda m: m.sign(_with_text(m.person_claims(exp="@"), '"@"', "1e400"))
    ),
    "its end in milliseconds": Wrong("exp", lambda m: m.person(exp=m.now() * 1000)),
    "not yet valid": Wrong("nbf", lambda m: m.person(nbf=m.now() + 3600)),
    "its beginning a text": Wrong("nbf", lambda m: m.person(nbf="now")),
    "its beginning null": Wrong("nbf", lambda m: m.person(nbf=None)),
    "issued in the future": Wrong("iat", lambda m: m.person(iat=m.now() + 3600)),
    "issued never": Wrong("iat", lambda m: m.person(iat=ABSENT)),
    # Kind
    "an ID token": Wrong("id_token", lambda m: m.id_token()),
    "a refreshed ID token": Wrong("no_permissions", lambda m: m.id_token(nonce=ABSENT)),
    "an ID token with roles": Wrong(
        "id_token", lambda m: m.id_token(roles=["Orders.Read.All", "Admin"])
    ),
    "a refreshed ID token with roles": Wrong(
        "id_token", lambda m: m.id_token(nonce=ABSENT, roles=["Orders.Read.All"])
    ),
    "an ID token with roles and azp": Wrong(
        "id_token", lambda m: m.id_token(nonce=ABSENT, azp=CALLER, roles=["Orders.Read.All"])
    ),
    "an ID token of another sort, sub being oid": Wrong(
        "id_token",
        lambda m: m.id_token(
            nonce=ABSENT, azp=CALLER, roles=["Orders.Read.All"], sub=SERVICE, oid=SERVICE
        ),
    ),
    "an ID token with scp": Wrong("id_token", lambda m: m.person(nonce="n")),
    "an at_hash": Wrong("id_token", lambda m: m.person(at_hash=half_hash("x", "RS256"))),
    "a c_hash": Wrong("id_token", lambda m: m.person(c_hash=half_hash("x", "RS256"))),
    "a refresh token of Keycloak's": Wrong("id_token", lambda m: m.person(typ="Refresh")),
    "no scp and no roles": Wrong("no_permissions", lambda m: m.person(scp=ABSENT)),
    "an empty scp": Wrong("no_permissions", lambda m: m.person(scp="")),
    "a scp of spaces": Wrong("no_permissions", lambda m: m.person(scp="   ")),
    "an empty scp, and roles": Wrong(
        "id_token", lambda m: m.person(scp="", roles=["Orders.Read.All"])
    ),
    "an application with no roles": Wrong("no_permissions", lambda m: m.app(roles=ABSENT)),
    "an application with empty roles": Wrong("no_permissions", lambda m: m.app(roles=[])),
    "an application with an empty role": Wrong("no_permissions", lambda m: m.app(roles=[""])),
    "an application with a scp": Wrong("idtyp", lambda m: m.app(scp="Orders.Read")),
    "an application with a person's name": Wrong("idtyp", lambda m: m.app(name="Ada Keyring")),
    "a person without scp": Wrong(
        "id_token", lambda m: m.person(scp=ABSENT, idtyp="user", roles=["Orders.Read.All"])
    ),
    "roles and nothing that says whose": Wrong(
        "id_token", lambda m: m.app(idtyp=ABSENT, sub="somebody")
    ),
    "roles and a person's name": Wrong(
        "id_token", lambda m: m.app(idtyp=ABSENT, preferred_username="ada@contoso.example")
    ),
    "a device's": Wrong("idtyp", lambda m: m.person(idtyp="device")),
    "idtyp null": Wrong("idtyp", lambda m: m.app(idtyp=None)),
    "idtyp a list": Wrong("idtyp", lambda m: m.app(idtyp=["app"])),
    "idtyp in capitals": Wrong("idtyp", lambda m: m.app(idtyp="APP")),
    "scp a list": Wrong("scp", lambda m: m.person(scp=["Orders.Read"])),
    "scp an object": Wrong("scp", lambda m: m.person(scp={"Orders.Read": True})),
    "scp null": Wrong("scp", lambda m: m.person(scp=None)),
    "roles a text": Wrong("roles", lambda m: m.app(roles="Orders.Read.All")),
    "roles of numbers": Wrong("roles", lambda m: m.app(roles=[1])),
    "roles an object": Wrong("roles", lambda m: m.app(roles={"Orders.Read.All": 1})),
    "roles null": Wrong("roles", lambda m: m.app(roles=None)),
    "no subject": Wrong("sub", lambda m: m.person(sub=ABSENT)),
    "subject a number": Wrong("sub", lambda m: m.person(sub=1)),
    "subject empty": Wrong("sub", lambda m: m.person(sub="")),
    "no application": Wrong("azp", lambda m: m.person(azp=ABSENT)),
    "application a list": Wrong("azp", lambda m: m.person(azp=[CALLER])),
    "two applications": Wrong("azp", lambda m: m.person(appid=STRANGER)),
    "an application that is not allowed": Wrong(
        "client_not_allowed", lambda m: m.person(azp=STRANGER)
    ),
    "the same application, version 1": Wrong("client_not_allowed", lambda m: m.v1(appid=STRANGER)),
    "the same application in its own name": Wrong(
        "client_not_allowed", lambda m: m.app(azp=STRANGER)
    ),
    "bound to a key": Wrong("bound", lambda m: m.person(cnf={"kid": "x"})),
    "bound to a certificate": Wrong("bound", lambda m: m.person(cnf={"x5t#S256": "x"})),
    "bound to a DPoP key": Wrong("bound", lambda m: m.app(cnf={"jkt": "x"})),
    "bound to something odd": Wrong("bound", lambda m: m.person(cnf="x")),
    # Encrypted
    "encrypted to another key": Wrong("encrypted", lambda m: m.encrypted(key="attacker")),
    "encrypted by RSA1_5": Wrong("encrypted", _old_padding),
    "encrypted, and compressed": Wrong("encrypted", lambda m: m.encrypted(zip="DEF")),
    "encrypted directly": Wrong("encrypted", _oaep_with_dir),
    "encrypted by a password": Wrong("encrypted", _password_based),
    "encrypted with crit": Wrong("encrypted", lambda m: _reheadered(m.encrypted(), crit=["x"])),
    "encrypted, alg a list": Wrong(
        "encrypted", lambda m: _reheadered(m.encrypted(), alg=["RSA-OAEP"])
    ),
    "encrypted, and tampered": Wrong("encrypted", lambda m: _tampered(m.encrypted(), 3, _last_bit)),
    "encrypted by GCM, and tampered": Wrong(
        "encrypted",
        lambda m: _tampered(m.encrypted(enc="A256GCM"), 4, lambda raw: b"x" * len(raw)),
    ),
    "encrypted, with a short tag": Wrong(
        "encrypted", lambda m: _tampered(m.encrypted(enc="A128GCM"), 4, lambda raw: raw[:4])
    ),
    "encrypted, with an odd vector": Wrong(
        "encrypted", lambda m: _tampered(m.encrypted(), 2, lambda raw: raw[:5])
    ),
    "encrypted, too long": Wrong("encrypted", lambda m: m.encrypted("x" * 40_000)),
    "encrypted twice": Wrong("encrypted", lambda m: m.encrypted(m.encrypted())),
    "encrypted, and unsigned inside": Wrong(
        "algorithm", lambda m: m.encrypted(_none(m, "none", b64(b"x")))
    ),
    "encrypted claims without a signature": Wrong(
        "malformed", lambda m: m.encrypted(json.dumps(m.person_claims()))
    ),
    "encrypted, an ID token inside": Wrong("id_token", lambda m: m.encrypted(m.id_token())),
    "encrypted, expired inside": Wrong("exp", lambda m: m.encrypted(m.person(exp=m.now() - 3600))),
    "encrypted, a foreign key inside": Wrong("signature", lambda m: m.encrypted(_self_made(m))),
    # Enough of a token, and not enough for the view
    "a person with another scope": Wrong(
        "insufficient_scope", lambda m: m.person(scp="Orders.Write")
    ),
    "a scope in other letters": Wrong("insufficient_scope", lambda m: m.person(scp=_GREEK)),
    "a scope in capitals": Wrong("insufficient_scope", lambda m: m.person(scp="ORDERS.READ")),
    "scopes with a no-break space": Wrong(
        "insufficient_scope", lambda m: m.person(scp="Orders.Read\u00a0Orders.List")
    ),
    "scopes with commas": Wrong(
        "insufficient_scope", lambda m: m.person(scp="Orders.Read,Orders.List")
    ),
    "a longer scope": Wrong("insufficient_scope", lambda m: m.person(scp="Orders.Read.All")),
    "a person with the application's role alone": Wrong(
        "insufficient_scope", lambda m: m.person(scp="x", roles=["Orders.Read.All"])
    ),
    "an application with another role": Wrong("role", lambda m: m.app(roles=["Other"])),
    "an application with a role called as the scope": Wrong(
        "role", lambda m: m.app(roles=["Orders.Read"])
    ),
}
