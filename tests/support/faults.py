"""Faulty providers, each wrong in exactly one way, and unusual ones that are right.

`FAULTS` must sign nobody in and must not make a site answer 500. Where `debatable` says something,
the standards leave room: a site may sign the person in or refuse, but it must not answer 500.
`REFRESH_FAULTS` sign in well; what they answer to a refresh must not be believed.
`VARIANTS` are correct and must work.

For every one of them, `provider.attacker_requests` stays empty.

    with fault.provider() as provider:
        settings = fault.site_settings(provider)
        ...
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwe
from joserfc.jwk import OctKey

from support.provider import (
    ABSENT,
    HOME_DOMAIN,
    HOME_TENANT,
    OTHER_TENANT,
    PERSONAL_TENANT,
    Person,
    Provider,
)
from support.provider_http import (
    Answer,
    Reply,
    Request,
    content_length,
    drip,
    drop,
    endless,
    hang,
    hang_in_body,
    raw_bytes,
    redirect,
    reset,
    serialise,
)
from support.provider_jose import (
    Json,
    Key,
    TinyRsa,
    b64,
    compact,
    dumps,
    ec_key,
    half_hash,
    hmac_sign,
    key_for,
    pkcs1_block,
    rsa_key,
    unb64,
)

__all__ = ["FAULTS", "REFRESH_FAULTS", "VARIANTS", "Fault", "Variant"]

#: Longer than any time limit a test sets. They cost nothing: the provider's close ends them.
HANG_SECONDS = 60.0
DRIP_SECONDS = 60.0

Arrange = Callable[[Provider], None]
Params = list[tuple[str, str]]


@dataclass(frozen=True)
class Variant:
    """A provider that is right, if unusual.

    :param options: what the `Provider` is made with; ``entra`` chooses AUTHORITY.
    :param tenant: the tenant segment of AUTHORITY, in Entra mode.
    :param settings: settings of the site beyond the client and the authority.
    """

    name: str
    description: str
    arrange: Arrange
    options: Mapping[str, Any] = field(default_factory=dict)
    tenant: str = "common"
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    @property
    def entra(self) -> bool:
        return bool(self.options.get("entra"))

    @property
    def response_mode(self) -> str:
        return str(self.settings.get("RESPONSE_MODE", "query"))

    @contextmanager
    def provider(self) -> Iterator[Provider]:
        """The provider, running and arranged."""
        with Provider(**self.options) as provider:
            self.arrange(provider)
            yield provider

    def site_settings(self, provider: Provider) -> dict[str, Any]:
        """Keyfob's settings for a site that uses this provider."""
        return {**provider.settings(self.tenant), **self.settings}


@dataclass(frozen=True)
class Fault(Variant):
    """A provider that is wrong in one way.

    :param area: signature, header, issuer, audience, ...
    :param where: what is wrong: discovery, keys, callback, token (the answer around the tokens),
        id_token, userinfo, refresh.
    :param debatable: why a site may also sign the person in; "" where it must not.
    """

    area: str = ""
    where: str = ""
    debatable: str = ""


FAULTS: list[Fault] = []
REFRESH_FAULTS: list[Fault] = []
VARIANTS: list[Variant] = []


def fault(
    area: str,
    where: str,
    name: str,
    description: str,
    arrange: Arrange,
    *,
    options: Mapping[str, Any] | None = None,
    tenant: str = "common",
    settings: Mapping[str, Any] | None = None,
    debatable: str = "",
) -> None:
    FAULTS.append(
        Fault(
            name=f"{area}: {name}",
            description=description,
            arrange=arrange,
            options=options or {},
            tenant=tenant,
            settings=settings or {},
            area=area,
            where=where,
            debatable=debatable,
        )
    )


def variant(
    name: str,
    description: str,
    arrange: Arrange | None = None,
    *,
    tenant: str = "common",
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> None:
    VARIANTS.append(Variant(name, description, arrange or nothing, options, tenant, settings or {}))


def nothing(provider: Provider) -> None:
    """Leave the provider as it is."""


# Building blocks: each makes an `arrange`.


def claim(name: str, value: Any) -> Arrange:
    """One claim of the ID token; a callable is given the provider and the right claims."""

    def arrange(provider: Provider) -> None:
        def change(claims: Json) -> None:
            claims[name] = value(provider, claims) if callable(value) else value

        provider.mutate_claims = change

    return arrange


def claim_text(name: str, text: str) -> Arrange:
    """One claim whose value is this JSON text, which `json.dumps` would not write."""
    pattern = re.compile(rb'("%s"):("[^"]*"|\d+)' % name.encode())

    def arrange(provider: Provider) -> None:
        provider.mutate_payload = lambda payload: pattern.sub(
            lambda found: found[1] + b":" + text.encode(), payload, count=1
        )

    return arrange


def payload(change: Callable[[bytes], bytes]) -> Arrange:
    def arrange(provider: Provider) -> None:
        provider.mutate_payload = change

    return arrange


def header(**members: Any) -> Arrange:
    """Members of the ID token's header; the signature covers them and is otherwise right."""

    def arrange(provider: Provider) -> None:
        def change(values: Json) -> None:
            for name, value in members.items():
                values[name] = value(provider) if callable(value) else value
                if values[name] is ABSENT:
                    del values[name]

        provider.mutate_header = change

    return arrange


def signed(make: Callable[[Provider, Json, bytes], str]) -> Arrange:
    """The whole ID token, made from header and payload."""

    def arrange(provider: Provider) -> None:
        provider.sign_id_token = lambda head, body: make(provider, head, body)

    return arrange


def token_text(change: Callable[[str], str]) -> Arrange:
    """The finished ID token, changed after it was signed."""

    def arrange(provider: Provider) -> None:
        provider.mutate_id_token = change

    return arrange


def signed_by_attacker(**members: Callable[[Provider], Any]) -> Arrange:
    """The attacker's signature, with a header that recommends the attacker's key."""

    def make(provider: Provider, head: Json, body: bytes) -> str:
        key = provider.attacker.key
        head = {**head, "kid": key.kid, **{name: of(provider) for name, of in members.items()}}
        return compact(head, body, lambda data: key.sign(provider.signing_alg, data))

    return signed(make)


def keys(change: Callable[[Json], None]) -> Arrange:
    """The whole key set, as {"keys": [...]}."""

    def arrange(provider: Provider) -> None:
        provider.mutate_keys = change

    return arrange


def each_key(**members: Any) -> Arrange:
    def change(document: Json) -> None:
        for key in document["keys"]:
            for name, value in members.items():
                key[name] = value
                if value is ABSENT:
                    del key[name]

    return keys(change)


def metadata(name: str, value: Any) -> Arrange:
    """One member of the discovery document; a callable is given the provider."""

    def arrange(provider: Provider) -> None:
        def change(document: Json) -> None:
            document[name] = value(provider) if callable(value) else value
            if document[name] is ABSENT:
                del document[name]

        provider.mutate_metadata = change

    return arrange


def token_member(name: str, value: Any) -> Arrange:
    """One member of the token endpoint's answer; a callable is given the right one."""

    def arrange(provider: Provider) -> None:
        def change(document: Json) -> None:
            document[name] = value(document.get(name)) if callable(value) else value
            if document[name] is ABSENT:
                del document[name]

        provider.mutate_token_response = change

    return arrange


def callback(change: Callable[[Params], Params]) -> Arrange:
    """The parameters of the redirect back to the site."""

    def arrange(provider: Provider) -> None:
        def mutate(params: Params) -> None:
            params[:] = change(list(params))

        provider.mutate_callback = mutate

    return arrange


def param(name: str, value: str | Callable[[str], str] | None) -> Arrange:
    """One callback parameter, changed or (None) left out."""

    def change(params: Params) -> Params:
        if value is None:
            return [pair for pair in params if pair[0] != name]
        return [
            (n, (value(v) if callable(value) else value) if n == name else v) for n, v in params
        ]

    return callback(change)


def answers(endpoint: str, answer: Answer | Callable[[Provider, Request], Answer]) -> Arrange:
    """The endpoint answers this: fixed bytes, or made from the provider and the request."""

    def arrange(provider: Provider) -> None:
        if isinstance(answer, tuple):
            provider.raw[endpoint] = lambda request: answer
        else:
            made: Any = answer
            provider.raw[endpoint] = lambda request: made(provider, request)

    return arrange


def body(endpoint: str, change: Callable[[bytes], bytes]) -> Arrange:
    """The endpoint's right answer with its body changed."""

    def make(provider: Provider, request: Request) -> Reply:
        reply = provider.answer(endpoint, request)
        return reply._replace(body=change(reply.body))

    return answers(endpoint, make)


def html(status: int = 200) -> Reply:
    text = "<!doctype html><title>Oops</title><h1>Something went wrong</h1>"
    return Reply(status, {"Content-Type": "text/html; charset=utf-8"}, text.encode())


def as_json(text: bytes | str, status: int = 200, **headers: str) -> Reply:
    raw = text.encode() if isinstance(text, str) else text
    return Reply(status, {"Content-Type": "application/json", **headers}, raw)


def with_member(text: bytes, name: str, value: bytes) -> bytes:
    """A JSON object's text with one more member, as raw text."""
    return text.rstrip()[:-1] + b',"%s":%s}' % (name.encode(), value)


def nested(depth: int = 100_000) -> bytes:
    return b"[" * depth + b"]" * depth


def segment(index: int, change: Callable[[str], str]) -> Arrange:
    """One of the ID token's three segments, changed after it was signed."""

    def make(token: str) -> str:
        parts = token.split(".")
        parts[index] = change(parts[index])
        return ".".join(parts)

    return token_text(make)


def tampered(text: str) -> str:
    claims = json.loads(unb64(text))
    return b64(dumps({**claims, "sub": "somebody-else"}))


# Areas. One function each; all of them run once, at the end of this file.


def signature_faults() -> None:
    def add(name: str, description: str, arrange: Arrange, **more: Any) -> None:
        fault("signature", "id_token", name, description, arrange, **more)

    def other_key(provider: Provider, head: Json, body: bytes) -> str:
        key = provider.attacker.key
        return compact(head, body, lambda data: key.sign(provider.signing_alg, data))

    es256 = {"signing_alg": "ES256"}
    add("other key under the same kid", "signed by a stranger's key", signed(other_key))
    add(
        "other key, ES256",
        "signed by a stranger's elliptic-curve key",
        signed(other_key),
        options=es256,
    )
    add("other key with its own kid", "the kid is in no key set", signed_by_attacker())
    add(
        "other key, no kid anywhere",
        "neither token nor key set has a kid; no key verifies",
        signed(other_key),
        options={"token_kid": False, "jwk_members": (), "extra_keys": 2},
    )
    add(
        "kid of another key of the set",
        "the token names a key of the set that did not sign it",
        header(kid="unrelated-0"),
        options={"extra_keys": 1},
    )

    def unsigned(alg: str) -> Arrange:
        return signed(lambda p, head, body: compact({**head, "alg": alg}, body, lambda data: b""))

    for spelling in ("none", "None", "NONE", "nOnE", ""):
        add(f"alg {spelling!r}", "unsigned", unsigned(spelling))
    add(
        "alg none, two segments",
        "unsigned, and without the last dot",
        signed(lambda p, head, body: compact({"alg": "none"}, body, lambda data: b"").rstrip(".")),
    )
    add("alg none, signature kept", "the header says none", header(alg="none"))
    add(
        "alg none, listed in the metadata",
        "unsigned; the metadata lists none",
        signed(lambda p, head, body: compact({**head, "alg": "none"}, body, lambda data: b"")),
        options={"announced_algs": ("RS256", "none")},
    )

    def hs256(secret: Callable[[Provider], bytes], alg: str = "HS256") -> Arrange:
        return signed(
            lambda p, head, body: compact({**head, "alg": alg}, body, hmac_sign(secret(p), alg))
        )

    def modulus(p: Provider) -> str:
        return str(p.key.public_jwk()["n"])

    add("HS256 with the public PEM", "key confusion", hs256(lambda p: p.key.public_pem()))
    add(
        "HS256 with the public PEM, stripped",
        "key confusion",
        hs256(lambda p: p.key.public_pem().strip()),
    )
    add(
        "HS256 with the public PEM, HS256 listed",
        "key confusion; the metadata lists HS256",
        hs256(lambda p: p.key.public_pem()),
        options={"announced_algs": ("RS256", "HS256")},
    )
    add("HS256 with the JWK's n", "key confusion", hs256(lambda p: modulus(p).encode()))
    add("HS256 with the modulus bytes", "key confusion", hs256(lambda p: unb64(modulus(p))))
    add("HS256 with the JWK's text", "key confusion", hs256(lambda p: dumps(p.jwk(p.key))))
    add("HS256 with an empty key", "HMAC with nothing", hs256(lambda p: b""))
    add(
        "HS256 with the client secret",
        "not what the metadata lists",
        hs256(lambda p: p.client_secret.encode()),
    )
    add(
        "HS512 with the client secret",
        "not what the metadata lists",
        hs256(lambda p: p.client_secret.encode(), "HS512"),
    )

    def by(alg: str, *, says: str | None = None) -> Arrange:
        return signed(
            lambda p, head, body: compact(
                {**head, "alg": says or alg}, body, lambda data: p.key.sign(alg, data)
            )
        )

    no_key_alg = {"jwk_members": ("use", "kid")}
    add("alg not listed", "RS512, where only RS256 is listed", by("RS512"), options=no_key_alg)
    add("PS256 not listed", "PS256, where only RS256 is listed", by("PS256"), options=no_key_alg)
    add(
        "RS256 says RS512",
        "signed with another hash than the header says; both are listed",
        by("RS256", says="RS512"),
        options={**no_key_alg, "announced_algs": ("RS256", "RS512")},
    )
    add("PSS under RS256", "another padding than the header says", by("PS256", says="RS256"))
    add(
        "alg differs from the key's",
        "the key is for RS512 only, the token is RS256; both are listed",
        each_key(alg="RS512"),
        options={"announced_algs": ("RS256", "RS512")},
    )
    add(
        "ES256 header over an RSA key",
        "type confusion",
        header(alg="ES256"),
        options={"announced_algs": ("RS256", "ES256")},
    )
    add(
        "RS256 header over an EC key",
        "type confusion",
        header(alg="RS256"),
        options={**es256, **no_key_alg},
    )
    add("tampered payload", "the sub was changed after signing", segment(1, tampered))
    add(
        "tampered header",
        "typ was taken out after signing",
        segment(
            0,
            lambda text: b64(
                dumps({k: v for k, v in json.loads(unb64(text)).items() if k != "typ"})
            ),
        ),
    )
    add("empty signature", "nothing after the last dot", segment(2, lambda text: ""))
    add("truncated signature", "half of it", segment(2, lambda text: text[: len(text) // 2]))
    add("signature of zeros", "256 zero bytes", segment(2, lambda text: b64(bytes(256))))
    add("signature and more", "a byte appended", segment(2, lambda t: b64(unb64(t) + b"\0")))
    add(
        "signature flipped in its last byte",
        "one bit is wrong",
        segment(2, lambda t: b64(unb64(t)[:-1] + bytes([unb64(t)[-1] ^ 1]))),
    )
    add(
        "ECDSA zeros",
        "r = s = 0 (CVE-2022-21449)",
        segment(2, lambda text: b64(bytes(64))),
        options=es256,
    )
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    add(
        "ECDSA r and s are the order",
        "zeros in disguise",
        segment(2, lambda text: b64(order.to_bytes(32, "big") * 2)),
        options=es256,
    )
    add(
        "ECDSA as DER",
        "JWS wants R || S",
        signed(lambda p, h, b: compact(h, b, lambda data: p.key.sign_der("ES256", data))),
        options=es256,
    )

    def with_key(jwk: Callable[[], Json], sign: Callable[[bytes], bytes]) -> Arrange:
        """Another key in the place of the published one, and its signature."""

        def arrange(provider: Provider) -> None:
            def change(document: Json) -> None:
                known = {"kid": provider.key.kid, "use": "sig", "alg": provider.signing_alg}
                document["keys"] = [{**jwk(), **known}]

            provider.mutate_keys = change
            provider.sign_id_token = lambda head, body: compact(head, body, sign)

        return arrange

    def with_own_key(key: Callable[[], Key], sign: Callable[[bytes], bytes]) -> Arrange:
        return with_key(lambda: key().public_jwk(), sign)

    add("RSA of 512 bits", "a weak key", with_key(TinyRsa.public_jwk, TinyRsa.sign))
    add(
        "RSA of 1024 bits",
        "a weak key (RFC 7518 §3.3: 2048 or larger)",
        with_own_key(
            lambda: rsa_key("weak", 1024), lambda data: rsa_key("weak", 1024).sign("RS256", data)
        ),
    )
    add(
        "ES256 with a P-384 key",
        "the wrong curve",
        with_own_key(
            lambda: ec_key("wide", "P-384"),
            lambda data: ec_key("wide", "P-384").sign("ES256", data),
        ),
        options=es256,
    )
    add(
        "ES256 with a secp256k1 key",
        "the wrong curve",
        with_own_key(
            lambda: ec_key("koblitz", "secp256k1"),
            lambda data: ec_key("koblitz", "secp256k1").sign("ES256", data),
        ),
        options=es256,
    )

    def exponent_one(provider: Provider) -> None:
        n = provider.key.public_jwk()["n"]
        with_key(lambda: {"kty": "RSA", "n": n, "e": "AQ"}, lambda data: pkcs1_block(data, 256))(
            provider
        )

    add("RSA exponent 1", "anybody can sign for such a key", exponent_one)


def shape_faults() -> None:
    def add(name: str, description: str, arrange: Arrange, **more: Any) -> None:
        fault("shape", "id_token", name, description, arrange, **more)

    def flattened(token: str) -> Json:
        protected, content, signature = token.split(".")
        return {"payload": content, "protected": protected, "signature": signature}

    def encrypted(provider: Provider, head: Json, body: bytes) -> str:
        key = OctKey.import_key(hashlib.sha256(provider.client_secret.encode()).digest())
        return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, body, key)

    add("one segment", "the payload only", token_text(lambda t: t.split(".")[1]))
    add("two segments", "no signature", token_text(lambda t: t.rpartition(".")[0]))
    add("four segments", "one more", token_text(lambda t: f"{t}.AAAA"))
    add("five segments", "two more, as many as a JWE has", token_text(lambda t: f"{t}.AAAA.AAAA"))
    add("only dots", "two of them", token_text(lambda t: ".."))
    add("not a token", "plain words", token_text(lambda t: "this is not a token"))
    add("encrypted", "a JWE under the client secret instead of a JWS", signed(encrypted))
    add(
        "JSON serialisation in a string",
        "flattened JWS JSON, as text",
        token_text(lambda t: json.dumps(flattened(t))),
    )
    add(
        "JSON serialisation as an object",
        "flattened JWS JSON",
        token_member("id_token", flattened),
    )
    add("NUL inside", "a NUL after the first dot", token_text(lambda t: t.replace(".", ".\0", 1)))
    add("line break inside", "as in folded mail", token_text(lambda t: f"{t[:50]}\r\n{t[50:]}"))
    add("blank before", "a leading space", token_text(lambda t: f" {t}"))
    add("not ASCII", "a letter with an accent", token_text(lambda t: f"{t[:30]}é{t[31:]}"))
    add("lone surrogate", "half a character", token_text(lambda t: f"{t[:30]}\ud800{t[31:]}"))

    def padded(provider: Provider, head: Json, body: bytes) -> str:
        def pad(text: str) -> str:
            return text + "=" * (-len(text) % 4)

        signing_input = f"{pad(b64(dumps(head)))}.{pad(b64(body))}"
        return f"{signing_input}.{pad(b64(provider.key.sign('RS256', signing_input.encode())))}"

    add("padded base64", "= signs, which JWS forbids; signed as it stands", signed(padded))

    def raw_header(text: bytes) -> Arrange:
        return signed(
            lambda p, head, body: compact(text, body, lambda data: p.key.sign("RS256", data))
        )

    add("header is an array", "not an object", raw_header(b'["RS256"]'))
    add("header is a string", "not an object", raw_header(b'"RS256"'))
    add("header is null", "not an object", raw_header(b"null"))
    add("header is not JSON", "broken", raw_header(b'{"alg":"RS256"'))
    add("header is not UTF-8", "broken", raw_header(b'{"alg":"RS256","x":"\xff\xfe"}'))
    add("header is empty", "no alg", raw_header(b"{}"))
    add(
        "header nested deeply", "100 000 brackets", raw_header(b'{"alg":"RS256","x":%s}' % nested())
    )
    add(
        "header names alg twice",
        "RS256, then none; unsigned",
        signed(
            lambda p, head, body: compact(b'{"alg":"RS256","alg":"none"}', body, lambda data: b"")
        ),
    )

    add("payload is an array", "not an object", payload(lambda text: b"[" + text + b"]"))
    add("payload is a string", "not an object", payload(lambda text: b'"sub"'))
    add("payload is null", "not an object", payload(lambda text: b"null"))
    add("payload is a number", "not an object", payload(lambda text: b"42"))
    add("payload is empty", "no bytes", payload(lambda text: b""))
    add("payload is no JSON", "cut off", payload(lambda text: text[:-2]))
    add("payload and more", "something after the object", payload(lambda text: text + b"{}"))
    add(
        "payload is not UTF-8",
        "a claim has broken bytes",
        payload(lambda text: with_member(text, "x", b'"\xff\xfe"')),
    )
    add("payload in UTF-16", "another encoding", payload(lambda t: t.decode().encode("utf-16")))
    add(
        "payload nested deeply",
        "100 000 brackets in a claim",
        payload(lambda text: with_member(text, "x", nested())),
    )
    add(
        "payload of 2 MB",
        "oversized",
        payload(lambda text: with_member(text, "x", b'"' + b"x" * 2_000_000 + b'"')),
    )
    add(
        "iss twice",
        "the right one first, a wrong one last (RFC 7519 §4: refuse, or take the last)",
        payload(lambda text: with_member(text, "iss", b'"https://evil.example"')),
    )


def header_faults() -> None:
    def add(name: str, description: str, arrange: Arrange, **more: Any) -> None:
        fault("header", "id_token", name, description, arrange, **more)

    def set_url(provider: Provider) -> str:
        return provider.attacker.url("keys")

    def public(provider: Provider) -> Json:
        return provider.attacker.jwk(provider.attacker.key)

    add("jku of the attacker", "a key set to fetch", signed_by_attacker(jku=set_url))
    add(
        "jku of the attacker, the real kid",
        "a key set to fetch",
        signed_by_attacker(jku=set_url, kid=lambda p: p.key.kid),
    )
    add("jwk embedded", "the key comes with the token", signed_by_attacker(jwk=public))
    add(
        "jwk embedded, no kid",
        "the key comes with the token",
        signed_by_attacker(jwk=public, kid=lambda p: ""),
    )
    add("x5u of the attacker", "a certificate to fetch", signed_by_attacker(x5u=set_url))
    add(
        "x5c of the attacker",
        "certificates in the token",
        signed_by_attacker(x5c=lambda p: ["MA=="]),
    )
    add(
        "crit unknown",
        "an extension that must be understood",
        header(crit=["x-exp"], **{"x-exp": 1}),
    )
    add("crit empty", "RFC 7515 §4.1.11 forbids it", header(crit=[]))
    add("crit not a list", "must be one", header(crit="exp"))
    add("crit names a standard member", "must not", header(crit=["alg"]))
    add("crit names an absent member", "must not", header(crit=["x-exp"]))

    def unencoded(provider: Provider, head: Json, body: bytes) -> str:
        first = b64(dumps({**head, "b64": False, "crit": ["b64"]}))
        signature = provider.key.sign("RS256", first.encode() + b"." + body)
        return f"{first}.{b64(body)}.{b64(signature)}"

    add("b64 false", "RFC 7797's unencoded payload; RFC 7519 §7 forbids it", signed(unencoded))
    add("alg missing", "no alg", header(alg=ABSENT))
    add("alg null", "not a string", header(alg=None))
    add("alg a list", "not a string", header(alg=["RS256"]))
    add("alg a number", "not a string", header(alg=256))
    add("alg in lower case", "names are case-sensitive", header(alg="rs256"))
    add("alg unknown", "no such algorithm", header(alg="XS256"))
    add("alg of encryption", "RSA-OAEP signs nothing", header(alg="RSA-OAEP"))
    add("kid unknown", "right key, wrong name", header(kid="no-such-key"))
    add("kid empty", "right key, empty name", header(kid=""), debatable="as good as no kid")
    add("kid in other case", "names are case-sensitive", header(kid=lambda p: p.key.kid.upper()))
    add("kid a number", "not a string", header(kid=7))
    add("kid an object", "not a string", header(kid={"a": 1}))
    add("kid a list", "not a string", header(kid=["key-0"]))
    add("kid of 100 KB", "oversized", header(kid="k" * 100_000))
    add(
        "kid is a path",
        "HS256 with the bytes of /dev/null",
        signed(
            lambda p, head, body: compact(
                {"alg": "HS256", "kid": "../../../../../../dev/null"}, body, hmac_sign(b"")
            )
        ),
    )
    typed = "OpenID Connect Core does not say what typ an ID token has; RFC 8725 §3.11 would refuse"
    add("typ at+jwt", "an access token (RFC 9068)", header(typ="at+jwt"), debatable=typed)
    add("typ logout+jwt", "a logout token", header(typ="logout+jwt"), debatable=typed)


def issuer_faults() -> None:
    def add(name: str, value: Any, **more: Any) -> None:
        fault("issuer", "id_token", name, f"iss: {name}", claim("iss", value), **more)

    def changed(change: Callable[[str], str]) -> Callable[[Provider, Json], str]:
        return lambda provider, claims: change(claims["iss"])

    add("other", "https://login.evil.example")
    add("attacker's", lambda provider, claims: provider.attacker.issuer)
    add("slash added", changed(lambda iss: f"{iss}/"))
    add("slash missing", changed(lambda iss: iss.rstrip("/")), options={"issuer_slash": True})
    add("https for http", changed(lambda iss: iss.replace("http:", "https:")))
    add("scheme in upper case", changed(lambda iss: iss.replace("http:", "HTTP:")))
    add("path in upper case", changed(str.upper), options={"path": "/realms/x"})
    add("other path", changed(lambda iss: f"{iss[:-1]}y"), options={"path": "/realms/x"})
    add("path missing", lambda p, claims: p.base, options={"path": "/realms/x"})
    add("longer path", changed(lambda iss: f"{iss}/../y"), options={"path": "/realms/x"})
    add("other name of the host", changed(lambda iss: iss.replace("127.0.0.1", "localhost")))
    add("other port", changed(lambda iss: f"{iss}1"))
    add("as a user name", changed(lambda iss: f"{iss}@evil.example"))
    add("with a query", changed(lambda iss: f"{iss}?a=b"))
    add("with a fragment", changed(lambda iss: f"{iss}#a"))
    add("blank after it", changed(lambda iss: f"{iss} "))
    add("without a scheme", changed(lambda iss: iss.removeprefix("http://")))
    add("missing", ABSENT)
    add("null", None)
    add("empty", "")
    add("array", lambda provider, claims: [claims["iss"]])
    add("number", 1)
    add("object", lambda provider, claims: {claims["iss"]: True})
    add("true", True)


def tenant_faults() -> None:
    def add(
        name: str,
        description: str,
        arrange: Arrange,
        tenant: str = "common",
        *,
        person: Person | None = None,
        where: str = "id_token",
        **more: Any,
    ) -> None:
        options = {"entra": True} if person is None else {"entra": True, "person": person}
        fault("tenant", where, name, description, arrange, tenant=tenant, options=options, **more)

    def iss(value: Callable[[Provider], str]) -> Arrange:
        return claim("iss", lambda provider, claims: value(provider))

    stranger = Person(tid=OTHER_TENANT)
    add(
        "issuer is the template",
        "iss has {tenantid} in it",
        iss(lambda p: p.tenant_issuer("{tenantid}")),
    )
    add(
        "issuer of another tid",
        "iss is another tenant's",
        iss(lambda p: p.tenant_issuer(OTHER_TENANT)),
    )
    add("issuer of common", "iss names no tenant", iss(lambda p: p.tenant_issuer("common")))
    add("issuer of v1", "sts.windows.net", iss(lambda p: f"https://sts.windows.net/{HOME_TENANT}/"))
    add("issuer without v2.0", "cut", iss(lambda p: f"{p.base}/{HOME_TENANT}"))
    add("issuer, slash added", "longer", iss(lambda p: f"{p.issuer}/"))
    add(
        "issuer on another host",
        "longer",
        iss(lambda p: p.issuer.replace("127.0.0.1", "localhost")),
    )
    add("tid of another tenant", "tid differs from iss", claim("tid", OTHER_TENANT))
    add("tid missing", "iss cannot be checked", claim("tid", ABSENT))
    add("tid empty", "iss cannot be checked", claim("tid", ""))
    add("tid null", "iss cannot be checked", claim("tid", None))
    add("tid a list", "not a string", claim("tid", [HOME_TENANT]))
    add("tid a number", "not a string", claim("tid", 1))

    def strange_tid(tid: str) -> Arrange:
        def arrange(provider: Provider) -> None:
            def change(claims: Json) -> None:
                claims["tid"], claims["iss"] = tid, provider.tenant_issuer(tid)

            provider.mutate_claims = change

        return arrange

    add("tid is a path", "iss is made with it", strange_tid(f"{OTHER_TENANT}/../{HOME_TENANT}"))
    add("tid is the template", "iss is made with it", strange_tid("{tenantid}"))
    add("tid is common", "iss is made with it", strange_tid("common"))
    add("single tenant, stranger", "another tenant's person", nothing, HOME_TENANT, person=stranger)
    add("single domain, stranger", "another tenant's person", nothing, HOME_DOMAIN, person=stranger)
    add("consumers, work account", "not a personal account", nothing, "consumers")
    add(
        "organizations, personal account",
        "a personal account where only work accounts are asked for",
        nothing,
        "organizations",
        person=Person(tid=PERSONAL_TENANT),
        debatable="iss, tid and keys agree with the metadata",
    )
    add(
        "not an allowed tenant",
        "ALLOWED_TENANTS names another one",
        nothing,
        person=stranger,
        settings={"ALLOWED_TENANTS": [HOME_TENANT]},
    )
    add(
        "allowed tenant in tid only",
        "tid is allowed, iss is a stranger's",
        claim("tid", HOME_TENANT),
        person=stranger,
        settings={"ALLOWED_TENANTS": [HOME_TENANT]},
    )

    def key_issuer(value: Any) -> Arrange:
        def arrange(provider: Provider) -> None:
            each_key(issuer=value(provider) if callable(value) else value)(provider)

        return arrange

    add(
        "key of another tenant",
        "the key's issuer is another's",
        key_issuer(lambda p: p.tenant_issuer(OTHER_TENANT)),
    )
    add(
        "key of personal accounts",
        "the key's issuer is the consumers' tenant; the token is a work account's",
        key_issuer(lambda p: p.tenant_issuer(PERSONAL_TENANT)),
    )
    add(
        "key of another host",
        "the key's issuer",
        key_issuer("https://evil.example/{tenantid}/v2.0"),
    )
    add("key's issuer a number", "not a string", key_issuer(1))

    def foreign_metadata(issuer: Callable[[Provider], str]) -> Arrange:
        """The metadata name this issuer, and the token agrees."""

        def arrange(provider: Provider) -> None:
            def change(claims: Json) -> None:
                claims["iss"] = issuer(provider).replace("{tenantid}", claims["tid"])

            metadata("issuer", issuer)(provider)
            provider.mutate_claims = change
            each_key(issuer=ABSENT)(provider)

        return arrange

    add(
        "metadata of another host",
        "the template is another host's; tokens agree with it",
        foreign_metadata(lambda p: "https://evil.example/{tenantid}/v2.0"),
        where="discovery",
    )
    add(
        "metadata without a tenant",
        "common's issuer is a fixed one of another host; tokens agree with it",
        foreign_metadata(lambda p: "https://evil.example/v2.0"),
        where="discovery",
    )
    add(
        "metadata of another tenant",
        "asked for one tenant, told about another; tokens agree",
        foreign_metadata(lambda p: p.tenant_issuer(OTHER_TENANT)),
        HOME_TENANT,
        where="discovery",
        person=stranger,
    )
    add(
        "template for a single tenant",
        "a tenant's own metadata must name it; the token is a stranger's",
        foreign_metadata(lambda p: p.tenant_issuer("{tenantid}")),
        HOME_TENANT,
        where="discovery",
        person=stranger,
    )
    add(
        "template for a single tenant, right token",
        "a tenant's own metadata must name it",
        metadata("issuer", lambda p: p.tenant_issuer("{tenantid}")),
        HOME_TENANT,
        where="discovery",
        debatable="iss and tid are the tenant's after all",
    )
    add(
        "template misspelt",
        "{tenant} is no placeholder; iss cannot match",
        metadata("issuer", lambda p: p.tenant_issuer("{tenant}")),
        where="discovery",
    )


def audience_faults() -> None:
    def add(name: str, value: Any, **more: Any) -> None:
        fault("audience", "id_token", name, f"aud: {name}", claim("aud", value), **more)

    def us(change: Callable[[str], Any]) -> Callable[[Provider, Json], Any]:
        return lambda provider, claims: change(provider.client_id)

    add("other", "another-client")
    add("missing", ABSENT)
    add("null", None)
    add("empty", "")
    add("empty array", [])
    add("array without us", ["another-client", "a-third"])
    add("array of null", [None])
    add("array of arrays", us(lambda me: [[me]]))
    add("object", us(lambda me: {me: True}))
    add("number", 42)
    add("true", True)
    add("prefix of us", us(lambda me: me[:-1]))
    add("longer than us", us(lambda me: f"{me}0"))
    add("other case", us(str.upper))
    add("blank after it", us(lambda me: f"{me} "))
    add("joined by a blank", us(lambda me: f"{me} another-client"))
    add("joined by a comma", us(lambda me: f"{me},another-client"))
    add("as an API's", us(lambda me: f"api://{me}"))
    add("array with a number", us(lambda me: [me, 42]), options={"azp": Provider.client_id})
    add("several without azp", us(lambda me: [me, "another-client"]))

    def azp(name: str, value: Any, audience: Any = None) -> None:
        fault(
            "audience",
            "id_token",
            f"azp {name}",
            f"azp: {name}",
            claim("azp", value),
            options={"audience": audience},
        )

    both = [Provider.client_id, "another-client"]
    azp("other", "another-client")
    azp("other, several audiences", "another-client", both)
    azp("empty", "")
    azp("a number, several audiences", 42, both)
    azp("a list, several audiences", [Provider.client_id], both)
    azp("other case, several audiences", Provider.client_id.upper(), both)


def time_faults() -> None:
    def add(name: str, arrange: Arrange, **more: Any) -> None:
        fault("times", "id_token", name, name, arrange, **more)

    def moved(by: int) -> Callable[[Provider, Json], int]:
        return lambda provider, claims: claims["iat"] + by

    add("exp passed an hour ago", claim("exp", moved(-3600)))
    add("exp passed a year ago", claim("exp", moved(-31_536_000)))
    add("all of it an hour and more ago", nothing, options={"clock_offset": -8000})
    add("all of it in a day", nothing, options={"clock_offset": 86_400})
    for name in ("exp", "iat"):
        add(f"{name} missing", claim(name, ABSENT))
        add(f"{name} null", claim(name, None))
        add(f"{name} true", claim(name, True))
        add(f"{name} an object", claim(name, {"a": 1}))
        add(f"{name} a list", claim(name, lambda p, claims, n=name: [claims[n]]))
        add(f"{name} a string", claim(name, lambda p, claims, n=name: str(claims[n])))
        add(f"{name} a date", claim(name, "2099-01-01T00:00:00Z"))
        add(f"{name} empty", claim(name, ""))
        add(f"{name} NaN", claim_text(name, "NaN"))
        add(f"{name} Infinity", claim_text(name, "Infinity"))
        add(f"{name} 1e400", claim_text(name, "1e400"))
        add(f"{name} of 5000 digits", claim_text(name, "9" * 5000))
    add("exp negative", claim("exp", -1))
    add("exp 0", claim("exp", 0))
    add("iat in a day", claim("iat", moved(86_400)))
    add("iat in an hour", claim("iat", moved(3600)))
    add("nbf in an hour", claim("nbf", moved(3600)))
    add("nbf in a day", claim("nbf", moved(86_400)))
    add("nbf a string", claim("nbf", lambda p, claims: str(claims["iat"])))
    add("nbf null", claim("nbf", None))
    add("nbf true", claim("nbf", True))
    add("nbf Infinity", payload(lambda text: with_member(text, "nbf", b"Infinity")))


def nonce_faults() -> None:
    def add(name: str, value: Any, description: str = "", **more: Any) -> None:
        fault("nonce", "id_token", name, description or name, claim("nonce", value), **more)

    def sent(change: Callable[[str], Any]) -> Callable[[Provider, Json], Any]:
        return lambda provider, claims: change(claims["nonce"])

    add("missing", ABSENT)
    add("null", None)
    add("other", "n-0S6_WzA2Mj")
    add("empty", "")
    add("number", 0)
    add("true", True)
    add("list", sent(lambda nonce: [nonce]))
    add("object", sent(lambda nonce: {nonce: nonce}))
    add("hashed", sent(lambda nonce: hashlib.sha256(nonce.encode()).hexdigest()))
    add("hashed, base64url", sent(lambda nonce: b64(hashlib.sha256(nonce.encode()).digest())))
    add("other case", sent(str.swapcase))
    add("cut", sent(lambda nonce: nonce[:-1]))
    add("longer", sent(lambda nonce: f"{nonce}0"))
    add("blank after it", sent(lambda nonce: f"{nonce} "))
    add("NUL after it", sent(lambda nonce: f"{nonce}\0"))
    add(
        "of an earlier attempt",
        lambda provider, claims: provider.nonces[-2] if len(provider.nonces) > 1 else "n-earlier",
        "the nonce before the last one, once there is one",
    )
    add("not ASCII", sent(lambda nonce: f"{nonce[:-1]}é"))


def hash_faults() -> None:
    def add(name: str, member: str, value: Any, **more: Any) -> None:
        options = {member: True, **more.pop("options", {})}
        description = f"{member}: {name}"
        fault(
            "hashes",
            "id_token",
            f"{member} {name}",
            description,
            claim(member, value),
            options=options,
            **more,
        )

    def right(change: Callable[[str], Any], member: str = "at_hash") -> Any:
        return lambda provider, claims: change(claims[member])

    wrong = b64(hashlib.sha256(b"another token").digest()[:16])
    add("wrong", "at_hash", wrong)
    add("cut", "at_hash", right(lambda value: value[:-4]))
    add("empty", "at_hash", "")
    add("null", "at_hash", None)
    add("number", "at_hash", 1)
    add("list", "at_hash", right(lambda value: [value]))
    add("hexadecimal", "at_hash", right(lambda value: unb64(value).hex()))
    add("other case", "at_hash", right(str.swapcase))

    def wrong_alg(provider: Provider) -> None:
        """The hash of the right token, with the wrong function."""
        provider.mutate_claims = lambda claims: claims.update(
            at_hash=half_hash(provider.last_access_token, "RS512")
        )

    fault("hashes", "id_token", "at_hash by SHA-512", "RS256 means SHA-256", wrong_alg)

    def swapped(provider: Provider) -> None:
        """The at_hash is right for the access token that was swapped away."""
        provider.at_hash = True
        token_member("access_token", "at-another-token")(provider)

    fault("hashes", "token", "access token swapped", "at_hash is another one's", swapped)
    loose = "the code flow's token endpoint need not give c_hash, and need not have it checked"
    add("wrong", "c_hash", wrong, debatable=loose)
    add("number", "c_hash", 1, debatable=loose)


def subject_faults() -> None:
    def add(name: str, arrange: Arrange, **more: Any) -> None:
        fault("subject", "id_token", name, f"{name}", arrange, **more)

    add("sub missing", claim("sub", ABSENT))
    add("sub null", claim("sub", None))
    add("sub empty", claim("sub", ""))
    add("sub a number", claim("sub", 42))
    add("sub true", claim("sub", True))
    add("sub a list", claim("sub", ["person-0001"]))
    add("sub an object", claim("sub", {"id": "person-0001"}))
    add("sub of 256 characters", claim("sub", "s" * 256))
    add("sub of 100 KB", claim("sub", "s" * 100_000))
    add("sub with half a character", claim_text("sub", '"person-\\ud800"'))
    add("sub with NUL", claim("sub", "person\0"), debatable="NUL is an ASCII character")
    add("sub missing, Entra", claim("sub", ABSENT), options={"entra": True})
    add("oid a number, Entra", claim("oid", 42), options={"entra": True})
    add("oid a list, Entra", claim("oid", ["a"]), options={"entra": True})
    odd = "who it is, is clear; only the profile is broken"
    add("name an object", claim("name", {"a": 1}), debatable=odd)
    add("name with half a character", claim_text("name", '"Ada \\ud800"'), debatable=odd)
    add("name of 100 KB", claim("name", "n" * 100_000), debatable=odd)
    add("preferred_username a list", claim("preferred_username", ["ada"]), debatable=odd)
    add("email a number", claim("email", 42), debatable=odd)
    add("roles a number", claim("roles", 42), debatable=odd)
    add("groups an object", claim("groups", {"a": 1}), debatable=odd)


def key_faults() -> None:
    def add(name: str, description: str, arrange: Arrange, **more: Any) -> None:
        fault("keys", "keys", name, description, arrange, **more)

    def replaced(document: Json, value: Any) -> None:
        document["keys"] = value

    def set_to(value: Any) -> Arrange:
        return keys(lambda document: replaced(document, value))

    add("empty", "no keys in the set", set_to([]))
    add("keys null", "not a list", set_to(None))
    add("keys an object", "not a list", set_to({"key-0": {}}))
    add("keys a string", "not a list", set_to("key-0"))
    add("keys missing", "an empty object", keys(lambda document: document.clear()))
    add("list of nulls", "no keys", set_to([None, 1, "a", [], {}]))
    add("set is an array", "not an object", body("keys", lambda b: dumps(json.loads(b)["keys"])))
    add("set is null", "not an object", answers("keys", as_json("null")))
    add("set is a string", "not an object", answers("keys", as_json('"keys"')))
    add("symmetric only", "an octet key", set_to([{"kty": "oct", "k": "c2VjcmV0", "kid": "key-0"}]))
    secret = b"0123456789abcdef0123456789abcdef"

    def published_secret(provider: Provider) -> None:
        """A shared secret that everybody can read."""
        jwk = {"kty": "oct", "k": b64(secret), "kid": provider.key.kid, "alg": "HS256"}
        set_to([jwk])(provider)
        provider.sign_id_token = lambda head, body: compact(
            {**head, "alg": "HS256"}, body, hmac_sign(secret)
        )

    add(
        "symmetric, and used",
        "HS256 with a key from the public key set; the metadata lists HS256",
        published_secret,
        options={"announced_algs": ("RS256", "HS256")},
    )
    add("only for encryption", "use: enc", each_key(use="enc"))
    add("use unknown", "use: x", each_key(use="x"), debatable="RFC 7517 §4.2 allows other values")
    add(
        "key_ops without verify",
        "for encryption",
        each_key(use=ABSENT, key_ops=["encrypt"]),
    )
    add("kty unknown", "no such type", each_key(kty="XYZ"))
    add("kty missing", "no type", each_key(kty=ABSENT))
    add("kty EC, RSA members", "type confusion", each_key(kty="EC"))
    add("kty a list", "not a string", each_key(kty=["RSA"]))
    add("kid of another", "no match", each_key(kid="another"))
    add("kid a number", "not a string", each_key(kid=0), debatable="as good as no kid")
    add("n missing", "half a key", each_key(n=ABSENT))
    add("n is no base64", "broken", each_key(n="!!!***"))
    add("n empty", "broken", each_key(n=""))
    add("n a number", "not a string", each_key(n=12345))
    add("n zero", "no modulus", each_key(n="AA"))
    add("n of 65536 bits", "costly", each_key(n=b64(b"\xc1" * 8192)))
    add("e zero", "no exponent", each_key(e="AA"))
    add("e even", "no exponent", each_key(e="Ag"))
    add("e of 2048 bits", "costly", each_key(e=b64(b"\xc1" * 256)))
    es256 = {"signing_alg": "ES256"}
    add("EC point not on the curve", "invalid", each_key(x=b64(b"\1" * 32)), options=es256)
    add("EC point zero", "invalid", each_key(x=b64(bytes(32)), y=b64(bytes(32))), options=es256)
    add("EC curve unknown", "invalid", each_key(crv="P-999"), options=es256)

    def private(provider: Provider) -> None:
        def change(document: Json) -> None:
            document["keys"] = [{**provider.key.private_jwk(), **document["keys"][0]}]

        provider.mutate_keys = change

    add(
        "private key published",
        "anybody can sign",
        private,
        debatable="the signature is right; RFC 7517 asks publishers, not readers",
    )
    add("404", "not there", answers("keys", html(404)))
    add("500", "broken", answers("keys", html(500)))
    add("503", "out of order", answers("keys", as_json("{}", 503, **{"Retry-After": "120"})))
    add("429", "too many", answers("keys", as_json("{}", 429, **{"Retry-After": "99999999999"})))
    add("204", "no content", answers("keys", Reply(204, {"Content-Length": "0"}, b"")))
    add("HTML", "a page under 200", answers("keys", html()))
    add("empty body", "no bytes", answers("keys", as_json("")))
    add("truncated", "half of the JSON", body("keys", lambda b: b[: len(b) // 2]))
    add("not UTF-8", "broken", body("keys", lambda b: with_member(b, "x", b'"\xff"')))
    add("nested deeply", "100 000 brackets", body("keys", lambda b: with_member(b, "x", nested())))
    add(
        "a number of 5000 digits",
        "Python refuses to read it",
        body("keys", lambda b: with_member(b, "x", b"9" * 5000)),
        debatable="JSON sets no limit",
    )
    add("3 MB", "oversized", body("keys", lambda b: b + b" " * 3_000_000))
    add("endless", "never ends", answers("keys", lambda p, r: endless))
    add("hang", "no answer", answers("keys", lambda p, r: hang(HANG_SECONDS)))
    add(
        "drip",
        "a few bytes at a time",
        answers("keys", lambda p, r: drip(p.answer("keys", r), DRIP_SECONDS)),
    )
    add("drop", "closed without an answer", answers("keys", lambda p, r: drop))
    add("reset", "connection reset", answers("keys", lambda p, r: reset))

    def redirected(provider: Provider) -> None:
        """To the attacker's key set, by whose key the token is signed."""
        provider.raw["keys"] = lambda request: redirect(302, provider.attacker.url("keys"))
        signed_by_attacker()(provider)

    add("redirect", "to another origin's key set, which signed the token", redirected)
    for name, value in {
        "missing": ABSENT,
        "null": None,
        "a number": 1,
        "empty": "",
        "relative": "/keys",
        "plain http elsewhere": "http://keys.evil.example/keys",
        "javascript": "javascript:alert(1)",
        "a file": "file:///etc/passwd",
        "ftp": "ftp://127.0.0.1/keys",
        "a list": ["https://keys.example/keys"],
        "with a line break": lambda p: f"{p.url('keys')}\r\nX: y",
        "with credentials": lambda p: p.url("keys").replace("http://", "http://user:pass@"),
        "port out of range": "http://127.0.0.1:99999/keys",
        "broken brackets": "http://[::1/keys",
        "data with the right keys": lambda p: (
            f"data:application/json;base64,{b64(dumps(p.key_set()))}"
        ),
        "nobody listens": "http://127.0.0.1:1/keys",
    }.items():
        fault(
            "keys",
            "discovery",
            f"jwks_uri {name}",
            f"jwks_uri: {name}",
            metadata("jwks_uri", value),
        )


#: Hosts that no resolver and no `Location` header takes.
UNENCODABLE_HOSTS = {
    "with an empty label": "https://a..b/x",
    "with an empty first label": "https://.example/x",
    "with a label too long": f"https://{'a' * 64}.example/x",
    "with a line separator": "https://a\u2028b/x",
}


def discovery_faults() -> None:
    def add(name: str, description: str, arrange: Arrange, **more: Any) -> None:
        fault("discovery", "discovery", name, description, arrange, **more)

    def instead(name: str, description: str, answer: Any) -> None:
        add(name, description, answers("discovery", answer))

    def altered(name: str, description: str, change: Callable[[bytes], bytes]) -> None:
        add(name, description, body("discovery", change))

    def right(make: Callable[[Reply], Answer]) -> Callable[[Provider, Request], Answer]:
        return lambda provider, request: make(provider.answer("discovery", request))

    instead("404", "not there", html(404))
    instead("401", "not for you", as_json('{"error":"unauthorized"}', 401))
    instead("500", "broken", html(500))
    instead("503", "out of order", as_json("{}", 503, **{"Retry-After": "Mon, 99 Foo"}))
    instead("500 with the right body", "broken", right(lambda reply: reply._replace(status=500)))
    instead("404 with the right body", "broken", right(lambda reply: reply._replace(status=404)))
    instead("HTML", "a page under 200", html())
    instead("empty", "no bytes", as_json(""))
    instead("204", "no content", Reply(204, {"Content-Length": "0"}, b""))
    instead("array", "not an object", as_json("[]"))
    instead("null", "not an object", as_json("null"))
    instead("string", "not an object", as_json('"issuer"'))
    instead("empty object", "no members", as_json("{}"))
    altered("array around", "not an object", lambda b: b"[" + b + b"]")
    altered("truncated", "half of the JSON", lambda b: b[: len(b) // 2])
    altered("not UTF-8", "broken", lambda b: with_member(b, "x", b'"\xff\xfe"'))
    altered("nested deeply", "100 000 brackets", lambda b: with_member(b, "x", nested()))
    altered("5 MB", "oversized", lambda b: b + b" " * 5_000_000)
    instead(
        "gzip bomb",
        "200 MB in 200 KB",
        right(
            lambda reply: Reply(
                200,
                {"Content-Type": "application/json", "Content-Encoding": "gzip"},
                gzip.compress(reply.body) + gzip.compress(b" " * 2_000_000) * 100,
            )
        ),
    )
    instead(
        "gzip that is none",
        "says gzip, is plain",
        right(lambda r: r._replace(headers={**r.headers, "Content-Encoding": "gzip"})),
    )
    instead("endless", "never ends", lambda p, r: endless)
    instead("hang", "no answer", lambda p, r: hang(HANG_SECONDS))
    instead("hang in the body", "half an answer", right(lambda r: hang_in_body(r, HANG_SECONDS)))
    instead("drip", "a few bytes at a time", right(lambda reply: drip(reply, DRIP_SECONDS)))
    instead("drop", "closed without an answer", lambda p, r: drop)
    instead("reset", "connection reset", lambda p, r: reset)
    instead("longer Content-Length", "ends early", right(lambda r: content_length(r, 100_000)))
    instead("shorter Content-Length", "cuts the JSON", right(lambda r: content_length(r, 50)))
    instead("not HTTP", "another protocol", lambda p, r: raw_bytes(b"SSH-2.0-OpenSSH_9.6\r\n"))
    instead(
        "status out of range", "HTTP/1.1 99999", lambda p, r: raw_bytes(b"HTTP/1.1 99999 X\r\n\r\n")
    )
    instead(
        "thousand headers",
        "more than http.client takes",
        right(lambda r: r._replace(headers={**r.headers, **{f"X-{n}": "y" for n in range(1000)}})),
    )
    instead(
        "header of 100 KB",
        "longer than http.client takes",
        right(lambda r: r._replace(headers={**r.headers, "X-Long": "y" * 100_000})),
    )
    instead(
        "broken chunks",
        "chunked, with no such size",
        right(
            lambda r: raw_bytes(
                serialise(r._replace(body=b""), Content_Length=None, Transfer_Encoding="chunked")
                + b"zz\r\n"
                + r.body
            )
        ),
    )
    for status in (301, 302, 307):
        instead(
            f"redirect {status}",
            "to the attacker, whose document has the attacker's issuer",
            lambda p, r, status=status: redirect(status, p.attacker.url("discovery")),
        )

    def redirected(provider: Provider) -> None:
        """The attacker serves a document with the right issuer and the attacker's endpoints."""
        metadata("issuer", provider.issuer)(provider.attacker)
        provider.raw["discovery"] = lambda request: redirect(
            302, provider.attacker.url("discovery")
        )

    add("redirect to a forgery", "the right issuer, the attacker's endpoints", redirected)
    instead("redirect in circles", "to itself", lambda p, r: redirect(302, p.url("discovery")))
    instead("redirect to a file", "another scheme", redirect(302, "file:///etc/passwd"))
    instead("redirect without a target", "no Location", Reply(302, {}, b""))
    instead(
        "the attacker's document", "word for word", lambda p, r: p.attacker.answer("discovery", r)
    )

    def mixed_up(issuer: Callable[[Provider], Any]) -> Arrange:
        """The metadata name this issuer, and the tokens agree."""

        def arrange(provider: Provider) -> None:
            value = issuer(provider)
            metadata("issuer", value)(provider)
            claim("iss", value)(provider)

        return arrange

    for name, issuer in {
        "other": lambda p: "https://evil.example",
        "attacker's": lambda p: p.attacker.issuer,
        "missing": lambda p: ABSENT,
        "null": lambda p: None,
        "empty": lambda p: "",
        "a number": lambda p: 1,
        "a list": lambda p: [p.issuer],
        "https for http": lambda p: p.issuer.replace("http:", "https:"),
        "other host name": lambda p: p.issuer.replace("127.0.0.1", "localhost"),
        "longer": lambda p: f"{p.issuer}/x",
        "with a query": lambda p: f"{p.issuer}?x=y",
        "the template": lambda p: f"{p.issuer}/{{tenantid}}/v2.0",
    }.items():
        add(f"issuer {name}", "tokens agree with it", mixed_up(issuer))
    add(
        "issuer of another path",
        "tokens agree",
        mixed_up(lambda p: f"{p.base}/realms/y"),
        options={"path": "/realms/x"},
    )
    add(
        "issuer of the root",
        "tokens agree",
        mixed_up(lambda p: p.base),
        options={"path": "/realms/x"},
    )

    bad_addresses: dict[str, Any] = {
        "missing": ABSENT,
        "null": None,
        "a number": 1,
        "empty": "",
        "relative": "/somewhere",
        "without a scheme": "//127.0.0.1/somewhere",
        "plain http elsewhere": "http://login.evil.example/x",
        "javascript": "javascript:alert(1)",
        "a file": "file:///etc/passwd",
        "with a line break": "http://127.0.0.1:1/x\r\nSet-Cookie: a=b",
        "with a backslash": "http://127.0.0.1\\@evil.example/x",
        "port out of range": "http://127.0.0.1:99999/x",
        "loopback in disguise": "http://127.0.0.1.evil.example/x",
        **UNENCODABLE_HOSTS,
    }
    for member in ("token_endpoint", "authorization_endpoint"):
        for name, value in bad_addresses.items():
            add(f"{member} {name}", f"{member}: {name}", metadata(member, value))
        endpoint = member.split("_")[0].replace("authorization", "authorize")
        add(
            f"{member} with credentials",
            "a user name in the address",
            metadata(
                member,
                lambda p, e=endpoint: p.url(e).replace("http://", "http://user:pass@"),
            ),
        )
    add("token_endpoint a list", "not a string", metadata("token_endpoint", ["https://x.example"]))
    add(
        "token_endpoint where nobody listens",
        "refused",
        metadata("token_endpoint", "http://127.0.0.1:1/token"),
    )

    algs = "id_token_signing_alg_values_supported"
    add("algs only none", "no algorithm is left", metadata(algs, ["none"]))
    add("algs only HS256", "no algorithm is left; tokens are RS256", metadata(algs, ["HS256"]))
    add("algs only ES256", "tokens are RS256", metadata(algs, ["ES256"]))
    add("algs empty", "no algorithm is left", metadata(algs, []))
    add("algs a string", "not a list", metadata(algs, "RS256"))
    add("algs an object", "not a list", metadata(algs, {"RS256": True}))
    add("algs of numbers", "not names", metadata(algs, [256, None]))
    methods = "token_endpoint_auth_methods_supported"
    only_keys = {"auth_methods": ("private_key_jwt",)}
    add(
        "auth methods only private_key_jwt",
        "the client has a secret only",
        nothing,
        options=only_keys,
    )
    add(
        "auth methods only tls_client_auth",
        "the client has a secret only",
        nothing,
        options={"auth_methods": ("tls_client_auth",)},
    )
    malformed = "basic is the default; a client may ignore what it cannot read"
    add("auth methods a number", "not a list", metadata(methods, 1), debatable=malformed)
    add("auth methods of objects", "not names", metadata(methods, [{}]), debatable=malformed)
    add(
        "scopes_supported a number",
        "not a list",
        metadata("scopes_supported", 1),
        debatable=malformed,
    )
    for name, value in UNENCODABLE_HOSTS.items():
        add(
            f"end_session_endpoint {name}",
            "not needed for a sign-in",
            metadata("end_session_endpoint", value),
            debatable="it need not be used",
        )
    for member in ("end_session_endpoint", "userinfo_endpoint"):
        add(
            f"{member} javascript",
            "not needed for a sign-in",
            metadata(member, "javascript:alert(1)"),
            debatable="it need not be used",
        )
        add(
            f"{member} a number",
            "not needed for a sign-in",
            metadata(member, 1),
            debatable="it need not be used",
        )


def token_faults() -> None:
    def add(name: str, description: str, arrange: Arrange, **more: Any) -> None:
        fault("token", "token", name, description, arrange, **more)

    def instead(name: str, description: str, answer: Any) -> None:
        add(name, description, answers("token", answer))

    def altered(name: str, description: str, change: Callable[[bytes], bytes], **more: Any) -> None:
        add(name, description, body("token", change), **more)

    def right(make: Callable[[Reply], Answer]) -> Callable[[Provider, Request], Answer]:
        return lambda provider, request: make(provider.answer("token", request))

    def refused(error: str, status: int = 400) -> Reply:
        return as_json(dumps({"error": error, "error_description": "No."}), status)

    instead("invalid_grant", "400", refused("invalid_grant"))
    instead("invalid_client", "401", refused("invalid_client", 401))
    instead("invalid_request", "400", refused("invalid_request"))
    instead("unauthorized_client", "400", refused("unauthorized_client"))
    instead("interaction_required", "400", refused("interaction_required"))
    instead("unknown error", "400", refused("x_no_such_error"))
    instead(
        "error with HTML in it",
        "400",
        as_json(
            dumps(
                {
                    "error": "<b>x</b>",
                    "error_description": "<script>alert(1)</script>\r\n\x00\x1b[31m",
                }
            ),
            400,
        ),
    )
    instead("error a number", "400", as_json('{"error":42,"error_description":[]}', 400))
    instead("error an object", "400", as_json('{"error":{"code":"x","message":"y"}}', 400))
    instead("error null", "400", as_json('{"error":null}', 400))
    instead("400 without JSON", "a page", html(400))
    instead("400 empty", "no bytes", as_json("", 400))
    instead("400 array", "not an object", as_json("[]", 400))
    instead(
        "400 with the right body", "tokens under an error", right(lambda r: r._replace(status=400))
    )
    instead("500", "a page", html(500))
    instead(
        "500 with the right body", "tokens under an error", right(lambda r: r._replace(status=500))
    )
    instead(
        "503 with Retry-After",
        "later",
        as_json('{"error":"temporarily_unavailable"}', 503, **{"Retry-After": "60"}),
    )
    instead("429", "too many", as_json("{}", 429, **{"Retry-After": "-1"}))
    instead("HTML", "a page under 200", html())
    instead("204", "no content", Reply(204, {"Content-Length": "0"}, b""))
    instead("empty", "no bytes", as_json(""))
    instead("null", "not an object", as_json("null"))
    instead(
        "form-encoded",
        "as GitHub once did",
        Reply(
            200,
            {"Content-Type": "application/x-www-form-urlencoded"},
            b"access_token=a&token_type=bearer",
        ),
    )
    altered("array around", "not an object", lambda b: b"[" + b + b"]")
    altered("truncated", "half of the JSON", lambda b: b[: len(b) // 2])
    altered("not UTF-8", "broken", lambda b: with_member(b, "x", b'"\xff"'))
    altered("nested deeply", "100 000 brackets", lambda b: with_member(b, "x", nested()))
    altered("5 MB", "oversized", lambda b: b + b" " * 5_000_000)
    instead("endless", "never ends", lambda p, r: endless)
    instead("hang", "no answer", lambda p, r: hang(HANG_SECONDS))
    instead("hang in the body", "half an answer", right(lambda r: hang_in_body(r, HANG_SECONDS)))
    instead("drip", "a few bytes at a time", right(lambda reply: drip(reply, DRIP_SECONDS)))
    instead("drop", "closed without an answer", lambda p, r: drop)
    instead("reset", "connection reset", lambda p, r: reset)
    instead("not HTTP", "another protocol", lambda p, r: raw_bytes(b"* OK IMAP4 ready\r\n"))
    instead("longer Content-Length", "ends early", right(lambda r: content_length(r, 100_000)))
    instead("shorter Content-Length", "cuts the JSON", right(lambda r: content_length(r, 50)))
    instead(
        "Content-Length of letters",
        "no number, and a cut body",
        right(lambda r: content_length(r._replace(body=r.body[:50]), "abc")),
    )

    def redirected(status: int) -> Arrange:
        """To the attacker, who would answer with good tokens for the good request."""

        def arrange(provider: Provider) -> None:
            seen: list[Request] = []

            def first(request: Request) -> Answer:
                seen.append(request)
                return redirect(status, provider.attacker.url("token"))

            provider.raw["token"] = first
            provider.attacker.raw["token"] = lambda request: provider.answer("token", seen[-1])

        return arrange

    for status in (301, 302, 303, 307, 308):
        add(f"redirect {status}", "to the attacker's token endpoint", redirected(status))
    instead("redirect to itself", "in circles", lambda p, r: redirect(307, p.url("token")))
    instead(
        "300 with the right body",
        "tokens under a redirect",
        right(lambda r: r._replace(status=300)),
    )

    altered(
        "error beside tokens",
        "200 with an error",
        lambda b: with_member(b, "error", b'"invalid_grant"'),
    )
    for name, value in {
        "missing": ABSENT,
        "null": None,
        "empty": "",
        "a number": 42,
        "an object": {"a": 1},
        "a list": lambda token: [token],
        "with a line break": lambda token: f"{token}\r\nX-Injected: 1",
        "not ASCII": lambda token: f"{token}é€",
        "with NUL": lambda token: f"{token}\0",
    }.items():
        add(f"access_token {name}", f"access_token: {name}", token_member("access_token", value))
    add(
        "access_token with a blank",
        "not as RFC 6750 has it",
        token_member("access_token", lambda token: f"{token} more"),
        debatable="RFC 6749 §A.12 allows it",
    )
    altered(
        "access_token with half a character",
        "a lone surrogate",
        lambda b: b.replace(b'"access_token":"', b'"access_token":"\\ud800'),
    )
    for name, value in {
        "missing": ABSENT,
        "null": None,
        "empty": "",
        "a number": 42,
        "an object": {"a": 1},
        "a list": lambda token: [token],
        "true": True,
        "the access token": "at-opaque",
    }.items():
        add(f"id_token {name}", f"id_token: {name}", token_member("id_token", value))
    for name, value in {
        "mac": "mac",
        "a number": 1,
        "a list": ["Bearer"],
        "N_A": "N_A",
        "empty": "",
    }.items():
        add(f"token_type {name}", f"token_type: {name}", token_member("token_type", value))
    lenient = "required by RFC 6749, and often left out; a client may take it for Bearer"
    add("token_type missing", "none", token_member("token_type", ABSENT), debatable=lenient)
    add("token_type null", "none", token_member("token_type", None), debatable=lenient)
    hint = "expires_in is a recommendation; a client may treat what it cannot use as absent"
    for name, value in {
        "negative": -1,
        "an object": {"a": 1},
        "a list": [3600],
        "words": "an hour",
        "true": True,
        "null": None,
        "zero": 0,
        "centuries": 10**18,
        "of 400 digits": 10**400,
    }.items():
        add(
            f"expires_in {name}",
            f"expires_in: {name}",
            token_member("expires_in", value),
            debatable=hint,
        )

    def expires_in(text: bytes) -> Callable[[bytes], bytes]:
        return lambda b: re.sub(rb'"expires_in":\d+', b'"expires_in":' + text, b)

    for text in ("NaN", "Infinity", "1e400"):
        altered(
            f"expires_in {text}",
            "not JSON, or beyond numbers",
            expires_in(text.encode()),
            debatable=hint,
        )
    altered(
        "expires_in of 5000 digits",
        "Python refuses to read it",
        expires_in(b"9" * 5000),
        debatable=hint,
    )
    for name, value in {"a number": 1, "an object": {"a": 1}}.items():
        add(
            f"refresh_token {name}",
            "optional",
            token_member("refresh_token", value),
            debatable="it is optional; a client may do without",
        )
        add(f"scope {name}", "optional", token_member("scope", value), debatable="it is optional")
    entra = {"entra": True}
    info = "the ID token alone says who it is"
    for name, value in {
        "a number": 1,
        "garbage": "!!!",
        "no object": b64(b"[]"),
        "nested deeply": b64(nested()),
    }.items():
        add(
            f"client_info {name}",
            "Entra's extra",
            token_member("client_info", value),
            options=entra,
            debatable=info,
        )
    add(
        "client_info of another person",
        "uid and utid differ from oid and tid",
        token_member("client_info", b64(dumps({"uid": "somebody", "utid": OTHER_TENANT}))),
        options=entra,
        debatable="in guest scenarios they do differ",
    )


def callback_faults() -> None:
    def add(name: str, description: str, arrange: Arrange, **more: Any) -> None:
        fault("callback", "callback", name, description, arrange, **more)

    def posted(name: str, description: str, arrange: Arrange) -> None:
        """The same, by query and by form_post."""
        add(name, description, arrange)
        add(f"{name}, form_post", description, arrange, settings={"RESPONSE_MODE": "form_post"})

    def plus(*pairs: tuple[str, str]) -> Arrange:
        return callback(lambda params: [*params, *pairs])

    def only(*pairs: tuple[str, str]) -> Arrange:
        """These instead of the code; the state is right."""
        return callback(lambda params: [*pairs, *(pair for pair in params if pair[0] == "state")])

    posted("no parameters", "an empty answer", callback(lambda params: []))
    posted("no code", "the state only", param("code", None))
    posted("code empty", "an empty code", param("code", ""))
    posted("code unknown", "made up", param("code", "made-up"))
    add("code blank", "a blank", param("code", " "))
    add("code of 20 KB", "oversized", param("code", "c" * 20_000))
    add(
        "code of 1 MB",
        "oversized",
        param("code", "c" * 1_000_000),
        settings={"RESPONSE_MODE": "form_post"},
    )
    posted("code with NUL", "a control character", param("code", lambda code: f"{code}\0"))
    add(
        "code with line breaks", "control characters", param("code", lambda code: f"{code}\r\nX: y")
    )
    add("code not ASCII", "made up", param("code", "cödé€"))
    posted("two codes", "the right one first", plus(("code", "made-up")))
    add(
        "two codes, the right one last",
        "twice",
        callback(lambda params: [("code", "made-up"), *params]),
    )
    add(
        "the code twice",
        "the right one, twice (RFC 6749 §3.1)",
        callback(lambda params: [params[0], *params]),
    )
    posted("two states", "the right one first", plus(("state", "made-up")))
    add(
        "two states, the right one last",
        "twice",
        callback(lambda params: [("state", "made-up"), *params]),
    )
    posted("state missing", "the code only", param("state", None))
    posted("state empty", "an empty state", param("state", ""))
    posted("state made up", "another one", param("state", "made-up"))
    add("state in other case", "not the same", param("state", str.swapcase))
    add("state cut", "not the same", param("state", lambda state: state[:-1]))
    add("state longer", "not the same", param("state", lambda state: f"{state}x"))
    add("state with a blank", "not the same", param("state", lambda state: f" {state}"))
    add("state with NUL", "not the same", param("state", lambda state: f"{state}\0"))
    add("state with a dot", "not the same", param("state", lambda state: f"{state}."))
    add("state not ASCII", "made up", param("state", "státe"))
    add("state of 20 KB", "oversized", param("state", "s" * 20_000))
    add(
        "state of 1 MB",
        "oversized",
        param("state", "s" * 1_000_000),
        settings={"RESPONSE_MODE": "form_post"},
    )
    add(
        "state under another name",
        "State",
        callback(lambda params: [(n.title(), v) for n, v in params]),
    )
    add(
        "parameters as lists", "code[]", callback(lambda params: [(f"{n}[]", v) for n, v in params])
    )

    denied = ("error", "access_denied")
    posted("access_denied", "the person said no", only(denied))
    posted("server_error", "broken", only(("error", "server_error")))
    add("temporarily_unavailable", "later", only(("error", "temporarily_unavailable")))
    add("login_required", "only after prompt=none", only(("error", "login_required")))
    add("interaction_required", "only after prompt=none", only(("error", "interaction_required")))
    add("consent_required", "only after prompt=none", only(("error", "consent_required")))
    add("error unknown", "not in any list", only(("error", "x_no_such_error")))
    add("error empty", "an empty error", only(("error", "")))
    add("error without state", "nobody's", callback(lambda params: [denied]))
    add("error with another state", "nobody's", callback(lambda params: [denied, ("state", "x")]))
    add("two errors", "twice", only(denied, ("error", "server_error")))
    posted("error and code", "both", plus(denied))
    markup = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    posted(
        "error_description with HTML",
        "must be escaped",
        only(denied, ("error_description", markup)),
    )
    add("error with HTML", "must be escaped", only(("error", markup)))
    add(
        "error_description with control characters",
        "header injection, terminals",
        only(denied, ("error_description", "a\r\nSet-Cookie: x=y\r\n\r\n\0\x1b[31m\u202e")),
    )
    add(
        "error_description of 20 KB", "oversized", only(denied, ("error_description", "d" * 20_000))
    )
    add(
        "error_description with templates",
        "must not be run",
        only(denied, ("error_description", "{{7*7}}{% debug %}%(x)s{0}${x}")),
    )
    add(
        "error_uri javascript",
        "must not be a link",
        only(denied, ("error_uri", "javascript:alert(1)")),
    )
    add(
        "tokens instead of a code",
        "the implicit flow",
        only(("access_token", "at-x"), ("id_token", "a.b.c"), ("token_type", "Bearer")),
    )

    def fragment(provider: Provider) -> None:
        provider.force_response_mode = "fragment"

    add("in the fragment", "where a server sees nothing", fragment)

    def injected(provider: Provider) -> None:
        """A code from somebody else's attempt: other verifier, other nonce."""

        def change(params: Params) -> None:
            asked = dict(provider.requests_to("authorize")[-1].query)
            asked |= {"nonce": "n-of-somebody-else", "code_challenge": "somebody-elses"}
            params[:] = [(n, provider.issue_code(asked) if n == "code" else v) for n, v in params]

        provider.mutate_callback = change

    def injected_without_pkce(provider: Provider) -> None:
        provider.require_pkce = False
        injected(provider)

    add("code of another attempt", "PKCE refuses it", injected)
    add("code of another attempt, no PKCE", "only the nonce tells", injected_without_pkce)

    def iss(name: str, arrange: Arrange, *, announced: bool = True, **more: Any) -> None:
        fault(
            "iss parameter",
            "callback",
            name,
            f"RFC 9207: {name}",
            arrange,
            options={"callback_iss": announced},
            **more,
        )

    iss("missing though announced", param("iss", None))
    iss("other", param("iss", "https://evil.example"))
    iss("empty", param("iss", ""))
    iss("with a slash", param("iss", lambda value: f"{value}/"))
    iss("in upper case", param("iss", str.upper))
    iss("twice, the right one first", plus(("iss", "https://evil.example")))
    iss(
        "twice, the right one last",
        callback(lambda params: [("iss", "https://evil.example"), *params]),
    )
    iss("other, not announced", plus(("iss", "https://evil.example")), announced=False)
    iss(
        "other, form_post",
        param("iss", "https://evil.example"),
        settings={"RESPONSE_MODE": "form_post"},
    )
    iss(
        "missing in an error",
        callback(lambda params: [denied, *(p for p in params if p[0] == "state")]),
    )
    iss(
        "other in an error",
        callback(
            lambda params: [
                denied,
                ("iss", "https://evil.example"),
                *(p for p in params if p[0] == "state"),
            ]
        ),
    )


def userinfo_faults() -> None:
    partial = "who it is, is clear from the ID token; only the profile is missing"

    def add(name: str, description: str, arrange: Arrange, *, debatable: str = partial) -> None:
        options = {"profile_in_id_token": False}
        fault(
            "userinfo", "userinfo", name, description, arrange, options=options, debatable=debatable
        )

    def member(name: str, value: Any) -> Arrange:
        def arrange(provider: Provider) -> None:
            provider.mutate_userinfo = lambda claims: claims.update({name: value})

        return arrange

    def instead(name: str, description: str, answer: Any) -> None:
        add(name, description, answers("userinfo", answer))

    must = ""
    add("other sub", "another person's profile", member("sub", "somebody-else"), debatable=must)
    add("sub missing", "nobody's profile", member("sub", ABSENT), debatable=must)
    add("sub null", "nobody's profile", member("sub", None), debatable=must)
    add("sub empty", "nobody's profile", member("sub", ""), debatable=must)
    add("sub a list", "not a string", member("sub", ["person-0001"]), debatable=must)
    add(
        "sub in other case",
        "another person's profile",
        member("sub", "PERSON-0001"),
        debatable=must,
    )
    add(
        "sub with a blank",
        "another person's profile",
        member("sub", "person-0001 "),
        debatable=must,
    )
    instead("array", "not an object", as_json("[]"))
    instead("null", "not an object", as_json("null"))
    instead("string", "not an object", as_json('"person-0001"'))
    instead("empty", "no bytes", as_json(""))
    instead("HTML", "a page under 200", html())
    instead(
        "signed garbage",
        "a JWT that is none",
        Reply(200, {"Content-Type": "application/jwt"}, b"a.b.c"),
    )
    instead("401", "not for you", as_json('{"error":"invalid_token"}', 401))
    instead("500", "broken", html(500))
    instead("503", "out of order", html(503))
    instead("hang", "no answer", lambda p, r: hang(HANG_SECONDS))
    instead("drop", "closed without an answer", lambda p, r: drop)
    instead("endless", "never ends", lambda p, r: endless)
    add("truncated", "half of the JSON", body("userinfo", lambda b: b[: len(b) // 2]))
    add(
        "nested deeply",
        "100 000 brackets",
        body("userinfo", lambda b: with_member(b, "x", nested())),
    )
    add("5 MB", "oversized", body("userinfo", lambda b: b + b" " * 5_000_000))
    add("name an object", "not a string", member("name", {"a": 1}))

    def redirected(provider: Provider) -> None:
        provider.raw["userinfo"] = lambda request: redirect(302, provider.attacker.url("userinfo"))
        provider.attacker.raw["userinfo"] = lambda request: as_json(
            dumps({"sub": provider.person.sub, "name": "Mallory"})
        )

    add("redirect", "to the attacker, who would learn the token", redirected)
    fault(
        "userinfo",
        "userinfo",
        "overrides what was signed",
        "iss, aud, nonce and exp are not the userinfo endpoint's to say",
        lambda p: setattr(
            p,
            "mutate_userinfo",
            lambda claims: claims.update(iss="https://evil.example", tid="x", aud="y", exp=0),
        ),
        options={"profile_in_id_token": False},
        debatable="these members must be ignored; the person is signed in with the signed ones",
    )


def refresh_faults() -> None:
    def add(name: str, description: str, arrange: Arrange, **options: Any) -> None:
        REFRESH_FAULTS.append(
            Fault(
                name=f"refresh: {name}",
                description=description,
                arrange=arrange,
                options=options,
                area="refresh",
                where="refresh",
            )
        )

    def refreshed(name: str, value: Any) -> Arrange:
        def arrange(provider: Provider) -> None:
            def change(claims: Json) -> None:
                claims[name] = value(provider, claims) if callable(value) else value

            provider.mutate_refresh_claims = change

        return arrange

    def answered(name: str, value: Any) -> Arrange:
        def arrange(provider: Provider) -> None:
            def change(document: Json) -> None:
                document[name] = value(document.get(name)) if callable(value) else value
                if document[name] is ABSENT:
                    del document[name]

            provider.mutate_refresh_response = change

        return arrange

    def stranger(token: str) -> str:
        head, content, _ = token.split(".")
        key = key_for("RS256", "attacker-0")
        return f"{head}.{content}.{b64(key.sign('RS256', f'{head}.{content}'.encode()))}"

    add("other sub", "another person", refreshed("sub", "somebody-else"))
    add("sub missing", "nobody", refreshed("sub", ABSENT))
    add("other iss", "another provider", refreshed("iss", "https://evil.example"))
    add("other aud", "another client", refreshed("aud", "another-client"))
    add("expired", "an hour ago", refreshed("exp", lambda p, claims: claims["iat"] - 3600))
    add("other nonce", "given, and not the first one's", refreshed("nonce", "another"))
    add("other tid", "another tenant", refreshed("tid", OTHER_TENANT), entra=True)
    add("signed by a stranger", "another key", answered("id_token", stranger))
    add("unsigned", "no signature", answered("id_token", lambda t: t.rpartition(".")[0] + "."))
    add("id_token a number", "not a token", answered("id_token", 42))
    add("access_token missing", "nothing to use", answered("access_token", ABSENT))
    add("access_token a number", "nothing to use", answered("access_token", 42))
    add("error beside tokens", "200 with an error", answered("error", "invalid_grant"))
    add("token_type mac", "not Bearer", answered("token_type", "mac"))


def variants() -> None:
    variant("textbook", "nothing unusual")
    variant("issuer with a slash", "as Auth0 has it", issuer_slash=True)
    variant("issuer with a path", "as Keycloak has it", path="/realms/x")
    variant("issuer with a path and a slash", "as authentik has it", path="/o/x", issuer_slash=True)
    variant("basic only", "listed and enforced", auth_methods=("client_secret_basic",))
    variant("post only", "listed and enforced", auth_methods=("client_secret_post",))
    variant(
        "no list of methods",
        "then it is basic",
        auth_methods=("client_secret_basic",),
        list_auth_methods=False,
    )
    variant(
        "unknown methods first",
        "and post",
        metadata(
            "token_endpoint_auth_methods_supported",
            ["x_new", "private_key_jwt", "client_secret_post"],
        ),
        auth_methods=("client_secret_post",),
    )
    for alg in ("RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"):
        variant(alg, "by key and metadata", signing_alg=alg)
    variant("PS256, key says nothing", "only the metadata do", signing_alg="PS256", jwk_members=())
    bare = ("use", "alg")
    variant("no kid in token and keys", "one key", token_kid=False, jwk_members=bare)
    variant(
        "no kid, several keys", "all must be tried", token_kid=False, jwk_members=bare, extra_keys=3
    )
    variant("no kid in the token", "several keys with one", token_kid=False, extra_keys=3)
    variant("no kid in the keys", "the token has one", jwk_members=bare)
    variant("no use and no alg", "the keys are bare", jwk_members=("kid",), extra_keys=2)
    variant("nothing but the key", "no use, alg, kid", jwk_members=(), token_kid=False)
    variant("several keys", "with kids", extra_keys=5)
    variant(
        "foreign keys in the set",
        "types, curves and uses that no client knows",
        keys(
            lambda document: document.update(
                keys=[
                    {"kty": "OKP", "crv": "Ed448", "x": "AAAA", "kid": "okp"},
                    {"kty": "XYZ", "kid": "new"},
                    {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA", "kid": "curve"},
                    {"kty": "RSA", "n": "AQAB", "e": "AQAB", "use": "enc", "kid": "key-0-enc"},
                    *document["keys"],
                ]
            )
        ),
    )

    def with_certificate(provider: Provider) -> None:
        chain, thumbprint = provider.key.certificate()
        each_key(x5c=[chain], x5t=thumbprint, key_ops=["verify"])(provider)

    variant("key with a certificate", "x5c, x5t and key_ops beside it", with_certificate)
    variant("audience array of one", "ours", audience=[Provider.client_id])
    both = ["https://api.example", Provider.client_id]
    variant("audience array and azp", "two audiences", audience=both, azp=Provider.client_id)
    variant("azp beside one audience", "as Google has it", azp=Provider.client_id)
    variant("no scopes_supported", "so no offline_access", scopes_supported=None)
    variant(
        "no offline_access",
        "scopes_supported is without it",
        scopes_supported=("openid", "profile", "email"),
    )
    optional = (
        "userinfo_endpoint",
        "end_session_endpoint",
        "scopes_supported",
        "response_modes_supported",
        "grant_types_supported",
        "code_challenge_methods_supported",
        "claims_supported",
        "token_endpoint_auth_methods_supported",
    )
    variant(
        "only required metadata", "nothing optional", omit_metadata=optional, scopes_supported=None
    )
    variant("no userinfo endpoint", "not listed", omit_metadata=("userinfo_endpoint",))
    variant("no end_session_endpoint", "not listed", omit_metadata=("end_session_endpoint",))
    variant("profile in userinfo only", "the ID token has sub alone", profile_in_id_token=False)
    variant(
        "no profile at all",
        "neither in the ID token nor at userinfo",
        omit_metadata=("userinfo_endpoint",),
        profile_in_id_token=False,
    )
    variant("expires_in as a string", "as Entra v1 has it", expires_in="3600")
    variant("expires_in missing", "recommended only", expires_in=ABSENT)
    variant("expires_in as a float", "3600.0", expires_in=3600.0)
    variant("token_type in lower case", "bearer", token_type="bearer")
    variant("token_type in upper case", "BEARER", token_type="BEARER")
    variant("scope omitted in the answer", "as asked then", send_scope=False)
    variant(
        "scope narrowed",
        "offline_access was not granted",
        narrow_scopes=lambda scopes: [scope for scope in scopes if scope != "offline_access"],
    )
    variant("no refresh token", "though offline_access was asked for", refresh_tokens=False)
    variant("iss parameter", "RFC 9207, announced and given", callback_iss=True)
    variant(
        "iss parameter, form_post",
        "RFC 9207",
        callback_iss=True,
        settings={"RESPONSE_MODE": "form_post"},
    )
    variant("form_post", "by a form", settings={"RESPONSE_MODE": "form_post"})
    variant("refresh without an ID token", "allowed", refresh_with_id_token=False)
    variant("refresh without rotation", "the old one stays", rotate_refresh_tokens=False)
    variant("at_hash", "given and right", at_hash=True)
    variant("at_hash by SHA-384", "given and right", at_hash=True, signing_alg="ES384")
    variant("c_hash", "given and right", c_hash=True)

    def chatty(provider: Provider) -> None:
        """Unknown members wherever there may be some."""
        extra = {"x_new": {"a": [1, None]}, "x_text": "é"}
        for name in (
            "mutate_metadata",
            "mutate_keys",
            "mutate_token_response",
            "mutate_refresh_response",
            "mutate_userinfo",
            "mutate_claims",
            "mutate_header",
        ):
            setattr(provider, name, lambda document: document.update(extra))
        provider.mutate_callback = lambda params: params.extend(
            [("session_state", "abc.def"), ("x_new", "1"), ("scope", "openid profile")]
        )

    variant("unknown members everywhere", "to be ignored", chatty)
    variant(
        "iat and exp as floats",
        "NumericDate may be",
        lambda p: setattr(
            p, "mutate_claims", lambda c: c.update(iat=c["iat"] + 0.5, exp=c["exp"] + 0.25)
        ),
    )
    variant("clock 30 s ahead", "within the leeway", clock_offset=30)
    variant("clock 30 s behind", "within the leeway", clock_offset=-30)
    variant(
        "ID token of an hour ago's login",
        "auth_time is older",
        claim("auth_time", lambda p, c: c["iat"] - 3600),
    )
    groups = [f"{number:08x}-0000-4000-8000-{number:012x}" for number in range(500)]
    variant("large ID token", "20 KB: 500 groups", extra_claims={"groups": groups})
    variant(
        "names of the world",
        "not ASCII",
        person=Person(name="Åsa Ünïcödé 山田太郎 👩🏽‍💻", email="åsa@münchen.example"),
    )
    variant("sub of 255 characters", "the longest", person=Person(sub="s" * 255))
    variant("sub with punctuation", "as Auth0 has it", person=Person(sub="auth0|a/b:c@d e+f"))
    variant("no typ", "the header names alg and kid only", header(typ=ABSENT))
    variant("no auth_time", "optional", claim("auth_time", ABSENT))
    variant(
        "pretty JSON",
        "indented, with other media type parameters",
        answers(
            "discovery",
            lambda p, r: Reply(
                200,
                {"Content-Type": "application/json;charset=UTF-8"},
                json.dumps(p.metadata(), indent=4).encode(),
            ),
        ),
    )

    def key_with_unverified_type(provider: Provider) -> None:
        """Served as plain JWK set type."""
        provider.raw["keys"] = lambda request: provider.answer("keys", request)._replace(
            headers={"Content-Type": "application/jwk-set+json"}
        )

    variant("keys as jwk-set+json", "RFC 7517's media type", key_with_unverified_type)

    def rotated(provider: Provider) -> None:
        """The first answer is the key set of a second ago, when another key signed."""
        old = provider.json({"keys": [provider.jwk(provider.key)]})
        answered: list[Request] = []

        def answer(request: Request) -> Answer:
            answered.append(request)
            return old if len(answered) == 1 else provider.answer("keys", request)

        provider.raw["keys"] = answer
        provider.rotate()

    variant("key rotated a second ago", "the first fetch of the key set is out of date", rotated)

    def entra(name: str, description: str, arrange: Arrange | None = None, **more: Any) -> None:
        variant(f"Entra: {name}", description, arrange, entra=True, **more)

    entra("common", "the template")
    entra("organizations", "the template", tenant="organizations")
    entra("consumers", "a personal account", tenant="consumers", person=Person(tid=PERSONAL_TENANT))
    entra("common, personal account", "the template", person=Person(tid=PERSONAL_TENANT))
    entra("a tenant's id", "a fixed issuer", tenant=HOME_TENANT)
    entra("a tenant's domain", "a fixed issuer with the id", tenant=HOME_DOMAIN)
    entra("common, another tenant", "the template", person=Person(tid=OTHER_TENANT))
    entra("allowed tenant", "named", settings={"ALLOWED_TENANTS": [HOME_TENANT]})
    entra("keys without issuer", "older", each_key(issuer=ABSENT))
    entra("form_post", "by a form", settings={"RESPONSE_MODE": "form_post"})
    entra("keys without alg", "as Entra has them", jwk_members=("use", "kid", "issuer"))
    entra("no client_info", "left out", token_member("client_info", ABSENT))
    entra("expires_in and ext_expires_in", "both", token_member("ext_expires_in", 7200))


for _area in (
    signature_faults,
    shape_faults,
    header_faults,
    issuer_faults,
    tenant_faults,
    audience_faults,
    time_faults,
    nonce_faults,
    hash_faults,
    subject_faults,
    key_faults,
    discovery_faults,
    token_faults,
    callback_faults,
    userinfo_faults,
    refresh_faults,
    variants,
):
    _area()
