"""The applications, people and steps that many scenarios share."""

from __future__ import annotations

from typing import Any

from keyfob_emulator import sample
from side_by_side.sides import REDIRECT_URI, Run
from side_by_side.steps import App, Browser, Call, Later, Step, call

HOST = "https://login.microsoftonline.com"
CONTOSO = f"{HOST}/{sample.CONTOSO}"
ADA = "ada@contoso.example"
ALAN = "alan@contoso.example"
GRAPH = ["User.Read"]
GRAPH_APP = ["https://graph.microsoft.com/.default"]
ORDERS = ["api://orders/Orders.Read"]
CLAIMS = '{"access_token": {"acrs": {"essential": true, "value": "c2"}}}'


def site(**more: Any) -> App:
    """The Flask demo site, open to everybody."""
    authority = f"{HOST}/common"
    return _confidential(sample.FLASK_SITE, sample.FLASK_SITE_SECRET, authority, more)


def portal(**more: Any) -> App:
    """A site for Contoso's people only."""
    return _confidential(sample.CONTOSO_PORTAL, sample.CONTOSO_PORTAL_SECRET, CONTOSO, more)


def orders_api(**more: Any) -> App:
    return _confidential(sample.ORDERS_API, sample.ORDERS_API_SECRET, CONTOSO, more)


def nightly_job(**more: Any) -> App:
    """A service without people."""
    return _confidential(sample.NIGHTLY_JOB, sample.NIGHTLY_JOB_SECRET, CONTOSO, more)


def desktop_tool(**more: Any) -> App:
    return App(
        "PublicClientApplication",
        {"client_id": sample.DESKTOP_TOOL, "authority": f"{HOST}/organizations", **more},
    )


def _confidential(client_id: str, secret: str, authority: str, more: dict[str, Any]) -> App:
    usual = {"client_id": client_id, "client_credential": secret, "authority": authority}
    return App("ConfidentialClientApplication", {**usual, **more})


def last(run: Run) -> Any:
    return run.last


def ada(run: Run) -> Any:
    return run.account(ADA)


def the_auth_response(run: Run) -> dict[str, str]:
    return dict(run.auth_response)


def token(name: str) -> Later:
    """The latest result's token of that name."""

    def found(run: Run) -> str:
        return run.token(name)

    return found


def begin(scopes: list[str] | None = None, **more: Any) -> Call:
    return call(
        "initiate_auth_code_flow",
        "flow",
        scopes=GRAPH if scopes is None else scopes,
        redirect_uri=REDIRECT_URI,
        **more,
    )


def redeem(expect: str = "token", **more: Any) -> Call:
    return call(
        "acquire_token_by_auth_code_flow",
        expect,
        **{"auth_code_flow": last, "auth_response": the_auth_response, **more},
    )


def sign_in(
    scopes: list[str] | None = None, username: str = ADA, **more: Any
) -> tuple[Step, Step, Step]:
    """The whole authorization code flow."""
    return begin(scopes, **more), Browser(username), redeem()


def silent(expect: str = "token", scopes: list[str] | None = None, **more: Any) -> Call:
    return call(
        "acquire_token_silent",
        expect,
        **{"scopes": GRAPH if scopes is None else scopes, "account": ada, **more},
    )


def silent_with_error(expect: str, scopes: list[str] | None = None, **more: Any) -> Call:
    asked = GRAPH if scopes is None else scopes
    return call(
        "acquire_token_silent_with_error", expect, **{"scopes": asked, "account": ada, **more}
    )


def for_client(expect: str = "token", scopes: list[str] | None = None, **more: Any) -> Call:
    asked = GRAPH_APP if scopes is None else scopes
    return call("acquire_token_for_client", expect, **{"scopes": asked, **more})
