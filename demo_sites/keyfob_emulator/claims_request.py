"""The ``claims`` parameter: what a request asks to see in its access token.

OpenID Connect Core section 5.5. Clients announce their capabilities in it (``xms_cc``), and repeat
the challenge an API answered them with: an authentication context (``acrs``), or the time before
which a token is too old (``nbf``, continuous access evaluation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Two requests in one: of a claim that both ask for, the second one counts."""
    members = {*first, *second}
    return {name: {**first.get(name, {}), **second.get(name, {})} for name in members}


def asked_values(claims: Mapping[str, Any], name: str, kind: str = "access_token") -> list[str]:
    """The ``values``, or the one ``value``, asked of a claim of a kind of token."""
    asked = claims.get(kind, {}).get(name)
    if not isinstance(asked, dict):
        return []
    many = asked.get("values")
    values = many if isinstance(many, list) else [asked.get("value")]
    return [value for value in values if isinstance(value, str) and value]


def is_essential(claims: Mapping[str, Any], name: str, kind: str = "access_token") -> bool:
    """Whether a claim is asked for as one the token must have."""
    asked = claims.get(kind, {}).get(name)
    return isinstance(asked, dict) and asked.get("essential") is True


def requested_claims(
    claims: Mapping[str, Any], contexts: Sequence[str], nbf: int, now: int
) -> dict[str, Any]:
    """What a request makes of an access token that would start at ``nbf``.

    ``contexts`` are those of the asked authentication contexts that the sign-in has reached.
    """
    told: dict[str, Any] = {}
    capabilities = asked_values(claims, "xms_cc")
    if capabilities:
        told["xms_cc"] = capabilities
    if contexts:
        told["acrs"] = list(contexts)
    times = [int(text) for text in asked_values(claims, "nbf") if _is_time(text)]
    if times:
        # Tokens are back-dated; one that answers a challenge starts after what it is about.
        told["nbf"] = min(max(nbf, *times), now)
    return told


def _is_time(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16
