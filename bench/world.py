"""The local identity provider in the place of Microsoft's, in this process, and both libraries."""

from __future__ import annotations

import base64
import json
import threading
import time
from dataclasses import dataclass
from typing import Any

import msal
import requests

import keyfob
from keyfob_emulator import Emulator
from keyfob_emulator.in_process import mount
from keyfob_emulator.sample import CONTOSO, DESKTOP_TOOL

HOST = "login.microsoftonline.com"
AUTHORITY = f"https://{HOST}/{CONTOSO}"
CLIENT = DESKTOP_TOOL
#: What is asked for, and the usual superset that Microsoft grants.
ASKED = ["User.Read"]
GRANTED = ["User.Read", "email", "openid", "profile"]


class Wire:
    """An HTTP client of MSAL's kind, which leads to the provider and counts the token requests.

    :param latency: seconds that each token request takes, as over a network.
    """

    def __init__(self, emulator: Emulator, latency: float = 0.0) -> None:
        self._session = requests.Session()
        mount(self._session, emulator)
        self._latency = latency
        self._lock = threading.Lock()
        self.token_requests: list[dict[str, str]] = []

    def post(self, url: str, **request: Any) -> requests.Response:
        if url.partition("?")[0].endswith("/token"):
            with self._lock:
                self.token_requests.append(dict(request.get("data") or {}))
            time.sleep(self._latency)
        return self._session.post(url, **request)

    def get(self, url: str, **request: Any) -> requests.Response:
        return self._session.get(url, **request)

    def close(self) -> None:
        self._session.close()


def home_of(number: int) -> str:
    return f"{number:08d}-0000-4000-8000-000000000003"


def name_of(number: int) -> str:
    return f"user{number}@contoso.example"


def event(number: int) -> dict[str, Any]:
    """What a sign-in brings into a token cache, of the sizes that Microsoft's tokens have."""
    info = json.dumps({"uid": home_of(number), "utid": CONTOSO})
    name = name_of(number)
    return {
        "client_id": CLIENT,
        "scope": GRANTED,
        "token_endpoint": f"{AUTHORITY}/oauth2/v2.0/token",
        "environment": HOST,
        "grant_type": "authorization_code",
        "response": {
            "access_token": "a" * 2000,
            "refresh_token": "r" * 1400,
            "id_token": "i" * 1200,
            "id_token_claims": {"sub": name, "oid": name, "preferred_username": name},
            "client_info": base64.urlsafe_b64encode(info.encode()).decode(),
            "expires_in": 86_400,
        },
    }


def filled(people: int) -> keyfob.SerializableTokenCache:
    cache = keyfob.SerializableTokenCache()
    now = int(time.time())
    for number in range(people):
        cache.add(event(number), now=now)
    return cache


@dataclass(frozen=True)
class Pair:
    """Both libraries' public client, each with a cache of the same content."""

    ours: keyfob.PublicClientApplication
    theirs: msal.PublicClientApplication
    our_cache: keyfob.SerializableTokenCache
    their_cache: msal.SerializableTokenCache


def pair(people: int, wire: Wire) -> Pair:
    our_cache = filled(people)
    their_cache = msal.SerializableTokenCache()
    their_cache.deserialize(our_cache.serialize())
    ours = keyfob.PublicClientApplication(
        CLIENT, authority=AUTHORITY, http_client=wire, token_cache=our_cache
    )
    ours.metadata()
    theirs = msal.PublicClientApplication(
        CLIENT, authority=AUTHORITY, http_client=wire, token_cache=their_cache
    )
    return Pair(ours, theirs, our_cache, their_cache)
