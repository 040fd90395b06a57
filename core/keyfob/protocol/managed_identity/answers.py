"""What the answers of all sources have in common."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any

from keyfob.errors import TokenResponseError
from keyfob.protocol.http import HttpResponse, json_object, refuse_unusable_status
from keyfob.protocol.managed_identity.sources import ManagedIdentitySource

#: Characters of a source's own words that are passed on.
MOST_WORDS = 4000


def title(source: ManagedIdentitySource) -> str:
    """The endpoint at the beginning of a sentence."""
    return source.what[:1].upper() + source.what[1:]


def document_in(
    response: HttpResponse,
    source: ManagedIdentitySource,
    *,
    is_refusal: Callable[[dict[str, Any]], bool] | None = None,
) -> dict[str, Any]:
    """The answer's JSON object, whatever it says.

    :param is_refusal: for sources that say HTTP 500, in a form of their own, of what cannot be:
        whether this is that form. It is then their answer, and no failure that passes.
    :raises TokenResponseError: it is not JSON.
    :raises TransportError: it is a redirect, 429 or 5xx.
    """
    if is_refusal is not None and response.status >= 500:
        with contextlib.suppress(TokenResponseError):
            answer = json_object(response, title(source), TokenResponseError)
            if is_refusal(answer):
                return answer
    refuse_unusable_status(response, title(source))
    return json_object(response, title(source), TokenResponseError)


def token_in(
    answer: dict[str, Any],
    response: HttpResponse,
    source: ManagedIdentitySource,
    *,
    resource: str,
    now: float,
) -> dict[str, Any] | None:
    """The token of an answer in OAuth's form, or None where it is no token's answer at all.

    :param resource: what was asked for.
    :param now: seconds since 1970: some sources say only when the token ends.
    :raises TokenResponseError: there is a token, and it cannot be used.
    """
    token = answer.get("access_token")
    if token is None:
        return None
    # Visible ASCII: what fits into an Authorization header (RFC 6749 appendix A.12).
    if not isinstance(token, str) or not token or not all("!" <= c <= "~" for c in token):
        raise _refused("answered with an access token that is none", source, "no_access_token")
    if response.status != 200:
        raise _refused(
            f"answered HTTP {response.status} with an access token", source, "bad_status"
        )
    kind = answer.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise _refused("answered with a token that is not a bearer token", source, "token_type")
    told = answer.get("resource")
    return {
        "access_token": token,
        "expires_in": _lifetime(answer, source, now),
        "token_type": kind,
        "resource": told if isinstance(told, str) and told else resource,
    }


def no_token(response: HttpResponse, source: ManagedIdentitySource) -> TokenResponseError:
    """For an answer that claims success and has no token."""
    return _refused(
        f"answered HTTP {response.status} without an access token", source, "no_access_token"
    )


def words(response: HttpResponse) -> str:
    """What a source said of its refusal. It is never said of a success, which may hold a token."""
    return response.body.decode("utf-8", "replace")[:MOST_WORDS]


def _lifetime(answer: dict[str, Any], source: ManagedIdentitySource, now: float) -> int:
    """Seconds; the sources write numbers as text, too."""
    for name, since in (("expires_in", 0.0), ("expires_on", float(int(now)))):
        value = answer.get(name)
        if value not in (None, ""):
            seconds = _number(value) - since
            if not -1e10 < seconds < 1e10:
                raise _refused(
                    f"answered with a token whose {name} is not a number of seconds",
                    source,
                    "lifetime",
                )
            return max(0, int(seconds))
    raise _refused("answered with a token and not how long it lives", source, "lifetime")


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def _refused(what: str, source: ManagedIdentitySource, code: str) -> TokenResponseError:
    return TokenResponseError(f"{title(source)} {what}", code=code)
