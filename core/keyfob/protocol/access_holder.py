"""Who an access token speaks for, and what it allows: a person, or an application by itself.

Nothing is concluded from what is absent alone. At Microsoft a person's token has `scp`, which an
application's never has; an application's says so (`idtyp`), or names itself as subject and has app
roles and nothing of a person. What is neither, such as an ID token with the person's app roles in
it, is refused. Elsewhere, where both kinds have `scope`, an application's has the application as
subject (RFC 9068 §2.2), or a mark of its provider's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from keyfob.errors import AccessTokenError
from keyfob.protocol.authority import Kind
from keyfob.protocol.signed_token import is_name

#: Hashes of what comes beside an ID token (OpenID Connect Core §3.1.3.6, §3.3.2.11).
_HASHES = frozenset({"at_hash", "c_hash", "s_hash"})
_HASHES_AND_NONCE = _HASHES | {"nonce"}
#: What only a person has, and a sign-in. `idp` is none of them: applications' tokens have it, too.
_PERSONAL = frozenset(
    {
        *("name", "preferred_username", "upn", "unique_name", "email", "emails", "given_name"),
        *("family_name", "login_hint", "nonce", "amr", "auth_time", "sid", "acct"),
    }
)
_NOTHING = frozenset({""})
_NOT_BOTH = "The access token says both that a person and that an application is calling"


class Holder(NamedTuple):
    """Who a token speaks for.

    :ivar client_id: the application that the token was given to.
    :ivar scopes: what a person lets the application do; none where an application calls.
    :ivar roles: the person's app roles, or what the application may do by itself.
    :ivar is_app: an application in its own name, and no person.
    """

    client_id: str
    scopes: frozenset[str]
    roles: frozenset[str]
    is_app: bool


def holder_of(claims: Mapping[str, Any], kind: Kind, version: str, *, says_so: bool) -> Holder:
    """Find out who a token speaks for whose issuer, audience and times are good.

    :param version: Entra's token version, "" elsewhere.
    :param says_so: whether its type says that it is an access token (RFC 9068 §2.1).
    :raises AccessTokenError: with code `id_token` for an ID token, `no_permissions` for one that
        allows nothing, or the name of the claim that is wrong.
    """
    _refuse_id_token(claims, kind)
    roles = _roles(claims, kind)
    if kind == "oidc":
        return _elsewhere(claims, roles, says_so=says_so)
    scopes = _texts(claims, "scp")
    idtyp = claims.get("idtyp")
    if "idtyp" in claims and idtyp not in ("user", "app"):
        raise _refusal("idtyp", "The access token is for neither a person nor an application")
    if scopes:
        if idtyp == "app":
            raise _refusal("idtyp", _NOT_BOTH)
        client_id = _client_id(claims, kind, version)
        return Holder(client_id, scopes=scopes, roles=roles, is_app=False)
    if not roles:
        raise _no_permissions("scp nor roles")
    if idtyp == "user" or (idtyp is None and not _is_plainly_an_app(claims)):
        raise _refusal(
            "id_token",
            "The token has no scp, and is not an application's: it is an ID token, or one of "
            "another kind, and not an access token",
        )
    if idtyp == "app" and not _PERSONAL.isdisjoint(claims):
        raise _refusal("idtyp", _NOT_BOTH)
    client_id = _client_id(claims, kind, version)
    return Holder(client_id, scopes=frozenset(), roles=roles, is_app=True)


def _refuse_id_token(claims: Mapping[str, Any], kind: Kind) -> None:
    # Azure AD B2C repeats the nonce in access tokens.
    marks = _HASHES if kind == "b2c" else _HASHES_AND_NONCE
    # Keycloak says inside of each token what it is.
    inner = claims.get("typ", "")
    is_another = "typ" in claims and not (isinstance(inner, str) and inner.lower() == "bearer")
    if is_another or not marks.isdisjoint(claims):
        raise _refusal("id_token", "An ID token, or one of another kind, was sent as access token")


def _is_plainly_an_app(claims: Mapping[str, Any]) -> bool:
    """Of a token without `idtyp`, which registrations must ask for: its subject is the service
    principal itself, while a person's is another one at each API; and nothing in it is a person's.
    """
    oid = claims.get("oid")
    return is_name(oid) and oid == claims.get("sub") and _PERSONAL.isdisjoint(claims)


def _elsewhere(claims: Mapping[str, Any], roles: frozenset[str], *, says_so: bool) -> Holder:
    scopes = _texts(claims, "scope") or _texts(claims, "scp")
    if not scopes and not says_so:
        raise _refusal(
            "id_token",
            "The token neither has the type at+jwt nor the claim scope, so that it may be an ID "
            "token",
        )
    if not scopes and not roles:
        raise _no_permissions("scope nor roles")
    client_id = _client_id(claims, "oidc", "")
    if _is_app_elsewhere(claims, client_id):
        return Holder(client_id, scopes=frozenset(), roles=roles | scopes, is_app=True)
    return Holder(client_id, scopes=scopes, roles=roles, is_app=False)


def _is_app_elsewhere(claims: Mapping[str, Any], client_id: str) -> bool:
    if claims.get("sub") in (client_id, f"{client_id}@clients") or claims.get("idtyp") == "app":
        return True
    # Auth0's mark, and the name that Keycloak gives the user that stands for an application.
    name = claims.get("preferred_username")
    return claims.get("gty") == "client-credentials" or (
        isinstance(name, str) and name.lower() == f"service-account-{client_id}".lower()
    )


def _client_id(claims: Mapping[str, Any], kind: Kind, version: str) -> str:
    """Who the token was given to. Each version of Entra's tokens has a claim of its own for it."""
    first, second = ("client_id", "azp") if kind == "oidc" else ("azp", "appid")
    if (version == "1.0" and second not in claims) or (version == "2.0" and first not in claims):
        raise _refusal("azp", "The access token does not name the application it was given to")
    client_id = claims[first] if first in claims else claims.get(second)
    if not is_name(client_id) or claims.get(second, client_id) != client_id:
        raise _refusal("azp", "The access token does not name one application it was given to")
    return client_id


def _roles(claims: Mapping[str, Any], kind: Kind) -> frozenset[str]:
    if "roles" not in claims:
        return frozenset()
    value = claims["roles"]
    if kind == "adfs" and isinstance(value, str):
        value = [value]  # its claims have one text where there is one value
    if not isinstance(value, list):
        raise _refusal("roles", "The access token's roles are not a list of texts")
    for each in value:
        if not isinstance(each, str):
            raise _refusal("roles", "The access token's roles are not a list of texts")
    found = frozenset(value)
    return found - _NOTHING if "" in found else found


def _texts(claims: Mapping[str, Any], name: str) -> frozenset[str]:
    """A list of names with spaces between them (RFC 6749 §3.3), and only spaces."""
    value = claims.get(name, "")
    if not isinstance(value, str):
        raise _refusal(name, f"The access token's {name} is not a text")
    found = frozenset(value.split(" "))
    return found - _NOTHING if "" in found else found


def _no_permissions(what: str) -> AccessTokenError:
    return _refusal("no_permissions", f"The access token allows nothing: it has neither {what}")


def _refusal(code: str, message: str) -> AccessTokenError:
    return AccessTokenError(message, code=code)
