"""Program life of one authority of a site: its client, its keys, its store. Knows no request."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING

from keyfob.applications import ConfidentialClientApplication
from keyfob.errors import ConfigurationError
from keyfob.web import bearer_answers, kept_forms, logout_channels
from keyfob.web.allowance import Allowance, Allowances
from keyfob.web.attached import AttachedApis
from keyfob.web.bearer import BearerChecks
from keyfob.web.csrf import FormTokens
from keyfob.web.documents import Documents
from keyfob.web.groups import Groups
from keyfob.web.leases import LEASE_SECONDS, Leases
from keyfob.web.locks import KeyedLocks
from keyfob.web.metrics import REFRESH_WAIT
from keyfob.web.observe import Observer
from keyfob.web.own_tokens import OwnTokens
from keyfob.web.renewals import Renewals
from keyfob.web.sealing import KeyRing, Sealer
from keyfob.web.session_index import SessionIndex
from keyfob.web.settings import Settings
from keyfob.web.settings_apis import DownstreamApi
from keyfob.web.stores import CircuitStore, ObservedStore, SealedStore, TokenStore
from keyfob.web.tenant_clients import TenantClients
from keyfob.web.tenants import TenantGate
from keyfob.web.tokens import GivesTokens

if TYPE_CHECKING:
    from keyfob.web.bound_token import GiveToken
    from keyfob.web.downstream import ApiConnections, ApiSession


class SiteLife:
    """What all requests of one authority share. `WebApplication` has the parameters."""

    def __init__(
        self,
        settings: Settings,
        *,
        store: TokenStore,
        secrets: Sequence[str | bytes],
        session_lifetime: Callable[[], float] = lambda: 14 * 86400.0,
        clock: Callable[[], float] = time.time,
        observer: Observer | None = None,
        name: str = "",
    ) -> None:
        keys: tuple[str | bytes, ...] = settings.token_store_keys or tuple(secrets)
        if not keys:
            raise ConfigurationError(
                "There is no key to protect sign-ins with; set the framework's SECRET_KEY",
                setting="SECRET_KEY",
            )
        self.settings = settings
        self.name = name
        self.clock = clock
        self.observer = observer = observer or Observer()
        self.client = settings_client(settings, clock)
        self.tenants = TenantClients(self.client)
        self.own_tokens = OwnTokens(self)
        self.attached = AttachedApis.of(settings.downstream_apis)
        self._flow_clients = {
            flow: self.client.at_authority(authority)
            for flow, authority in settings.user_flows.items()
        }
        # Sites may share a key, a host, and a store: what is sealed for one is for no other.
        label = f"{settings.client_id} {settings.authority.url}"
        self.sealer = Sealer(KeyRing.derive(keys, f"browser {label}"))
        self._form_tokens = FormTokens(keys, label)
        self.cookie_site = hashlib.sha256(label.encode()).hexdigest()[:6]
        self.tag = _tag(label, settings)
        self._session_lifetime = session_lifetime
        self._open_store(store, keys, label)
        self.tenant_gate = TenantGate(
            settings.allowed_tenants, settings.token_store_l1_seconds, clock
        )
        self.logout_refusals = Allowance(
            logout_channels.REFUSALS_LOGGED, logout_channels.REFUSALS_INTERVAL
        )
        self.strangers_forms = Allowance(kept_forms.STRANGERS_FORMS, kept_forms.STRANGERS_INTERVAL)
        self.persons_forms = Allowances(kept_forms.PERSONS_FORMS, kept_forms.PERSONS_INTERVAL)
        self.bearer = BearerChecks(settings, self.client, clock)
        self.bearer_refusals = Allowance(
            bearer_answers.REFUSALS_LOGGED, bearer_answers.REFUSALS_INTERVAL
        )
        self._locks = KeyedLocks(patience=LEASE_SECONDS)
        self.groups = Groups(settings, self)
        self._connections: ApiConnections | None = None
        self._renewals = Renewals(clock)

    def _open_store(self, store: TokenStore, keys: Sequence[str | bytes], label: str) -> None:
        """What is kept in the token store, sealed, and who takes turns there."""
        settings, clock, observer = self.settings, self.clock, self.observer
        # A local store that fails does so at once.
        guarded: TokenStore = ObservedStore(store, observer)
        if not store.is_local:
            guarded = CircuitStore(guarded, observer=observer)
        sealer = Sealer(KeyRing.derive(keys, "token store"))
        self.store = SealedStore(guarded, sealer, observer=observer)
        self.index = SessionIndex(
            self.store,
            KeyRing.derive(keys, f"session index {label}"),
            is_microsoft=settings.authority.is_microsoft,
            clock=clock,
        )
        self.documents = Documents(
            self.store,
            seconds=settings.token_store_l1_seconds,
            index=self.index,
            observer=observer,
            expiry=self.document_expiry,
        )
        self._leases = Leases(self.store, clock=clock, observer=observer)

    def __repr__(self) -> str:
        return f"<WebApplication {self.settings.client_id}>"

    def client_for(self, user_flow: str) -> ConfidentialClientApplication:
        """The application at one of USER_FLOWS; at AUTHORITY for "", and for a flow that the
        settings do not have any more.
        """
        return self._flow_clients.get(user_flow, self.client) if user_flow else self.client

    @property
    def session_max_age(self) -> int | None:
        return self.settings.session_max_age

    @property
    def account_check_interval(self) -> int | None:
        return self.settings.account_check_interval

    @property
    def leeway(self) -> int:
        return self.settings.leeway

    def document_expiry(self) -> float:
        """Until when a session's record lives that is used now, in seconds since 1970."""
        lifetime, idle = self._session_lifetime(), self.settings.session_idle_age
        return self.clock() + (lifetime if idle is None else min(lifetime, idle))

    @contextmanager
    def in_turn(self, key: str) -> Iterator[None]:
        """One after the other, in this process: a lock wakes up who is next at once, while a lease
        must be asked about.

        :raises StoreUnavailable: others took too long.
        :raises TransportError: the provider was away for one of them.
        """
        with ExitStack() as held:
            with self.observer.timing(REFRESH_WAIT, scope="process", outcome="acquired"):
                held.enter_context(self._locks.hold(key))
            yield

    def alone(self, key: str) -> AbstractContextManager[None]:
        """One refresh per session at a time, among all that share the store. To be asked for in
        one's turn.

        :raises StoreUnavailable: the store cannot be reached, or others took too long.
        """
        return self._leases.hold(key)

    def find_api(self, name: str) -> DownstreamApi | None:
        """The API of that name, None where there is none."""
        return self.settings.downstream_apis.get(name)

    def api_settings(self, name: str) -> DownstreamApi:
        """As `find_api`, for a name that a developer wrote.

        :raises ConfigurationError: there is none.
        """
        api = self.find_api(name)
        if api is None:
            known = ", ".join(sorted(self.settings.downstream_apis)) or "none"
            raise ConfigurationError(
                f"There is no downstream API {name!r}; DOWNSTREAM_APIS has {known}",
                setting="DOWNSTREAM_APIS",
            )
        return api

    def api_session(self, session: GivesTokens, api: DownstreamApi) -> ApiSession:
        """A `requests.Session` for an API, over the connections that the program has to it."""
        from keyfob.web.downstream import ApiConnections

        base_url = self.api_address(api)
        if self._connections is None:
            self._connections = ApiConnections()
        return self._connections.session(api, base_url, self.token_giver(session, api))

    def token_giver(self, session: GivesTokens, api: DownstreamApi) -> GiveToken:
        """What attaches an API's token asks for it. A new one is the one at hand again where that
        was had for the same reason a moment ago."""

        def give(*, new: bool, claims: str = "") -> str:
            if not new:
                return session.token(api=api.name)
            token = session.token(api=api.name)
            if not self._renewals.is_recent(token, claims):
                token = session.token(api=api.name, force_refresh=True, claims=claims or None)
                self._renewals.note(token, claims)
            return token

        return give

    def api_address(self, api: DownstreamApi) -> str:
        """Where an API is; the provider's metadata say where `graph` is.

        :raises ConfigurationError: nobody says.
        """
        base_url = api.base_url or self.client.metadata().graph_url
        if base_url is None:
            raise ConfigurationError(
                f"The downstream API {api.name!r} has no base_url, and the provider's metadata "
                "names none",
                setting="DOWNSTREAM_APIS",
            )
        return base_url

    def close_connections(self) -> None:
        """Close those to the provider and the APIs."""
        self.client.close()
        if self._connections is not None:
            self._connections.close()


def _tag(name: str, settings: Settings) -> str:
    """What the sessions of this site, as it is set up now, have in their keys. A tenant that is
    taken out of ALLOWED_TENANTS ends all sessions: nobody could tell whose were of that tenant."""
    tenants = settings.allowed_tenants
    listed = " ".join(sorted(tenants)) if isinstance(tenants, frozenset) else ""
    digest = hashlib.sha256(f"{name}\n{listed}".encode()).digest()
    return base64.urlsafe_b64encode(digest[:6]).decode()


def settings_client(
    settings: Settings, clock: Callable[[], float]
) -> ConfidentialClientApplication:
    """The client application that the settings describe."""
    authority = settings.authority
    return ConfidentialClientApplication(
        settings.client_id,
        client_credential=settings.client_credential,
        authority=authority.url if authority.is_microsoft else None,
        oidc_authority=None if authority.is_microsoft else authority.url,
        # Whoever set the site up names a host of their own choice: nobody need vouch for it.
        instance_discovery=False,
        client_capabilities=settings.client_capabilities,
        leeway=settings.leeway,
        allowed_tenants=settings.allowed_tenants,
        clock=clock,
    )
