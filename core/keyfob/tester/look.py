"""The menu's entries that get no token: who is known, what is kept, what a token opens."""

from __future__ import annotations

import json
from typing import Any

from keyfob.applications import ConfidentialClientApplication
from keyfob.protocol.http import HttpRequest, strict_json
from keyfob.protocol.unverified import unverified_claims
from keyfob.tester import show
from keyfob.tester.session import Session
from keyfob.transport import RequestsTransport

_ACCOUNT_COLUMNS = (("User name", 26), ("Tenant", 24), ("Known at", 22))


def accounts(session: Session) -> None:
    """Who is in the cache, at this authority."""
    found = session.application().get_accounts()
    if not found:
        session.terminal.paragraph("Nobody: sign somebody in first.")
        return
    rows = [(a["username"], a["realm"], a["environment"]) for a in found]
    show.table(session.terminal, _ACCOUNT_COLUMNS, rows)


def remove_account(session: Session) -> None:
    """Forget somebody, tokens and all."""
    account = session.ask_account()
    if account is None or not session.terminal.ask_yes("Remove this account"):
        return
    session.application().remove_account(account)
    session.last, session.last_app, session.callers_token = None, None, ""
    session.save()
    session.terminal.paragraph(
        f"{account['username']} and all tokens of theirs are out of the cache. The provider was "
        "not told: its own session in the browser lives on.",
        style="good",
    )


def remove_client_tokens(session: Session) -> None:
    """Forget the application's own tokens."""
    app = session.application()
    if isinstance(app, ConfidentialClientApplication):
        app.remove_tokens_for_client()
        session.save()
        session.terminal.paragraph(
            "The application's own tokens are out of the cache; those of people stay.",
            style="good",
        )


def cache(session: Session) -> None:
    """Everything that the cache holds, and nothing secret."""
    show.cache_table(session.terminal, session.cache, session.names, session.clock())


def claims(session: Session) -> None:
    """What the last ID token says; where there was none with the last token, the cache's."""
    terminal = session.terminal
    last = session.last.get("id_token_claims") if session.last else None
    if isinstance(last, dict):
        terminal.paragraph("The claims of the last ID token; its signature was checked.")
        show.claims_table(terminal, last, session.clock())
        return
    account = session.ask_account()
    if account is None:
        return
    jwt = session.cache.find_id_token(
        home_account_id=account["home_account_id"],
        environment=account["environment"],
        client_id=session.application().client_id,
    )
    found = unverified_claims(jwt)
    if found is None:
        terminal.paragraph("This application has no ID token of this account.")
        return
    terminal.paragraph("The claims of the cache's ID token; it was checked when it came.")
    show.claims_table(terminal, found, session.clock())


def userinfo(session: Session) -> None:
    """Who the last token is about, from the provider's userinfo endpoint."""
    if session.last_app is None:
        _no_token(session)
        return
    endpoint = session.last_app.metadata().userinfo_endpoint
    _call(session, endpoint, "userinfo endpoint")


def me(session: Session) -> None:
    """Who the last token is about, from Microsoft Graph."""
    if session.last_app is None:
        _no_token(session)
        return
    graph = session.last_app.metadata().graph_url
    _call(session, f"{graph}/me" if graph else None, "Microsoft Graph")


def _no_token(session: Session) -> None:
    session.terminal.paragraph("There is no token yet: get one for a person first.")


def _call(session: Session, url: str | None, what: str) -> None:
    """Send the last token to its own provider's API, and nowhere else."""
    terminal = session.terminal
    if url is None or session.last is None:
        terminal.paragraph(f"This provider's metadata name no {what}.")
        return
    terminal.line(f"GET {url}")
    transport = RequestsTransport()
    try:
        answer = transport.send(
            HttpRequest(
                "GET",
                url,
                what,
                headers={
                    "Accept": "application/json",
                    "Authorization": f"Bearer {session.last['access_token']}",
                },
            )
        )
    finally:
        transport.close()
    show.answer_of_api(terminal, answer.status, _readable(answer.body))
    if answer.status == 401:
        terminal.paragraph(
            "It does not accept this token: most likely the token was issued for another API. Ask "
            "for this one's scopes, such as User.Read for Microsoft Graph."
        )


def _readable(body: bytes) -> Any:
    try:
        return strict_json(body)
    except ValueError:
        return json.loads(json.dumps(body.decode("utf-8", "replace")[:2000]))
