"""Devices without a browser: where they ask (RFC 8628 section 3.1), and where people type the code.

After the code the pages are those of every sign-in, with one more before consent: whether the
device is really theirs.
"""

from __future__ import annotations

import hmac

from flask import Blueprint, Response, jsonify, request, url_for

from keyfob_emulator import web
from keyfob_emulator.authorize import AuthorizationRequest, DeviceReply, find_client, read_claims
from keyfob_emulator.errors import problem
from keyfob_emulator.grants import Grant
from keyfob_emulator.scopes import parse_scopes

blueprint = Blueprint("device", __name__)

_UNKNOWN = (
    "No device waits with this code. It may be mistyped, used already, or too old: look at the "
    "device again."
)


@blueprint.post("/<tenant>/oauth2/v2.0/devicecode")
def devicecode(tenant: str) -> Response:
    """The device authorization endpoint. As at Entra the client is not authenticated here."""
    failure = web.take_failure("devicecode")
    if failure:
        return failure
    parameters, state = web.form_parameters(), web.emulator()
    parameters.refuse_repeated()
    realm = web.realm(tenant)
    client = find_client(parameters, state.directory, realm)
    scopes = parse_scopes(parameters.require("scope"), state.directory, web.graph_urls(), client)
    if len(scopes.resources) > 1:
        # A poll cannot say which of them it is for: better now than after somebody signed in.
        names = ", ".join(entry.resource.name for entry in scopes.resources)
        raise problem(28000, scope=scopes.text, resources=names)
    user_code = state.devices.new_user_code()
    asked = AuthorizationRequest(
        realm=realm,
        reply=DeviceReply(client, user_code),
        scopes=scopes,
        nonce=None,
        # The person is in front of another machine: which account is never taken for granted.
        prompt=frozenset({"select_account"}),
        login_hint=None,
        domain_hint=None,
        max_age=None,
        code_challenge=None,
        client_info=parameters.get("client_info") == "1",
        claims=read_claims(parameters),
    )
    lifetime, interval = state.lifetimes.device_code, state.lifetimes.device_interval
    place = f"{web.base_url()}{url_for('device.enter')}"
    return jsonify(
        {
            "user_code": user_code,
            "device_code": state.devices.start(user_code, asked, lifetime, interval),
            "verification_uri": place,
            "expires_in": lifetime,
            "interval": interval,
            "message": f"To sign in, open {place} in a browser and enter the code {user_code}.",
        }
    )


# The pages


@blueprint.get("/devicelogin")
def enter() -> Response:
    """Where a person types the code; ``otc`` fills it in, as at Entra."""
    return _enter(request.args.get("otc", ""))


@blueprint.post("/devicelogin")
def entered() -> Response:
    """A code was typed: go on with the pages of a sign-in."""
    state, session = web.emulator(), web.ensure_session()
    typed = request.form.get("user_code", "")
    given = request.form.get("csrf_token", "").encode("utf-8", "surrogatepass")
    if not hmac.compare_digest(given, session.csrf_token.encode()):
        return _enter(typed, "This page was out of date. Please try again.")
    waiting = state.devices.find(typed)
    if waiting is None:
        return _enter(typed, _UNKNOWN)
    interaction = state.sessions.open_interaction(
        waiting.request, session, state.lifetimes.interaction
    )
    return web.go_to(url_for("sign_in.step", interaction_id=interaction.interaction_id))


def _enter(typed: str, error: str | None = None) -> Response:
    return web.page(
        "device_code.html",
        400 if error else 200,
        action=url_for("device.entered"),
        csrf_token=web.ensure_session().csrf_token,
        user_code=typed[:40],
        error=error,
    )


def decide(reply: DeviceReply, grant: Grant | None) -> Response:
    """The end of a device's sign-in: a grant, or None when the person does not want to."""
    if not web.emulator().devices.decide(reply.user_code, grant):
        return web.error_page(problem(70020))
    return web.page("device_done.html", client=reply.client, approved=grant is not None)
