"""Applications that act for a person who is not there.

On-behalf-of: an API goes on with the token it was called with (RFC 7523, and Entra's on-behalf-of
flow). User federated identity credential: an application proves itself with a token that it got for
itself, and names the person (``user_fic``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyfob_emulator.errors import problem
from keyfob_emulator.model import TOKEN_EXCHANGE_URL, Account, Application
from keyfob_emulator.parameters import Parameters

if TYPE_CHECKING:
    from keyfob_emulator.token_service import TokenService


def on_behalf_of(
    service: TokenService, parameters: Parameters, client: Application
) -> dict[str, Any]:
    """A token for an API's own downstream API, in the name of the API's caller."""
    if parameters.require("requested_token_use") != "on_behalf_of":
        raise problem(90023, value="...", parameter="requested_token_use")
    assertion = parameters.require("assertion")
    service.scopes(parameters.require("scope"), client)
    if client.public:
        raise problem(7000218)
    told = _caller(service, assertion, client)
    known = service.emulator.grants.access_token(told["uti"])
    if known is None or known.family.revoked:
        raise problem(50173)
    account = service.emulator.directory.account_in(told["tid"], told["oid"])
    if account is None:
        raise problem(50034, username=told["oid"], tenant=told["tid"])
    grant = service.new_grant(
        parameters, client, account, told["tid"], told["sid"], multi_factor=known.multi_factor
    )
    return service.respond_to(grant, client, problem(50013, reason="another tenant's"))


def _caller(service: TokenService, assertion: str, client: Application) -> dict[str, Any]:
    """The claims of the access token an API was called with, which must be its own."""
    claims = _own_token(service, assertion)
    if not {"scp", "oid", "tid", "sid"} <= claims.keys():
        raise problem(50013, reason="not an access token for a person")
    if service.emulator.directory.resource(str(claims["aud"])) != client:
        raise problem(500131, audience=claims["aud"], client_id=client.client_id)
    _check_time(service, claims)
    return claims


def user_federated_identity(
    service: TokenService, parameters: Parameters, client: Application
) -> dict[str, Any]:
    """A token in the name of a person whom the application names and nobody asks.

    The credential is an application token for ``api://AzureADTokenExchange`` that this provider
    gave to this very client. Consent must have been given before, usually by an administrator.
    """
    credential = parameters.require("user_federated_identity_credential")
    account = _named(service, parameters)
    service.scopes(parameters.require("scope"), client)
    if client.public:
        raise problem(7000218)
    claims = _own_token(service, credential)
    directory = service.emulator.directory
    if claims.get("idtyp") != "app":
        raise problem(50013, reason="not a token for an application itself")
    if directory.resource(str(claims["aud"])) != directory.resource(TOKEN_EXCHANGE_URL):
        raise problem(500131, audience=claims["aud"], client_id=TOKEN_EXCHANGE_URL)
    if claims.get("azp", claims.get("appid")) != client.client_id:
        raise problem(50013, reason="issued to another application")
    _check_time(service, claims)
    tenant_id = str(claims["tid"])
    if account is None or account.personal or account.object_id_in(tenant_id) is None:
        raise problem(50034, username="of the request", tenant=service.realm.title)
    grant = service.new_grant(parameters, client, account, tenant_id)
    return service.respond_to(grant, client, problem(50013, reason="another tenant's"))


def _named(service: TokenService, parameters: Parameters) -> Account | None:
    username, user_id = parameters.get("username"), parameters.get("user_id")
    if (username is None) == (user_id is None):
        raise problem(9002313, reason="name the user by either 'username' or 'user_id'")
    directory = service.emulator.directory
    if username is not None:
        return directory.account(username)
    tenant = service.realm.tenant
    if tenant is None:
        return directory.account_by_id(user_id or "")
    return directory.account_in(tenant.tenant_id, user_id or "")


def _own_token(service: TokenService, token: str) -> dict[str, Any]:
    claims = service.emulator.keys.verify(token)
    if claims is None:
        raise problem(50013, reason="not signed by this provider")
    return claims


def _check_time(service: TokenService, claims: dict[str, Any]) -> None:
    if service.emulator.now() >= claims["exp"]:
        raise problem(500133)
