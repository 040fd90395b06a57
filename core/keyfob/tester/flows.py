"""The menu's entries that get a token: each asks what its verb needs, and calls it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from keyfob.applications import ConfidentialClientApplication, PublicClientApplication
from keyfob.cache.entries import CredentialType, epoch
from keyfob.errors import ConfigurationError
from keyfob.tester.demo import PASSWORD, USER
from keyfob.tester.session import GRAPH_DEFAULT, Session
from keyfob.tester.times import span

_GIVE_UP = "Ctrl-C gives up and goes back to the menu."
_PROMPTS = ("login", "consent", "select_account", "create")
_ITSELF = "the application itself"
_LOOPBACK = "http://localhost"


def silent(session: Session) -> None:
    """For an account of the cache, without asking anybody."""
    app = session.application()
    account = session.ask_account()
    if account is None:
        return
    scopes = session.ask_scopes()
    force = session.terminal.ask_yes("Ask the provider even if the cache has a token")
    session.acquire(
        lambda: app.acquire_token_silent_with_error(scopes, account, force_refresh=force),
        nothing=(
            "No token: the cache holds neither such a token nor a refresh token of this account "
            "for this application. Sign in with the browser or a device code."
        ),
        app=app,
        who=str(account.get("username") or ""),
    )


def browser(session: Session) -> None:
    """In this machine's browser, with a port of this machine for the answer."""
    app, terminal = session.application(), session.terminal
    scopes = session.ask_scopes()
    session.hint_of_people()
    hint = terminal.ask("Who is expected, as a user name (Enter for anybody)")
    prompt = terminal.ask(f"Prompt (Enter for none; {', '.join(_PROMPTS)})")

    def announce(**_: object) -> None:
        terminal.paragraph(f"Your browser opens a page: sign in there. {_GIVE_UP}")

    session.acquire(
        lambda: _public(app).acquire_token_interactive(
            scopes,
            prompt=prompt or None,
            login_hint=hint or None,
            on_before_launching_ui=announce,
        ),
        app=app,
    )


def device(session: Session) -> None:
    """On another device: it shows an address and a code."""
    app, terminal = _public(session.application()), session.terminal
    scopes = session.ask_scopes()

    def wait() -> Mapping[str, Any]:
        flow = app.initiate_device_flow(scopes)
        terminal.secrets.add_result(flow)
        if "user_code" not in flow:
            return flow
        terminal.line()
        terminal.paragraph(flow["message"], style="bold")
        terminal.facts([("Address", flow["verification_uri"]), ("Code", flow["user_code"])])
        session.hint_of_people()
        terminal.paragraph(f"Waiting for the sign-in there. {_GIVE_UP}")

        def is_over(waiting: Any) -> bool:
            left = waiting["expires_at"] - session.clock()
            terminal.progress(f"  the code serves for {span(left)} more ...")
            return bool(left < 0)

        try:
            return app.acquire_token_by_device_flow(flow, exit_condition=is_over)
        finally:
            terminal.end_progress()

    session.acquire(wait, app=app)


def password(session: Session) -> None:
    """By user name and password, which this program then sees."""
    app, terminal = session.application(), session.terminal
    scopes = session.ask_scopes()
    at_demo = session.is_at_demo
    username = terminal.ask("User name", USER if at_demo else "")
    # That provider's one password is published: it is no secret, and not to be hidden like one.
    published = PASSWORD if at_demo else ""
    typed = terminal.ask_hidden("Password", published)
    session.acquire(
        lambda: app.acquire_token_by_username_password(username, typed, scopes), app=app
    )


def code(session: Session) -> None:
    """In any browser, by hand: an address to open, and the one to bring back."""
    app, terminal = session.application(), session.terminal
    registration = session.registration
    scopes = session.ask_scopes()
    known = (registration.redirect_uri if registration else "") or _LOOPBACK
    redirect_uri = terminal.ask("Redirect URI, as it is registered", known)
    session.hint_of_people()

    def by_hand() -> Mapping[str, Any]:
        flow = app.initiate_auth_code_flow(scopes, redirect_uri=redirect_uri)
        terminal.line()
        terminal.line("1. Open this address in any browser, and sign in:", "bold")
        terminal.line()
        terminal.line(flow["auth_uri"])
        terminal.line()
        terminal.line("2. The browser then goes to an address that begins with", "bold")
        terminal.line(f"   {redirect_uri}?code=")
        terminal.paragraph(
            "It may well say that nothing answers there: only the address matters. Copy it from "
            "the address bar, all of it.",
            indent=3,
        )
        pasted = terminal.ask("3. Paste it here", echo=False)
        came_back = parameters(pasted)
        terminal.secrets.add(came_back.get("code"))
        if not came_back:
            raise ConfigurationError(
                "That is no address with an answer in it. It has ?code=... or ?error=... behind "
                "the redirect URI"
            )
        return app.acquire_token_by_auth_code_flow(flow, came_back)

    session.acquire(by_hand, app=app)


def parameters(pasted: str) -> dict[str, str]:
    """What the provider sent along with the browser, in the address that was pasted; {} if nothing.

    A fragment counts too: some providers answer there if they are told to.
    """
    try:
        parts = urlsplit(pasted)
    except ValueError:
        return {}
    found = dict(parse_qsl(parts.query)) or dict(parse_qsl(parts.fragment))
    return found if "code" in found or "error" in found else {}


def client(session: Session) -> None:
    """In the application's own name."""
    app = _confidential(session.application())
    answer = session.terminal.ask("Scope, an API with /.default behind it", GRAPH_DEFAULT)
    session.acquire(
        lambda: app.acquire_token_for_client(answer.split()), app=app, who=_ITSELF, is_callers=False
    )


def on_behalf(session: Session) -> None:
    """As a web API: another API's token, for whoever called with the token just obtained."""
    app, terminal = _confidential(session.application()), session.terminal
    known = "the last person's token here" if session.callers_token else ""
    typed = terminal.ask_hidden("The caller's access token", known)
    assertion = session.callers_token if typed == known else typed
    if not assertion:
        terminal.paragraph(
            "There is no token yet. Choose an application that a person uses, get a token for "
            "this API there (at the local identity provider: Desktop tool, scope "
            "api://orders/Orders.Read), then come back to this one."
        )
        session.failed = True
        return
    scopes = terminal.ask("Scopes of the API to call", "User.Read").split()
    session.acquire(
        lambda: app.acquire_token_on_behalf_of(assertion, scopes), app=app, is_callers=False
    )


def refresh(session: Session) -> None:
    """By a refresh token, from the cache or from elsewhere."""
    app, terminal = session.application(), session.terminal
    newest = newest_refresh_token(session)
    known = "the newest of the cache" if newest else ""
    typed = terminal.ask_hidden("Refresh token", known)
    token = newest if typed == known else typed
    if not token:
        terminal.paragraph("There is none in the cache: sign somebody in first, or paste one.")
        session.failed = True
        return
    scopes = session.ask_scopes()
    session.acquire(lambda: app.acquire_token_by_refresh_token(token, scopes), app=app)


def newest_refresh_token(session: Session) -> str:
    """This application's newest refresh token in the cache, or ""."""
    query = {"client_id": session.application().client_id}
    found = list(session.cache.search(CredentialType.REFRESH_TOKEN, query=query))
    found.sort(key=lambda entry: epoch(entry.get("last_modification_time")) or 0)
    return str(found[-1].get("secret") or "") if found else ""


def machine(session: Session) -> None:
    """In the name of the identity that Azure gave to this machine."""
    from keyfob.managed_identity import (
        ManagedIdentityClient,
        SystemAssignedManagedIdentity,
        UserAssignedManagedIdentity,
        get_managed_identity_source,
    )

    terminal = session.terminal
    terminal.line(f"By its environment, this machine has: {get_managed_identity_source().value}.")
    answer = terminal.ask("Client id of a user-assigned identity (Enter for the machine's own)")
    resource = terminal.ask("Resource", "https://management.azure.com")
    identity = (
        UserAssignedManagedIdentity(client_id=answer) if answer else SystemAssignedManagedIdentity()
    )
    made = ManagedIdentityClient(identity, token_cache=session.cache)
    terminal.paragraph(f"Asking; outside Azure this may take a moment. {_GIVE_UP}")
    try:
        session.acquire(
            lambda: made.acquire_token_for_client(resource=resource),
            who="the managed identity",
            is_callers=False,
        )
    finally:
        made.close()


def _public(app: object) -> PublicClientApplication:
    return cast("PublicClientApplication", app)


def _confidential(app: object) -> ConfidentialClientApplication:
    return cast("ConfidentialClientApplication", app)
