"""Scopes: what is asked for, beside what a caller names (RFC 6749 §3.3, OpenID Connect §11)."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from keyfob.errors import ScopesError
from keyfob.protocol.metadata import ProviderMetadata

OPENID_SCOPES = frozenset({"openid", "profile", "offline_access"})

_NO_SCOPE = "A scope is a text without spaces"
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


def checked_scopes(scopes: object) -> frozenset[str]:
    """The scopes a caller names. MSAL's rules: a list, and none that is asked for anyhow.

    :raises ScopesError: (a ValueError) otherwise.
    """
    named = scope_names(scopes)
    if not OPENID_SCOPES.isdisjoint(named):
        reserved = OPENID_SCOPES & named
        raise ScopesError(
            f"{', '.join(sorted(reserved))} need not be named: they are always asked for"
        )
    return named


def scope_names(scopes: object) -> frozenset[str]:
    """A list of scopes, each of which can be one (RFC 6749 §3.3).

    :raises ScopesError: (a ValueError) otherwise.
    """
    if not isinstance(scopes, (list, tuple, set, frozenset)):
        raise ScopesError(f"Scopes are a list of texts, not a {type(scopes).__name__}")
    try:
        return _judged(tuple(scopes))
    except TypeError:  # one that cannot even be looked up
        raise ScopesError(_NO_SCOPE) from None


@lru_cache(maxsize=256)
def _judged(scopes: tuple[object, ...]) -> frozenset[str]:
    # An application names the same few scopes again and again.
    names = frozenset(scope for scope in scopes if isinstance(scope, str) and is_scope(scope))
    if len(names) != len(frozenset(scopes)):
        raise ScopesError(_NO_SCOPE)
    return names


def sign_in_scopes(
    scopes: Collection[str],
    *,
    is_microsoft: bool,
    metadata: ProviderMetadata | None,
    excluded: Collection[str] = (),
) -> frozenset[str]:
    """What a sign-in asks for in all.

    `offline_access` gives a refresh token at Microsoft always; elsewhere only a provider that
    lists it understands it, and some answer an unknown scope with an error.
    """
    base = set(OPENID_SCOPES)
    if not is_microsoft and (
        metadata is None or "offline_access" not in (metadata.scopes_supported or ())
    ):
        base.discard("offline_access")
    return frozenset((base | set(scopes)) - set(excluded))


def refresh_scopes(
    scopes: Collection[str], granted: Collection[str], *, is_microsoft: bool
) -> frozenset[str] | None:
    """What a refresh may ask for, or None where that cannot give `scopes`.

    RFC 6749 §6: never more than was granted. Microsoft's refresh tokens reach every resource that
    the person consented to, whatever was asked first; there the provider judges.
    """
    if is_microsoft:
        return frozenset(scopes) | OPENID_SCOPES
    if not granted:
        return frozenset(scopes)
    if not set(scopes) <= set(granted):
        return None
    return frozenset(scopes) | (OPENID_SCOPES & set(granted))


def resource_of(scope: str) -> str:
    """The resource a Microsoft scope belongs to: what stands before the last slash; "" is Graph."""
    return scope.rpartition("/")[0]


def scopes_of_one_resource(scopes: Collection[str], preferred: Collection[str]) -> list[str]:
    """Of `scopes`, those of one resource, and OpenID Connect's: Microsoft gives no token for two.

    :param preferred: the resource of the first of these is chosen, else that of the first scope.
    """
    named = [scope for scope in (*preferred, *sorted(scopes)) if scope not in OPENID_SCOPES]
    chosen = resource_of(named[0]) if named else ""
    return [s for s in scopes if s in OPENID_SCOPES or resource_of(s) == chosen]


def scope_text(scopes: Collection[str]) -> str:
    return " ".join(sorted(scopes))


def is_scope(text: str) -> bool:
    """Whether this is one scope, in RFC 6749 §3.3's grammar."""
    return _SCOPE.fullmatch(text) is not None
