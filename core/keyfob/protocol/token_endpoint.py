"""Requests to the token endpoint and its answers (RFC 6749 §4.1.3, §4.4.2, §5, §6)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from keyfob.errors import ConfigurationError, NotJsonError, TokenResponseError
from keyfob.protocol.client_auth import Proof
from keyfob.protocol.http import (
    HttpRequest,
    HttpResponse,
    json_object,
    refuse_unusable_status,
)

_WHAT = "The token endpoint"
BEARER = "Bearer"
#: What Keyfob itself adds to an answer. Said by a provider, it would pass for proven.
_OURS = ("id_token_claims", "token_source", "refresh_on", "classification")


def build_token_request(
    endpoint: str,
    client_id: str,
    proof: Proof,
    fields: Mapping[str, str | None],
    *,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
) -> HttpRequest:
    """One token request. Fields that are None or empty are left out."""
    form = {"client_id": client_id, **{k: v for k, v in fields.items() if v}, **proof.form}
    if "Authorization" in proof.headers:
        # RFC 6749 §2.3: one way at a time; the header names the client already.
        del form["client_id"]
    return HttpRequest(
        "POST",
        endpoint,
        "the token endpoint",
        params=params or {},
        headers={"Accept": "application/json", **(headers or {}), **proof.headers},
        form=form,
    )


def needed_text(value: object, name: str) -> None:
    """Refuse what cannot be sent in a grant's field.

    :raises ConfigurationError: (a ValueError) it is no text, or an empty one.
    """
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{name} is missing, or is not a text")


def optional_texts(**values: object) -> None:
    """Refuse what is neither a text nor left out (None); anything else would be sent as its repr.

    :raises ConfigurationError: (a ValueError) one of them is.
    """
    for name, value in values.items():
        if value is not None and not isinstance(value, str):
            raise ConfigurationError(f"{name} is a text, or None")


def parse_token_response(
    response: HttpResponse, token_type: str = BEARER, *, may_lack_access_token: bool = False
) -> dict[str, Any]:
    """Judge the answer: a dict with `access_token`, or one with `error`.

    `expires_in` comes back as a whole number where the provider sent one.

    :param token_type: the kind of token that was asked for (RFC 6749 §7.1).
    :param may_lack_access_token: of a provider that gives none where only OpenID Connect's scopes
        were asked for; then an ID token is a success as well.

    :raises TokenResponseError: it is neither.
    :raises TransportError: the provider answered a redirect, 429 or 5xx.
    """
    refuse_unusable_status(response, _WHAT)
    answer = {
        name: value
        for name, value in json_object(response, _WHAT, TokenResponseError, NotJsonError).items()
        if name not in _OURS and not name.startswith("_")
    }
    if "error" in answer:
        if not isinstance(answer["error"], str) or not answer["error"]:
            raise TokenResponseError("The token endpoint's error has no name", code="bad_error")
        for name in ("access_token", "refresh_token", "id_token"):
            answer.pop(name, None)
        return answer
    if response.status != 200:
        raise TokenResponseError(
            f"The token endpoint answered HTTP {response.status} without an error's name",
            code="bad_status",
        )
    if may_lack_access_token and "access_token" not in answer and answer.get("id_token"):
        answer.setdefault("token_type", token_type)
    else:
        _judge_access_token(answer, token_type)
    _judge_members(answer)
    return answer


def _judge_access_token(answer: dict[str, Any], token_type: str) -> None:
    token = answer.get("access_token")
    # Visible ASCII: what fits into an Authorization header (RFC 6749 appendix A.12).
    if not isinstance(token, str) or not token or not all("!" <= c <= "~" for c in token):
        raise TokenResponseError(
            "The token endpoint answered without an access token", code="no_access_token"
        )
    kind = answer.get("token_type")
    if not isinstance(kind, str) or kind.lower() != token_type.lower():
        raise TokenResponseError(
            f"The token endpoint's token is not a {token_type.lower()} token", code="token_type"
        )


def _judge_members(answer: dict[str, Any]) -> None:
    for name in ("expires_in", "ext_expires_in", "refresh_in"):
        if answer.get(name) is not None:
            answer[name] = _seconds(answer[name], name)
    for name in ("scope", "refresh_token", "id_token", "client_info", "foci"):
        if answer.get(name) is not None and not isinstance(answer[name], str):
            raise TokenResponseError(
                f"The {name} of the token endpoint's answer is not a text", code=f"{name}_refused"
            )


def _seconds(value: object, name: str) -> int:
    """Microsoft's v1 endpoints and others send numbers as text."""
    try:
        number = float(value) if isinstance(value, (str, int, float)) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if name == "refresh_in" and -1e10 < number < 0:
        return 0  # only an advice: to renew at once
    if isinstance(value, bool) or not 0 <= number < 1e10:
        raise TokenResponseError(
            f"The {name} of the token endpoint's answer is not a number of seconds",
            code=f"{name}_refused",
        )
    return int(number)
