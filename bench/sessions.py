"""A request of a signed-in person that needs a token: beside the package `identity`, and counted."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import identity.web
import msal
from measure import Row, faster, say
from world import ASKED, AUTHORITY, CLIENT, CONTOSO, Wire, filled, home_of, name_of

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

    def __init__(self, store: TokenStore, **settings: object) -> None:
        self.app = WebApplication(
            load_settings({**SETTINGS, **settings}, {}, source="flask"),
            store=store,
            secrets=["a key of the benchmark's own, long enough to be one"],
        )
        self.session: dict[str, Any] = {}
        document = Document(new_key(self.app.tag), CLAIMS, filled(1))
        self.app.documents.create(document, time.time() + 86_400)
        who = Identity.from_claims(CLAIMS, is_microsoft=True)
        self.app.session(self.session).begin(document.key, who)

    def request(self) -> None:
        assert self.app.session(self.session).token(api="orders")


class Theirs:
    """The same with `identity`, whose token cache is in the session."""

    def __init__(self, wire: Wire) -> None:
        # All that msal would ask the network for is in here.
        self._http_cache: dict[str, Any] = {}
        options = {"client_credential": "secret", "authority": AUTHORITY}
        options |= {"instance_discovery": False, "http_cache": self._http_cache}
        msal.ConfidentialClientApplication(CLIENT, http_client=wire, **options)
        cache = filled(1).serialize()
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
    say("requests that need a token, beside identity")
    theirs = Theirs(wire)
    counted = CountedStore()
    with tempfile.TemporaryDirectory() as folder:
        stores: dict[str, TokenStore] = {
            "memory": MemoryStore(),
            "SQLite": SQLiteStore(Path(folder) / "keyfob.sqlite3"),
            "a store behind a network": counted,
        }
        for name, store in stores.items():
            ours = Ours(store)
            yield faster(f"a request's token, {name}", ours.request, theirs.request, at_least=10)
            ours.app.close()
    yield trips("round trips of a warm request", counted_trips(remembered=True), 0)
    yield trips("... of one that this process does not remember", counted_trips(remembered=False), 1)


def counted_trips(*, remembered: bool) -> int:
    store = CountedStore()
    ours = Ours(store)
    if remembered:
        ours.request()
    store.trips = 0
    ours.request()
    return store.trips


def trips(name: str, found: int, most: int) -> Row:
    return Row(name, str(found), "", "", f"<= {most}", found <= most)
