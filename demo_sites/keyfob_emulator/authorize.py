"""The authorization request, checked: who asks, what for, and how the answer shall travel.

RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2.1, RFC 7636 (PKCE), OAuth 2.0 Multiple
Response Types and Form Post Response Mode. Checks come in two halves: before the redirect URI is
known to be the application's own an error is shown to the person, after that it is told to the
application.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from keyfob_emulator.authorities import Kind
from keyfob_emulator.consent import Identity
from keyfob_emulator.errors import problem
from keyfob_emulator.grants import Grant
from keyfob_emulator.model import Application, Directory
from keyfob_emulator.parameters import Parameters
from keyfob_emulator.realm import Realm
from keyfob_emulator.redirects import is_registered
from keyfob_emulator.scopes import RequestedScopes, parse_scopes

RESPONSE_MODES: Final = ("query", "form_post", "fragment")
PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")  # RFC 7636 section 4.2: BASE64URL(SHA256(...))


@dataclass(frozen=True)
class ReplyAddress:
    """Where an answer goes, known to be the application's own."""

    client: Application
    redirect_uri: str
    response_mode: str
    state: str | None


@dataclass(frozen=True)
class DeviceReply:
    """A device that waits for the answer and asks for it itself (RFC 8628)."""

    client: Application
    user_code: str


@dataclass(frozen=True)
class AuthorizationRequest:
    """A valid authorization request."""

    realm: Realm
    reply: ReplyAddress | DeviceReply
    scopes: RequestedScopes
    nonce: str | None
    prompt: frozenset[str]
    login_hint: str | None
    domain_hint: str | None
    max_age: int | None
    code_challenge: str | None
    client_info: bool
    claims: Mapping[str, Any]
    admin_consent: bool = False
    """Whether an administrator is asked to agree for everybody, and nobody is signed in to it."""

    @property
    def client(self) -> Application:
        """The application that asks."""
        return self.reply.client

    @property
    def device(self) -> DeviceReply | None:
        """The device that waits, None when the answer goes through the browser."""
        return self.reply if isinstance(self.reply, DeviceReply) else None

    def grant(
        self, identity: Identity, auth_time: int, sid: str, multi_factor: bool = False
    ) -> Grant:
        """What the application gets once this person has agreed."""
        return Grant(
            client_id=self.client.client_id,
            home_object_id=identity.account.object_id,
            tenant_id=identity.tenant.tenant_id,
            scope=self.scopes.text,
            auth_time=auth_time,
            sid=sid,
            nonce=self.nonce,
            auth_time_asked=self.max_age is not None
            or "auth_time" in self.claims.get("id_token", {}),
            client_info=self.client_info,
            claims=self.claims,
            policy=self.realm.authority.policy,
            multi_factor=multi_factor,
        )


def find_client(parameters: Parameters, directory: Directory, realm: Realm) -> Application:
    """The application a request names, if it serves this realm."""
    client_id = parameters.require("client_id")
    client = directory.application(client_id)
    if client is None:
        raise problem(700016, client_id=client_id, tenant=realm.title)
    realm.check_application(client)
    return client


def find_reply_address(parameters: Parameters, client: Application) -> ReplyAddress:
    """First half: errors here must not be sent anywhere (RFC 6749 section 4.1.2.1)."""
    redirect_uri = parameters.get("redirect_uri")
    if redirect_uri is None:
        # OpenID Connect Core 3.1.2.1 requires it; Entra falls back to a single registered one.
        if len(client.redirect_uris) != 1:
            raise problem(900971)
        redirect_uri = client.redirect_uris[0]
    if not is_registered(redirect_uri, client.redirect_uris):
        raise problem(50011, redirect_uri=redirect_uri, client_id=client.client_id)
    mode = parameters.get("response_mode") or "query"
    known_mode = mode if mode in RESPONSE_MODES else "query"
    return ReplyAddress(client, redirect_uri, known_mode, parameters.get("state"))


def read_request(
    parameters: Parameters,
    realm: Realm,
    reply: ReplyAddress,
    directory: Directory,
    *,
    graph_urls: Iterable[str],
    hint: Callable[[str], str],
) -> AuthorizationRequest:
    """Second half: errors here are the application's to hear. ``hint`` reads opaque login hints."""
    parameters.refuse_repeated()
    _check_response(parameters)
    for unsupported in ("request", "request_uri"):
        if parameters.get(unsupported):
            error = f"{unsupported}_not_supported"  # OpenID Connect Core section 3.1.2.6
            raise problem(90023, error=error, value="...", parameter=unsupported)
    login_hint = parameters.get("login_hint")
    return AuthorizationRequest(
        realm=realm,
        reply=reply,
        scopes=parse_scopes(parameters.require("scope"), directory, graph_urls, reply.client),
        nonce=parameters.get("nonce"),
        prompt=_prompt(parameters, realm),
        login_hint=hint(login_hint) if login_hint else None,
        domain_hint=parameters.get("domain_hint"),
        max_age=_max_age(parameters),
        code_challenge=_code_challenge(parameters, reply.client),
        client_info=parameters.get("client_info") == "1",
        claims=read_claims(parameters),
    )


def read_admin_consent(
    parameters: Parameters,
    realm: Realm,
    reply: ReplyAddress,
    directory: Directory,
    graph_urls: Iterable[str],
) -> AuthorizationRequest:
    """The same half for the admin consent endpoint, which has fewer parameters."""
    parameters.refuse_repeated()
    return AuthorizationRequest(
        realm=realm,
        reply=reply,
        scopes=parse_scopes(parameters.require("scope"), directory, graph_urls, reply.client),
        nonce=None,
        prompt=frozenset(),
        login_hint=None,
        domain_hint=None,
        max_age=None,
        code_challenge=None,
        client_info=False,
        claims={},
        admin_consent=True,
    )


def _check_response(parameters: Parameters) -> None:
    response_type = parameters.require("response_type")
    if response_type != "code":
        raise problem(700054, response_type=response_type)
    mode = parameters.get("response_mode")
    if mode is not None and mode not in RESPONSE_MODES:
        raise problem(70007, error="invalid_request", response_mode=mode)


def _prompt(parameters: Parameters, realm: Realm) -> frozenset[str]:
    text = parameters.get("prompt") or ""
    prompt = frozenset(text.split())
    if realm.authority.kind is Kind.EXTERNAL_ID and prompt == {"create"}:
        return prompt  # Initiating User Registration via OpenID Connect: straight to the sign-up.
    # OpenID Connect Core 3.1.2.1: "none" together with any other value is an error.
    if not prompt <= PROMPTS or ("none" in prompt and len(prompt) > 1):
        raise problem(90023, value=text, parameter="prompt")
    return prompt


def _max_age(parameters: Parameters) -> int | None:
    text = parameters.get("max_age")
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise problem(90023, value=text, parameter="max_age")
    return int(text)


def _code_challenge(parameters: Parameters, client: Application) -> str | None:
    challenge = parameters.get("code_challenge")
    method = parameters.get("code_challenge_method")
    if challenge is None:
        if method is not None:
            raise problem(501491)
        if client.public:  # RFC 8252 section 6; Entra demands it of single-page applications.
            raise problem(900144, parameter="code_challenge")
        return None
    # A challenge without a method means "plain" (RFC 7636 section 4.3), which protects nothing
    # here.
    if method != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise problem(501491)
    return challenge


def read_claims(parameters: Parameters) -> Mapping[str, Any]:
    """The ``claims`` parameter (OpenID Connect Core section 5.5): a JSON object of objects."""
    text = parameters.get("claims")
    if text is None:
        return {}
    try:
        claims = json.loads(text)
    except ValueError:
        claims = None
    if not isinstance(claims, dict) or not all(isinstance(v, dict) for v in claims.values()):
        raise problem(9002313, reason="the parameter 'claims' is not a JSON object of objects")
    return claims
