"""What type checkers see of the public names. Never run: `make check` gives it to mypy and pyright.

A line that must be an error says so, and is one where the checker no longer finds it wrong.
"""

# pyright: strict

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import httpx
import requests
from azure.core.credentials import SupportsTokenInfo, TokenCredential
from azure.core.credentials_async import AsyncTokenCredential
from django.http import HttpRequest, HttpResponse
from django.views import View
from flask import Flask
from typing_extensions import assert_type

import django_keyfob
import keyfob
import keyfob.aio
from django_keyfob import decorators, mixins
from flask_keyfob import (
    Keyfob,
    app_api,
    app_token,
    background,
    bearer_required,
    current_caller,
    current_user,
    downstream_api,
    end_background,
    groups_required,
    login_required,
    login_url,
    logout_form,
    roles_required,
    script_tag,
    start_background,
    step_up,
)
from keyfob import (
    Account,
    ArcPlatformNotSupportedError,
    AuthCodeFlow,
    AutoRefresher,
    BrowserInteractionTimeoutError,
    ClientApplication,
    ConfidentialClientApplication,
    DeviceFlow,
    IdTokenError,
    KeyfobError,
    ManagedIdentityClient,
    ManagedIdentityError,
    PopAuthScheme,
    Prompt,
    PublicClientApplication,
    SerializableTokenCache,
    SystemAssignedManagedIdentity,
    TokenCache,
    TokenResult,
    UserAssignedManagedIdentity,
)
from keyfob.errors import InteractionRequired
from keyfob.web import User, WebSession, load_settings

# Both applications

app = ConfidentialClientApplication("client", client_credential="secret")
assert_type(app.client_id, str)
assert_type(app.token_cache, TokenCache)
assert_type(app.authority.url, str)
assert_type(app.with_cache(TokenCache()), ConfidentialClientApplication)
assert_type(app.get_accounts(), list[Account])
assert_type(app.is_pop_supported(), bool)
ConfidentialClientApplication(
    "client",
    {"private_key": "...", "thumbprint": "..."},
    keyfob.authority.AuthorityBuilder(keyfob.authority.AZURE_PUBLIC, "contoso"),
    azure_region=ClientApplication.ATTEMPT_REGION_DISCOVERY,
    http_cache=dict[str, Any](),
    token_cache=SerializableTokenCache(),
    client_capabilities=["cp1"],
    allowed_tenants=lambda tenant: tenant == "x",
)
account: Account = app.get_accounts(username="ada@contoso.example")[0]
assert_type(account["username"], str)
assert_type(account["account_source"], str | None)
app.remove_account(account)
app.close()

assert_type(app.acquire_token_silent(["a"], account), TokenResult | None)
assert_type(app.acquire_token_silent(["a"], account=None), TokenResult | None)
assert_type(app.acquire_token_silent_with_error(["a"], account), TokenResult | None)
assert_type(app.token_at_hand(["a"], account), TokenResult | None)
assert_type(app.acquire_token_by_refresh_token("token", ["a"], timeout=3), TokenResult)
assert_type(app.acquire_token_by_username_password("ada", "word", ["a"]), TokenResult)
flow = app.initiate_auth_code_flow(["a"], "http://localhost", prompt=Prompt.SELECT_ACCOUNT)
assert_type(flow, AuthCodeFlow)
assert_type(flow["state"], str)
assert_type(app.acquire_token_by_auth_code_flow(flow, {"code": "c"}), TokenResult)
assert_type(app.get_authorization_request_url(["a"], state="s"), str)
assert_type(app.acquire_token_by_authorization_code("code", ["a"]), TokenResult)


def token_of(result: TokenResult) -> str:
    assert_type(result.get("id_token_claims"), dict[str, Any] | None)
    assert_type(result.get("refresh_on"), int | None)
    return result["access_token"] if "access_token" in result else result.get("error", "")


# A confidential client

assert_type(app.acquire_token_for_client(["a/.default"]), TokenResult)
assert_type(app.acquire_token_on_behalf_of("assertion", ["a"]), TokenResult)
assert_type(
    app.acquire_token_by_user_federated_identity_credential(["a"], "assertion", username="ada"),
    TokenResult,
)
app.remove_tokens_for_client()
assert_type(AutoRefresher(lambda: "assertion", expires_in=600)(), str)

# A public client


def before(*, ui: str) -> None:
    print(ui)


public = PublicClientApplication("client", authority="https://login.microsoftonline.com/common")
device: DeviceFlow = public.initiate_device_flow(["a"])
assert_type(device.get("user_code"), str | None)
assert_type(
    public.acquire_token_by_device_flow(device, exit_condition=lambda flow: True), TokenResult
)
assert_type(
    public.acquire_token_interactive(
        ["a"],
        prompt=Prompt.LOGIN,
        timeout=60,
        parent_window_handle=public.CONSOLE_WINDOW_HANDLE,
        on_before_launching_ui=before,
    ),
    TokenResult,
)
PopAuthScheme(PopAuthScheme.HTTP_GET, "https://api.contoso.example", "nonce")

# Caches

cache = SerializableTokenCache()
assert_type(cache.serialize(), str)
cache.deserialize("{}")
assert_type(cache.has_state_changed, bool)
assert_type(list(cache.search(TokenCache.CredentialType.ACCESS_TOKEN)), list[dict[str, Any]])

# The machine's own identity

machine = ManagedIdentityClient(UserAssignedManagedIdentity(client_id="x"))
assert_type(machine.acquire_token_for_client(resource="a"), dict[str, Any])
ManagedIdentityClient(SystemAssignedManagedIdentity())
ManagedIdentityClient({"ManagedIdentityIdType": "SystemAssigned", "Id": None})

# Modules, and errors

modules: list[ModuleType] = [
    keyfob.authority,
    keyfob.errors,
    keyfob.exceptions,
    keyfob.managed_identity,
]
errors: list[type[KeyfobError]] = [
    ArcPlatformNotSupportedError,
    BrowserInteractionTimeoutError,
    IdTokenError,
    ManagedIdentityError,
    keyfob.exceptions.MsalServiceError,
]
assert_type(keyfob.__version__, str)


def handled(error: KeyfobError) -> tuple[str, ...]:
    return error.scopes if isinstance(error, InteractionRequired) else (error.code,)


# Sites


async def in_a_loop(token_cache: keyfob.TokenCache) -> None:
    async with keyfob.aio.ConfidentialClientApplication("client", "secret") as app:
        assert_type(app, keyfob.aio.ConfidentialClientApplication)
        assert_type(app.with_cache(token_cache), keyfob.aio.ConfidentialClientApplication)
        assert_type(app.get_accounts(), list[Account])
        assert_type(await app.acquire_token_silent(["a"], account=None), TokenResult | None)
        assert_type(await app.acquire_token_for_client(["a/.default"]), TokenResult)
        begun = await app.initiate_auth_code_flow(["a"], redirect_uri="http://localhost")
        assert_type(begun["state"], str)
        result = await app.acquire_token_by_auth_code_flow(begun, {"code": "c"})
        assert_type(result.get("access_token"), str | None)
    public = keyfob.aio.PublicClientApplication("client", async_http_client=object())
    device_flow = await public.initiate_device_flow()
    assert_type(device_flow, DeviceFlow)
    await public.acquire_token_by_device_flow(device_flow, exit_condition=lambda flow: True)
    assert_type(await public.acquire_token_interactive(["a"], timeout=60), TokenResult)
    async with keyfob.aio.ManagedIdentityClient({"ManagedIdentityIdType": "x"}) as machine:
        assert_type(await machine.acquire_token_for_client(resource="a"), dict[str, Any])
    await app.acquire_token_for_client(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


site = Flask(__name__)
Keyfob(site)
Keyfob().init_app(site)


@login_required
def home(number: int) -> str:
    return f"{current_user.name} {number}"


@login_required(api="graph")
def me() -> dict[str, Any]:
    found: dict[str, Any] = downstream_api("graph").get("/me").json()
    return found


@step_up("c1")
@login_required(api="graph", max_age=300)
def stepped_up() -> str:
    return "stepped up"


# A decorated view keeps its signature.
assert_type(stepped_up(), str)
assert_type(home(1), str)
assert_type(me(), dict[str, Any])


@roles_required("Orders.Approve", "Admin")
@groups_required(all_of=["approvers"])
def approve(number: int) -> str:
    return f"approved {number}"


assert_type(approve(7), str)
assert_type(current_user, User)
assert_type(current_user.roles, frozenset[str])
assert_type(current_user.claims, Mapping[str, Any])


def memberships(session: WebSession) -> bool:
    assert_type(session.groups_among(["approvers"]), frozenset[str])
    assert_type(session.all_groups(), frozenset[str])
    return session.has_role("Admin") and session.in_group("approvers")


def tokens(session: WebSession) -> requests.Session:
    assert_type(session.token(api="graph"), str)
    assert_type(session.token_info(scopes=["a"]).expires_on, int)
    requests.get("https://graph.example", auth=session.auth("graph"), timeout=5)
    httpx.Client(auth=session.httpx_auth("graph")).close()
    credential: TokenCredential = session.credential()
    informed: SupportsTokenInfo = session.credential("graph")
    awaited: AsyncTokenCredential = session.async_credential()
    print(credential, informed, awaited)
    return session.api("graph")


@bearer_required(scopes=["Orders.Read"], roles=["Admin"], app_roles=["Orders.Read.All"])
@step_up("c1")
async def api(number: int) -> str:
    assert_type(current_caller.is_app, bool)
    assert_type(current_caller.key, str)
    assert_type(current_caller.scopes, frozenset[str])
    return f"{current_caller.name} {number} {current_caller.client_id}"


@login_required(scopes=["api://orders/Orders.Read"], authority="customers")
def shop() -> str:
    links = [login_url("/shop", authority="", add=True), logout_form(), script_tag(nonce="n")]
    return "".join(links)


assert_type(shop(), str)
assert_type(Keyfob.sign_out_everywhere(current_user), int)

assert_type(start_background(api="graph", seconds=3600), str)
end_background("key")
assert_type(background("key").token(scopes=["User.Read"]), str)
assert_type(app_token(scopes=["https://graph.microsoft.com/.default"], tenant="contoso"), str)
calls: list[requests.Session] = [background("key").api("graph"), app_api("graph")]


def ready(session: WebSession) -> None:
    assert_type(session.tokens["graph"], str)
    assert_type(session.token(scopes=["x"], app_only=True), str)


# Django


@decorators.login_required
def django_home(request: HttpRequest) -> HttpResponse:
    return HttpResponse(django_keyfob.start_background(request, api="graph"))


@decorators.login_required(api="graph", max_age=300, authority="")
@decorators.roles_required("Admin")
@decorators.groups_required(all_of=["approvers"])
@decorators.step_up("c1")
async def django_approve(request: HttpRequest, number: int) -> HttpResponse:
    return HttpResponse(f"approved {number}")


@decorators.bearer_required(all_scopes=["Orders.Read"], all_app_roles=["Orders.Read.All"])
def django_api(request: HttpRequest, number: int) -> HttpResponse:
    return HttpResponse(f"order {number}")


class Payments(mixins.BearerRequiredMixin, mixins.StepUpMixin, View):
    scopes = ["Orders.Read"]
    step_up = "c1"


class Approvals(
    mixins.LoginRequiredMixin, mixins.RolesRequiredMixin, mixins.GroupsRequiredMixin, View
):
    api = "graph"
    any_of_roles = ["Admin"]
    all_of_groups = ["approvers"]


assert_type(django_home(HttpRequest()), HttpResponse)
assert_type(django_api(HttpRequest(), 7), HttpResponse)
assert_type(django_keyfob.background("key").token(api="graph"), str)
assert_type(django_keyfob.app_token(api="jobs"), str)
django_calls: list[requests.Session] = [django_keyfob.app_api("jobs")]
django_keyfob.end_background("key")
print(Payments.as_view(), Approvals.as_view())

load_settings({"CLIENT_ID": "x"}, {}, source="flask")

# What is wrong, and found to be

bearer_required(scopes=[7])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
django_api(HttpRequest(), "x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
home("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
app.client_id = "another"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
app.acquire_token_silent(["a"])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
app.acquire_token_for_client(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
app.acquire_token_silent(["a"], "ada")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
app.get_accounts()[0]["name"]  # type: ignore[typeddict-item]  # pyright: ignore[reportGeneralTypeIssues]
app.initiate_device_flow()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
PublicClientApplication("client", "secret")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
UserAssignedManagedIdentity("x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
machine.acquire_token_for_client("a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
_: object = keyfob.NoSuchName  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
