"""How long the token cache's lookups take, with 1, 1,000 and 10,000 people in it.

    python bench/token_cache.py

Prints microseconds per call, the best of five runs. Where `msal` can be imported, its own lookups
on the same document stand beside ours; its "all accounts" is the search alone, not yet grouped.
"""

from __future__ import annotations

import base64
import importlib
import json
import timeit
from collections.abc import Callable
from typing import Any

from keyfob.cache import SerializableTokenCache

NOW = 1_795_369_002
HOST = "login.microsoftonline.com"
TENANT = "7e57c0de-0000-4000-8000-000000000001"
CLIENT = "c11e0000-0000-4000-8000-000000000002"
ASKED = ["User.Read"]
GRANTED = ["User.Read", "email", "openid", "profile"]


def event(number: int) -> dict[str, Any]:
    info = json.dumps({"uid": f"{number:08d}-0000-4000-8000-000000000003", "utid": TENANT})
    name = f"user{number}@contoso.example"
    return {
        "client_id": CLIENT,
        "scope": GRANTED,
        "token_endpoint": f"https://{HOST}/{TENANT}/oauth2/v2.0/token",
        "environment": HOST,
        "grant_type": "authorization_code",
        "response": {
            "access_token": "a" * 2000,
            "refresh_token": "r" * 1400,
            "id_token": "i" * 1200,
            "id_token_claims": {"sub": name, "oid": name, "preferred_username": name},
            "client_info": base64.urlsafe_b64encode(info.encode()).decode(),
            "expires_in": 3600,
        },
    }


def owner(number: int) -> dict[str, Any]:
    home = f"{number:08d}-0000-4000-8000-000000000003.{TENANT}"
    return {"home_account_id": home, "environment": HOST, "client_id": CLIENT}


def microseconds(call: Callable[[], object], slow: bool = False) -> float:
    timer = timeit.Timer(call)
    count = 1 if slow else max(1, timer.autorange()[0] // 10)
    return min(timer.repeat(5, count)) / count * 1e6


def ours(cache: SerializableTokenCache, people: int) -> dict[str, float]:
    mine = owner(people // 2)
    name = f"user{people // 2}@contoso.example"
    text = cache.serialize()
    assert cache.find_access_token(**mine, realm=TENANT, scopes=ASKED, now=NOW)
    query = {**mine, "realm": TENANT}
    return {
        "access token, hit": microseconds(
            lambda: cache.find_access_token(**mine, realm=TENANT, scopes=ASKED, now=NOW)
        ),
        "access token, miss": microseconds(
            lambda: cache.find_access_token(**mine, realm=TENANT, scopes=["x"], now=NOW)
        ),
        "access token, by search()": microseconds(
            lambda: next(cache.search("AccessToken", ASKED, query, now=NOW))
        ),
        "refresh tokens": microseconds(lambda: cache.find_refresh_tokens(**mine)),
        "ID token": microseconds(lambda: cache.find_id_token(**mine)),
        "account by user name": microseconds(lambda: cache.accounts([HOST], name)),
        "all accounts": microseconds(lambda: cache.accounts([HOST])),
        "add": microseconds(lambda: cache.add(event(people // 2), now=NOW)),
        "serialize": microseconds(cache.serialize, slow=True),
        "deserialize": microseconds(lambda: cache.deserialize(text), slow=True),
    }


def msals(text: str, people: int) -> dict[str, float]:
    try:
        msal = importlib.import_module("msal")
    except ImportError:
        return {}
    cache = msal.SerializableTokenCache()
    cache.deserialize(text)
    mine = owner(people // 2)
    query = {**mine, "realm": TENANT}
    own = {name: mine[name] for name in ("home_account_id", "environment", "client_id")}
    return {
        "access token, by search()": microseconds(
            lambda: next(cache.search("AccessToken", ASKED, query, now=NOW))
        ),
        "refresh tokens": microseconds(lambda: list(cache.search("RefreshToken", query=own))),
        "all accounts": microseconds(
            lambda: list(cache.search("Account", query={"environment": HOST}))
        ),
        "add": microseconds(lambda: cache.add(event(people // 2), now=NOW)),
        "serialize": microseconds(cache.serialize, slow=True),
        "deserialize": microseconds(lambda: cache.deserialize(text), slow=True),
    }


def main() -> None:
    for people in (1, 1_000, 10_000):
        cache = SerializableTokenCache()
        for number in range(people):
            cache.add(event(number), now=NOW)
        theirs = msals(cache.serialize(), people)
        print(f"\n{people} people{'':20}{'keyfob':>12}{'msal':>12}   (microseconds)")
        for name, time in ours(cache, people).items():
            other = f"{theirs[name]:12.1f}" if name in theirs else f"{'':12}"
            print(f"{name:30}{time:12.1f}{other}")


if __name__ == "__main__":
    main()
