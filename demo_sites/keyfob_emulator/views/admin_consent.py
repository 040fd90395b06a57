"""The admin consent endpoint: an administrator agrees for everybody in their organisation.

"Admin consent on the Microsoft identity platform". The pages are those of a sign-in.
"""

from __future__ import annotations

from flask import Blueprint, Response, url_for

from keyfob_emulator import web
from keyfob_emulator.authorize import find_client, find_reply_address, read_admin_consent
from keyfob_emulator.errors import ProtocolError
from keyfob_emulator.views.reply import send_error

blueprint = Blueprint("admin_consent", __name__)


@blueprint.get("/<tenant>/v2.0/adminconsent")
def admin_consent(tenant: str) -> Response:
    """Check the request, and show the pages."""
    parameters, state = web.query_parameters(), web.emulator()
    try:
        realm = web.realm(tenant)
        client = find_client(parameters, state.directory, realm)
        reply = find_reply_address(parameters, client)
    except ProtocolError as error:
        return web.error_page(error)
    try:
        asked = read_admin_consent(parameters, realm, reply, state.directory, web.graph_urls())
    except ProtocolError as error:
        return send_error(reply, error, admin_consent="True")
    lifetime = state.lifetimes.interaction
    interaction = state.sessions.open_interaction(asked, web.ensure_session(), lifetime)
    return web.go_to(url_for("sign_in.step", interaction_id=interaction.interaction_id))
