"""The start page, which says what there is, and the pages behind ``error_uri``."""

from __future__ import annotations

from flask import Blueprint, Response, request

from keyfob_emulator import web
from keyfob_emulator.errors import explanation

blueprint = Blueprint("home", __name__)


@blueprint.get("/")
def start() -> Response:
    """Accounts, applications and addresses."""
    directory = web.emulator().directory
    session = web.session()
    return web.page(
        "home.html",
        directory=directory,
        base=web.base_url(),
        signed_in=set(session.sign_ins) if session else set(),
        clients=[a for a in directory.applications if a.redirect_uris or a.secrets],
    )


@blueprint.get("/error")
def error() -> Response:
    """What an AADSTS number means."""
    text = request.args.get("code", "")
    known = explanation(int(text)) if text.isascii() and text.isdigit() and len(text) < 9 else None
    status = 200 if known else 404
    return web.page("explanation.html", status, code=text[:12], known=known)
