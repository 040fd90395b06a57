"""A provider, a browser and an application for every test."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from joserfc import jwt
from joserfc.jwk import KeySet

from keyfob_emulator import EmulatorServer
from keyfob_emulator.keys import KeyRings, new_private_key
from keyfob_emulator.sample import FLASK_SITE, FLASK_SITE_SECRET, PASSWORD
from support.form_browser import FormBrowser, Page

REDIRECT = "http://localhost:5000/auth/callback"
SCOPE = "openid profile offline_access User.Read"
VERIFIER = "a-code-verifier-of-at-least-forty-three-characters"


def challenge(verifier: str = VERIFIER) -> str:
    """RFC 7636 section 4.2."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class Clock:
    """A clock a test sets."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Client:
    """An application and the person in front of it."""

    def __init__(self, server: EmulatorServer) -> None:
        self.server = server
        self.browser = FormBrowser(stop_at=("http://localhost:5000",))
        self.http = requests.Session()
        self.http.trust_env = False
        self.client_id = FLASK_SITE
        self.secret: str | None = FLASK_SITE_SECRET
        self.tenant = "common"
        self.redirect_uri = REDIRECT

    def close(self) -> None:
        self.browser.close()
        self.http.close()

    def endpoint(self, name: str, tenant: str | None = None) -> str:
        return f"{self.server.url}/{tenant or self.tenant}/oauth2/v2.0/{name}"

    def authorize_url(self, *, tenant: str | None = None, **changes: str | int | None) -> str:
        """An authorization request; None leaves a parameter out."""
        parameters: dict[str, Any] = {
            "client_id": self.client_id,
            "response_type": "code",
            "redirect_uri": self.redirect_uri,
            "scope": SCOPE,
            "state": "a state",
            "nonce": "a nonce",
            "code_challenge": challenge(),
            "code_challenge_method": "S256",
            **changes,
        }
        query = urlencode({k: v for k, v in parameters.items() if v is not None})
        return f"{self.endpoint('authorize', tenant)}?{query}"

    def open(self, *, tenant: str | None = None, **changes: str | int | None) -> Page:
        return self.browser.open(self.authorize_url(tenant=tenant, **changes))

    def answer(self, page: Page) -> dict[str, str]:
        """What reached the application: from the query, the fragment or the posted form."""
        if page.headings == ["One moment"]:
            (form,) = page.forms
            assert form.action == self.redirect_uri
            assert form.method == "post"
            return dict(form.fields)
        assert page.url.startswith(self.redirect_uri), page.text
        parts = urlsplit(page.url)
        return dict(parse_qsl(parts.query or parts.fragment))

    def finish(self, page: Page, username: str = "ada@contoso.example") -> dict[str, str]:
        """Do what the pages ask for until the application has its answer."""
        for _ in range(6):
            if page.headings == ["Pick an account"]:
                page = page.submit(button=username)
            elif page.headings == ["Enter the password"]:
                page = page.submit(password=PASSWORD)
            elif page.headings == ["Confirm it is you"]:
                page = page.submit(button="Approve")
            elif page.headings == ["Permissions requested"]:
                page = page.submit(button="Accept")
            else:
                return self.answer(page)
        raise AssertionError(f"no end: {page!r}")

    def sign_in(
        self,
        username: str = "ada@contoso.example",
        *,
        tenant: str | None = None,
        **changes: str | int | None,
    ) -> dict[str, str]:
        return self.finish(self.open(tenant=tenant, **changes), username)

    def token(
        self,
        *,
        tenant: str | None = None,
        headers: dict[str, str] | None = None,
        **data: str | None,
    ) -> requests.Response:
        """A request to the token endpoint; None leaves a parameter out."""
        body: dict[str, str | None] = {
            "client_id": self.client_id,
            "client_secret": self.secret,
            **data,
        }
        return self.http.post(self.endpoint("token", tenant), data=body, headers=headers)

    def redeem(self, code: str, **data: Any) -> requests.Response:
        body = {"redirect_uri": self.redirect_uri, "code_verifier": VERIFIER, **data}
        return self.token(grant_type="authorization_code", code=code, **body)

    def refresh(self, refresh_token: str, **data: Any) -> requests.Response:
        return self.token(grant_type="refresh_token", refresh_token=refresh_token, **data)

    def tokens(
        self,
        username: str = "ada@contoso.example",
        *,
        tenant: str | None = None,
        **changes: str | int | None,
    ) -> dict[str, Any]:
        """A whole sign-in, and the tokens from it."""
        answer = self.sign_in(username, tenant=tenant, **changes)
        response = self.redeem(answer["code"], tenant=tenant)
        assert response.status_code == 200, response.text
        return dict(response.json())

    def keys(self, tenant: str | None = None) -> list[dict[str, Any]]:
        url = f"{self.server.url}/{tenant or self.tenant}/discovery/v2.0/keys"
        return list(self.http.get(url).json()["keys"])

    def claims(self, token: str, tenant: str | None = None) -> dict[str, Any]:
        """The claims of a token whose signature holds."""
        keys = KeySet.import_key_set({"keys": self.keys(tenant)})
        return dict(jwt.decode(token, keys, algorithms=["RS256"]).claims)

    def graph(self, path: str, token: str | None) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.http.get(self.server.url + path, headers=headers)


class KeyPool:
    """RSA keys for the whole run, as making one is slow. No test gets the same one twice."""

    def __init__(self) -> None:
        self._made: list[RSAPrivateKey] = []
        self._lock = threading.Lock()

    def for_one_test(self) -> Callable[[], RSAPrivateKey]:
        numbers = count()

        def next_key() -> RSAPrivateKey:
            with self._lock:
                number = next(numbers)
                while len(self._made) <= number:
                    self._made.append(new_private_key())
                return self._made[number]

        return next_key


@pytest.fixture(scope="session")
def key_pool() -> KeyPool:
    return KeyPool()


@pytest.fixture(autouse=True)
def pooled_keys(key_pool: KeyPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every provider that a test makes takes its keys from the pool."""
    rings = partial(KeyRings, key_factory=key_pool.for_one_test())
    monkeypatch.setattr("keyfob_emulator.state.KeyRings", rings)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[EmulatorServer]:
    with EmulatorServer(clock=clock) as running:
        yield running


@pytest.fixture
def client(server: EmulatorServer) -> Iterator[Client]:
    made = Client(server)
    yield made
    made.close()


@pytest.fixture
def other(server: EmulatorServer) -> Iterator[Client]:
    """Another browser at the same provider."""
    made = Client(server)
    yield made
    made.close()
