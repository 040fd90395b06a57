"""How strongly, and how long ago, a person proved who they are: what pages and APIs may ask for.

An authentication context (`acrs`) is Microsoft's name for a strength that an organisation's own
rules fill, such as a second factor, or a device of its own
(https://learn.microsoft.com/entra/identity-platform/developer-guide-conditional-access-authentication-context).
How long ago is `auth_time` (OpenID Connect Core §2). Both are read from signed claims alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from keyfob.errors import ConfigurationError, InteractionRequired, StepUpRequired
from keyfob.web.caller import Caller

_CONTEXT = re.compile(r"c[1-9][0-9]?", re.ASCII)
#: Of a client that can answer a claims challenge (`xms_cc`).
_ANSWERS_CHALLENGES = "cp1"


def context_name(value: object) -> str:
    """An authentication context's name.

    :raises ConfigurationError: it is none; Microsoft's are c1 to c99.
    """
    if not isinstance(value, str) or not _CONTEXT.fullmatch(value):
        raise ConfigurationError(
            f"step_up takes the id of an authentication context, c1 to c99, and was given {value!r}"
        )
    return value


def seconds(value: object) -> int:
    """What `max_age` may be.

    :raises ConfigurationError: it is no whole number of seconds, or less than one.
    """
    if type(value) is not int or value < 1:
        raise ConfigurationError(
            f"max_age is a whole number of seconds, 1 or more, and was given as {value!r}"
        )
    return value


def contexts(claims: Mapping[str, Any]) -> frozenset[str]:
    """The authentication contexts that a token's claims prove: `acrs` is a list, or one text."""
    value = claims.get("acrs")
    if isinstance(value, str):
        return frozenset(value.split())
    if isinstance(value, list):
        return frozenset(each for each in value if isinstance(each, str))
    return frozenset()


def claims_request(token: str, context: str) -> str:
    """Asks for a token that proves a context (OpenID Connect Core §5.5, Microsoft's shape).

    :param token: `id_token` or `access_token`.
    """
    wanted = {token: {"acrs": {"essential": True, "value": context}}}
    return json.dumps(wanted, separators=(",", ":"))


def judge_context(claims: Mapping[str, Any], context: str, *, now: float, leeway: float) -> None:
    """Whether the person whose ID token this is proved so much, and the token is not over yet: the
    sign-in may go on for days after it, and the proof does not.

    :raises InteractionRequired: no, with the claims request that would bring it.
    """
    expires = claims.get("exp")
    is_over = not _is_time(expires) or not now <= expires + leeway
    if is_over or context not in contexts(claims):
        raise InteractionRequired(
            f"The person must prove more: authentication context {context}",
            claims=claims_request("id_token", context),
            code="step_up",
        )


def judge_caller(caller: Caller, context: str) -> None:
    """Whether the token that an API was called with proves so much.

    :raises StepUpRequired: no. `claims` is empty where a challenge would help nobody: the client
        has not announced that it answers them, or no person is involved.
    """
    if context in contexts(caller.claims):
        return
    message = f"The token does not prove the authentication context {context}"
    answers = not caller.is_app and _ANSWERS_CHALLENGES in _capabilities(caller.claims)
    raise StepUpRequired(message, claims=claims_request("access_token", context) if answers else "")


def judge_recent(claims: Mapping[str, Any], max_age: int, *, now: float, leeway: float) -> None:
    """Whether the person proved themselves in the last `max_age` seconds (OpenID Connect Core
    §3.1.2.1), with the same leeway as when the ID token came.

    :raises InteractionRequired: no, or the claims do not say when it was.
    """
    proved = claims.get("auth_time")
    if not _is_time(proved) or not -leeway <= now - proved <= max_age + leeway:
        raise InteractionRequired(
            f"The person must prove themselves anew: max_age {max_age}",
            max_age=max_age,
            force_refresh=True,
            code="too_long_ago",
        )


def _capabilities(claims: Mapping[str, Any]) -> frozenset[str]:
    value = claims.get("xms_cc")
    found = value if isinstance(value, list) else [value]
    return frozenset(each for each in found if isinstance(each, str))


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
