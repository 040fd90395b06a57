"""Scenarios: a person signs in in the browser."""

from __future__ import annotations

from side_by_side.common import (
    ADA,
    ALAN,
    CLAIMS,
    GRAPH,
    ORDERS,
    begin,
    portal,
    redeem,
    sign_in,
    site,
)
from side_by_side.sides import REDIRECT_URI, Run
from side_by_side.steps import Browser, Provider, Scenario, Wait, call


def _first_flow(run: Run) -> object:
    return run.results[0]


def _of_another_attempt(run: Run) -> dict[str, str]:
    return {**run.auth_response, "state": "another attempt's"}


def _code(run: Run) -> str:
    return run.auth_response["code"]


def _older_pair(expect: str = "token", **more: object) -> tuple[object, ...]:
    return (
        call(
            "get_authorization_request_url", "url", scopes=GRAPH, redirect_uri=REDIRECT_URI, **more
        ),
        Browser(ADA),
        call(
            "acquire_token_by_authorization_code",
            expect,
            code=_code,
            scopes=GRAPH,
            redirect_uri=REDIRECT_URI,
            **({"nonce": more["nonce"]} if "nonce" in more else {}),
        ),
    )


SIGN_IN = (
    Scenario("auth code flow", (site(), *sign_in())),
    Scenario("auth code flow, one tenant", (portal(), *sign_in())),
    Scenario("auth code flow, response_mode query", (site(), *sign_in(response_mode="query"))),
    Scenario("auth code flow, form_post", (site(), *sign_in(response_mode="form_post"))),
    Scenario("auth code flow, no scope beside the usual", (site(), *sign_in([]))),
    Scenario("auth code flow, an API of one's own", (site(), *sign_in(ORDERS))),
    Scenario(
        "auth code flow, two APIs at once, redeemed for one",
        (site(), begin([*GRAPH, *ORDERS]), Browser(ADA), redeem(scopes=ORDERS)),
    ),
    Scenario(
        "auth code flow, all hints",
        (
            site(),
            *sign_in(
                login_hint=ADA, domain_hint="contoso.example", prompt="select_account", state="mine"
            ),
        ),
    ),
    Scenario("auth code flow, prompt login", (site(), *sign_in(prompt="login"))),
    Scenario("auth code flow, max_age", (site(), *sign_in(max_age=600))),
    Scenario("auth code flow, claims challenge", (site(), *sign_in(claims_challenge=CLAIMS))),
    Scenario("auth code flow, exclude_scopes", (site(exclude_scopes=["profile"]), *sign_in())),
    Scenario(
        "auth code flow, without offline_access",
        (site(exclude_scopes=["offline_access"]), *sign_in()),
    ),
    Scenario(
        "auth code flow, named application", (site(app_name="shop", app_version="7"), *sign_in())
    ),
    Scenario("auth code flow, capabilities", (site(client_capabilities=["CP1"]), *sign_in())),
    Scenario(
        "auth code flow, capabilities and claims challenge",
        (site(client_capabilities=["CP1"]), *sign_in(claims_challenge=CLAIMS)),
    ),
    Scenario(
        "auth code flow, the person declines",
        (site(), begin(), Browser(ADA, declines=True), redeem("access_denied")),
    ),
    Scenario(
        "auth code flow, another attempt's answer",
        (
            site(),
            begin(),
            Browser(ADA),
            redeem("ValueError", auth_response=_of_another_attempt),
        ),
    ),
    Scenario(
        "auth code flow, an attempt that was forgotten",
        (site(), begin(), Browser(ADA), redeem("ValueError", auth_code_flow={})),
    ),
    Scenario(
        "auth code flow, an answer with neither code nor error",
        (
            site(),
            begin(),
            redeem("ValueError", auth_response=lambda run: {"state": run.last["state"]}),
        ),
    ),
    Scenario(
        "auth code flow, scopes that were not asked for",
        (site(), begin(), Browser(ADA), redeem("ValueError", scopes=["Mail.Read"])),
    ),
    Scenario(
        "auth code flow, the same code twice",
        (site(), *sign_in(), redeem("invalid_grant", auth_code_flow=_first_flow)),
    ),
    Scenario(
        "auth code flow, a code that is too old",
        (site(), begin(), Browser(ADA), Wait(700), redeem("invalid_grant")),
    ),
    Scenario(
        "auth code flow, a wrong secret",
        (site(client_credential="wrong"), begin(), Browser(ADA), redeem("invalid_client")),
    ),
    Scenario(
        "auth code flow, the token endpoint is down",
        (
            site(),
            begin(),
            Browser(ADA),
            Provider(lambda run: run.emulator.fail_next("token")),
            redeem("MsalServiceError"),
        ),
    ),
    Scenario(
        "auth code flow, the token endpoint answers a page",
        (
            site(),
            begin(),
            Browser(ADA),
            Provider(lambda run: run.emulator.fail_next("token", status=200, body="<html>")),
            redeem("JSONDecodeError"),
        ),
    ),
    Scenario(
        "auth code flow, reserved scope",
        (site(), call("initiate_auth_code_flow", "ValueError", scopes=["openid"])),
    ),
    Scenario("two people sign in", (site(), *sign_in(), *sign_in(username=ALAN, prompt="login"))),
    Scenario("one person signs in twice", (site(), *sign_in(), *sign_in())),
    Scenario("one person, two APIs", (site(), *sign_in(), *sign_in(ORDERS))),
    Scenario("older pair", (site(), *_older_pair())),
    Scenario("older pair, nonce", (site(), *_older_pair(nonce="a nonce"))),
    Scenario(
        "older pair, all hints",
        (
            site(),
            *_older_pair(state="s", login_hint=ADA, domain_hint="contoso.example", prompt="login"),
        ),
    ),
)
