"""The directory the provider starts with: invented people in three invented organisations.

The names honour pioneers of computing; addresses end in ``.example``, which RFC 2606 keeps free.
The passwords and secrets are meant to be known: they open nothing but this provider.
"""

from __future__ import annotations

from typing import Final

from keyfob_emulator import sample_customers
from keyfob_emulator.azure_resources import azure_resources
from keyfob_emulator.model import (
    CONSUMERS_TENANT,
    GRAPH_CLIENT_ID,
    GRAPH_URL,
    TOKEN_EXCHANGE_CLIENT_ID,
    TOKEN_EXCHANGE_URL,
    Account,
    Application,
    Audience,
    Directory,
    Group,
    Scope,
    Tenant,
)

PASSWORD: Final = "open-sesame"
CONTOSO: Final = "c0470500-1d5e-4a9b-8c3f-6b2e0d7a1c01"
FABRIKAM: Final = "fab41ca0-2e6f-4bac-9d40-7c3f1e8b2d02"
NORTHWIND: Final = "40477710-3f70-4cbd-8e51-8d4a2f9c3e03"

FLASK_SITE: Final = "f1a5c000-0001-4f1a-9b01-000000000001"
FLASK_SITE_SECRET: Final = "flask-site-development-secret"
DJANGO_SITE: Final = "d1a90000-0002-4d1a-9b02-000000000002"
DJANGO_SITE_SECRET: Final = "django-site-development-secret"
CONTOSO_PORTAL: Final = "c0a70000-0003-4c0a-9b03-000000000003"
CONTOSO_PORTAL_SECRET: Final = "contoso-portal-development-secret"
DESKTOP_TOOL: Final = "de5c0000-0004-4de5-9b04-000000000004"
ORDERS_API: Final = "0de50000-0005-40de-9b05-000000000005"
ORDERS_API_SECRET: Final = "orders-api-development-secret"
NIGHTLY_JOB: Final = "da3e0000-0006-4da3-9b06-000000000006"
NIGHTLY_JOB_SECRET: Final = "nightly-job-development-secret"

ADMINISTRATORS_GROUP: Final = "6a0e0000-0001-46a0-9c01-000000000001"
WAREHOUSE_GROUP: Final = "6a0e0000-0002-46a0-9c02-000000000002"
ORDER_APPROVERS_GROUP: Final = "6a0e0000-0003-46a0-9c03-000000000003"
ORDER_DESK_GROUP: Final = "6a0e0000-0004-46a0-9c04-000000000004"
#: More than a token has room for.
PROJECT_GROUPS: Final = tuple(f"6a0e0000-0005-46a0-9c05-{n:012d}" for n in range(1, 241))

_LOOPBACK: Final = ("http://localhost", "http://127.0.0.1", "http://[::1]")
_SITE_REDIRECTS: Final = tuple(f"{host}/auth/callback" for host in _LOOPBACK)
_SITE_LOGOUTS: Final = tuple(f"{host}/auth/logged-out" for host in _LOOPBACK)
# Wherever they run: see logout_notices.address_for.
_SITE_FRONT_CHANNEL: Final = "http://localhost/auth/frontchannel-logout"
_SITE_BACK_CHANNEL: Final = "http://localhost/auth/backchannel-logout"
_SITE_PERMISSIONS: Final = (f"{GRAPH_URL}/User.Read", "api://orders/Orders.Read")


def _tenants() -> tuple[Tenant, ...]:
    return (
        Tenant(CONTOSO, "Contoso", ("contoso.example",), "EU"),
        Tenant(FABRIKAM, "Fabrikam", ("fabrikam.example",), "NA"),
        Tenant(
            NORTHWIND,
            "Northwind",
            ("northwind.example",),
            "EU",
            federated_domains=("northwind.example",),
        ),
        Tenant(CONSUMERS_TENANT, "Personal accounts", (), "WW"),
    )


def _accounts() -> tuple[Account, ...]:
    sites = (FLASK_SITE, DJANGO_SITE, CONTOSO_PORTAL)
    reader: dict[str, tuple[str, ...]] = dict.fromkeys(sites, ("Reader",))
    approver: dict[str, tuple[str, ...]] = dict.fromkeys(sites, ("Admin", "Orders.Approve"))
    return (
        Account(
            "ada@contoso.example",
            "Ada Keyring",
            CONTOSO,
            "ada00000-0a01-4ada-8001-000000000001",
            PASSWORD,
            "Ada",
            "Keyring",
            "ada@contoso.example",
            "Head of Locks",
            "London / 3.14",
            administrator=True,
            roles={**approver, ORDERS_API: ("Admin",)},
            groups=(ADMINISTRATORS_GROUP, WAREHOUSE_GROUP),
        ),
        Account(
            "alan@contoso.example",
            "Alan Latch",
            CONTOSO,
            "a1a00000-0a02-4a1a-8002-000000000002",
            PASSWORD,
            "Alan",
            "Latch",
            "alan@contoso.example",
            "Logic Engineer",
            "Bletchley / 8",
            photo=False,
            groups=(WAREHOUSE_GROUP,),
            roles=reader,
        ),
        Account(
            "margaret@contoso.example",
            "Margaret Tumbler",
            CONTOSO,
            "3a64a4e7-0a03-43a6-8006-000000000006",
            PASSWORD,
            "Margaret",
            "Tumbler",
            "margaret@contoso.example",
            "Guidance Engineer",
            "Cambridge / 11",
            groups=(*PROJECT_GROUPS, ORDER_DESK_GROUP),
            roles=reader,
        ),
        Account(
            "hedy@fabrikam.example",
            "Hedy Hasp",
            FABRIKAM,
            "bed40000-0b01-4bed-8003-000000000003",
            PASSWORD,
            "Hedy",
            "Hasp",
            "hedy@fabrikam.example",
            "Radio Inventor",
            "Vienna / 2",
            guest_in={CONTOSO: "bed40000-0c01-4bed-8103-000000000103"},
        ),
        Account(
            "joan@fabrikam.example",
            "Joan Bolt",
            FABRIKAM,
            "70a40000-0b02-470a-8004-000000000004",
            PASSWORD,
            "Joan",
            "Bolt",
            "joan@fabrikam.example",
            "Cryptanalyst",
            "Vienna / 4",
            enabled=False,
        ),
        Account(
            "katherine@northwind.example",
            "Katherine Clasp",
            NORTHWIND,
            "ca7e0000-0d01-4ca7-8005-000000000005",
            PASSWORD,
            "Katherine",
            "Clasp",
            "katherine@northwind.example",
            "Flight Mathematician",
            "Hampton / 1",
        ),
        Account(
            "grace@outlook.example",
            "Grace Padlock",
            CONSUMERS_TENANT,
            "00000000-0000-0000-6ace-0a0b0c0d0e0f",
            PASSWORD,
            "Grace",
            "Padlock",
            "grace@outlook.example",
        ),
    )


def _groups() -> tuple[Group, ...]:
    return (
        Group(ADMINISTRATORS_GROUP, "Administrators", CONTOSO),
        Group(WAREHOUSE_GROUP, "Warehouse", CONTOSO),
        Group(ORDER_APPROVERS_GROUP, "Order approvers", CONTOSO),
        Group(ORDER_DESK_GROUP, "Order desk", CONTOSO, member_of=(ORDER_APPROVERS_GROUP,)),
        *(
            Group(group_id, f"Project {number}", CONTOSO)
            for number, group_id in enumerate(PROJECT_GROUPS, 1)
        ),
    )


def _graph() -> Application:
    return Application(
        GRAPH_CLIENT_ID,
        "Microsoft Graph",
        CONTOSO,
        audience=Audience.EVERYBODY,
        identifier_uris=(GRAPH_URL,),
        access_token_version=1,
        scopes=(
            Scope(
                "User.Read",
                "Sign you in and read your profile",
                "Read your name, job title and photo.",
            ),
            Scope(
                "User.ReadBasic.All",
                "Read all users' basic profiles",
                "Read the names and photos of people in your organisation.",
            ),
            Scope("Mail.Read", "Read your mail", "Read the messages in your mailbox."),
            Scope("Calendars.Read", "Read your calendars", "Read the events in your calendars."),
            Scope("Files.Read", "Read your files", "Read the files you have stored."),
            Scope(
                "GroupMember.Read.All",
                "Read group memberships",
                "See the groups of your organisation, and who is in them.",
                admin_only=True,
            ),
            Scope(
                "Directory.Read.All",
                "Read directory data",
                "Read everything in your organisation's directory.",
                admin_only=True,
            ),
        ),
        app_roles=("User.Read.All", "Directory.Read.All"),
    )


def _sites() -> tuple[Application, ...]:
    return (
        Application(
            FLASK_SITE,
            "Flask demo site",
            CONTOSO,
            (FLASK_SITE_SECRET,),
            redirect_uris=_SITE_REDIRECTS,
            post_logout_redirect_uris=_SITE_LOGOUTS,
            front_channel_logout_uri=_SITE_FRONT_CHANNEL,
            back_channel_logout_uri=_SITE_BACK_CHANNEL,
            audience=Audience.EVERYBODY,
            permissions=_SITE_PERMISSIONS,
            group_claims=True,
            app_roles=("Admin", "Reader", "Orders.Approve"),
            description="A Flask site, open to every organisation and to personal accounts.",
        ),
        Application(
            DJANGO_SITE,
            "Django demo site",
            CONTOSO,
            (DJANGO_SITE_SECRET,),
            redirect_uris=_SITE_REDIRECTS,
            post_logout_redirect_uris=_SITE_LOGOUTS,
            front_channel_logout_uri=_SITE_FRONT_CHANNEL,
            back_channel_logout_uri=_SITE_BACK_CHANNEL,
            audience=Audience.EVERYBODY,
            permissions=_SITE_PERMISSIONS,
            group_claims=True,
            app_roles=("Admin", "Reader", "Orders.Approve"),
            description="A Django site, open to every organisation and to personal accounts.",
        ),
        Application(
            CONTOSO_PORTAL,
            "Contoso portal",
            CONTOSO,
            (CONTOSO_PORTAL_SECRET,),
            redirect_uris=_SITE_REDIRECTS,
            post_logout_redirect_uris=_SITE_LOGOUTS,
            front_channel_logout_uri=_SITE_FRONT_CHANNEL,
            back_channel_logout_uri=_SITE_BACK_CHANNEL,
            permissions=_SITE_PERMISSIONS,
            group_claims=True,
            app_roles=("Admin", "Reader", "Orders.Approve"),
            description="For Contoso's own people and guests only.",
        ),
        Application(
            DESKTOP_TOOL,
            "Desktop tool",
            CONTOSO,
            audience=Audience.EVERYBODY,
            redirect_uris=_LOOPBACK,
            permissions=_SITE_PERMISSIONS,
            public_flows=True,
            description="A public client: no secret, PKCE only; device code and password too.",
        ),
    )


def _token_exchange() -> Application:
    return Application(
        TOKEN_EXCHANGE_CLIENT_ID,
        "Token exchange",
        CONTOSO,
        audience=Audience.EVERYBODY,
        identifier_uris=(TOKEN_EXCHANGE_URL,),
    )


def _services() -> tuple[Application, ...]:
    return (
        Application(
            ORDERS_API,
            "Orders API",
            CONTOSO,
            (ORDERS_API_SECRET,),
            audience=Audience.EVERYBODY,
            identifier_uris=("api://orders",),
            scopes=(
                Scope("Orders.Read", "Read your orders", "See what you have ordered."),
                Scope("Orders.Write", "Place orders for you", "Order and cancel in your name."),
            ),
            app_roles=("Orders.Read.All", "Admin"),
            permissions=(f"{GRAPH_URL}/User.Read",),
            # People never meet its consent page: it calls Graph on behalf of its callers.
            admin_consented=frozenset({"openid", "profile", "offline_access", "User.Read"}),
            description="A web API with delegated scopes and an app role.",
        ),
        Application(
            NIGHTLY_JOB,
            "Nightly job",
            CONTOSO,
            (NIGHTLY_JOB_SECRET,),
            application_permissions=(
                "api://orders/Orders.Read.All",
                f"{GRAPH_URL}/User.Read.All",
            ),
            description="A service without people: client credentials only.",
        ),
    )


def sample_directory() -> Directory:
    """A fresh copy of the directory the provider starts with."""
    return Directory(
        (*_tenants(), *sample_customers.tenants()),
        (*_accounts(), *sample_customers.accounts(PASSWORD)),
        (
            *_sites(),
            *_services(),
            *sample_customers.applications(_SITE_REDIRECTS, _SITE_LOGOUTS),
            _graph(),
            _token_exchange(),
            *azure_resources(CONTOSO),
        ),
        _groups(),
    )
