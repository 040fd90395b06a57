"""The end-session endpoint, and the page that shows what came of it.

OpenID Connect RP-Initiated Logout 1.0, Front-Channel Logout 1.0 and Back-Channel Logout 1.0, with
Entra's ``logout_hint``.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Blueprint, Response, request, url_for

from keyfob_emulator import web
from keyfob_emulator.errors import ProtocolError, problem
from keyfob_emulator.logout_notices import LogoutNotice
from keyfob_emulator.model import Account, Application
from keyfob_emulator.parameters import Parameters
from keyfob_emulator.redirects import csp_source, is_registered, with_query
from keyfob_emulator.sessions import SignIn
from keyfob_emulator.tokens import pairwise_subject

blueprint = Blueprint("sign_out", __name__)


@dataclass(frozen=True)
class _Request:
    """A logout request, checked. ``ignored_uri`` is a return address nobody registered."""

    hint: str | None
    client: Application | None
    return_uri: str | None
    ignored_uri: str | None
    state: str | None


@blueprint.route("/<tenant>/oauth2/v2.0/logout", methods=["GET", "POST"])
def logout(tenant: str) -> Response:
    """Sign out, directly or after asking which account; then go back, or say so."""
    failure = web.take_failure("logout")
    if failure:
        return failure
    parameters = web.form_parameters() if request.method == "POST" else web.query_parameters()
    try:
        web.realm(tenant)
        asked = _read(parameters)
    except ProtocolError as error:
        return web.error_page(error)
    state, session = web.emulator(), web.session()
    signed_in = list(session.sign_ins) if session else []
    accounts = [a for a in map(state.directory.account_by_id, signed_in) if a is not None]
    leaving = _leaving(asked, accounts)
    if leaving is None and len(accounts) > 1:
        return _ask(asked, accounts, parameters)
    ended = None
    if session is not None and leaving is not None:
        ended = state.sessions.sign_out(session, leaving.object_id)
    return _finish(asked, leaving if ended else None, ended)


def _read(parameters: Parameters) -> _Request:
    parameters.refuse_repeated()
    state = web.emulator()
    hint, client_id = parameters.get("logout_hint"), parameters.get("client_id")
    token = parameters.get("id_token_hint")
    if token is not None:
        audience, owner = _owner(token)
        if client_id is not None and client_id.lower() != audience.lower():
            raise problem(9002313, reason="client_id is not the audience of id_token_hint")
        client_id, hint = audience, hint or owner
    client = None
    if client_id is not None:
        client = state.directory.application(client_id)
        if client is None:
            raise problem(700016, client_id=client_id, tenant="this provider")
    wanted = parameters.get("post_logout_redirect_uri")
    known = wanted is not None and _known(wanted, client)
    return _Request(
        hint=state.username_of_hint(hint) if hint else None,
        client=client,
        return_uri=wanted if known else None,
        ignored_uri=None if known else wanted,
        state=parameters.get("state"),
    )


def _owner(token: str) -> tuple[str, str]:
    """Client and user name of an ID token; expired ones will do (RP-Initiated Logout 2)."""
    state = web.emulator()
    claims = state.keys.verify(token)
    client_id, subject = str((claims or {}).get("aud")), (claims or {}).get("sub")
    for account in state.directory.accounts:
        for object_id in (account.object_id, *account.guest_in.values()):
            if subject in (pairwise_subject(client_id, object_id), object_id):
                return client_id, account.username
    raise problem(9002313, reason="id_token_hint is not an ID token of this provider")


def _known(uri: str, client: Application | None) -> bool:
    """Entra has one list of addresses for both ways; without a client any application's counts."""
    clients = [client] if client else web.emulator().directory.applications
    return any(
        is_registered(uri, (*c.post_logout_redirect_uris, *c.redirect_uris)) for c in clients
    )


def _leaving(asked: _Request, accounts: list[Account]) -> Account | None:
    if asked.hint is not None:
        wanted = asked.hint.lower()
        return next((a for a in accounts if a.username.lower() == wanted), None)
    return accounts[0] if len(accounts) == 1 else None


def _ask(asked: _Request, accounts: list[Account], parameters: Parameters) -> Response:
    kept = ("post_logout_redirect_uri", "state", "client_id")
    fields = {name: value for name in kept if (value := parameters.get(name)) is not None}
    if asked.client is not None:
        fields["client_id"] = asked.client.client_id
    targets = (csp_source(asked.return_uri),) if asked.return_uri else ()
    return web.page(
        "sign_out.html",
        form_targets=targets,
        action=request.path,
        fields=fields,
        accounts=accounts,
        client=asked.client,
    )


def _finish(asked: _Request, account: Account | None, ended: SignIn | None) -> Response:
    target = None
    if asked.return_uri is not None:
        state = {"state": asked.state} if asked.state is not None else {}
        target = with_query(asked.return_uri, state)
    told = _tell(asked, account, ended) if account and ended else []
    frames = [notice.url for notice in told if notice.channel == "front"]
    if target is not None and not frames:
        return web.go_to(target)
    return web.page(
        "signed_out.html",
        frames=tuple(dict.fromkeys(csp_source(url) for url in frames)),
        account=account,
        told=told,
        target=target,
        ignored_uri=asked.ignored_uri,
        client=asked.client,
    )


def _tell(asked: _Request, account: Account, ended: SignIn) -> list[LogoutNotice]:
    """Tell the applications, first without the browser: a frame may be too late for a person who
    closes the window."""
    logouts = web.emulator().logouts
    directly = logouts.directly([ended], account.username)
    return [*directly, *logouts.in_frames(ended, account.username, _asker(asked))]


def _asker(asked: _Request) -> str | None:
    """Who asked for the sign-out, and goes on from here."""
    if asked.client is None or asked.return_uri is None:
        return None
    parts = urlsplit(asked.return_uri)
    return f"{asked.client.client_id} {parts.scheme}://{parts.netloc}"


@blueprint.get("/sign-outs")
def told() -> Response:
    """Which applications were told of sign-outs, and what they answered."""
    state, session = web.emulator(), web.ensure_session()
    known = map(state.directory.account_by_id, sorted(state.sessions.signed_in_anywhere()))
    return web.page(
        "sign_outs.html",
        told=state.logouts.recent,
        accounts=[account for account in known if account is not None],
        csrf_token=session.csrf_token,
    )


@blueprint.post("/sign-outs")
def everywhere() -> Response:
    """Sign somebody out of every browser, and tell the applications."""
    session, state = web.session(), web.emulator()
    given = request.form.get("csrf_token", "").encode("utf-8", "surrogatepass")
    if session is not None and hmac.compare_digest(given, session.csrf_token.encode()):
        account = state.directory.account(request.form.get("username", ""))
        if account is not None:
            state.sign_out_everywhere(account.username)
    return web.go_to(url_for("sign_out.told"))
