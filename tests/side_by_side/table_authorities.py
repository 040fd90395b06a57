"""Scenarios: other clouds and other kinds of authority."""

from __future__ import annotations

from side_by_side.common import HOST, begin, for_client, nightly_job, redeem, sign_in, silent, site
from side_by_side.sides import Run
from side_by_side.steps import App, Browser, Scenario, Step, Wait, call

_WELL_KNOWN = "v2.0/.well-known/openid-configuration"
_B2C = "https://contosob2c.b2clogin.com/contosob2c.onmicrosoft.com/B2C_1_susi"
_CIAM = "https://contosocustomers.ciamlogin.com"
_CIAM_TENANT = f"{_CIAM}/contosocustomers.onmicrosoft.com"
_US = "https://login.microsoftonline.us/common"
_ADFS = "https://fs.contoso.example/adfs"
_BASKET = ("https://contosob2c.onmicrosoft.com/shop/Basket.Read",)
_SHOP = "5b020000-0007-45b0-9b07-000000000007"
_CLUB = "c1b00000-0008-4c1b-9b08-000000000008"


def _customer(client_id: str, secret: str, authority: str) -> App:
    return App(
        "ConfidentialClientApplication",
        {"client_id": client_id, "client_credential": secret, "authority": authority},
    )


def _whoever(run: Run) -> object:
    return run.app.get_accounts()[0]


def _there_and_back(app: App, username: str, scopes: tuple[str, ...] = ()) -> tuple[Step, ...]:
    asked = list(scopes)
    return (
        app,
        *sign_in(asked, username),
        silent(scopes=asked, account=_whoever),
        Wait(7200),
        silent(scopes=asked, account=_whoever),
    )


AUTHORITIES = (
    Scenario(
        "organizations",
        (site(authority=f"{HOST}/organizations"), *sign_in()),
    ),
    Scenario(
        "a tenant's domain", (site(authority=f"{HOST}/contoso.example"), *sign_in(), silent())
    ),
    Scenario("a trailing slash", (site(authority=f"{HOST}/organizations/"), *sign_in())),
    Scenario("a personal account", (site(), *sign_in(username="grace@outlook.example"))),
    Scenario(
        "a personal account, consumers",
        (site(authority=f"{HOST}/consumers"), *sign_in(username="grace@outlook.example")),
    ),
    Scenario(
        "a guest",
        (site(authority=f"{HOST}/contoso.example"), *sign_in(username="hedy@fabrikam.example")),
    ),
    Scenario(
        "US government",
        _there_and_back(site(authority=_US), "ada@contoso.example"),
        (f"at:{_US}/{_WELL_KNOWN}",),
    ),
    Scenario(
        "an alias of the host",
        (
            site(authority="https://login.windows.net/common"),
            *sign_in(),
            site(),
            call("get_accounts", "list"),
            silent(),
        ),
        (f"at:https://login.windows.net/common/{_WELL_KNOWN}",),
    ),
    Scenario(
        "Azure AD B2C",
        _there_and_back(
            _customer(_SHOP, "shop-development-secret", _B2C), "elisa@shop.example", _BASKET
        ),
        (f"at:{_B2C}/{_WELL_KNOWN}", "person:elisa@shop.example"),
    ),
    Scenario(
        "Azure AD B2C, no API",
        (
            _customer(_SHOP, "shop-development-secret", _B2C),
            begin([]),
            Browser("elisa@shop.example"),
            # An ID token, and no access token: there is nothing it could be for.
            redeem("flow"),
            call("get_accounts", "list"),
        ),
        (f"at:{_B2C}/{_WELL_KNOWN}", "person:elisa@shop.example"),
    ),
    Scenario(
        "External ID",
        _there_and_back(
            _customer(_CLUB, "club-development-secret", _CIAM_TENANT), "linus@club.example"
        ),
        (f"at:{_CIAM_TENANT}/{_WELL_KNOWN}", "person:linus@club.example"),
    ),
    Scenario(
        "External ID, without a path",
        _there_and_back(_customer(_CLUB, "club-development-secret", _CIAM), "linus@club.example"),
        (f"at:{_CIAM_TENANT}/{_WELL_KNOWN}", "person:linus@club.example"),
    ),
    Scenario(
        "ADFS",
        _there_and_back(site(authority=_ADFS), "ada@contoso.example"),
        (f"at:{_ADFS}/.well-known/openid-configuration",),
    ),
    Scenario("without instance discovery", (site(instance_discovery=False), *sign_in(), silent())),
    Scenario(
        "a region",
        (nightly_job(azure_region="westus2"), for_client(), for_client()),
        (f"at:https://westus2.login.microsoft.com/common/{_WELL_KNOWN}",),
    ),
)
