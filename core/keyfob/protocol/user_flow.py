"""Azure AD B2C's user flows (policies): which one an ID token is of, and what their errors mean."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from keyfob.errors import IdTokenError

#: The person pressed "Forgot your password?" on the page of a sign-in.
FORGOTTEN_PASSWORD = "AADB2C90118"
#: The person pressed "Cancel".
CANCELLED = "AADB2C90091"

_CODE = re.compile(r"\s*(AADB2C\d{5})\b")


def judge_user_flow(claims: Mapping[str, Any], policy: str, *, must_be_named: bool) -> None:
    """Refuse an ID token of another user flow: all flows of a tenant have one issuer and one key.

    `tfp` names the flow, or the older `acr`. A custom policy may leave both out, and may have an
    `acr` that names something else.

    :param policy: the flow that was asked for.
    :param must_be_named: whether a token that names no flow is refused.
    :raises IdTokenError: with code `user_flow`.
    """
    named, stands_for_a_flow = claims.get("tfp"), True
    if named is None:
        named = claims.get("acr")
        stands_for_a_flow = must_be_named or _names_policy(named)
    if named is None and not must_be_named:
        return
    same = isinstance(named, str) and named.lower() == policy.lower()
    if stands_for_a_flow and not same:
        raise IdTokenError("The ID token is of another user flow", code="user_flow")


def is_of_flows(claims: Mapping[str, Any], policies: Collection[str]) -> bool:
    """Whether an access token may have come by one of these flows. One that names no flow, as a
    custom policy may make it, may have.

    :param policies: flows by which people come to the site that the token is sent to.
    """
    named = claims.get("tfp")
    if named is None:
        named = claims.get("acr")
        if not _names_policy(named):
            return True
    return isinstance(named, str) and named.lower() in {policy.lower() for policy in policies}


def _names_policy(value: object) -> bool:
    return isinstance(value, str) and value.lower().startswith("b2c_")


def user_flow_code(error: str, description: str) -> str:
    """Azure AD B2C's number of what happened, in an answer to a sign-in; "" where it has none."""
    if error != "access_denied":
        return ""
    found = _CODE.match(description)
    return found[1] if found else ""
