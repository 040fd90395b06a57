"""Real msal in front of the local identity provider, with a person who signs in."""

from __future__ import annotations

from typing import Any

import msal
import requests

from keyfob_emulator.sample import PASSWORD
from support.form_browser import FormBrowser

BACK = "http://localhost:5000/auth/callback"


def answer(session: requests.Session, auth_uri: str, username: str) -> dict[str, str]:
    """What reaches the application after a person did what the pages ask for."""
    browser = FormBrowser(session, stop_at=("http://localhost:5000",))
    page = browser.open(auth_uri)
    for _ in range(6):
        if page.headings == ["Pick an account"]:
            page = page.submit(button=username)
        elif page.headings == ["Enter the password"]:
            page = page.submit(password=PASSWORD)
        elif page.headings == ["Permissions requested"]:
            page = page.submit(button="Accept")
        else:
            assert page.headings == ["One moment"], page.text
            return dict(page.forms[0].fields)
    raise AssertionError(f"no end: {page!r}")


def sign_in(
    app: msal.ClientApplication, session: requests.Session, scopes: list[str], username: str
) -> dict[str, Any]:
    """A whole authorization code flow of msal's."""
    flow = app.initiate_auth_code_flow(scopes, redirect_uri=BACK, response_mode="form_post")
    told = answer(session, flow["auth_uri"], username)
    result: dict[str, Any] = app.acquire_token_by_auth_code_flow(flow, told)
    assert "error" not in result, result["error_description"]
    return result
