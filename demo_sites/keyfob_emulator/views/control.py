"""Pages on which a person turns the knobs: consents, sessions, and the weather.

At Microsoft the first is a page of the person (myapps.microsoft.com), the second one of the
administrator (``revokeSignInSessions``), and the third nobody's.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, Response, request, url_for

from keyfob_emulator import web
from keyfob_emulator.model import Account, Application

blueprint = Blueprint("control", __name__)

PLACES: Final = {
    "token": "Token endpoint",
    "authorize": "Sign-in pages (authorize)",
    "keys": "Signing keys",
    "metadata": "Metadata",
    "graph": "Microsoft Graph",
    "logout": "Sign-out",
}


@dataclass(frozen=True)
class Kind:
    """A kind of failure that the page offers."""

    title: str
    status: int
    body: str
    hang_up: bool = False


KINDS: Final = {
    "throttled": Kind("Throttle it: 429", 429, "Too many requests"),
    "unavailable": Kind("Have it unavailable: 503", 503, "Service unavailable"),
    "broken": Kind("Break it: 500", 500, "Internal server error"),
    "silence": Kind("Hang up", 502, "", hang_up=True),
}
_MOST: Final = 10_000


def _allowed() -> bool:
    """Whether the form was shown to this browser."""
    session = web.session()
    given = request.form.get("csrf_token", "").encode("utf-8", "surrogatepass")
    return session is not None and hmac.compare_digest(given, session.csrf_token.encode())


# Consents


@blueprint.get("/consents")
def consents() -> Response:
    """What the people who are signed in in this browser agreed to."""
    state, session = web.emulator(), web.ensure_session()
    known = map(state.directory.account_by_id, list(session.sign_ins))
    return web.page(
        "consents.html",
        people=[(account, _agreed(account)) for account in known if account is not None],
        csrf_token=session.csrf_token,
    )


def _agreed(account: Account) -> list[tuple[Application, list[tuple[str, str]]]]:
    state = web.emulator()
    found = []
    for client_id, keys in state.consents.of(account).items():
        client = state.directory.application(client_id)
        if client is not None:
            found.append((client, state.consents.in_words(keys)))
    return found


@blueprint.post("/consents")
def revoke_consent() -> Response:
    """Somebody who is signed in here takes their consent back."""
    state, session = web.emulator(), web.session()
    if session is not None and _allowed():
        account = state.directory.account(request.form.get("username", ""))
        client = state.directory.application(request.form.get("client_id", ""))
        if account and client and account.object_id in session.sign_ins:
            state.revoke_consent(account.username, client.client_id)
    return web.go_to(url_for("control.consents"))


# Sessions


@blueprint.get("/sessions")
def sessions() -> Response:
    """Everybody, and who is signed in in whatever browser."""
    state, session = web.emulator(), web.ensure_session()
    return web.page(
        "sessions.html",
        accounts=state.directory.accounts,
        signed_in=state.sessions.signed_in_anywhere(),
        revoked=state.directory.account(request.args.get("revoked", "")),
        csrf_token=session.csrf_token,
    )


@blueprint.post("/sessions")
def revoke_sessions() -> Response:
    """Revoke all that a person's sign-ins led to."""
    state, revoked = web.emulator(), None
    if _allowed():
        account = state.directory.account(request.form.get("username", ""))
        if account is not None:
            state.revoke_sign_in_sessions(account.username)
            revoked = account.username
    return web.go_to(url_for("control.sessions", revoked=revoked))


# Weather


@blueprint.get("/weather")
def weather() -> Response:
    """The failures that are still to come, and a form for more."""
    return web.page(
        "weather.html",
        waiting=web.emulator().failures.waiting(),
        now=web.emulator().now(),
        places=PLACES,
        kinds=KINDS,
        csrf_token=web.ensure_session().csrf_token,
    )


@blueprint.post("/weather")
def change_weather() -> Response:
    """Have something fail, or nothing any more."""
    state, form = web.emulator(), request.form
    if _allowed() and form.get("action") == "clear":
        state.failures.clear()
    elif _allowed() and form.get("endpoint") in PLACES and form.get("kind") in KINDS:
        kind = KINDS[form["kind"]]
        amount = form.get("amount", type=int) or 1
        amount = max(1, min(amount, _MOST))
        state.fail_next(
            form["endpoint"],
            status=kind.status,
            body=kind.body,
            retry_after=(form.get("retry_after", type=int) or 5) if kind.status == 429 else None,
            hang_up=kind.hang_up,
            times=amount,
            seconds=amount if form.get("unit") == "seconds" else None,
        )
    return web.go_to(url_for("control.weather"))
