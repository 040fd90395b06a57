"""The provider itself, without HTTP: its directory, its memory, and the knobs tests turn."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from keyfob_emulator.client_auth import ClientAuthentication
from keyfob_emulator.conditional_access import ConditionalAccess
from keyfob_emulator.consent import Consents
from keyfob_emulator.device_code import DeviceCodes, DeviceRequest
from keyfob_emulator.failures import Failure, Failures
from keyfob_emulator.grants import GrantStore
from keyfob_emulator.interaction import RequiredInteractions
from keyfob_emulator.keys import KeyRings
from keyfob_emulator.logout_notices import LogoutNotice, LogoutNotices
from keyfob_emulator.managed_identity import Machine
from keyfob_emulator.model import GRAPH_URL, Account, Application, Directory, Group, Tenant
from keyfob_emulator.sample import sample_directory
from keyfob_emulator.scopes import parse_scopes
from keyfob_emulator.sessions import SessionStore
from keyfob_emulator.tokens import decode_login_hint
from keyfob_emulator.workload_identity import ExternalIssuer


@dataclass(frozen=True)
class Lifetimes:
    """How long things last, in seconds. The defaults are Entra's."""

    code: int = 600
    access_token: int = 3599
    id_token: int = 3600
    refresh_token: int = 90 * 86400
    session: int = 86400
    interaction: int = 1800
    managed_identity: int = 86399
    device_code: int = 900
    device_interval: float = 5
    """How long a device must wait between two polls."""
    refresh_in: int | None = None
    """``refresh_in`` of token answers: when the client should get a new one already."""


class Emulator:
    """The state of one provider. Everything public here is meant to be used in tests."""

    def __init__(
        self,
        directory: Directory | None = None,
        *,
        clock: Callable[[], float] | None = None,
        lifetimes: Lifetimes | None = None,
        revoke_reused_refresh_tokens: bool = False,
        include_at_hash: bool = False,
    ) -> None:
        self.directory = directory if directory is not None else sample_directory()
        self.clock: Callable[[], float] = clock if clock is not None else time.time
        self.lifetimes = lifetimes if lifetimes is not None else Lifetimes()
        self.include_at_hash = include_at_hash
        self.saml_version = 1
        """Of the assertions that the federation service issues unless asked: 1 (SAML 1.1) or 2."""
        self.keys = KeyRings(self.now)
        self.consents = Consents(self.directory)
        self.grants = GrantStore(self.now)
        self.grants.revoke_reused = revoke_reused_refresh_tokens
        self.sessions = SessionStore(self.now)
        self.logouts = LogoutNotices(self.directory, self.keys, self.now)
        self.client_authentication = ClientAuthentication(self.directory, self.keys)
        self.machine = Machine(self.now)
        self._home_tenant: str | None = None
        self.devices = DeviceCodes(self.now)
        self.interactions = RequiredInteractions()
        self.conditional_access = ConditionalAccess()
        self.failures = Failures(self.now)

    def now(self) -> float:
        """The provider's time. Assign :attr:`clock` to travel in it."""
        return self.clock()

    @property
    def home_tenant(self) -> str | None:
        """The organisation whose ADFS and whose machine this is: the first one, unless assigned."""
        if self._home_tenant is None:
            tenants = (t for t in self.directory.tenants if t.organisation)
            return next((tenant.tenant_id for tenant in tenants), None)
        return self._home_tenant

    @home_tenant.setter
    def home_tenant(self, tenant_id: str) -> None:
        self._home_tenant = tenant_id

    # Directory

    def add(self, entry: Tenant | Account | Application | Group) -> None:
        """Register a tenant, a person, an application or a group, or replace the one with the same
        key."""
        self.directory.add(entry)

    def account(self, username: str) -> Account:
        """The person with that user name; LookupError when there is none."""
        account = self.directory.account(username)
        if account is None:
            raise LookupError(f"there is no account {username!r} in the directory")
        return account

    def application(self, client_id: str) -> Application:
        """The application with that client id; LookupError when there is none."""
        application = self.directory.application(client_id)
        if application is None:
            raise LookupError(f"there is no application {client_id!r} in the directory")
        return application

    def disable_account(self, username: str) -> None:
        """From now on: AADSTS50057 at sign-in and refresh, 401 at Graph."""
        self.directory.add(replace(self.account(username), enabled=False))

    def enable_account(self, username: str) -> None:
        """Undo :meth:`disable_account`."""
        self.directory.add(replace(self.account(username), enabled=True))

    # Keys and tokens

    def rotate_keys(self, *, keep_old: bool = True) -> None:
        """Sign with new keys. The old ones stay published unless ``keep_old`` is False."""
        self.keys.rotate(keep_old=keep_old)

    @property
    def revoke_reused_refresh_tokens(self) -> bool:
        """Whether a second use of a refresh token revokes its family (RFC 9700 section 4.14.2)."""
        return self.grants.revoke_reused

    @revoke_reused_refresh_tokens.setter
    def revoke_reused_refresh_tokens(self, value: bool) -> None:
        self.grants.revoke_reused = value

    def revoke_refresh_tokens(self, username: str, client_id: str | None = None) -> None:
        """Revoke what a person's sign-ins led to, for one application or all.

        Refresh tokens stop working, and access tokens at this provider's Graph.
        """
        self.grants.revoke_for(self.account(username).object_id, client_id)

    def revoke_sign_in_sessions(self, username: str) -> None:
        """What Graph's ``revokeSignInSessions`` does: nothing of before counts any more.

        The person's sessions at the provider end, refresh tokens are answered with AADSTS50173, and
        Graph refuses access tokens of clients with the capability ``cp1`` with a claims challenge
        (continuous access evaluation). Other access tokens serve until they expire, as at Entra.
        Unlike :meth:`sign_out_everywhere` it tells no application: each one finds out.
        """
        object_id = self.account(username).object_id
        self.sessions.sign_out_everywhere(object_id)
        self.grants.revoke_for(object_id, capable_only=True)

    def sign_out_everywhere(self, username: str) -> list[LogoutNotice]:
        """End the person's sessions at the provider in all browsers, and tell the applications.

        Returns what each application with a ``back_channel_logout_uri`` answered.
        """
        account = self.account(username)
        ended = self.sessions.sign_out_everywhere(account.object_id)
        return self.logouts.directly(ended, account.username, everywhere=True)

    # Consent

    def give_consent(self, username: str, client_id: str, scopes: str | Iterable[str]) -> None:
        """Agree to scopes in a person's name, so that the consent page is not shown for them."""
        account, client = self.account(username), self.application(client_id)
        keys = self._keys(scopes, client)
        for object_id in (account.object_id, *account.guest_in.values()):
            self.consents.give(object_id, client.client_id, keys)

    def withdraw_consent(
        self, username: str, client_id: str, scopes: str | Iterable[str] | None = None
    ) -> None:
        """Take back what a person agreed to: these scopes, or everything."""
        account, client = self.account(username), self.application(client_id)
        keys = None if scopes is None else self._keys(scopes, client)
        object_ids = (account.object_id, *account.guest_in.values())
        self.consents.withdraw(object_ids, client.client_id, keys)

    def revoke_consent(self, username: str, client_id: str) -> None:
        """Take back all of a person's consent to an application, as on the page ``/consents``.

        Beyond :meth:`withdraw_consent`, Graph refuses the access tokens it led to.
        """
        self.withdraw_consent(username, client_id)
        self.grants.refuse_access_tokens(
            self.account(username).object_id, self.application(client_id).client_id
        )

    def _keys(self, scopes: str | Iterable[str], client: Application) -> frozenset[str]:
        text = scopes if isinstance(scopes, str) else " ".join(scopes)
        return parse_scopes(text, self.directory, (GRAPH_URL,), client).keys

    # Other issuers

    def trust(self, issuer: ExternalIssuer) -> None:
        """Know the keys of another issuer, as if its metadata could be fetched.

        An application accepts its tokens with a :class:`FederatedCredential`.
        """
        self.client_authentication.issuers[issuer.issuer] = issuer

    # Devices

    def approve_device(self, user_code: str, username: str) -> None:
        """Sign a person in for the device that shows this code, and consent to what it asks for.

        :raises LookupError: no undecided device shows this code, or there is no such person.
        """
        account, request = self.account(username), self._device(user_code).request
        identity = request.realm.admit(account, request.client)
        keys = self.consents.expand(request.scopes, identity, request.client)
        self.consents.give(identity.object_id, request.client.client_id, keys)
        grant = request.grant(identity, int(self.now()), str(uuid.uuid4()))
        self.devices.decide(user_code, grant)

    def decline_device(self, user_code: str) -> None:
        """Decline for the device that shows this code; LookupError when none does."""
        self._device(user_code)
        self.devices.decide(user_code, None)

    def _device(self, user_code: str) -> DeviceRequest:
        waiting = self.devices.find(user_code)
        if waiting is None:
            raise LookupError(f"no device waits with the user code {user_code!r}")
        return waiting

    # Interaction

    def require_interaction(
        self, username: str, *, suberror: str = "basic_action", claims: str | None = None
    ) -> None:
        """Refuse tokens in a person's name until they prove their password on a page again.

        The token endpoint answers ``interaction_required`` (AADSTS50076) with this ``suberror`` and
        these ``claims``, a JSON text that the client should repeat; None makes one up as Entra's
        conditional access writes it.
        """
        self.interactions.require(self.account(username).object_id, suberror, claims)

    def require_second_factor(self, resource: str) -> None:
        """Put a policy on an API, by its client id or identifier URI.

        Tokens for it then need a second factor: a page asks for it, and without a page the token
        endpoint answers ``interaction_required`` (AADSTS50076) with ``claims``. The policies on
        authentication contexts are ``conditional_access.contexts``.

        :raises LookupError: there is no such API.
        """
        found = self.directory.resource(resource)
        if found is None:
            raise LookupError(f"there is no API {resource!r} in the directory")
        self.conditional_access.protect(found)

    # Failures

    def fail_next(
        self,
        endpoint: str,
        *,
        status: int = 503,
        body: str = "Service unavailable",
        retry_after: int | None = None,
        times: int = 1,
        seconds: float | None = None,
        hang_up: bool = False,
    ) -> None:
        """Make the next requests to one of :data:`~keyfob_emulator.failures.ENDPOINTS` fail.

        A body that begins with a brace is sent as JSON. With ``seconds`` all requests fail for that
        long, however many they are; with ``hang_up`` the connection is closed without an answer.
        """
        until = None if seconds is None else self.now() + seconds
        failure = Failure(endpoint, status, body, retry_after, hang_up, until)
        self.failures.prepare(failure, times)

    def take_failure(self, endpoint: str) -> Failure | None:
        """The failure prepared for this request, which is used up by asking."""
        return self.failures.take(endpoint)

    # Hints

    def username_of_hint(self, hint: str) -> str:
        """The user name a login hint stands for: the hint itself, or the owner of an opaque one."""
        object_id = decode_login_hint(hint)
        account = self.directory.account_by_id(object_id) if object_id else None
        return account.username if account else hint
