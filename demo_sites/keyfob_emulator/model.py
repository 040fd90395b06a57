"""What the provider knows: tenants, people, applications.

Plain frozen values, so that a test can say ``replace(account, enabled=False)`` and nothing changes
behind anybody's back. The vocabulary is Microsoft Entra's; names in brackets are the attribute of
the application manifest or of Microsoft Graph that a field stands for.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

CONSUMERS_TENANT: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant every personal Microsoft account lives in."""

GRAPH_CLIENT_ID: Final = "00000003-0000-0000-c000-000000000000"
GRAPH_URL: Final = "https://graph.microsoft.com"
TOKEN_EXCHANGE_CLIENT_ID: Final = "fb60f99c-7a34-4190-8149-302f77469936"
TOKEN_EXCHANGE_URL: Final = "api://AzureADTokenExchange"
"""The resource of tokens that are credentials themselves."""

_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def is_guid(text: str) -> bool:
    """Whether the text is written as a GUID, in the one spelling Entra uses."""
    return _GUID.fullmatch(text) is not None


class Audience(str, Enum):
    """Who may use an application (``signInAudience``)."""

    SINGLE_TENANT = "AzureADMyOrg"
    MULTIPLE_TENANTS = "AzureADMultipleOrgs"
    EVERYBODY = "AzureADandPersonalMicrosoftAccount"
    PERSONAL = "PersonalMicrosoftAccount"

    @property
    def organisations(self) -> bool:
        """Work and school accounts of tenants other than the application's own."""
        return self in (Audience.MULTIPLE_TENANTS, Audience.EVERYBODY)

    @property
    def personal(self) -> bool:
        """Personal accounts."""
        return self in (Audience.EVERYBODY, Audience.PERSONAL)


class TenantKind(str, Enum):
    """What a tenant is for."""

    WORKFORCE = "workforce"
    B2C = "b2c"
    EXTERNAL_ID = "external-id"


class FlowKind(str, Enum):
    """What a user flow is for."""

    SIGN_IN = "sign-in"
    SIGN_UP = "sign-up"
    EDIT_PROFILE = "edit-profile"
    RESET_PASSWORD = "reset-password"


@dataclass(frozen=True)
class UserFlow:
    """A user flow of Azure AD B2C, also called a policy: ``B2C_1_susi``.

    ``issuer_names_flow`` is its setting "Issuer (iss) claim" with ``tfp`` in it;
    ``acr`` names the flow in the claim ``acr`` instead of ``tfp``.
    """

    name: str
    issuer_names_flow: bool = False
    acr: bool = False
    kind: FlowKind = FlowKind.SIGN_IN


@dataclass(frozen=True)
class Tenant:
    """An organisation's directory, or the one of all personal accounts.

    The passwords of people in ``federated_domains``, which are ``domains`` too, are checked by the
    organisation's own federation service and not by the token endpoint. Without ``user_consent``
    only administrators may agree to what an application asks for.
    """

    tenant_id: str
    name: str
    domains: tuple[str, ...] = ()
    region: str = "EU"
    kind: TenantKind = TenantKind.WORKFORCE
    user_flows: tuple[UserFlow, ...] = ()
    federated_domains: tuple[str, ...] = ()
    user_consent: bool = True

    @property
    def personal(self) -> bool:
        """Whether this is the tenant of the personal accounts."""
        return self.tenant_id == CONSUMERS_TENANT

    @property
    def organisation(self) -> bool:
        """Whether its people have work or school accounts, and not accounts at one company."""
        return self.kind is TenantKind.WORKFORCE and not self.personal

    @property
    def authority_path(self) -> str:
        """Its authority below an address: the first domain, for B2C with the first user flow."""
        name = self.domains[0] if self.domains else self.tenant_id
        return "/".join((name, *(flow.name for flow in self.user_flows[:1])))

    def user_flow(self, name: str) -> UserFlow | None:
        """The user flow with that name, whatever its case."""
        wanted = name.lower()
        return next((flow for flow in self.user_flows if flow.name.lower() == wanted), None)


@dataclass(frozen=True)
class Account:
    """A person who can sign in.

    ``guest_in`` maps the id of another tenant to this person's object id there: a guest has the
    same password and name, and a different ``oid``. ``roles`` maps an application's client id to
    the app roles this person was assigned. ``groups`` are the ids of the groups they were put into;
    with ``group_overage`` tokens have no room for these, as for more than 200. With
    ``multi_factor`` a password alone is not enough: pages ask for more, and flows without pages are
    refused with AADSTS50076.
    """

    username: str
    name: str
    tenant_id: str
    object_id: str
    password: str = field(repr=False)
    given_name: str = ""
    surname: str = ""
    email: str | None = None
    job_title: str | None = None
    office_location: str | None = None
    enabled: bool = True
    photo: bool = True
    administrator: bool = False
    multi_factor: bool = False
    groups: tuple[str, ...] = ()
    group_overage: bool = False
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    guest_in: Mapping[str, str] = field(default_factory=dict)

    @property
    def personal(self) -> bool:
        """Whether this is a personal account."""
        return self.tenant_id == CONSUMERS_TENANT

    @property
    def domain(self) -> str:
        """What stands behind the user name's ``@``."""
        return self.username.rpartition("@")[2].lower()

    def object_id_in(self, tenant_id: str) -> str | None:
        """The ``oid`` of this person in a tenant, None where they are a stranger."""
        return self.object_id if tenant_id == self.tenant_id else self.guest_in.get(tenant_id)


@dataclass(frozen=True)
class Group:
    """A security group of a tenant. ``member_of`` has the ids of the groups that it is in itself:
    whoever is in this one is in those, too."""

    group_id: str
    name: str
    tenant_id: str
    member_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scope:
    """A delegated permission an API offers (``oauth2PermissionScopes``)."""

    value: str
    title: str
    description: str = ""
    admin_only: bool = False


@dataclass(frozen=True)
class FederatedCredential:
    """A trust in tokens of another issuer instead of a secret (``federatedIdentityCredentials``).

    All three are compared letter by letter.
    """

    issuer: str
    subject: str
    audience: str = TOKEN_EXCHANGE_URL


@dataclass(frozen=True)
class TrustedSubject:
    """Trust in every certificate with a subject's name that an authority issued.

    ``common_name`` is the subject's; ``authority`` the PEM text of the issuing certificate.
    """

    common_name: str
    authority: str


@dataclass(frozen=True)
class Application:
    """An app registration: a client, an API, or both.

    ``permissions`` are the delegated permissions it is registered for, written as scopes; they are
    what ``.default`` means. ``application_permissions`` are app roles of other applications that an
    administrator granted to this one (``api://orders/Orders.Read.All``). Scopes in
    ``admin_consented`` are granted for everybody. ``certificates`` are PEM texts for
    ``private_key_jwt``. ``trusted_subjects`` lets certificates that an authority issued do as well,
    ``federated_credentials`` tokens of other issuers. ``public_flows`` allows device code and
    password to a client without credentials (``isFallbackPublicClient``). ``family`` is the id of
    the family of client ids it belongs to: its refresh tokens serve the others of the family too.
    ``front_channel_logout_uri`` and ``back_channel_logout_uri`` are told when somebody signs out;
    a loopback address without a port stands for wherever the application is running.
    ``directory_role_claims`` puts people's roles in their own tenant into tokens, as ``wids``
    (``groupMembershipClaims: DirectoryRole``).
    """

    client_id: str
    name: str
    tenant_id: str
    secrets: tuple[str, ...] = field(default=(), repr=False)
    certificates: tuple[str, ...] = field(default=(), repr=False)
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    front_channel_logout_uri: str | None = None
    back_channel_logout_uri: str | None = None
    audience: Audience = Audience.SINGLE_TENANT
    identifier_uris: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ()
    app_roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    application_permissions: tuple[str, ...] = ()
    admin_consented: frozenset[str] = frozenset()
    group_claims: bool = False
    directory_role_claims: bool = False
    access_token_version: int = 2
    federated_credentials: tuple[FederatedCredential, ...] = ()
    trusted_subjects: tuple[TrustedSubject, ...] = ()
    public_flows: bool = False
    family: str | None = None
    description: str = ""

    @property
    def public(self) -> bool:
        """A client without credentials (RFC 6749 section 2.1)."""
        return not (
            self.secrets or self.certificates or self.federated_credentials or self.trusted_subjects
        )

    @property
    def principal_id(self) -> str:
        """The object id of the application's service principal."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"keyfob-emulator:principal:{self.client_id}"))

    @property
    def default_segment(self) -> str:
        """The authority to use it with: ``common`` where personal accounts may come in as well."""
        if self.audience is Audience.SINGLE_TENANT or not self.redirect_uris:
            return self.tenant_id
        return {
            Audience.EVERYBODY: "common",
            Audience.MULTIPLE_TENANTS: "organizations",
            Audience.PERSONAL: "consumers",
        }[self.audience]

    def scope(self, value: str) -> Scope | None:
        """The delegated permission with that name; names ignore case, as at Entra."""
        wanted = value.lower()
        return next((scope for scope in self.scopes if scope.value.lower() == wanted), None)

    def lives_in(self, tenant: Tenant) -> bool:
        """Whether the application can be used in a tenant."""
        if tenant.personal:
            return self.audience.personal
        return self.audience is not Audience.PERSONAL and (
            self.tenant_id == tenant.tenant_id or self.audience.organisations
        )


class Directory:
    """Everything that is registered. Adding something with a known key replaces it."""

    def __init__(
        self,
        tenants: Iterable[Tenant] = (),
        accounts: Iterable[Account] = (),
        applications: Iterable[Application] = (),
        groups: Iterable[Group] = (),
    ) -> None:
        self._tenants: dict[str, Tenant] = {}
        self._accounts: dict[str, Account] = {}
        self._applications: dict[str, Application] = {}
        self._groups: dict[str, Group] = {}
        entries: list[Tenant | Account | Application | Group]
        entries = [*tenants, *accounts, *applications, *groups]
        for entry in entries:
            self.add(entry)

    def add(self, entry: Tenant | Account | Application | Group) -> None:
        """Register a tenant, a person, an application or a group."""
        if isinstance(entry, Tenant):
            self._tenants[entry.tenant_id.lower()] = entry
        elif isinstance(entry, Application):
            self._applications[entry.client_id.lower()] = entry
        elif isinstance(entry, Group):
            self._groups[entry.group_id.lower()] = entry
        else:
            if entry.tenant_id.lower() not in self._tenants:
                raise ValueError(f"{entry.username}: add the tenant {entry.tenant_id} first")
            self._accounts[entry.username.lower()] = entry

    @property
    def tenants(self) -> tuple[Tenant, ...]:
        """All tenants, in the order they were added."""
        return tuple(self._tenants.values())

    @property
    def accounts(self) -> tuple[Account, ...]:
        """All people, in the order they were added."""
        return tuple(self._accounts.values())

    @property
    def applications(self) -> tuple[Application, ...]:
        """All applications, in the order they were added."""
        return tuple(self._applications.values())

    def tenant(self, segment: str) -> Tenant | None:
        """The tenant with that id or domain name."""
        wanted = segment.lower()
        known = self._tenants.get(wanted)
        return known or next((t for t in self._tenants.values() if wanted in t.domains), None)

    def authority_path(self, application: Application) -> str:
        """The authority to use an application with, below an address."""
        tenant = self.tenant(application.tenant_id)
        if tenant is not None and tenant.kind is TenantKind.B2C:
            return tenant.authority_path
        return application.default_segment

    def federated(self, domain: str) -> bool:
        """Whether the passwords of that domain are checked by a federation service."""
        tenant = self.tenant(domain)
        return tenant is not None and domain.lower() in tenant.federated_domains

    def account(self, username: str) -> Account | None:
        """The person with that user name."""
        return self._accounts.get(username.strip().lower())

    def account_by_id(self, object_id: str) -> Account | None:
        """The person whose object id at home is that one."""
        return next((a for a in self._accounts.values() if a.object_id == object_id), None)

    def account_in(self, tenant_id: str, object_id: str) -> Account | None:
        """The person who has that object id in that tenant, at home or as a guest."""
        people = self._accounts.values()
        return next((a for a in people if a.object_id_in(tenant_id) == object_id), None)

    @property
    def groups(self) -> tuple[Group, ...]:
        """All groups, in the order they were added."""
        return tuple(self._groups.values())

    def group(self, group_id: str) -> Group | None:
        """The group with that id."""
        return self._groups.get(group_id.lower())

    def group_tenant(self, group_id: str) -> str | None:
        """The id of the tenant that a group is in; None where nobody registered it."""
        group = self.group(group_id)
        return group.tenant_id if group else None

    def application(self, client_id: str) -> Application | None:
        """The application with that client id."""
        return self._applications.get(client_id.lower())

    def resource(self, identifier: str) -> Application | None:
        """The API with that client id or identifier URI; a trailing slash does not count."""
        wanted = identifier.rstrip("/").lower()
        for application in self._applications.values():
            uris = (uri.rstrip("/").lower() for uri in application.identifier_uris)
            if wanted == application.client_id.lower() or wanted in uris:
                return application
        return None
