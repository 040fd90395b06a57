"""The pages of Azure AD B2C's user flows: signing up, the profile, a new password.

Nobody's e-mail address is verified here: whoever picks an account may give it a new password.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from keyfob_emulator import web
from keyfob_emulator.model import Account, FlowKind
from keyfob_emulator.sessions import Interaction
from keyfob_emulator.steps import Standing, Step

_SHORTEST_PASSWORD: Final = 8
_LONGEST: Final = 200


def can_forget(interaction: Interaction) -> bool:
    """Whether the page of the password has a link for whoever forgot it."""
    return interaction.request.realm.authority.flow_kind is FlowKind.SIGN_IN


def act(interaction: Interaction, now: Standing, form: Mapping[str, str]) -> str | None:
    """Do what the page that is due was filled in for; what is wrong with it, or None."""
    if now.step is Step.SIGN_UP:
        return _sign_up(interaction, form)
    if now.step is Step.NEW_PASSWORD:
        return _new_password(interaction, now.person.account, form)
    if now.step is Step.PROFILE:
        return _profile(interaction, now.person.account, form)
    return None


def _sign_up(interaction: Interaction, form: Mapping[str, str]) -> str | None:
    tenant, directory = interaction.request.realm.tenant, web.emulator().directory
    email, name = _text(form, "email"), _text(form, "name")
    password = form.get("new_password", "")
    if tenant is None or "@" not in email or not name:
        return "An e-mail address and a name are needed."
    if directory.account(email) is not None:
        return "There is an account with this e-mail address already."
    if len(password) < _SHORTEST_PASSWORD:
        return _too_short()
    account = Account(email, name, tenant.tenant_id, str(uuid.uuid4()), password, email=email)
    directory.add(account)
    _signed_in(interaction, account)
    return None


def _new_password(
    interaction: Interaction, account: Account, form: Mapping[str, str]
) -> str | None:
    password = form.get("new_password", "")
    if len(password) < _SHORTEST_PASSWORD:
        return _too_short()
    web.emulator().directory.add(replace(account, password=password))
    _signed_in(interaction, account)
    return None


def _profile(interaction: Interaction, account: Account, form: Mapping[str, str]) -> str | None:
    name = _text(form, "name")
    if not name:
        return "A name is needed."
    web.emulator().directory.add(replace(account, name=name))
    interaction.flow_done = True
    return None


def _signed_in(interaction: Interaction, account: Account) -> None:
    interaction.session.sign_in(account.object_id, web.emulator().now())
    interaction.chosen, interaction.mode = account.username, "automatic"
    interaction.authenticated = interaction.picked = interaction.flow_done = True
    web.renew_session()


def _text(form: Mapping[str, str], name: str) -> str:
    return " ".join(form.get(name, "").split())[:_LONGEST]


def _too_short() -> str:
    return f"A password has at least {_SHORTEST_PASSWORD} characters."
