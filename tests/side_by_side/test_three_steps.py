"""The pattern that MSAL's guide begins with, by either library: only the import changes."""

from __future__ import annotations

import contextlib
import io
from unittest import mock

import pytest
from requests.adapters import HTTPAdapter

from keyfob_emulator import sample
from side_by_side.common import ADA, HOST
from side_by_side.sides import Library, Run, world

#: Step 1: an application that lives as long as the program.
APPLICATION = f"""
from LIBRARY import PublicClientApplication

app = PublicClientApplication("{sample.DESKTOP_TOOL}", authority="{HOST}/organizations")
"""

#: Steps 2 and 3: the cache is asked, and only then the provider.
TOKEN = """
result = None
accounts = app.get_accounts()
if accounts:
    for account in accounts:
        print("known:", account["username"])
    result = app.acquire_token_silent(SCOPES, account=accounts[0])
if not result:
    result = app.acquire_token_by_username_password(USERNAME, PASSWORD, scopes=SCOPES)
if "access_token" in result:
    print("a token from the", result["token_source"])
else:
    print(result.get("error"), bool(result.get("error_description")), result.get("correlation_id"))
"""

BOTH = pytest.mark.parametrize("library", ["msal", "keyfob"])


def printed(run: Run, *programs: str, password: str = sample.PASSWORD) -> list[str]:
    """What one program after the other prints, in one process, with default transports."""
    names = {"SCOPES": ["User.Read"], "USERNAME": ADA, "PASSWORD": password}
    run.emulator.give_consent(ADA, sample.DESKTOP_TOOL, "openid profile offline_access User.Read")
    network = run.browser.session.get_adapter(f"{HOST}/")

    def send(_self: HTTPAdapter, request: object, **options: object) -> object:
        return network.send(request, **options)

    out = io.StringIO()
    with mock.patch.object(HTTPAdapter, "send", send), contextlib.redirect_stdout(out):
        for program in programs:
            exec(program.replace("LIBRARY", run.library), names)
    return out.getvalue().splitlines()


@BOTH
def test_the_second_time_the_cache_has_the_account_and_its_token(library: Library) -> None:
    with world(library) as run:
        assert printed(run, APPLICATION, TOKEN, TOKEN) == [
            "a token from the identity_provider",
            f"known: {ADA}",
            "a token from the cache",
        ]


@BOTH
def test_a_refusal_is_a_result_that_says_why(library: Library) -> None:
    with world(library) as run:
        (refused,) = printed(run, APPLICATION, TOKEN, password="not it")
    error, described, correlation_id = refused.split()
    assert (error, described) == ("invalid_grant", "True")
    assert correlation_id != "None"
