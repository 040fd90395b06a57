"""Scenarios: tokens without the person, accounts, and what is removed."""

from __future__ import annotations

from side_by_side.common import (
    ADA,
    ALAN,
    CLAIMS,
    GRAPH,
    ORDERS,
    ada,
    begin,
    orders_api,
    portal,
    redeem,
    sign_in,
    silent,
    silent_with_error,
    site,
    token,
)
from side_by_side.steps import Browser, Provider, Scenario, Wait, call

_HOUR = 3600
#: Past half of an access token's hour, where the provider asks for a renewal.
_AGING = Wait(2000)


def _renew_early(run: object) -> None:
    emulator = run.emulator  # type: ignore[attr-defined]
    emulator.lifetimes = type(emulator.lifetimes)(refresh_in=1800)


_EARLY = Provider(_renew_early)
_DOWN = Provider(lambda run: run.emulator.fail_next("token"))
_BUSY = Provider(
    lambda run: run.emulator.fail_next(
        "token", status=429, body='{"error": "temporarily_unavailable"}', retry_after=30
    )
)
_REVOKED = Provider(lambda run: run.emulator.revoke_refresh_tokens(ADA))
_LIFETIMES = ("emulator:refresh_in",)

SILENT = (
    Scenario("silent, hit", (site(), *sign_in(), silent())),
    Scenario(
        "silent, hit, fewer scopes than granted",
        (site(), *sign_in(["User.Read", "Mail.Read"]), silent(scopes=["Mail.Read"])),
    ),
    Scenario("silent, hit, no scopes", (site(), *sign_in(), silent(scopes=[]))),
    Scenario("silent, other letters", (site(), *sign_in(), silent(scopes=["user.read"]))),
    Scenario(
        "silent, another API",
        (
            site(),
            begin([*GRAPH, *ORDERS]),
            Browser(ADA),
            redeem(scopes=GRAPH),
            silent(scopes=ORDERS),
            silent(scopes=ORDERS),
        ),
    ),
    Scenario("silent, nearly expired", (site(), *sign_in(), Wait(_HOUR - 200), silent())),
    Scenario("silent, expired", (site(), *sign_in(), Wait(2 * _HOUR), silent(), silent())),
    Scenario(
        "silent, expired, one tenant", (portal(), *sign_in(), Wait(2 * _HOUR), silent(), silent())
    ),
    Scenario("silent, force_refresh", (site(), *sign_in(), silent(force_refresh=True), silent())),
    Scenario(
        "silent, claims challenge",
        (site(), *sign_in(), silent(claims_challenge=CLAIMS), silent()),
    ),
    Scenario(
        "silent, capabilities",
        (site(client_capabilities=["CP1"]), *sign_in(), silent(), Wait(2 * _HOUR), silent()),
    ),
    Scenario(
        "silent, aging",
        (site(), _EARLY, *sign_in(), silent(), _AGING, silent(), silent()),
        _LIFETIMES,
    ),
    Scenario(
        "silent, aging, the provider refuses",
        (site(), _EARLY, *sign_in(), _AGING, _REVOKED, silent()),
        _LIFETIMES,
    ),
    Scenario(
        "silent, aging, the provider is busy",
        (site(), _EARLY, *sign_in(), _AGING, _BUSY, silent()),
        _LIFETIMES,
    ),
    Scenario(
        "silent, aging, the provider is down",
        (site(), _EARLY, *sign_in(), _AGING, _DOWN, silent("MsalServiceError")),
        _LIFETIMES,
    ),
    Scenario(
        "silent, expired, the provider is down",
        (site(), *sign_in(), Wait(2 * _HOUR), _DOWN, silent("MsalServiceError")),
    ),
    Scenario("silent, no account", (site(), *sign_in(), silent("nothing", account=None))),
    Scenario(
        "silent, a stranger",
        (
            site(),
            *sign_in(),
            silent("nothing", account={"home_account_id": "a.b", "username": "c"}),
        ),
    ),
    Scenario(
        "silent, not consented",
        (
            site(),
            *sign_in(),
            silent("nothing", scopes=["Mail.Read"]),
            silent_with_error("invalid_grant", scopes=["Mail.Read"]),
        ),
    ),
    Scenario(
        "silent, signed out everywhere",
        (
            site(),
            *sign_in(),
            Wait(2 * _HOUR),
            _REVOKED,
            silent("nothing"),
            silent_with_error("invalid_grant"),
        ),
    ),
    Scenario(
        "silent, more to be proven",
        (
            site(),
            *sign_in(),
            Provider(lambda run: run.emulator.require_interaction(ADA)),
            Wait(2 * _HOUR),
            silent_with_error("interaction_required"),
        ),
        ("emulator:require_interaction",),
    ),
    Scenario(
        "silent, reserved scope",
        (site(), *sign_in(), Wait(2 * _HOUR), silent("ValueError", scopes=["openid"])),
    ),
    Scenario(
        "refresh token from elsewhere",
        (
            site(),
            *sign_in(),
            call("remove_account", "nothing", account=ada),
            call(
                "acquire_token_by_refresh_token", refresh_token=token("refresh_token"), scopes=GRAPH
            ),
            silent(),
            Wait(2 * _HOUR),
            silent(),
        ),
    ),
    Scenario(
        "refresh token from elsewhere, that is none",
        (
            site(),
            call(
                "acquire_token_by_refresh_token",
                "invalid_grant",
                refresh_token="nonsense",
                scopes=GRAPH,
            ),
        ),
    ),
    Scenario(
        "get_accounts",
        (
            site(),
            call("get_accounts", "list"),
            *sign_in(),
            *sign_in(username=ALAN, prompt="login"),
            call("get_accounts", "list"),
            call("get_accounts", "list", username="ADA@contoso.example"),
            call("get_accounts", "list", username="stranger@contoso.example"),
        ),
    ),
    Scenario(
        "remove_account",
        (
            site(),
            *sign_in(),
            *sign_in(username=ALAN, prompt="login"),
            call("remove_account", "nothing", account=ada),
            call("get_accounts", "list"),
            silent("nothing", account=lambda run: {"home_account_id": "a.b"}),
        ),
    ),
    Scenario(
        "remove_account, another application's tokens",
        (
            site(),
            *sign_in(),
            portal(),
            *sign_in(),
            call("remove_account", "nothing", account=ada),
            orders_api(),
            call("get_accounts", "list"),
        ),
    ),
)
