"""Signing in at the test provider with MSAL's verbs, and nothing of the web layer."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from keyfob import ConfidentialClientApplication
from keyfob.protocol.http import HttpRequest, HttpResponse
from support.provider import HOME_TENANT, Provider

REDIRECT_URI = "http://localhost:5000/auth/callback"


@dataclass
class Clock:
    """The time, and how far a test moved it."""

    offset: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset


def application(
    provider: Provider, *, tenant: str = HOME_TENANT, **options: Any
) -> ConfidentialClientApplication:
    """The provider's client."""
    if provider.entra:
        options["authority"] = provider.authority(tenant)
    else:
        options["oidc_authority"] = provider.issuer
    return ConfidentialClientApplication(provider.client_id, provider.client_secret, **options)


def come_back(auth_uri: str) -> dict[str, str]:
    """What the provider sends to the redirect URI."""
    reply = requests.get(auth_uri, allow_redirects=False, timeout=10)
    return dict(parse_qsl(urlsplit(reply.headers["Location"]).query, keep_blank_values=True))


def sign_in(
    app: ConfidentialClientApplication, scopes: Collection[str] = (), **options: Any
) -> dict[str, Any]:
    """One whole sign-in; its result."""
    flow = app.initiate_auth_code_flow(list(scopes), redirect_uri=REDIRECT_URI, **options)
    return app.acquire_token_by_auth_code_flow(flow, come_back(flow["auth_uri"]))


def signed_in(app: ConfidentialClientApplication, scopes: Collection[str] = ()) -> dict[str, Any]:
    """The account of a new sign-in."""
    result = sign_in(app, scopes)
    assert "error" not in result, result
    return app.get_accounts()[0]


def query_of(url: str) -> dict[str, str]:
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def answer(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """An answer as the transport hands it to a flow."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status, headers or {}, raw, "https://idp.example/somewhere?secret=1")


@dataclass
class Scripted:
    """A transport whose answers are prepared, by what the request is called."""

    answers: dict[str, Any]
    sent: list[HttpRequest] = field(default_factory=list)

    def send(self, request: HttpRequest) -> HttpResponse:
        self.sent.append(request)
        prepared = self.answers[request.what]
        if isinstance(prepared, list):
            prepared = prepared.pop(0)
        if isinstance(prepared, Exception):
            raise prepared
        found: HttpResponse = prepared(request) if callable(prepared) else prepared
        return found

    def close(self) -> None: ...
