"""The authorization endpoint and the pages a person signs in on.

The endpoint checks the request and opens an interaction; every page of it lives at one address,
shows the step that is due, and posts back there. Reloading and going back are therefore harmless.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, request, url_for

from keyfob_emulator import web
from keyfob_emulator.authorities import Kind
from keyfob_emulator.authorize import (
    AuthorizationRequest,
    DeviceReply,
    ReplyAddress,
    find_client,
    find_reply_address,
    read_request,
)
from keyfob_emulator.claim_shapes import shaped_client_info
from keyfob_emulator.consent import Identity
from keyfob_emulator.errors import ProtocolError, problem
from keyfob_emulator.password import proves
from keyfob_emulator.redirects import csp_source
from keyfob_emulator.sessions import Interaction, Use
from keyfob_emulator.steps import Standing, Step, choices, silent, standing
from keyfob_emulator.tokens import encode_client_info, pairwise_subject
from keyfob_emulator.views import device, user_flow
from keyfob_emulator.views.reply import send, send_error

blueprint = Blueprint("sign_in", __name__)


@blueprint.route("/<tenant>/oauth2/v2.0/authorize", methods=["GET", "POST"])
def authorize(tenant: str) -> Response:
    """The authorization endpoint (RFC 6749 section 3.1, OpenID Connect Core 3.1.2.1)."""
    failure = web.take_failure("authorize")
    if failure:
        return failure
    parameters = web.form_parameters() if request.method == "POST" else web.query_parameters()
    directory = web.emulator().directory
    try:
        realm = web.realm(tenant)
        reply = find_reply_address(parameters, find_client(parameters, directory, realm))
    except ProtocolError as error:
        return web.error_page(error)
    try:
        asked = read_request(
            parameters,
            realm,
            reply,
            directory,
            graph_urls=web.graph_urls(),
            hint=web.emulator().username_of_hint,
        )
        if "none" in asked.prompt:
            return _complete(asked, silent(web.emulator(), asked, web.session()))
    except ProtocolError as error:
        return send_error(reply, error)
    state = web.emulator()
    interaction = state.sessions.open_interaction(
        asked, web.ensure_session(), state.lifetimes.interaction
    )
    return _show(interaction)


def _show(interaction: Interaction, told: str | None = None) -> Response:
    """The page that is due, or the answer when nothing is left to ask."""
    try:
        now = standing(web.emulator(), interaction)
    except ProtocolError as error:
        return _Page(interaction).refusal(error)
    if now.step is Step.DONE:
        web.emulator().sessions.close(interaction)
        return _complete(interaction.request, now)
    if request.endpoint == "sign_in.authorize":
        return _again(interaction)
    return _Page(interaction, told).show(now)


def _again(interaction: Interaction) -> Response:
    """To the interaction's own address, so that reloading does not repeat a form."""
    return web.go_to(url_for("sign_in.step", interaction_id=interaction.interaction_id))


def _complete(asked: AuthorizationRequest, done: Standing) -> Response:
    """Give out the code, or let the waiting device have its answer."""
    identity, sign_in = done.person, done.proof
    if asked.admin_consent and isinstance(asked.reply, ReplyAddress):
        # Who agreed is told, and proven to nobody.
        agreed = {"admin_consent": "True", "tenant": identity.tenant.tenant_id}
        return send(asked.reply, {**agreed, "scope": asked.scopes.text})
    sign_in.uses.add(_use(asked, identity))
    grant = asked.grant(identity, sign_in.auth_time, sign_in.sid, sign_in.second_factor)
    if isinstance(asked.reply, DeviceReply):
        return device.decide(asked.reply, grant)
    state, to = web.emulator(), asked.reply.redirect_uri
    code = state.grants.issue_code(grant, to, asked.code_challenge, state.lifetimes.code)
    answer = {"code": code, "session_state": sign_in.sid}
    if asked.client_info:
        text = encode_client_info(identity.account)
        info = shaped_client_info(asked.realm.authority, text)
        if info is not None:
            answer["client_info"] = info
    return send(asked.reply, answer)


def _use(asked: AuthorizationRequest, identity: Identity) -> Use:
    """What the provider has to know to tell the application of a sign-out."""
    tenant, authority = identity.tenant.tenant_id, asked.realm.authority
    client_id, subject = asked.client.client_id, identity.object_id
    if authority.kind is not Kind.B2C:
        subject = pairwise_subject(client_id, subject)
    origin = ""
    if not isinstance(asked.reply, DeviceReply):
        parts = urlsplit(asked.reply.redirect_uri)
        origin = f"{parts.scheme}://{parts.netloc}"
    return Use(client_id, tenant, authority.issuer(tenant), subject, origin)


# The pages


@dataclass(frozen=True)
class _Page:
    """What every page of an interaction shows."""

    interaction: Interaction
    error: str | None = None

    def show(self, now: Standing) -> Response:
        """The page of a step."""
        asked = self.interaction.request
        if now.step is Step.PICK:
            people = choices(web.emulator(), asked, self.interaction.session)
            return self._render("picker.html", people=people)
        if now.step is Step.TYPE:
            return self.username(asked.login_hint or "")
        if now.step is Step.PASSWORD:
            return self._render("password.html", account=now.person.account)
        if now.step is Step.SIGN_UP:
            return self._render("sign_up.html", given=request.form)
        if now.step in (Step.NEW_PASSWORD, Step.PROFILE):
            name = "new_password" if now.step is Step.NEW_PASSWORD else "profile"
            return self._render(f"{name}.html", account=now.person.account)
        if now.step is Step.SECOND_FACTOR:
            return self._render("second_factor.html", account=now.person.account)
        if now.step is Step.CONFIRM:
            return self._render("device_confirm.html", account=now.person.account)
        consents = web.emulator().consents
        template = "consent.html" if now.step is Step.CONSENT else "approval.html"
        return self._render(
            template,
            account=now.person.account,
            lines=consents.in_words(now.missing),
            admin_only=consents.admin_only(now.missing),
        )

    def username(self, typed: str) -> Response:
        """The page for typing a user name."""
        return self._render("username.html", username=typed)

    def refusal(self, error: ProtocolError) -> Response:
        """An error that another account might not meet."""
        return web.error_page(
            error,
            action=url_for("sign_in.step", interaction_id=self.interaction.interaction_id),
            csrf_token=self.interaction.session.csrf_token,
        )

    def _render(self, template: str, **context: Any) -> Response:
        reply = self.interaction.request.reply
        targets = (csp_source(reply.redirect_uri),) if isinstance(reply, ReplyAddress) else ()
        return web.page(
            template,
            400 if self.error else 200,
            form_targets=targets,
            action=url_for("sign_in.step", interaction_id=self.interaction.interaction_id),
            csrf_token=self.interaction.session.csrf_token,
            client=reply.client,
            realm=self.interaction.request.realm,
            for_everybody=self.interaction.request.admin_consent,
            can_forget=user_flow.can_forget(self.interaction),
            error=self.error,
            **context,
        )


@blueprint.get("/sign-in/<interaction_id>")
def step(interaction_id: str) -> Response:
    """The page that is due."""
    try:
        interaction = _find(interaction_id)
    except ProtocolError as error:
        return web.error_page(error)
    return _show(interaction)


@blueprint.post("/sign-in/<interaction_id>")
def act(interaction_id: str) -> Response:
    """What the person did on the page."""
    try:
        interaction = _find(interaction_id)
    except ProtocolError as error:
        return web.error_page(error)
    given = request.form.get("csrf_token", "").encode("utf-8", "surrogatepass")
    if not hmac.compare_digest(given, interaction.session.csrf_token.encode()):
        # Forged, or shown before a sign-in in another tab: nothing is done but to show the page.
        return _show(interaction, "This page was out of date. Please try again.")
    action = request.form.get("action", "")
    if action == "cancel":
        return _cancel(interaction)
    if action == "forgotten" and user_flow.can_forget(interaction):
        return _end(interaction, problem(90118))
    if action in ("sign-up", "profile", "new-password"):
        return _do_flow(interaction)
    if action in ("pick", "type"):
        interaction.chosen, interaction.authenticated, interaction.picked = None, False, False
        interaction.proved = False
        interaction.mode = "type" if action == "type" else "pick"
        return _again(interaction)
    if action == "approve":
        return _approve(interaction)
    if action == "confirm":
        return _confirm(interaction)
    if action == "accept":
        return _accept(interaction)
    if "password" in request.form:
        return _check_password(interaction, request.form["password"])
    if "username" in request.form:
        return _choose(interaction, request.form["username"])
    return _again(interaction)


def _find(interaction_id: str) -> Interaction:
    found = web.emulator().sessions.interaction(interaction_id, web.session())
    if found is None:
        raise problem(165000)
    return found


def _choose(interaction: Interaction, username: str) -> Response:
    """An account was picked or typed."""
    account = web.emulator().directory.account(username)
    if account is None:
        interaction.mode = "type"
        told = (
            "No account has this user name. The start page of this provider lists those there are."
        )
        return _Page(interaction, told).username(username)
    interaction.chosen, interaction.picked, interaction.mode = account.username, True, "automatic"
    return _again(interaction)


def _check_password(interaction: Interaction, password: str) -> Response:
    """A password was sent, for the account chosen before."""
    state = web.emulator()
    try:
        now = standing(state, interaction)
    except ProtocolError as error:
        return _Page(interaction).refusal(error)
    if now.step is not Step.PASSWORD:
        return _again(interaction)
    account = now.person.account
    if not proves(account, password):
        return _Page(interaction, "The password is wrong (AADSTS50126).").show(now)
    if not account.enabled:
        told = "This account has been disabled (AADSTS50057). Ask your administrator."
        return _Page(interaction, told).show(now)
    interaction.session.sign_in(account.object_id, state.now())
    interaction.authenticated = True
    state.interactions.happened(account.object_id)
    web.renew_session()
    return _show_after_form(interaction)


def _do_flow(interaction: Interaction) -> Response:
    """The page of a user flow was filled in. Only the one that is due counts."""
    try:
        now = standing(web.emulator(), interaction)
        told = user_flow.act(interaction, now, request.form)
    except ProtocolError as error:
        return _Page(interaction).refusal(error)
    if told:
        return _Page(interaction, told).show(now)
    return _show_after_form(interaction)


def _approve(interaction: Interaction) -> Response:
    """The second factor. Only who has just proved the password, or had before, is asked for it."""
    try:
        now = standing(web.emulator(), interaction)
    except ProtocolError as error:
        return _Page(interaction).refusal(error)
    if now.step is Step.SECOND_FACTOR:
        now.proof.second_factor = interaction.proved = True
    return _show_after_form(interaction)


def _confirm(interaction: Interaction) -> Response:
    """The person knows the device that waits. Only somebody who was asked can say so."""
    try:
        if standing(web.emulator(), interaction).step is Step.CONFIRM:
            interaction.confirmed = True
    except ProtocolError as error:
        return _Page(interaction).refusal(error)
    return _show_after_form(interaction)


def _accept(interaction: Interaction) -> Response:
    """Consent was given. Only to what the page showed: the step is worked out again."""
    state = web.emulator()
    try:
        now = standing(state, interaction)
    except ProtocolError as error:
        return _Page(interaction).refusal(error)
    if now.step is Step.CONSENT:
        client_id = interaction.request.client.client_id
        if interaction.request.admin_consent:
            tenant_id = now.person.tenant.tenant_id
            state.consents.give_for_everybody(tenant_id, client_id, now.missing)
        else:
            state.consents.give(now.person.object_id, client_id, now.missing)
        interaction.consented = True
    return _show_after_form(interaction)


def _show_after_form(interaction: Interaction) -> Response:
    """Finish at once if nothing is left to ask, else go to the next page."""
    try:
        done = standing(web.emulator(), interaction).step is Step.DONE
    except ProtocolError:
        done = False
    return _show(interaction) if done else _again(interaction)


def _cancel(interaction: Interaction) -> Response:
    """The person does not want to. Entra says access_denied and AADSTS65004, B2C AADB2C90091."""
    if interaction.request.realm.authority.flow is not None:
        return _end(interaction, problem(90091))
    more = {"admin_consent": "True"} if interaction.request.admin_consent else {}
    return _end(interaction, problem(65004), error_subcode="cancel", **more)


def _end(interaction: Interaction, error: ProtocolError, **more: str) -> Response:
    """Without a code."""
    web.emulator().sessions.close(interaction)
    reply = interaction.request.reply
    if isinstance(reply, DeviceReply):
        return device.decide(reply, None)
    return send_error(reply, error, **more)
