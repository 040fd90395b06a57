"""A configurable OpenID Connect provider for the tests: correct by default, wrong where told.

    with Provider(signing_alg="ES256") as provider:
        site_settings = provider.settings()
        ...
        assert provider.requests_to("token")[0].form["grant_type"] == "authorization_code"

It listens on a real loopback socket, has no pages and signs its `person` in at once. It shares no
code with Keyfob and none with Keyfob's emulator.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import secrets
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus, urlencode

from cryptography.exceptions import InvalidSignature

from support.client_keys import ASSERTION_TYPE, opened
from support.provider_graph import graph
from support.provider_http import (
    Answer,
    HttpServer,
    Override,
    Reply,
    Request,
    redirect,
)
from support.provider_jose import Json, Key, b64, compact, dumps, half_hash, key_for

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "ABSENT",
    "CLIENT_ID",
    "CLIENT_SECRET",
    "HOME_DOMAIN",
    "HOME_TENANT",
    "OTHER_TENANT",
    "PERSONAL_TENANT",
    "Person",
    "Provider",
    "claims_of",
]

CLIENT_ID = "6731de76-14a6-49ae-97bc-6eba6914391e"
#: Has what form-encoding changes, so that `client_secret_basic` must encode it (RFC 6749 §2.3.1).
CLIENT_SECRET = "s3cr3t~with/special+characters:100%&more="
HOME_TENANT = "11111111-aaaa-4bbb-8ccc-222222222222"
OTHER_TENANT = "33333333-dddd-4eee-8fff-444444444444"
PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
HOME_DOMAIN = "contoso.example"

#: A claim or member with this value is left out.
ABSENT: Any = object()

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WELL_KNOWN = "/.well-known/openid-configuration"
_OIDC_ENDPOINTS = {
    "discovery": _WELL_KNOWN,
    "authorize": "/authorize",
    "token": "/token",
    "device": "/device_authorization",
    "keys": "/keys",
    "userinfo": "/userinfo",
    "end_session": "/end_session",
}
_ENTRA_ENDPOINTS = {
    "discovery": f"/v2.0{_WELL_KNOWN}",
    "authorize": "/oauth2/v2.0/authorize",
    "token": "/oauth2/v2.0/token",
    "device": "/oauth2/v2.0/devicecode",
    "keys": "/discovery/v2.0/keys",
    "end_session": "/oauth2/v2.0/logout",
    "instance": "/discovery/instance",
}
_ROOT_ENDPOINTS = {
    "/api/me": "api",
    "/v1.0/me": "api",
    "/v1.0/me/checkMemberGroups": "member_groups",
    "/v1.0/me/transitiveMemberOf": "memberships",
}

Claims = Json
Hook = Callable[[Json], None]


@dataclass(frozen=True)
class Person:
    """Who gets signed in."""

    sub: str = "person-0001"
    name: str = "Ada Keyring"
    preferred_username: str = "ada@contoso.example"
    email: str = "ada@contoso.example"
    oid: str = "55555555-0000-4000-8000-666666666666"
    tid: str = HOME_TENANT

    def profile(self, scopes: Collection[str]) -> Json:
        claims: Json = {}
        if "profile" in scopes:
            claims |= {"name": self.name, "preferred_username": self.preferred_username}
        if "email" in scopes:
            claims |= {"email": self.email, "email_verified": True}
        return claims


@dataclass
class Grant:
    """What one authorization led to."""

    person: Person
    scopes: list[str]
    tenant: str = ""
    redirect_uri: str = ""
    nonce: str | None = None
    challenge: str | None = None
    auth_time: int = 0
    contexts: list[str] = field(default_factory=list)
    used: bool = False


@dataclass(frozen=True)
class Access:
    """What one access token is good for; `person` is None for a client's own token."""

    scopes: list[str]
    person: Person | None
    expires: float


class _OAuthError(Exception):
    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error, self.description, self.status = error, description, status


@dataclass(eq=False, kw_only=True)
class Provider:
    """The provider. Every attribute may also be changed while it runs.

    :param path: the issuer's path, such as ``/realms/x``; none by default.
    :param issuer_slash: the issuer ends in a slash (as Auth0's do).
    :param entra: be shaped like Entra ID: a tenant in every path, an issuer template.
    :param redirect_uris: the registered ones; None accepts any.
    :param signing_alg: RS, PS or ES with 256, 384 or 512.
    :param announced_algs: in the metadata; by default RS256 and `signing_alg`.
    :param jwk_members: which of use, alg, kid (and in Entra mode issuer) the published keys have.
    :param extra_keys: unrelated keys that stand in the key set before the right one.
    :param auth_methods: how the client may authenticate; enforced. With `none` it may do without.
    :param client_key: whose assertions prove the client (`private_key_jwt`).
    :param list_auth_methods: whether the metadata says so; basic is the default where not.
    :param scopes_supported: in the metadata; None leaves it out. `offline_access` is refused
        with ``invalid_scope`` where it is not in there (never in Entra mode).
    :param omit_metadata: members that the metadata does not have.
    :param audience: the ID token's `aud`; by default the client id as a string.
    :param refresh_tokens: hand them out where `offline_access` was granted.
    :param rotate_refresh_tokens: a refresh gives a new one and ends the old one.
    :param revoke_reused_refresh_tokens: a rotated one that comes again ends all of its sign-in
        (RFC 9700 §4.14.2).
    :param direct_grants: grant types that give a token for `person` at once, whatever they bring.
    :param narrow_scopes: which of the scopes that were asked for are granted.
    :param send_scope: whether token answers name the scope.
    :param contexts: the authentication contexts that it can give, where the claims request asks.
    :param proved_at: when the person last gave their password, in seconds since 1970; None for now.
        Where the request's `max_age` wants it, they give it again.
    :param device_errors: what the coming polls of the device flow get, before the person is done.
    :param device_response: members to add to what the device authorization endpoint answers.
    :param groups: the object ids of what the person is in, as its Graph tells (Entra mode).
    :param groups_page: how many of them one page of a list has at the most.
    :param raw: by endpoint (discovery, authorize, token, keys, userinfo, end_session, api,
        member_groups, memberships, instance): what to answer instead, a Reply or a Trouble of
        provider_http.
    :param force_response_mode: query, form_post or fragment, whatever was asked for.
    """

    path: str = ""
    issuer_slash: bool = False
    entra: bool = False
    client_id: str = CLIENT_ID
    client_secret: str = CLIENT_SECRET
    redirect_uris: Sequence[str] | None = None
    person: Person = field(default_factory=Person)

    signing_alg: str = "RS256"
    announced_algs: Sequence[str] | None = None
    jwk_members: Collection[str] = ("use", "alg", "kid", "issuer")
    extra_keys: int = 0
    token_kid: bool = True
    key_name: str = "key"

    auth_methods: Sequence[str] = ("client_secret_basic", "client_secret_post")
    client_key: Key | None = None
    list_auth_methods: bool = True
    require_pkce: bool = True
    scopes_supported: Sequence[str] | None = ("openid", "profile", "email", "offline_access")
    omit_metadata: Collection[str] = ()

    audience: Any = None
    azp: str | None = None
    at_hash: bool = False
    c_hash: bool = False
    extra_claims: Claims = field(default_factory=dict)
    profile_in_id_token: bool = True
    lifetime: int = 3600
    clock_offset: float = 0

    token_type: str = "Bearer"
    expires_in: Any = None
    refresh_tokens: bool = True
    rotate_refresh_tokens: bool = True
    revoke_reused_refresh_tokens: bool = False
    refresh_with_id_token: bool = True
    direct_grants: Collection[str] = ()
    narrow_scopes: Callable[[list[str]], list[str]] | None = None
    send_scope: bool = True
    callback_iss: bool = False
    force_response_mode: str | None = None
    contexts: Collection[str] = ("c1", "c2")
    proved_at: float | None = None
    groups: Sequence[str] = ()
    groups_page: int = 999
    device_errors: list[str] = field(default_factory=list)
    device_response: Json = field(default_factory=dict)

    mutate_claims: Hook | None = None
    mutate_refresh_claims: Hook | None = None
    mutate_header: Hook | None = None
    mutate_payload: Callable[[bytes], bytes] | None = None
    sign_id_token: Callable[[Json, bytes], str] | None = None
    mutate_id_token: Callable[[str], str] | None = None
    mutate_metadata: Hook | None = None
    mutate_keys: Hook | None = None
    mutate_token_response: Hook | None = None
    mutate_refresh_response: Hook | None = None
    mutate_userinfo: Hook | None = None
    mutate_callback: Callable[[list[tuple[str, str]]], None] | None = None
    raw: dict[str, Override] = field(default_factory=dict)

    requests: list[Request] = field(default_factory=list, init=False)
    #: What went wrong in hooks; the first is raised when the `with` block ends.
    errors: list[BaseException] = field(default_factory=list, init=False)
    nonces: list[str] = field(default_factory=list, init=False)

    _server: HttpServer | None = field(default=None, init=False)
    _attacker: Provider | None = field(default=None, init=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False)
    _generation: int = field(default=0, init=False)
    _published: list[Key] = field(default_factory=list, init=False)
    _codes: dict[str, Grant] = field(default_factory=dict, init=False)
    _refresh: dict[str, Grant] = field(default_factory=dict, init=False)
    _rotated: dict[str, Grant] = field(default_factory=dict, init=False)
    _devices: dict[str, Grant] = field(default_factory=dict, init=False)
    _access: dict[str, Access] = field(default_factory=dict, init=False)

    # Life

    def start(self) -> Self:
        # Make the keys now: a request that had to wait for them might run into a time limit.
        unrelated = [f"unrelated-{number}" for number in range(self.extra_keys)]
        for name in (f"{self.key_name}-0", "attacker-0", *unrelated):
            key_for(self.signing_alg, name)
        if self.entra:
            key_for(self.signing_alg, "personal")
        self._server = HttpServer(self._respond)
        return self

    def close(self) -> None:
        if self._attacker is not None:
            self._attacker.close()
        if self._server is not None:
            self._server.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        errors = [*self.errors, *(self._attacker.errors if self._attacker else [])]
        if errors and error is None:
            raise errors[0]

    # Names and addresses

    @property
    def base(self) -> str:
        """The origin, ``http://127.0.0.1:PORT``."""
        if self._server is None:
            raise RuntimeError("the provider is not started")
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def issuer(self) -> str:
        """The issuer; in Entra mode the home tenant's."""
        if self.entra:
            return self.tenant_issuer(HOME_TENANT)
        return f"{self.base}{self.path}{'/' if self.issuer_slash else ''}"

    def tenant_issuer(self, tid: str) -> str:
        return f"{self.base}/{tid}/v2.0"

    def authority(self, tenant: str = "common") -> str:
        """The Entra authority of this tenant segment."""
        return f"{self.base}/{tenant}"

    def url(self, endpoint: str, tenant: str = "common") -> str:
        if endpoint == "api":
            return f"{self.base}/api/me"
        if not self.entra:
            return f"{self.base}{self.path}{_OIDC_ENDPOINTS[endpoint]}"
        if endpoint == "userinfo":
            return f"{self.base}/oidc/userinfo"
        return f"{self.base}/{tenant}{_ENTRA_ENDPOINTS[endpoint]}"

    def settings(self, tenant: str = "common") -> dict[str, Any]:
        """Keyfob's settings for this provider."""
        authority = (
            {"AUTHORITY": self.authority(tenant)} if self.entra else {"OIDC_AUTHORITY": self.issuer}
        )
        return {"CLIENT_ID": self.client_id, "CLIENT_SECRET": self.client_secret, **authority}

    @property
    def attacker(self) -> Provider:
        """Another provider on another port, with the same client and other keys; lazily."""
        with self._lock:
            if self._attacker is None:
                self._attacker = Provider(
                    path=self.path,
                    entra=self.entra,
                    client_id=self.client_id,
                    client_secret=self.client_secret,
                    key_name="attacker",
                    signing_alg=self.signing_alg,
                ).start()
            return self._attacker

    @property
    def last_access_token(self) -> str:
        """The newest access token."""
        return next(reversed(self._access))

    @property
    def attacker_requests(self) -> list[Request]:
        """What reached the attacker; nothing ever should."""
        return list(self._attacker.requests) if self._attacker is not None else []

    def requests_to(self, endpoint: str) -> list[Request]:
        """What arrived at one endpoint, oldest first."""
        return [request for request in list(self.requests) if request.endpoint == endpoint]

    # Keys

    @property
    def key(self) -> Key:
        """The key that signs now."""
        return self.key_at(self._generation)

    def key_at(self, generation: int) -> Key:
        return key_for(self.signing_alg, f"{self.key_name}-{generation}")

    def rotate(self, *, keep_old: bool = False) -> None:
        """Sign with a new key from now on, and publish it."""
        with self._lock:
            if keep_old:
                self._published.append(self.key)
            self._generation += 1

    def jwk(self, key: Key, issuer: str | None = None) -> Json:
        """The key as this provider publishes it."""
        known = {"use": "sig", "alg": self.signing_alg, "kid": key.kid}
        if issuer is not None:
            known["issuer"] = issuer
        chosen = {name: value for name, value in known.items() if name in self.jwk_members}
        return {**key.public_jwk(), **chosen}

    def key_set(self, tenant: str = "common") -> Json:
        issuer = self._metadata_issuer(tenant) if self.entra else None
        others = [
            key_for(self.signing_alg, f"unrelated-{number}") for number in range(self.extra_keys)
        ]
        keys = [self.jwk(key, issuer) for key in [*others, *self._published, self.key]]
        if self.entra and tenant not in (HOME_TENANT, HOME_DOMAIN):
            personal = self.jwk(
                key_for(self.signing_alg, "personal"), self.tenant_issuer(PERSONAL_TENANT)
            )
            keys.append(personal)
        document: Json = {"keys": keys}
        if self.mutate_keys:
            self.mutate_keys(document)
        return document

    # Discovery

    def _metadata_issuer(self, tenant: str) -> str:
        if not self.entra:
            return self.issuer
        tids = {
            "common": "{tenantid}",
            "organizations": "{tenantid}",
            "consumers": PERSONAL_TENANT,
            HOME_DOMAIN: HOME_TENANT,
        }
        return self.tenant_issuer(tids.get(tenant, tenant))

    def metadata(self, tenant: str = "common") -> Json:
        algs = self.announced_algs or sorted({"RS256", self.signing_alg})
        document: Json = {
            "issuer": self._metadata_issuer(tenant),
            "authorization_endpoint": self.url("authorize", tenant),
            "token_endpoint": self.url("token", tenant),
            "device_authorization_endpoint": self.url("device", tenant),
            "jwks_uri": self.url("keys", tenant),
            "userinfo_endpoint": self.url("userinfo", tenant),
            "end_session_endpoint": self.url("end_session", tenant),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "form_post"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
            "subject_types_supported": ["pairwise" if self.entra else "public"],
            "id_token_signing_alg_values_supported": list(algs),
            "code_challenge_methods_supported": ["S256"],
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "name", "email"],
        }
        if self.list_auth_methods:
            document["token_endpoint_auth_methods_supported"] = list(self.auth_methods)
        if self.scopes_supported is not None:
            document["scopes_supported"] = list(self.scopes_supported)
        if self.callback_iss:
            document["authorization_response_iss_parameter_supported"] = True
        if self.entra:
            host = self.base.removeprefix("http://")
            document |= {
                "tenant_region_scope": None,
                "cloud_instance_name": host,
                "cloud_graph_host_name": host,
                "msgraph_host": host,
            }
            del document["code_challenge_methods_supported"]  # Entra does not list it
        for name in self.omit_metadata:
            document.pop(name, None)
        if self.mutate_metadata:
            self.mutate_metadata(document)
        return document

    # Answers

    def route(self, path: str) -> tuple[str, str]:
        """The endpoint that a path names, and the tenant segment in it."""
        if path in _ROOT_ENDPOINTS:
            return _ROOT_ENDPOINTS[path], ""
        if not self.entra:
            for endpoint, suffix in _OIDC_ENDPOINTS.items():
                if path == self.path + suffix:
                    return endpoint, ""
            return "", ""
        if path == "/oidc/userinfo":
            return "userinfo", ""
        tenant, slash, rest = path[1:].partition("/")
        if rest.startswith("userrealm/"):
            return "userrealm", tenant
        for endpoint, suffix in _ENTRA_ENDPOINTS.items():
            if slash + rest == suffix:
                return endpoint, tenant
        return "", ""

    def _respond(self, request: Request) -> Answer:
        endpoint, _ = self.route(request.path)
        request = replace(request, endpoint=endpoint)
        self.requests.append(request)
        try:
            if endpoint in self.raw:
                return self.raw[endpoint](request)
            return self.answer(endpoint, request)
        except Exception as error:
            self.errors.append(error)
            text = "".join(traceback.format_exception(error))
            return Reply(500, {"Content-Type": "text/plain"}, text.encode())

    def answer(self, endpoint: str, request: Request) -> Reply:
        """The regular answer of an endpoint, without regard to `raw`."""
        tenant = self.route(request.path)[1] or "common"
        named = tenant in ("common", "organizations", "consumers", HOME_DOMAIN)
        if self.entra and not named and not _GUID.fullmatch(tenant):
            return self._error(
                _OAuthError("invalid_tenant", f"AADSTS90002: Tenant '{tenant}' not found.")
            )
        if endpoint == "discovery":
            return self.json(self.metadata(tenant))
        if endpoint == "keys":
            return self.json(self.key_set(tenant))
        if endpoint == "authorize":
            return self._authorize(request, tenant)
        if endpoint == "token":
            return self._token(request, tenant)
        if endpoint == "device":
            return self._device(request, tenant)
        if endpoint == "userinfo":
            return self._userinfo(request)
        if endpoint == "api":
            return self._api(request)
        if endpoint in ("member_groups", "memberships"):
            return self._no_token() if self._bearer(request) is None else graph(self, request)
        if endpoint == "end_session":
            return self._end_session(request)
        if endpoint == "instance":
            return self._instance(request)
        return Reply(404, {"Content-Type": "text/plain"}, b"not found")

    @staticmethod
    def json(value: object, status: int = 200, **headers: str) -> Reply:
        return Reply(
            status,
            {"Content-Type": "application/json", "Cache-Control": "no-store", **headers},
            dumps(value),
        )

    @staticmethod
    def page(body: str, status: int = 200) -> Reply:
        text = f"<!doctype html><html lang=en><title>Provider</title><body>{body}</body></html>"
        return Reply(status, {"Content-Type": "text/html; charset=utf-8"}, text.encode())

    def _error(self, error: _OAuthError) -> Reply:
        document: Json = {"error": error.error, "error_description": error.description}
        if self.entra:
            code = re.match(r"AADSTS(\d+)", error.description)
            document |= {
                "error_codes": [int(code[1])] if code else [],
                "timestamp": time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime()),
                "trace_id": str(uuid.uuid4()),
                "correlation_id": str(uuid.uuid4()),
            }
        headers = {"WWW-Authenticate": 'Basic realm="token"'} if error.status == 401 else {}
        return self.json(document, error.status, **headers)

    # Authorization endpoint

    def _authorize(self, request: Request, tenant: str) -> Reply:
        asked = request.form if request.method == "POST" else request.query
        target = asked.get("redirect_uri", "")
        if asked.get("client_id") != self.client_id:
            return self.page("This client is not known.", 400)
        if not target or (self.redirect_uris is not None and target not in self.redirect_uris):
            return self.page("This redirect_uri is not registered.", 400)
        try:
            answer = [("code", self.issue_code(asked, tenant))]
        except _OAuthError as error:
            answer = [("error", error.error), ("error_description", error.description)]
        if "state" in asked:
            answer.append(("state", asked["state"]))
        if self.callback_iss:
            answer.append(("iss", self.issuer))
        if self.mutate_callback:
            self.mutate_callback(answer)
        mode = self.force_response_mode or asked.get("response_mode", "query")
        if mode == "form_post":
            inputs = "".join(
                f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
                for name, value in answer
            )
            return self.page(
                f'<form method="post" action="{html.escape(target)}">{inputs}'
                "<noscript><button>Continue</button></noscript></form>"
                "<script>document.forms[0].submit()</script>"
            )
        mark = "#" if mode == "fragment" else "&" if "?" in target else "?"
        return redirect(302, f"{target}{mark}{urlencode(answer)}")

    def issue_code(self, asked: dict[str, str], tenant: str = "common") -> str:
        """Sign the person in and keep what the request asked for under a new code."""
        scopes = asked.get("scope", "").split()
        if asked.get("response_type") != "code":
            raise _OAuthError("unsupported_response_type", "Only response_type=code is served.")
        if "openid" not in scopes:
            raise _OAuthError("invalid_scope", "Ask for openid.")
        if (
            "offline_access" in scopes
            and not self.entra
            and "offline_access" not in (self.scopes_supported or ())
        ):
            raise _OAuthError("invalid_scope", "offline_access is not supported.")
        if self.require_pkce and asked.get("code_challenge_method") != "S256":
            raise _OAuthError("invalid_request", "PKCE with S256 is required.")
        if asked.get("response_mode", "query") not in ("query", "form_post"):
            raise _OAuthError("invalid_request", "Unknown response_mode.")
        code = secrets.token_urlsafe(24)
        nonce = asked.get("nonce")
        proved_at, max_age = self.proved_at, asked.get("max_age")
        if proved_at is not None and max_age and self.now() - proved_at > int(max_age):
            self.proved_at = self.now()
        wanted = json.loads(asked.get("claims", "{}")).get("id_token", {}).get("acrs") or {}
        values = {wanted.get("value"), *wanted.get("values", ())}
        with self._lock:
            if nonce is not None:
                self.nonces.append(nonce)
            self._codes[code] = Grant(
                person=self.person,
                scopes=self.narrow_scopes(scopes) if self.narrow_scopes else scopes,
                tenant=tenant,
                redirect_uri=asked.get("redirect_uri", ""),
                nonce=nonce,
                challenge=asked.get("code_challenge"),
                auth_time=int(self.now() if self.proved_at is None else self.proved_at),
                contexts=[context for context in self.contexts if context in values],
            )
        return code

    # Token endpoint

    def now(self) -> float:
        return time.time() + self.clock_offset

    def _token(self, request: Request, tenant: str) -> Reply:
        try:
            if request.method != "POST":
                raise _OAuthError("invalid_request", "Use POST.", 405)
            self._authenticate(request)
            names = [name for name, _ in request.form_list]
            if len(names) != len(set(names)):
                raise _OAuthError("invalid_request", "A parameter came twice.")
            grant_type = request.form.get("grant_type")
            with self._lock:
                if grant_type == "authorization_code":
                    document = self._redeem_code(request.form)
                elif grant_type == "refresh_token":
                    document = self._redeem_refresh_token(request.form)
                elif grant_type == "urn:ietf:params:oauth:grant-type:device_code":
                    document = self._redeem_device_code(request.form)
                elif grant_type == "client_credentials":
                    document = self._client_credentials(request.form)
                elif grant_type in self.direct_grants:
                    document = self._direct(request.form)
                else:
                    raise _OAuthError("unsupported_grant_type", f"No grant type {grant_type}.")
        except _OAuthError as error:
            return self._error(error)
        return self.json(document)

    def _authenticate(self, request: Request) -> None:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        by_basic = scheme.lower() == "basic"
        by_post = "client_secret" in request.form
        if "client_assertion" in request.form:
            self._judge_assertion(request.form)
            return
        is_public = "none" in self.auth_methods and not by_basic and not by_post
        if is_public and request.form.get("client_id") == self.client_id:
            return
        if by_basic and by_post:
            raise _OAuthError("invalid_request", "Two ways of client authentication at once.")
        if by_basic:
            method = "client_secret_basic"
            try:
                pair = base64.b64decode(credentials, validate=True).decode("utf-8")
            except ValueError:
                raise _OAuthError("invalid_client", "Unreadable credentials.", 401) from None
            client, _, secret = (unquote_plus(part) for part in pair.partition(":"))
            if request.form.get("client_id", client) != client:
                raise _OAuthError("invalid_client", "Two client ids.", 401)
        else:
            method = "client_secret_post" if "client_secret" in request.form else "none"
            client = request.form.get("client_id", "")
            secret = request.form.get(
                "client_secret", "" if method == "client_secret_post" else self.client_secret
            )
        if (
            method not in self.auth_methods
            or client != self.client_id
            or secret != self.client_secret
        ):
            raise _OAuthError(
                "invalid_client", "AADSTS7000215: Invalid client secret provided.", 401
            )

    def _judge_assertion(self, form: dict[str, str]) -> None:
        """RFC 7523 §3."""
        try:
            assert self.client_key is not None
            assert form["client_assertion_type"] == ASSERTION_TYPE
            _, claims = opened(form["client_assertion"], self.client_key)
            assert claims["iss"] == claims["sub"] == form["client_id"] == self.client_id
            assert claims["aud"].startswith(self.base)
            assert claims["nbf"] - 60 < time.time() < claims["exp"]
        except (AssertionError, KeyError, ValueError, InvalidSignature):
            raise _OAuthError("invalid_client", "The assertion is refused.", 401) from None

    def _redeem_code(self, form: dict[str, str]) -> Json:
        code = form.get("code", "")
        grant = self._codes.get(code)
        if grant is None or grant.used:
            raise _OAuthError("invalid_grant", "AADSTS70000: The code is unknown or used.")
        grant.used = True
        if form.get("redirect_uri") != grant.redirect_uri:
            raise _OAuthError("invalid_grant", "AADSTS50011: The redirect_uri differs.")
        if self.require_pkce:
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            if b64(digest) != grant.challenge:
                raise _OAuthError("invalid_grant", "AADSTS50148: The code_verifier is wrong.")
        document = self.token_response(grant, grant.scopes, code=code)
        if self.refresh_tokens and "offline_access" in grant.scopes:
            document["refresh_token"] = self._new_refresh_token(grant)
        if "client_info" in form and self.entra:
            info = {"uid": grant.person.oid, "utid": grant.person.tid}
            document["client_info"] = b64(dumps(info))
        if self.mutate_token_response:
            self.mutate_token_response(document)
        return document

    def _device(self, request: Request, tenant: str) -> Reply:
        """RFC 8628 §3.2."""
        try:
            self._authenticate(request)
        except _OAuthError as error:
            return self._error(error)
        code, scopes = secrets.token_urlsafe(24), request.form.get("scope", "").split()
        with self._lock:
            self._devices[code] = Grant(self.person, scopes, tenant, auth_time=int(self.now()))
        document = {
            "device_code": code,
            "user_code": "WDJB-MJHT",
            "verification_uri": f"{self.base}/device",
            "expires_in": 900,
            "interval": 5,
            **self.device_response,
        }
        return self.json({name: v for name, v in document.items() if v is not ABSENT})

    def _redeem_device_code(self, form: dict[str, str]) -> Json:
        """RFC 8628 §3.5."""
        grant = self._devices.get(form.get("device_code", ""))
        if grant is None or grant.used:
            raise _OAuthError("invalid_grant", "AADSTS70000: The device code is unknown or used.")
        if self.device_errors:
            raise _OAuthError(self.device_errors.pop(0), "AADSTS70016: Not yet.")
        grant.used = True
        document = self.token_response(grant, grant.scopes)
        if self.refresh_tokens and "offline_access" in grant.scopes:
            document["refresh_token"] = self._new_refresh_token(grant)
        if "client_info" in form and self.entra:
            info = {"uid": grant.person.oid, "utid": grant.person.tid}
            document["client_info"] = b64(dumps(info))
        if self.mutate_token_response:
            self.mutate_token_response(document)
        return document

    def _redeem_refresh_token(self, form: dict[str, str]) -> Json:
        token = form.get("refresh_token", "")
        grant = self._refresh.get(token)
        if grant is None and self.revoke_reused_refresh_tokens and token in self._rotated:
            spoilt = self._rotated[token]
            self._refresh = {name: g for name, g in self._refresh.items() if g is not spoilt}
        if grant is None:
            raise _OAuthError("invalid_grant", "AADSTS700082: The refresh token has expired.")
        scopes = form.get("scope", " ".join(grant.scopes)).split()
        if not self.entra and not set(scopes) <= set(grant.scopes):
            raise _OAuthError("invalid_scope", "More was asked for than had been granted.")
        document = self.token_response(grant, scopes, refresh=True)
        if self.rotate_refresh_tokens:
            self._rotated[token] = self._refresh.pop(token)
            document["refresh_token"] = self._new_refresh_token(grant)
        if "client_info" in form and self.entra:
            info = {"uid": grant.person.oid, "utid": grant.person.tid}
            document["client_info"] = b64(dumps(info))
        if self.mutate_refresh_response:
            self.mutate_refresh_response(document)
        return document

    def _direct(self, form: dict[str, str]) -> Json:
        grant = Grant(self.person, form.get("scope", "").split(), auth_time=int(self.now()))
        document = self.token_response(grant, grant.scopes)
        if self.refresh_tokens and "offline_access" in grant.scopes:
            document["refresh_token"] = self._new_refresh_token(grant)
        if "client_info" in form and self.entra:
            info = {"uid": grant.person.oid, "utid": grant.person.tid}
            document["client_info"] = b64(dumps(info))
        if self.mutate_token_response:
            self.mutate_token_response(document)
        return document

    def _client_credentials(self, form: dict[str, str]) -> Json:
        scopes = form.get("scope", "").split()
        if self.entra and not (len(scopes) == 1 and scopes[0].endswith("/.default")):
            raise _OAuthError("invalid_scope", "AADSTS1002012: The scope must end in /.default.")
        token = self.issue_access_token(scopes, None)
        return {"access_token": token, "token_type": self.token_type, "expires_in": self.lifetime}

    def _new_refresh_token(self, grant: Grant) -> str:
        token = f"rt-{secrets.token_urlsafe(24)}"
        self._refresh[token] = grant
        return token

    def revoke_refresh_tokens(self) -> None:
        with self._lock:
            self._refresh.clear()

    def issue_access_token(self, scopes: list[str], person: Person | None) -> str:
        token = f"at-{secrets.token_urlsafe(24)}"
        self._access[token] = Access(scopes, person, time.time() + self.lifetime)
        return token

    def token_response(
        self, grant: Grant, scopes: list[str], *, code: str = "", refresh: bool = False
    ) -> Json:
        access_token = self.issue_access_token(scopes, grant.person)
        document: Json = {
            "token_type": self.token_type,
            "access_token": access_token,
            "expires_in": self.lifetime if self.expires_in is None else self.expires_in,
            "scope": " ".join(scopes),
        }
        if self.expires_in is ABSENT:
            del document["expires_in"]
        if not self.send_scope:
            del document["scope"]
        if not refresh or self.refresh_with_id_token:
            document["id_token"] = self.id_token(grant, access_token, code=code, refresh=refresh)
        return document

    def id_token_claims(
        self, grant: Grant, access_token: str, *, code: str = "", refresh: bool = False
    ) -> Claims:
        now = int(self.now())
        person = grant.person
        claims: Claims = {
            "iss": self.tenant_issuer(person.tid) if self.entra else self.issuer,
            "sub": person.sub,
            "aud": self.client_id if self.audience is None else self.audience,
            "exp": now + self.lifetime,
            "iat": now,
            "auth_time": grant.auth_time,
        }
        if grant.nonce is not None and not refresh:
            claims["nonce"] = grant.nonce
        if grant.contexts and not refresh:
            claims["acrs"] = list(grant.contexts)
        if self.azp is not None:
            claims["azp"] = self.azp
        if self.entra:
            claims |= {
                "nbf": now,
                "tid": person.tid,
                "oid": person.oid,
                "ver": "2.0",
                "uti": secrets.token_urlsafe(16),
            }
        if self.profile_in_id_token:
            claims |= person.profile(grant.scopes)
        if self.at_hash:
            claims["at_hash"] = half_hash(access_token, self.signing_alg)
        if self.c_hash and code:
            claims["c_hash"] = half_hash(code, self.signing_alg)
        return {**claims, **self.extra_claims}

    def id_token(
        self, grant: Grant, access_token: str, *, code: str = "", refresh: bool = False
    ) -> str:
        claims = self.id_token_claims(grant, access_token, code=code, refresh=refresh)
        if self.mutate_claims:
            self.mutate_claims(claims)
        if refresh and self.mutate_refresh_claims:
            self.mutate_refresh_claims(claims)
        claims = {name: value for name, value in claims.items() if value is not ABSENT}
        header: Json = {"alg": self.signing_alg, "typ": "JWT", "kid": self.key.kid}
        if not self.token_kid:
            del header["kid"]
        if self.mutate_header:
            self.mutate_header(header)
        payload = dumps(claims)
        if self.mutate_payload:
            payload = self.mutate_payload(payload)
        token = (self.sign_id_token or self.sign)(header, payload)
        return self.mutate_id_token(token) if self.mutate_id_token else token

    def sign(self, header: Json, payload: bytes) -> str:
        """Sign with the key of now, by `signing_alg` (whatever the header says)."""
        return compact(header, payload, lambda data: self.key.sign(self.signing_alg, data))

    # Protected resources

    def _bearer(self, request: Request) -> Access | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        access = self._access.get(token)
        if scheme.lower() != "bearer" or access is None or access.expires < time.time():
            return None
        return access

    def _userinfo(self, request: Request) -> Reply:
        access = self._bearer(request)
        if access is None or access.person is None:
            return self._no_token()
        claims = {"sub": access.person.sub, **access.person.profile(access.scopes)}
        if self.mutate_userinfo:
            self.mutate_userinfo(claims)
        return self.json({name: value for name, value in claims.items() if value is not ABSENT})

    def _api(self, request: Request) -> Reply:
        access = self._bearer(request)
        if access is None:
            return self._no_token()
        person = access.person
        return self.json(
            {
                "id": person.oid if person else self.client_id,
                "sub": person.sub if person else self.client_id,
                "displayName": person.name if person else "",
                "userPrincipalName": person.preferred_username if person else "",
                "scopes": access.scopes,
            }
        )

    def _no_token(self) -> Reply:
        headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        return self.json({"error": "invalid_token"}, 401, **headers)

    # The rest

    def _end_session(self, request: Request) -> Reply:
        asked = request.form if request.method == "POST" else request.query
        target = asked.get("post_logout_redirect_uri")
        if not target:
            return self.page("You are signed out.")
        if not (asked.get("id_token_hint") or asked.get("client_id") or self.entra):
            return self.page("Say who is signing out.", 400)
        if "state" not in asked:
            return redirect(302, target)
        mark = "&" if "?" in target else "?"
        return redirect(302, f"{target}{mark}{urlencode({'state': asked['state']})}")

    def _instance(self, request: Request) -> Reply:
        host = self.base.removeprefix("http://")
        return self.json(
            {
                "tenant_discovery_endpoint": self.url("discovery"),
                "api-version": "1.1",
                "metadata": [
                    {"preferred_network": host, "preferred_cache": host, "aliases": [host]}
                ],
            }
        )


def claims_of(id_token: str) -> Claims:
    """What a token says, unchecked; for tests that look into one."""
    payload = id_token.split(".")[1]
    value: Claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return value
