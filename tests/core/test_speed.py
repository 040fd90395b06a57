"""What keeps Keyfob quick, counted and not timed: no test here depends on how busy a machine is.

`make bench` has the times, beside those of real msal.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from keyfob import ConfidentialClientApplication, SerializableTokenCache
from support.instructions import instructions_by_file
from support.provider import HOME_TENANT, Provider
from support.sign_in import application

HEAVY = {
    "asyncio",
    "cryptography",
    "http.client",
    "http.server",
    "joserfc",
    "requests",
    "ssl",
    "urllib3",
    "webbrowser",
    "xml",
}
BUILD = {
    "nothing": "",
    "a confidential client": "keyfob.ConfidentialClientApplication('id', 'secret')",
    "a public client": "keyfob.PublicClientApplication('id')",
    "a client of another provider": (
        "keyfob.ClientApplication('id', oidc_authority='https://idp.example/')"
    ),
    "a managed identity": ("keyfob.ManagedIdentityClient(keyfob.SystemAssignedManagedIdentity())"),
    "a cache": "keyfob.SerializableTokenCache().deserialize('{}')",
}


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("built", BUILD)
def test_nothing_heavy_is_loaded_before_it_is_needed(built: str) -> None:
    loaded = run(f"import keyfob\n{BUILD[built]}\nimport sys\nprint(*sys.modules)")
    assert not set(loaded.split()) & HEAVY


@pytest.mark.parametrize("built", [name for name in BUILD if name != "nothing"])
def test_building_touches_neither_network_nor_files(built: str) -> None:
    """Modules are loaded the first time; the second time nothing is asked of the system at all."""
    code = f"""
import sys
import keyfob
seen = []
watching = False
def watch(event, arguments):
    if watching and (event == "open" or event.partition(".")[0] in ("os", "socket", "subprocess")):
        seen.append(event)
sys.addaudithook(watch)
for watching in (False, True):
    {BUILD[built]}
watching = False
print(seen)
"""
    assert run(code) == "[]\n"


def test_the_network_is_not_touched_by_the_first_one_either() -> None:
    code = f"""
import sys
import keyfob
seen = []
sys.addaudithook(lambda event, _: event.startswith("socket.") and seen.append(event))
{BUILD["a confidential client"]}
{BUILD["a public client"]}
print(seen)
"""
    assert run(code) == "[]\n"


# Lookups


def name_of(number: int) -> str:
    return f"user{number}@contoso.example"


class Crowd:
    """A client application whose cache holds so many people."""

    def __init__(self, provider: Provider, people: int) -> None:
        self.cache = SerializableTokenCache()
        now = int(time.time())
        for number in range(people):
            self.cache.add(self._event(provider, number), now=now)
        self.app: ConfidentialClientApplication = application(provider, token_cache=self.cache)
        self.app.metadata()
        [self.account] = self.app.get_accounts(username=name_of(people // 2))

    @staticmethod
    def _event(provider: Provider, number: int) -> dict[str, Any]:
        info = json.dumps({"uid": f"uid-{number}", "utid": HOME_TENANT})
        claims = {"sub": f"sub-{number}", "preferred_username": name_of(number)}
        return {
            "client_id": provider.client_id,
            "scope": ["User.Read", "email", "openid", "profile"],
            "token_endpoint": provider.url("token", HOME_TENANT),
            "grant_type": "authorization_code",
            "response": {
                "access_token": f"access {number}",
                "refresh_token": f"refresh {number}",
                "id_token": f"id {number}",
                "id_token_claims": claims,
                "client_info": base64.urlsafe_b64encode(info.encode()).decode(),
                "expires_in": 3600,
            },
        }

    def hit(self) -> None:
        found = self.app.acquire_token_silent(["User.Read"], self.account)
        assert found is not None
        assert found["token_source"] == "cache"

    def miss(self) -> None:
        assert self.app.token_at_hand(["Mail.Read"], self.account) is None

    def account_by_name(self) -> None:
        assert self.app.get_accounts(username=self.account["username"]) == [self.account]

    def stranger_by_name(self) -> None:
        assert self.app.get_accounts(username="nobody@contoso.example") == []

    def refresh_tokens(self) -> None:
        owner = {name: self.account[name] for name in ("home_account_id", "environment")}
        [found] = self.cache.find_refresh_tokens(client_id=self.app.client_id, **owner)
        assert found["secret"].startswith("refresh ")

    def sign_out(self) -> None:
        self.app.remove_account(self.account)


def instructions(call: Callable[[], object]) -> int:
    return sum(instructions_by_file(call).values())


@pytest.fixture(scope="module")
def crowds() -> Iterator[tuple[Crowd, Crowd]]:
    with Provider(entra=True) as provider:
        few, many = Crowd(provider, 3), Crowd(provider, 1_500)
        provider.requests.clear()
        yield few, many
        assert provider.requests == []
        few.app.close()
        many.app.close()


@pytest.mark.parametrize(
    "lookup",
    [Crowd.hit, Crowd.miss, Crowd.account_by_name, Crowd.stranger_by_name, Crowd.refresh_tokens],
)
def test_a_lookup_does_the_same_work_for_any_number_of_people(
    crowds: tuple[Crowd, Crowd], lookup: Callable[[Crowd], None]
) -> None:
    few, many = crowds
    for crowd in crowds:
        lookup(crowd)  # what is read once is read by now
    effort = instructions(lambda: lookup(few))
    assert effort > 100, "nothing was counted"
    # A name can be some letters longer; each of 1,500 people would be some instructions more.
    assert abs(instructions(lambda: lookup(many)) - effort) < 50


def test_an_entry_is_read_once_and_again_only_after_a_change(
    crowds: tuple[Crowd, Crowd],
) -> None:
    crowd = crowds[0]
    crowd.hit()
    again = instructions(crowd.hit)
    [entry] = [
        entry
        for entry in crowd.cache.search("AccessToken")
        if entry["home_account_id"] == crowd.account["home_account_id"]
    ]
    crowd.cache.modify("AccessToken", entry, {"secret": "another token"})
    changed = instructions(crowd.hit)
    found = crowd.app.acquire_token_silent(["User.Read"], crowd.account)
    assert found is not None
    assert found["access_token"] == "another token"
    assert instructions(crowd.hit) == again < changed


def test_what_a_caller_does_to_a_result_does_not_reach_the_cache(
    crowds: tuple[Crowd, Crowd],
) -> None:
    crowd = crowds[1]
    asked = {
        **{name: crowd.account[name] for name in ("home_account_id", "environment", "realm")},
        "client_id": crowd.app.client_id,
        "scopes": ["User.Read"],
        "now": time.time(),
    }
    first = crowd.cache.find_access_token(**asked)
    assert first is not None
    untouched = dict(first)
    first["secret"] = "overwritten"
    assert crowd.cache.find_access_token(**asked) == untouched


def test_signing_out_does_the_same_work_for_any_number_of_people() -> None:
    with Provider(entra=True) as provider:
        few, many = Crowd(provider, 3), Crowd(provider, 1_500)
        assert abs(instructions(many.sign_out) - instructions(few.sign_out)) < 50
        assert many.app.get_accounts(username=many.account["username"]) == []
        few.app.close()
        many.app.close()
