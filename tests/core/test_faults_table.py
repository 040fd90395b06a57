"""The table of faults is itself tested: a small strict client refuses every fault and accepts every
variant. It shares no code with Keyfob. So each fault is really wrong, and each variant right.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import re
import secrets
import time
from collections import Counter
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

import pytest
import requests
from joserfc import jws, jwt
from joserfc.jwk import ECKey, RSAKey
from urllib3.exceptions import HTTPError

from support.faults import FAULTS, REFRESH_FAULTS, VARIANTS, Fault, Variant
from support.provider import HOME_DOMAIN, HOME_TENANT, Provider, claims_of
from support.provider_jose import b64, half_hash, unb64

CALLBACK = "http://127.0.0.1:5000/auth/callback"
ALGS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
LIMIT = 512 * 1024


class Refused(Exception):
    """The strict client's no."""


def need(condition: object, why: str) -> None:
    if not condition:
        raise Refused(why)


class StrictClient:
    """An OpenID Connect client that forgives nothing."""

    def __init__(self, case: Variant, provider: Provider) -> None:
        self.case, self.provider = case, provider
        self.settings = case.site_settings(provider)
        self.nonce, self.state, self.verifier = (secrets.token_urlsafe(32) for _ in range(3))

    def fetch(self, method: str, url: object, **more: Any) -> tuple[int, bytes]:
        need(isinstance(url, str), "an address is a string")
        text = str(url)
        need(re.fullmatch(r"http://127\.0\.0\.1:\d{4,5}/[\w./{}:-]*", text), "address")
        deadline, body = time.monotonic() + 1.0, b""
        try:
            with requests.request(
                method, text, allow_redirects=False, timeout=1.5, stream=True, **more
            ) as answer:
                need(not 300 <= answer.status_code < 400, "redirected")
                # iter_content(n) waits until n bytes are there, whatever the time
                while chunk := answer.raw.read1(4096, decode_content=True):
                    body += chunk
                    need(len(body) < LIMIT and time.monotonic() < deadline, "too much, too slow")
                length = answer.headers.get("Content-Length", "0")
                need(length.isdigit() and int(length) <= len(body), "cut short")
                return answer.status_code, body
        except (requests.RequestException, HTTPError, ValueError) as error:
            raise Refused("no answer") from error

    def json(self, method: str, url: object, **more: Any) -> dict[str, Any]:
        status, body = self.fetch(method, url, **more)
        need(status == 200, f"status {status}")
        return self.parse(body)

    @staticmethod
    def parse(body: bytes) -> dict[str, Any]:
        def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
            need(len(items) == len({name for name, _ in items}), "a member came twice")
            return dict(items)

        try:
            value = json.loads(body.decode("utf-8"), object_pairs_hook=pairs)
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except (ValueError, RecursionError) as error:
            raise Refused("not JSON") from error
        need(isinstance(value, dict), "not an object")
        return dict(value)

    def sign_in(self) -> dict[str, Any]:
        self.metadata = meta = self.discover()
        code = self.authorize()
        tokens = self.redeem(code)
        claims = self.check_id_token(tokens)
        if "name" not in claims and "userinfo_endpoint" in meta:
            bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
            more = self.json("GET", meta["userinfo_endpoint"], headers=bearer)
            need(more.get("sub") == claims["sub"], "userinfo of somebody else")
            claims = {**more, **claims}
        self.tokens = tokens
        return claims

    def discover(self) -> dict[str, Any]:
        if self.case.entra:
            url = f"{self.settings['AUTHORITY']}/v2.0/.well-known/openid-configuration"
            tid = {"common": "{tenantid}", "organizations": "{tenantid}",
                   "consumers": "9188040d-6c67-4c5b-b112-36a304b66dad",
                   HOME_DOMAIN: HOME_TENANT}.get(self.case.tenant, self.case.tenant)  # fmt: skip
            expected = f"{self.provider.base}/{tid}/v2.0"
        else:
            expected = self.settings["OIDC_AUTHORITY"]
            url = expected.rstrip("/") + "/.well-known/openid-configuration"
        meta = self.json("GET", url)
        need(meta.get("issuer") == expected, "issuer of the metadata")
        algs = meta.get("id_token_signing_alg_values_supported")
        need(isinstance(algs, list) and set(map(str, algs)) & set(ALGS), "algorithms")
        methods = meta.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        need(isinstance(methods, list), "methods")
        need({"client_secret_basic", "client_secret_post"} & set(map(str, methods)), "methods")
        need(isinstance(meta.get("scopes_supported", []), list), "scopes_supported")
        return meta

    def authorize(self) -> str:
        asked = {
            "client_id": self.provider.client_id,
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "response_mode": self.case.response_mode,
            "scope": "openid profile",
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": b64(hashlib.sha256(self.verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        if self.case.entra or "offline_access" in self.metadata.get("scopes_supported", ()):
            asked["scope"] += " offline_access"
        target = self.metadata.get("authorization_endpoint")
        need(isinstance(target, str) and str(target).startswith(self.provider.base), "endpoint")
        answer = requests.get(f"{target}?{urlencode(asked)}", allow_redirects=False, timeout=5)
        if self.case.response_mode == "form_post":
            found = re.findall(r'name="([^"]*)" value="([^"]*)"', answer.text)
        else:
            query = urlsplit(answer.headers["Location"]).query
            found = parse_qsl(query, keep_blank_values=True)
        params = dict(found)
        need(len(params) == len(found), "a parameter came twice")
        need("error" not in params, "error")
        need(params.get("state") == self.state, "state")
        announced = self.metadata.get("authorization_response_iss_parameter_supported", False)
        if announced or "iss" in params:
            need(params.get("iss") == self.metadata["issuer"], "iss parameter")
        code = str(params.get("code", ""))
        need(code, "code")
        return code

    def redeem(self, code: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": self.verifier,
            "client_id": self.provider.client_id,
            "client_info": "1",
        }
        tokens = self.authenticated(form)
        need("error" not in tokens, "error beside tokens")
        token = tokens.get("access_token")
        need(isinstance(token, str) and re.fullmatch(r"[\x20-\x7e]+", str(token)), "access token")
        need(str(tokens.get("token_type")).lower() == "bearer", "token_type")
        return tokens

    def authenticated(self, form: dict[str, str]) -> dict[str, Any]:
        methods = self.metadata.get(
            "token_endpoint_auth_methods_supported", ["client_secret_basic"]
        )
        client, secret = self.provider.client_id, self.provider.client_secret
        auth = None
        if "client_secret_basic" in methods:
            auth = (quote_plus(client), quote_plus(secret))
        else:
            form["client_secret"] = secret
        url = self.metadata.get("token_endpoint")
        return self.json("POST", url, data=form, auth=auth)

    def check_refreshed(self, tokens: dict[str, Any], first: dict[str, Any]) -> None:
        need(isinstance(tokens.get("access_token"), str), "access token")
        need("error" not in tokens and tokens.get("token_type") == "Bearer", "answer")
        self.check_id_token(tokens, first)

    def key_set(self) -> list[dict[str, Any]]:
        keys = self.json("GET", self.metadata.get("jwks_uri")).get("keys")
        need(isinstance(keys, list), "keys")
        return [key for key in keys or [] if isinstance(key, dict)]

    def check_id_token(
        self, tokens: dict[str, Any], first: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        token = tokens.get("id_token")
        need(isinstance(token, str), "no ID token")
        text = str(token)
        need(re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", text, re.ASCII), "not compact")
        need(len(text) < 100_000, "oversized")
        header = self.parse(unb64(text.split(".", 1)[0]))
        self.verify_signature(text, header)
        claims = self.parse(unb64(text.split(".")[1]))
        if first is not None:  # a refreshed one need not repeat the nonce
            claims = {"nonce": first["nonce"], **claims}
            need(claims.get("sub") == first["sub"], "somebody else")
            need(claims.get("tid") == first.get("tid"), "another tenant")
        self.check_claims(claims, header, tokens)
        return claims

    def verify_signature(self, token: str, header: dict[str, Any]) -> None:
        alg, kid = header.get("alg"), header.get("kid")
        need(isinstance(alg, str) and alg in ALGS, "alg")
        need(alg in self.metadata["id_token_signing_alg_values_supported"], "alg not listed")
        need(not {"crit", "b64"} & set(header), "extension")
        need(kid is None or isinstance(kid, str), "kid")
        need(header.get("typ", "JWT") == "JWT", "typ")
        keys = self.key_set()
        if kid is not None and not any(key.get("kid", kid) == kid for key in keys):
            keys = self.key_set()
        for key in keys:
            if self.verifies(key, str(alg), kid, token):
                issuer = key.get("issuer", self.metadata["issuer"])
                self.key_issuer = issuer
                return
        raise Refused("no key verifies")

    @staticmethod
    def verifies(key: dict[str, Any], alg: str, kid: str | None, token: str) -> bool:
        if kid is not None and key.get("kid", kid) != kid:
            return False
        if key.get("use", "sig") != "sig" or key.get("alg", alg) != alg:
            return False
        members = ("kty", "n", "e", "crv", "x", "y")
        public: dict[str, Any] = {name: key[name] for name in members if name in key}
        if "verify" not in key.get("key_ops", ["verify"]) or "d" in key:
            return False
        if key.get("kty") != ("EC" if alg.startswith("ES") else "RSA"):
            return False
        if key["kty"] == "RSA":
            if len(str(key.get("n"))) not in range(340, 1000) or key.get("e") != "AQAB":
                return False
        elif key.get("crv") != CURVES[alg]:
            return False
        try:
            kind = ECKey if alg.startswith("ES") else RSAKey
            # by itself joserfc refuses unknown header members, which RFC 7515 §4 wants ignored
            registry = jws.JWSRegistry(algorithms=[alg], strict_check_header=False)
            jws.deserialize_compact(token, kind.import_key(public), registry=registry)
        except Exception:
            return False
        return True

    def check_claims(
        self, claims: dict[str, Any], header: dict[str, Any], tokens: dict[str, Any]
    ) -> None:
        tid = claims.get("tid")
        issuer = self.metadata["issuer"]
        if self.case.entra:
            need(isinstance(tid, str) and re.fullmatch(r"[0-9a-f-]{36}", tid), "tid")
            issuer = issuer.replace("{tenantid}", tid)
            need(isinstance(claims.get("oid"), str), "oid")
            need(isinstance(self.key_issuer, str), "key's issuer")
            need(self.key_issuer.replace("{tenantid}", str(tid)) == issuer, "key's issuer")
            allowed = self.settings.get("ALLOWED_TENANTS")
            need(allowed is None or tid in allowed, "tenant not allowed")
        need(claims.get("iss") == issuer, "iss")
        me = self.provider.client_id
        aud = claims.get("aud")
        audiences = aud if isinstance(aud, list) else [aud]
        need(all(isinstance(one, str) for one in audiences) and me in audiences, "aud")
        need(claims.get("azp", me) == me, "azp")
        need(len(audiences) == 1 or "azp" in claims, "azp missing")
        now = time.time()
        for name in ("exp", "iat", "nbf"):
            value: Any = claims.get(name, now if name == "nbf" else None)
            need(isinstance(value, int | float) and not isinstance(value, bool), name)
            need(math.isfinite(value) and abs(value) < 1e11, name)
        need(claims["exp"] > now - 120, "expired")
        need(max(claims["iat"], claims.get("nbf", 0)) < now + 120, "not yet")
        need(claims.get("nonce") == self.nonce, "nonce")
        sub = claims.get("sub")
        need(isinstance(sub, str) and 0 < len(sub) < 256, "sub")
        if "at_hash" in claims:
            right = half_hash(tokens["access_token"], header["alg"])
            need(claims["at_hash"] == right, "at_hash")


def by_name(case: Variant) -> str:
    return case.name


def test_the_table_is_large_and_its_names_are_unique() -> None:
    names = Counter(case.name for case in [*FAULTS, *REFRESH_FAULTS, *VARIANTS])
    assert [name for name, count in names.items() if count > 1] == []
    assert len([case for case in FAULTS if not case.debatable]) >= 130
    assert len(VARIANTS) >= 25
    wheres = {"discovery", "keys", "callback", "token", "id_token", "userinfo"}
    assert {case.where for case in FAULTS} == wheres


def test_the_default_id_token_verifies_with_joserfc() -> None:
    case = Variant("textbook", "", lambda provider: None)
    with case.provider() as provider:
        client = StrictClient(case, provider)
        client.sign_in()
        key = RSAKey.import_key(provider.key_set()["keys"][0])
        token = jwt.decode(client.tokens["id_token"], key, algorithms=["RS256"])
        assert token.claims["nonce"] == client.nonce
        assert token.claims == claims_of(client.tokens["id_token"])
        assert [request.endpoint for request in provider.requests] == [
            "discovery",
            "authorize",
            "token",
            "keys",
        ]
        assert provider.requests_to("token")[0].form["code_verifier"] == client.verifier


@pytest.mark.parametrize("case", [case for case in FAULTS if not case.debatable], ids=by_name)
def test_a_fault_is_really_wrong(case: Fault) -> None:
    with case.provider() as provider:
        with pytest.raises(Refused):
            StrictClient(case, provider).sign_in()
        assert provider.attacker_requests == []


@pytest.mark.parametrize("case", [case for case in FAULTS if case.debatable], ids=by_name)
def test_a_debatable_fault_works_as_a_provider(case: Fault) -> None:
    with case.provider() as provider, contextlib.suppress(Refused):
        StrictClient(case, provider).sign_in()


@pytest.mark.parametrize("case", VARIANTS, ids=by_name)
def test_a_variant_is_right(case: Variant) -> None:
    with case.provider() as provider:
        claims = StrictClient(case, provider).sign_in()
        assert claims["sub"] == provider.person.sub
        assert provider.attacker_requests == []


@pytest.mark.parametrize("case", REFRESH_FAULTS, ids=by_name)
def test_a_refresh_fault_signs_in_first_and_is_wrong_then(case: Fault) -> None:
    with case.provider() as provider:
        client = StrictClient(case, provider)
        claims = client.sign_in()
        form = {"grant_type": "refresh_token", "refresh_token": client.tokens["refresh_token"]}
        answer = client.authenticated(form)
        with pytest.raises(Refused):
            client.check_refreshed(answer, claims)


def test_a_right_refresh_passes_the_same_checks() -> None:
    case = Variant("textbook", "", lambda provider: None)
    with case.provider() as provider:
        client = StrictClient(case, provider)
        claims = client.sign_in()
        form = {"grant_type": "refresh_token", "refresh_token": client.tokens["refresh_token"]}
        again = dict(form)
        client.check_refreshed(client.authenticated(form), claims)
        with pytest.raises(Refused):
            client.authenticated(again)  # rotated
