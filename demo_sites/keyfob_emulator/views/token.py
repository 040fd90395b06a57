"""The token endpoint over HTTP. POST only (RFC 6749 section 3.2), never stored (5.1)."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from keyfob_emulator import ssh_cert, web
from keyfob_emulator.claim_shapes import shaped_answer
from keyfob_emulator.errors import problem
from keyfob_emulator.token_service import TokenService

blueprint = Blueprint("token", __name__)


@blueprint.post("/<tenant>/oauth2/v2.0/token")
def token(tenant: str) -> Response:
    """Exchange a grant for tokens."""
    failure = web.take_failure("token")
    if failure:
        return failure
    if request.mimetype != "application/x-www-form-urlencoded":
        raise problem(900144, parameter="grant_type")
    parameters = web.form_parameters()
    state, realm = web.emulator(), web.realm(tenant)
    service = TokenService(
        state,
        realm,
        web.graph_urls(),
        ssh_cert.read_key(parameters),
    )
    answer = service.answer(parameters, request.headers.get("Authorization"))
    lifetime = state.lifetimes.refresh_token
    return jsonify(shaped_answer(realm.authority, answer, int(state.now()), lifetime))
