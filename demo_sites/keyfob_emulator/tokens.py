"""What goes into tokens.

"ID token claims reference" and "Access token claims reference" of the Microsoft identity platform,
OpenID Connect Core sections 2 and 3.1.3.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from keyfob_emulator.authorities import Authority
from keyfob_emulator.claims_request import asked_values, requested_claims
from keyfob_emulator.conditional_access import ConditionalAccess
from keyfob_emulator.consent import Identity
from keyfob_emulator.grants import Grant
from keyfob_emulator.keys import base64url
from keyfob_emulator.model import GRAPH_CLIENT_ID, Account, Application
from keyfob_emulator.scopes import ResourceScopes

_PASSWORD_AMR: Final = ("pwd",)
_MULTI_FACTOR_AMR: Final = ("pwd", "mfa")
#: Directory roles by their template ids, as ``wids`` names them: the second one is everybody's.
GLOBAL_ADMINISTRATOR: Final = "62e90394-69f5-4237-9190-012177145e10"
ORDINARY_USER: Final = "b79fbf4d-3ef9-4689-8143-76b194e85509"


@dataclass(frozen=True)
class Minting:
    """The circumstances in which tokens are made."""

    authority: Authority
    now: int
    access_token_lifetime: int
    id_token_lifetime: int
    include_at_hash: bool
    conditional_access: ConditionalAccess = field(default_factory=ConditionalAccess)

    def issuer(self, tenant_id: str, version: int = 2) -> str:
        """``iss`` of a tenant's tokens. Version 1 tokens have an issuer of their own."""
        return self.authority.issuer(tenant_id, version)

    def contexts(self, grant: Grant, kind: str) -> list[str]:
        """``acrs``: the authentication contexts a request asks for and the sign-in has reached."""
        asked = asked_values(grant.claims, "acrs", kind)
        return self.conditional_access.met(asked, grant.multi_factor)


def pairwise_subject(client_id: str, object_id: str) -> str:
    """``sub``: stable, and another one for each application (OpenID Connect Core 8.1)."""
    digest = hashlib.sha256(f"keyfob-emulator|{client_id.lower()}|{object_id}".encode()).digest()
    return base64url(digest)


def encode_client_info(account: Account) -> str:
    """``client_info``: who the home account is, for the client's cache."""
    value = {"uid": account.object_id, "utid": account.tenant_id}
    return base64url(json.dumps(value, separators=(",", ":")).encode())


def encode_login_hint(account: Account, sid: str) -> str:
    """The opaque ``login_hint`` claim, to be sent back as ``login_hint`` or ``logout_hint``."""
    return "O." + base64url(f"{account.object_id}|{sid}".encode())


def decode_login_hint(hint: str) -> str | None:
    """The home object id in an opaque hint; None when it is not one."""
    if not hint.startswith("O."):
        return None
    body = hint[2:]
    try:
        text = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
    except (binascii.Error, UnicodeError, ValueError):
        return None
    return text.partition("|")[0] or None


def _opaque() -> str:
    return base64url(secrets.token_bytes(16))


def _times(minting: Minting, lifetime: int) -> dict[str, int]:
    # Entra back-dates nbf and iat by five minutes; exp counts from now.
    return {"iat": minting.now - 300, "nbf": minting.now - 300, "exp": minting.now + lifetime}


def _person(identity: Identity) -> dict[str, Any]:
    account, tenant = identity.account, identity.tenant
    return {"oid": identity.object_id, "tid": tenant.tenant_id, "name": account.name}


def id_token_claims(
    minting: Minting,
    identity: Identity,
    client: Application,
    grant: Grant,
    *,
    oidc: frozenset[str],
    access_token: str,
    groups: Mapping[str, Any],
) -> dict[str, Any]:
    """The claims of an ID token; ``groups`` are those about groups."""
    account = identity.account
    claims: dict[str, Any] = {
        "aud": client.client_id,
        "iss": minting.issuer(identity.tenant.tenant_id),
        **_times(minting, minting.id_token_lifetime),
        "sub": pairwise_subject(client.client_id, identity.object_id),
        "tid": identity.tenant.tenant_id,
        "sid": grant.sid,
        "uti": _opaque(),
        "rh": f"1.A{_opaque()}.",
        "ver": "2.0",
    }
    if "profile" in oidc:
        claims |= _person(identity)
        claims["preferred_username"] = account.username
        claims["login_hint"] = encode_login_hint(account, grant.sid)
    if "email" in oidc and account.email:
        claims["email"] = account.email
    if identity.guest:
        claims["idp"] = minting.issuer(account.tenant_id, version=1)
    if grant.nonce is not None:
        claims["nonce"] = grant.nonce
    if grant.auth_time_asked:
        claims["auth_time"] = grant.auth_time
    roles = account.roles.get(client.client_id, ())
    if roles:
        claims["roles"] = list(roles)
    claims |= groups
    if client.directory_role_claims and not account.personal:
        is_administrator = account.administrator and not identity.guest
        claims["wids"] = [*([GLOBAL_ADMINISTRATOR] if is_administrator else []), ORDINARY_USER]
    contexts = minting.contexts(grant, "id_token")
    if contexts:
        claims["acrs"] = contexts
    if minting.include_at_hash:
        # OpenID Connect Core 3.1.3.6: the left half of the hash. Entra leaves it out in this flow.
        claims["at_hash"] = base64url(hashlib.sha256(access_token.encode()).digest()[:16])
    return claims


def access_token_claims(
    minting: Minting,
    identity: Identity,
    client: Application,
    grant: Grant,
    *,
    target: ResourceScopes,
    names: list[str],
    groups: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The claims of an access token for a person; ``names`` are the permissions of the resource,
    ``groups`` the claims about groups."""
    resource, account = target.resource, identity.account
    version = resource.access_token_version
    claims: dict[str, Any] = {
        "aud": target.audience,
        "iss": minting.issuer(identity.tenant.tenant_id, version),
        **_times(minting, minting.access_token_lifetime),
        "sub": pairwise_subject(resource.client_id, identity.object_id),
        **_person(identity),
        "scp": " ".join(names),
        "sid": grant.sid,
        "uti": _opaque(),
        "rh": f"1.A{_opaque()}.",
        "ver": f"{version}.0",
    }
    # Graph's userinfo answers the subject the client knows from its ID token.
    if resource.client_id == GRAPH_CLIENT_ID:
        claims["sub"] = pairwise_subject(client.client_id, identity.object_id)
    claims |= _client_claims(client, version)
    if version == 2:
        claims["preferred_username"] = account.username
    else:
        claims |= {
            "acct": int(identity.guest),
            "acr": "1",
            "amr": list(_MULTI_FACTOR_AMR if grant.multi_factor else _PASSWORD_AMR),
            "app_displayname": client.name,
            "family_name": account.surname,
            "given_name": account.given_name,
            "idtyp": "user",
            "unique_name": account.username,
            "upn": account.username,
        }
    if identity.guest or account.personal:
        claims["idp"] = minting.issuer(account.tenant_id, version=1)
    roles = account.roles.get(resource.client_id, ())
    if roles:
        claims["roles"] = list(roles)
    claims |= groups or {}
    contexts = minting.contexts(grant, "access_token")
    return claims | requested_claims(grant.claims, contexts, claims["nbf"], minting.now)


def app_token_claims(
    minting: Minting,
    client: Application,
    tenant_id: str,
    *,
    target: ResourceScopes,
    roles: list[str],
    asked: Mapping[str, Any],
    fmi_path: str | None,
) -> dict[str, Any]:
    """The claims of an access token for an application itself.

    ``asked`` is the ``claims`` parameter. A token for a ``fmi_path`` is for a part of the
    application that the path names (federated managed identity), and its subject is that part.
    """
    version = target.resource.access_token_version
    object_id = str(uuid.uuid5(uuid.UUID(client.principal_id), tenant_id))
    claims: dict[str, Any] = {
        "aud": target.audience,
        "iss": minting.issuer(tenant_id, version),
        **_times(minting, minting.access_token_lifetime),
        "idtyp": "app",
        "oid": object_id,
        "sub": object_id,
        "tid": tenant_id,
        "uti": _opaque(),
        "rh": f"1.A{_opaque()}.",
        "ver": f"{version}.0",
        **_client_claims(client, version),
    }
    if roles:
        claims["roles"] = roles
    if version == 1:
        claims["app_displayname"] = client.name
        claims["idp"] = minting.issuer(tenant_id, version=1)
    if fmi_path is not None:
        claims["fmi_path"] = fmi_path
        claims["sub"] = f"/eid1/c/pub/t/{tenant_id}/a/{client.client_id}/{fmi_path}"
    contexts = asked_values(asked, "acrs")
    return claims | requested_claims(asked, contexts, claims["nbf"], minting.now)


def _client_claims(client: Application, version: int) -> dict[str, str]:
    # "0" public client, "1" secret, "2" certificate: what the application is registered with.
    strength = "0" if client.public else ("1" if client.secrets else "2")
    if version == 2:
        return {"azp": client.client_id, "azpacr": strength}
    return {"appid": client.client_id, "appidacr": strength}
