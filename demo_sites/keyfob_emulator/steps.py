"""What to ask a person next, given what they did so far.

OpenID Connect Core section 3.1.2.3 (``prompt``, ``max_age``), and Entra's single sign-on: one
signed-in account that fits goes straight through, several lead to the picker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from keyfob_emulator.authorize import AuthorizationRequest
from keyfob_emulator.consent import Identity
from keyfob_emulator.errors import ProtocolError, problem
from keyfob_emulator.model import Account, FlowKind
from keyfob_emulator.sessions import BrowserSession, Interaction, SignIn
from keyfob_emulator.state import Emulator


class Step(Enum):
    """The page that comes next."""

    PICK = auto()
    TYPE = auto()
    PASSWORD = auto()
    SIGN_UP = auto()
    NEW_PASSWORD = auto()
    PROFILE = auto()
    SECOND_FACTOR = auto()
    CONFIRM = auto()
    CONSENT = auto()
    APPROVAL = auto()
    DONE = auto()


@dataclass(frozen=True)
class Standing:
    """Where an interaction stands. ``missing`` are the consent keys still to be agreed to."""

    step: Step
    identity: Identity | None = None
    sign_in: SignIn | None = None
    missing: frozenset[str] = frozenset()

    @property
    def person(self) -> Identity:
        """Who it is, at every step after the choice of an account."""
        if self.identity is None:
            raise RuntimeError(f"nobody is known yet at {self.step}")
        return self.identity

    @property
    def proof(self) -> SignIn:
        """Their sign-in, at every step after the password."""
        if self.sign_in is None:
            raise RuntimeError(f"nobody is signed in yet at {self.step}")
        return self.sign_in


def signed_in(
    state: Emulator, request: AuthorizationRequest, session: BrowserSession | None
) -> list[Account]:
    """The signed-in accounts that may use the application here."""
    found = []
    for object_id in list(session.sign_ins) if session else []:
        account = state.directory.account_by_id(object_id)
        if account is not None and _admitted(request, account):
            found.append(account)
    return found


def choices(
    state: Emulator, request: AuthorizationRequest, session: BrowserSession
) -> list[tuple[Account, bool]]:
    """The people the picker offers, signed-in ones first; the hint of a domain narrows them."""
    here = {account.object_id for account in signed_in(state, request, session)}
    people = [a for a in state.directory.accounts if _admitted(request, a) and _hinted(request, a)]
    people.sort(key=lambda account: account.object_id not in here)
    return [(account, account.object_id in here) for account in people]


def _admitted(request: AuthorizationRequest, account: Account) -> bool:
    try:
        request.realm.admit(account, request.client)
    except ProtocolError:
        return False
    return True


def _hinted(request: AuthorizationRequest, account: Account) -> bool:
    hint = (request.domain_hint or "").lower()
    if not hint:
        return True
    if hint in ("consumers", "organizations"):
        return account.personal == (hint == "consumers")
    return account.username.lower().endswith(f"@{hint}")


def standing(state: Emulator, interaction: Interaction) -> Standing:
    """The next step of an interaction; :class:`ProtocolError` for somebody who may not come in."""
    request, flow = interaction.request, _flow_to_do(interaction)
    if flow is FlowKind.SIGN_UP:
        return Standing(Step.SIGN_UP)
    account = _chosen(state, interaction)
    if account is None:
        return Standing(_how_to_choose(interaction))
    # Fixed from here on: what another tab does in the same session must not change who agrees.
    interaction.chosen = account.username
    identity = request.realm.admit(account, request.client)
    if flow is FlowKind.RESET_PASSWORD:
        return Standing(Step.NEW_PASSWORD, identity)
    sign_in = interaction.session.sign_ins.get(account.object_id)
    if sign_in is None or not _fresh(state, request, sign_in, interaction.authenticated):
        return Standing(Step.PASSWORD, identity)
    if not account.enabled:
        raise problem(50057)
    if _second_factor_due(state, request, account, sign_in, interaction.proved):
        return Standing(Step.SECOND_FACTOR, identity, sign_in)
    if flow is FlowKind.EDIT_PROFILE:
        return Standing(Step.PROFILE, identity, sign_in)
    if request.device is not None and not interaction.confirmed:
        # RFC 8628 section 5.4: whoever was talked into typing a stranger's code can still stop.
        return Standing(Step.CONFIRM, identity, sign_in)
    if request.admin_consent:
        return _for_everybody(state, interaction, identity, sign_in)
    missing = state.consents.missing(request.scopes, identity, request.client)
    if missing and _needs_approval(state, identity, missing):
        return Standing(Step.APPROVAL, identity, sign_in, missing)
    if missing or ("consent" in request.prompt and not interaction.consented):
        shown = state.consents.expand(request.scopes, identity, request.client)
        return Standing(Step.CONSENT, identity, sign_in, shown)
    return Standing(Step.DONE, identity, sign_in)


def _flow_to_do(interaction: Interaction) -> FlowKind | None:
    """What the user flow still has a page of its own for."""
    kind = interaction.request.realm.authority.flow_kind
    if "create" in interaction.request.prompt:
        kind = FlowKind.SIGN_UP
    return None if interaction.flow_done or kind is FlowKind.SIGN_IN else kind


def _for_everybody(
    state: Emulator, interaction: Interaction, identity: Identity, sign_in: SignIn
) -> Standing:
    """The admin consent endpoint: the page is shown each time, and to administrators only."""
    request = interaction.request
    keys = state.consents.for_everybody(request.scopes, request.client)
    account = identity.account
    if not account.administrator or identity.guest or account.personal:
        return Standing(Step.APPROVAL, identity, sign_in, keys)
    step = Step.DONE if interaction.consented else Step.CONSENT
    return Standing(step, identity, sign_in, keys)


def _needs_approval(state: Emulator, identity: Identity, missing: frozenset[str]) -> bool:
    """Whether only an administrator of the tenant may agree to what is missing."""
    if identity.account.administrator and not identity.guest:
        return False
    return not identity.tenant.user_consent or bool(state.consents.admin_only(missing))


def _how_to_choose(interaction: Interaction) -> Step:
    if interaction.mode == "automatic" and not _must_pick(interaction):
        # A hint that names nobody is at least a start for typing.
        return Step.TYPE if interaction.request.login_hint else Step.PICK
    return Step.TYPE if interaction.mode == "type" else Step.PICK


def _must_pick(interaction: Interaction) -> bool:
    return "select_account" in interaction.request.prompt and not interaction.picked


def _chosen(state: Emulator, interaction: Interaction) -> Account | None:
    request = interaction.request
    if interaction.chosen is not None:
        return state.directory.account(interaction.chosen)
    if interaction.mode != "automatic" or _must_pick(interaction):
        return None
    if request.login_hint is not None:
        return state.directory.account(request.login_hint)
    if "login" in request.prompt:
        return None
    here: Sequence[Account] = signed_in(state, request, interaction.session)
    return here[0] if len(here) == 1 else None


def _fresh(
    state: Emulator, request: AuthorizationRequest, sign_in: SignIn, authenticated: bool
) -> bool:
    if authenticated:
        return True
    if state.interactions.pending(sign_in.home_object_id) or "login" in request.prompt:
        return False
    if request.max_age is None:
        return True
    if request.max_age == 0:  # OpenID Connect Core 3.1.2.1: the same as prompt=login.
        return False
    return state.now() - sign_in.auth_time <= request.max_age


def _second_factor_due(
    state: Emulator,
    request: AuthorizationRequest,
    account: Account,
    sign_in: SignIn,
    proved: bool = False,
) -> bool:
    """Whether the person has yet to prove more than the password."""
    if proved or (sign_in.second_factor and "login" not in request.prompt):
        return False
    demand = state.conditional_access.demand(request.claims, request.scopes.apis)
    return account.multi_factor or demand is not None


def silent(
    state: Emulator, request: AuthorizationRequest, session: BrowserSession | None
) -> Standing:
    """``prompt=none``: the sign-in that goes through without a page, or why it cannot."""
    if request.realm.authority.flow_kind not in (None, FlowKind.SIGN_IN):
        raise problem(90077)
    here = signed_in(state, request, session)
    if request.login_hint is not None:
        wanted = request.login_hint.lower()
        here = [account for account in here if account.username.lower() == wanted]
    here = [account for account in here if _hinted(request, account)]
    if not here or session is None:
        raise problem(50058)
    if len(here) > 1:
        raise problem(16000)
    account = here[0]
    identity = request.realm.admit(account, request.client)
    sign_in = session.sign_ins[account.object_id]
    if not account.enabled:
        raise problem(50057, error="interaction_required")
    state.interactions.check(account.object_id, request.client)
    if not _fresh(state, request, sign_in, authenticated=False):
        raise problem(50058)
    if _second_factor_due(state, request, account, sign_in):
        raise problem(
            50076,
            error="interaction_required",
            suberror="basic_action",
            resource=request.client.name,
        )
    missing = state.consents.missing(request.scopes, identity, request.client)
    if missing:
        raise problem(
            65001,
            error="consent_required",
            client_id=request.client.client_id,
            name=request.client.name,
            missing=", ".join(sorted(missing)),
        )
    return Standing(Step.DONE, identity, sign_in)
