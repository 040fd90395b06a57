"""Passwords without a page: the password grant, and what a federation service says about one.

RFC 6749 section 4.3, RFC 7522 (``saml2-bearer``) and its older sibling ``saml1_1-bearer``. Where an
account needs more than a password these flows end with AADSTS50076: they cannot ask for it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING, Any

from keyfob_emulator import saml
from keyfob_emulator.client_auth import require_public_flows
from keyfob_emulator.errors import problem
from keyfob_emulator.keys import FEDERATION
from keyfob_emulator.model import Account, Application
from keyfob_emulator.parameters import Parameters
from keyfob_emulator.realm import COMMON, Realm

if TYPE_CHECKING:
    from keyfob_emulator.token_service import TokenService


def proves(account: Account, password: str) -> bool:
    """Whether this is the account's password."""
    given, right = password.encode("utf-8", "surrogatepass"), account.password.encode()
    return hmac.compare_digest(given, right)


def with_password(
    service: TokenService, parameters: Parameters, client: Application
) -> dict[str, Any]:
    """A person's name and password in one request (RFC 6749 section 4.3)."""
    _check_realm(service.realm)
    username, password = parameters.require("username"), parameters.require("password")
    service.scopes(parameters.require("scope"), client)
    require_public_flows(client)
    directory = service.emulator.directory
    account = directory.account(username)
    if account is None or account.personal:
        raise problem(50034, username=username, tenant=service.realm.title)
    # The password of a federated account is not known here: its own service must be asked.
    if directory.federated(account.domain) or not proves(account, password):
        raise problem(50126)
    return _respond(service, parameters, client, account)


def with_assertion(
    service: TokenService, version: int, parameters: Parameters, client: Application
) -> dict[str, Any]:
    """A federation service's word that the password was right (RFC 7522 section 2.1)."""
    _check_realm(service.realm)
    text = parameters.require("assertion")
    service.scopes(parameters.require("scope"), client)
    require_public_flows(client)
    try:
        document = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise problem(50008, reason="it is not base64url") from None
    emulator = service.emulator
    keys = emulator.keys.current(FEDERATION)
    username = saml.verify(document, keys, version=version, now=emulator.now())
    account = emulator.directory.account(username)
    if account is None or not emulator.directory.federated(account.domain):
        raise problem(50034, username=username, tenant=service.realm.title)
    return _respond(service, parameters, client, account)


def _check_realm(realm: Realm) -> None:
    if realm.segment == COMMON or not realm.organisations:
        raise problem(9001023, tenant=realm.segment)


def _respond(
    service: TokenService, parameters: Parameters, client: Application, account: Account
) -> dict[str, Any]:
    if not account.enabled:
        raise problem(50057)
    if account.multi_factor:
        raise problem(50076, suberror="basic_action", resource=client.client_id)
    tenant = service.realm.tenant
    tenant_id = tenant.tenant_id if tenant else account.tenant_id
    grant = service.new_grant(parameters, client, account, tenant_id)
    return service.respond_to(grant, client, wrong_tenant=None)
