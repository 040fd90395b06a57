"""Customers of Contoso: a tenant of Azure AD B2C and one of External ID, ready to use."""

from __future__ import annotations

from typing import Final

from keyfob_emulator.model import (
    Account,
    Application,
    FlowKind,
    Scope,
    Tenant,
    TenantKind,
    UserFlow,
)

B2C_TENANT: Final = "b2c00500-3a7f-4bc1-9d5e-8c4f2a9b3e03"
B2C_DOMAIN: Final = "contosob2c.onmicrosoft.com"
EXTERNAL_TENANT: Final = "c1a00500-4b80-4cd2-8e6f-9d503bac4f04"
EXTERNAL_DOMAIN: Final = "contosocustomers.onmicrosoft.com"
SHOP: Final = "5b020000-0007-45b0-9b07-000000000007"
SHOP_SECRET: Final = "shop-development-secret"
CLUB: Final = "c1b00000-0008-4c1b-9b08-000000000008"
CLUB_SECRET: Final = "club-development-secret"

_CONSENTED: Final = frozenset({"openid", "profile", "email", "offline_access"})


def tenants() -> tuple[Tenant, ...]:
    """The two tenants. Two user flows have the other settings for issuer and claim."""
    flows = (
        UserFlow("B2C_1_susi"),
        UserFlow("B2C_1_susi_v2", issuer_names_flow=True, acr=True),
        UserFlow("B2C_1_edit_profile", kind=FlowKind.EDIT_PROFILE),
        UserFlow(
            "B2C_1_reset_password", issuer_names_flow=True, acr=True, kind=FlowKind.RESET_PASSWORD
        ),
        UserFlow("B2C_1_sign_up", kind=FlowKind.SIGN_UP),
    )
    return (
        Tenant(B2C_TENANT, "Contoso Shop", (B2C_DOMAIN,), "EU", TenantKind.B2C, flows),
        Tenant(EXTERNAL_TENANT, "Contoso Club", (EXTERNAL_DOMAIN,), "EU", TenantKind.EXTERNAL_ID),
    )


def accounts(password: str) -> tuple[Account, ...]:
    """A customer in each tenant."""
    return (
        Account(
            "elisa@shop.example",
            "Elisa Bolzen",
            B2C_TENANT,
            "e115a000-0d01-4e11-8005-000000000005",
            password,
            "Elisa",
            "Bolzen",
            "elisa@shop.example",
        ),
        Account(
            "linus@club.example",
            "Linus Lever",
            EXTERNAL_TENANT,
            "11405000-0e01-4114-8006-000000000006",
            password,
            "Linus",
            "Lever",
            "linus@club.example",
        ),
    )


def applications(
    redirect_uris: tuple[str, ...], logout_uris: tuple[str, ...]
) -> tuple[Application, ...]:
    """A site in each tenant. Customers are not asked for consent."""
    return (
        Application(
            SHOP,
            "Shop",
            B2C_TENANT,
            (SHOP_SECRET,),
            redirect_uris=redirect_uris,
            post_logout_redirect_uris=logout_uris,
            identifier_uris=(f"https://{B2C_DOMAIN}/shop",),
            scopes=(Scope("Basket.Read", "Read your basket", "See what is in your basket."),),
            admin_consented=_CONSENTED | {f"https://{B2C_DOMAIN}/shop/Basket.Read"},
            description="For customers in Azure AD B2C: put a user flow behind the tenant.",
        ),
        Application(
            CLUB,
            "Club",
            EXTERNAL_TENANT,
            (CLUB_SECRET,),
            redirect_uris=redirect_uris,
            post_logout_redirect_uris=logout_uris,
            permissions=("User.Read",),
            admin_consented=_CONSENTED | {"User.Read"},
            description="For customers in External ID.",
        ),
    )
