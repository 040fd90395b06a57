"""How tokens and answers look where they are not Entra's.

Azure AD B2C ("Overview of tokens in Azure AD B2C"): no ``tid``, the user flow in ``tfp`` or
``acr``, ``emails``, version 1.0, and times in the answer. ADFS ("AD FS OpenID Connect/OAuth
concepts"): no ``tid`` and ``oid``, the person in ``upn``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from keyfob_emulator.authorities import Authority, Kind
from keyfob_emulator.consent import Identity
from keyfob_emulator.keys import base64url
from keyfob_emulator.model import Account

_COMMON: Final = ("iss", "aud", "exp", "nbf", "iat", "sub", "nonce", "auth_time", "at_hash")
_B2C_MORE: Final = ("oid", "name", "scp", "azp", "roles")
_ADFS_MORE: Final = ("scp", "appid", "sid", "roles")
_ADFS_METHOD: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
_OIDC_WORDS: Final = frozenset({"openid", "profile", "email", "offline_access"})
USERINFO_AUDIENCE: Final = "urn:microsoft:userinfo"


def shaped(
    authority: Authority, claims: Mapping[str, Any], identity: Identity | None = None
) -> dict[str, Any]:
    """The claims of an Entra token, as this authority writes them.

    ``identity`` is the person, None when an application stands for itself.
    """
    account = identity.account if identity else None
    if authority.kind is Kind.B2C:
        return _b2c(authority, claims, identity)
    if authority.kind is Kind.ADFS:
        return _adfs(authority, claims, account)
    return dict(claims)


def _kept(claims: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: claims[name] for name in names if name in claims}


def _b2c(
    authority: Authority, claims: Mapping[str, Any], identity: Identity | None
) -> dict[str, Any]:
    told = _kept(claims, (*_COMMON, *_B2C_MORE))
    told["ver"] = "1.0"
    if authority.flow is not None:
        told["acr" if authority.flow.acr else "tfp"] = authority.policy
    if identity is not None:
        account = identity.account
        told |= {"sub": identity.object_id, "oid": identity.object_id, "name": account.name}
        told |= {"given_name": account.given_name, "family_name": account.surname}
        if account.email and "scp" not in claims:
            told["emails"] = [account.email]
    return told


def _adfs(
    authority: Authority, claims: Mapping[str, Any], account: Account | None
) -> dict[str, Any]:
    told = _kept(claims, (*_COMMON, *_ADFS_MORE))
    client_id = claims.get("azp", claims.get("appid"))
    told |= {"ver": "1.0", "authmethod": _ADFS_METHOD}
    if client_id is not None:  # Only access tokens say who asked.
        told |= {"iss": authority.access_token_issuer, "appid": client_id}
        told["apptype"] = "Public" if "0" in (claims.get("azpacr"), claims.get("appidacr")) else (
            "Confidential"
        )  # fmt: skip
    if account is not None:
        told |= {"upn": account.username, "unique_name": account.username}
    return told


def shaped_client_info(authority: Authority, text: str | None) -> str | None:
    """``client_info`` as this authority writes it: B2C has an account for each user flow."""
    if text is None or authority.kind is Kind.ADFS:
        return None
    if authority.policy is None:
        return text
    value = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    value["uid"] = f"{value['uid']}-{authority.policy}"
    return base64url(json.dumps(value, separators=(",", ":")).encode())


def shaped_answer(
    authority: Authority, answer: Mapping[str, Any], now: int, refresh_lifetime: int
) -> dict[str, Any]:
    """A token answer as this authority gives it."""
    if authority.kind not in (Kind.B2C, Kind.ADFS):
        return dict(answer)
    told = dict(answer)
    told.pop("ext_expires_in", None)
    info = shaped_client_info(authority, told.pop("client_info", None))
    if info is not None:
        told["client_info"] = info
    if "refresh_token" in told:
        told["refresh_token_expires_in"] = refresh_lifetime
    if authority.kind is Kind.B2C:
        told["not_before"] = now
        if set(str(told.get("scope", "")).split()) <= _OIDC_WORDS and "id_token" in told:
            # A user flow gives no access token for nothing but the person.
            told = {k: v for k, v in told.items() if k not in ("access_token", "expires_in")}
            told["id_token_expires_in"] = answer["expires_in"]
            told["scope"] = ""
        else:
            told["expires_on"] = now + told["expires_in"]
    return told
