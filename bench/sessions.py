"""A signed-in person's request that needs a token: beside the package `identity`, and counted."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import identity.web
import msal
from measure import Row, faster, say
from world import ASKED, AUTHORITY, CLIENT, CONTOSO, Wire, event, filled, home_of, name_of

import keyfob
from keyfob import ConfidentialClientApplication
from keyfob.web import Identity, WebApplication
from keyfob.web.document import Document, new_key
from keyfob.web.settings import load_settings
from keyfob.web.stores import MemoryStore, Record, SQLiteStore, TokenStore

SETTINGS = {
    "CLIENT_ID": CLIENT,
    "CLIENT_SECRET": "secret",
    "AUTHORITY": AUTHORITY,
    "DOWNSTREAM_APIS": {"orders": {"base_url": "https://orders.example", "scopes": ASKED}},
}
CLAIMS = {
    "sub": name_of(0),
    "oid": home_of(0),
    "tid": CONTOSO,
    "name": "Ada Keyring",
    "preferred_username": name_of(0),
    "iss": f"{AUTHORITY}/v2.0",
}


def cache_with(apis: int) -> keyfob.SerializableTokenCache:
    """One person's cache, with the tokens of so many more APIs than the one that is asked for."""
    cache = filled(1)
    for number in range(apis):
        more = event(0)
        more["scope"] = [f"api://api-{number}/read"]
        del more["response"]["refresh_token"]
        cache.add(more, now=int(time.time()))
    return cache


class CountedStore(MemoryStore):
    """Stands for one behind a network, where each call is a round trip."""

    is_local = False
    trips = 0

    def load(self, key: str) -> Record | None:
        self.trips += 1
        return super().load(key)

    def version(self, key: str) -> int | None:
        self.trips += 1
        return super().version(key)

    def create(self, key: str, value: bytes, expires_at: float) -> bool:
        self.trips += 1
        return super().create(key, value, expires_at)

    def replace(self, key: str, value: bytes, version: int, expires_at: float) -> bool:
        self.trips += 1
        return super().replace(key, value, version, expires_at)

    def extend(self, key: str, expires_at: float) -> bool:
        self.trips += 1
        return super().extend(key, expires_at)

    def delete(self, key: str, version: int | None = None) -> bool:
        self.trips += 1
        return super().delete(key, version)


class Ours:
    """A site with one person signed in, whose token is good."""

    def __init__(self, store: TokenStore, wire: Wire, cache: str) -> None:
        tokens = keyfob.SerializableTokenCache()
        tokens.deserialize(cache)
        self.app = WebApplication(
            load_settings(SETTINGS, {}, source="flask"),
            store=store,
            secrets=["a key of the benchmark's own, long enough to be one"],
        )
        self.app.client = ConfidentialClientApplication(
            CLIENT, "secret", authority=AUTHORITY, instance_discovery=False, http_client=wire
        )
        self.app.client.metadata()  # known since the first sign-in
        self.session: dict[str, Any] = {}
        document = Document(new_key(self.app.tag), CLAIMS, tokens)
        self.app.documents.create(document, time.time() + 86_400)
        who = Identity.from_claims(CLAIMS, is_microsoft=True)
        self.app.session(self.session).begin(document.key, who)

    def request(self) -> None:
        assert self.app.session(self.session).token(api="orders")


class Theirs:
    """The same with `identity`, whose token cache is in the session."""

    def __init__(self, wire: Wire, cache: str) -> None:
        # All that msal would ask the network for is in here.
        self._http_cache: dict[str, Any] = {}
        options = {"client_credential": "secret", "authority": AUTHORITY}
        options |= {"instance_discovery": False, "http_cache": self._http_cache}
        msal.ConfidentialClientApplication(CLIENT, http_client=wire, **options)
        self.session = {"_logged_in_user": CLAIMS, "_token_cache": cache}

    def request(self) -> None:
        auth = identity.web.Auth(
            session=self.session,
            authority=AUTHORITY,
            client_id=CLIENT,
            client_credential="secret",
            http_cache=self._http_cache,
        )
        assert auth.get_token_for_user(ASKED)["access_token"]


def rows(wire: Wire) -> Iterator[Row]:
    # Of SQLite each request asks the version, which is most of what it then costs.
    targets: dict[str, float | None] = {
        "memory": 10,
        "SQLite": None,
        "a store behind a network": 10,
    }
    yield from beside_identity(
        wire, "a request's token, identity 0.11:", cache_with(0).serialize(), targets
    )
    large = cache_with(14).serialize()
    yield from beside_identity(
        wire, f"... with {len(large) / 1024:.0f} KiB of tokens:", large, targets
    )
    cache = cache_with(0).serialize()
    yield trips("round trips of a warm request", counted_trips(wire, cache, remembered=True), 0)
    unknown = counted_trips(wire, cache, remembered=False)
    yield trips("... of one that this process does not remember", unknown, 1)


def beside_identity(
    wire: Wire, label: str, cache: str, targets: dict[str, float | None]
) -> Iterator[Row]:
    say(f"{label} ours and theirs")
    theirs = Theirs(wire, cache)
    with tempfile.TemporaryDirectory() as folder:
        stores: dict[str, TokenStore] = {
            "memory": MemoryStore(),
            "SQLite": SQLiteStore(Path(folder) / "keyfob.sqlite3"),
            "a store behind a network": CountedStore(),
        }
        for name, store in stores.items():
            ours = Ours(store, wire, cache)
            yield faster(f"{label} {name}", ours.request, theirs.request, targets[name])
            ours.app.close()


def counted_trips(wire: Wire, cache: str, *, remembered: bool) -> int:
    store = CountedStore()
    ours = Ours(store, wire, cache)
    if remembered:
        ours.request()
    store.trips = 0
    ours.request()
    return store.trips


def trips(name: str, found: int, most: int) -> Row:
    return Row(name, str(found), "", "", f"<= {most}", found <= most)
