"""Requests to the device authorization endpoint and its answers (RFC 8628 §3.1, §3.2)."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from keyfob.errors import DeviceAuthorizationError
from keyfob.protocol.client_auth import Proof
from keyfob.protocol.http import (
    HttpRequest,
    HttpResponse,
    json_object,
    refuse_unusable_status,
)
from keyfob.protocol.scopes import scope_text
from keyfob.protocol.urls import parse_http_url

DEVICE_CODE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
#: Seconds between two polls where the provider does not say (RFC 8628 §3.2).
DEFAULT_INTERVAL = 5
#: Seconds that a code serves where the provider does not say, though it must: MSAL's guess.
DEFAULT_LIFETIME = 1800

_WHAT = "The device authorization endpoint"
#: What Keyfob itself adds. Said by a provider, it would pass for ours.
_OURS = ("expires_at", "latest_attempt_at")


def build_device_authorization_request(
    endpoint: str,
    client_id: str,
    proof: Proof,
    scopes: Collection[str],
    claims: str | None,
    headers: Mapping[str, str],
) -> HttpRequest:
    """Ask for a code. A client with a credential proves itself as at the token endpoint."""
    given = {"client_id": client_id, "scope": scope_text(scopes), "claims": claims}
    return HttpRequest(
        "POST",
        endpoint,
        "the device authorization endpoint",
        headers={"Accept": "application/json", **headers, **proof.headers},
        form={**{name: value for name, value in given.items() if value}, **proof.form},
    )


def parse_device_authorization(response: HttpResponse) -> dict[str, Any]:
    """Judge the answer: a dict with `user_code`, or one with `error`, whatever its HTTP status.

    `interval` and `expires_in` are whole numbers of seconds in either. `message` says what the
    person is to do, in the provider's words where it has some, as Microsoft does.

    :raises DeviceAuthorizationError: it is neither.
    :raises TransportError: the provider answered a redirect, or 429 or 5xx and no error's name.
    """
    try:
        answer = _members(json_object(response, _WHAT, DeviceAuthorizationError))
    except DeviceAuthorizationError:
        refuse_unusable_status(response, _WHAT)
        raise
    if "error" not in answer:
        refuse_unusable_status(response, _WHAT)
        if response.status != 200:
            raise DeviceAuthorizationError(
                f"{_WHAT} answered HTTP {response.status} without an error's name",
                code="bad_status",
            )
        _judge_success(answer)
    elif not isinstance(answer["error"], str) or not answer["error"]:
        raise DeviceAuthorizationError(f"{_WHAT}'s error has no name", code="bad_error")
    else:
        answer.pop("device_code", None)
        answer.pop("user_code", None)
    # A provider that wants no pause still gets one second: nobody gains by more requests.
    answer["interval"] = max(1, _seconds(answer, "interval", DEFAULT_INTERVAL))
    answer["expires_in"] = _seconds(answer, "expires_in", DEFAULT_LIFETIME)
    return answer


def _members(document: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        name: value
        for name, value in document.items()
        if name not in _OURS and not name.startswith("_")
    }
    # What Google calls it, and drafts of the RFC did.
    if "verification_uri" not in found and "verification_url" in found:
        found["verification_uri"] = found["verification_url"]
    return found


def _judge_success(answer: dict[str, Any]) -> None:
    """These are shown to a person, in a terminal mostly: nothing in them may pass for commands."""
    code = answer.get("device_code")
    if not isinstance(code, str) or not code or not all(" " <= c <= "~" for c in code):
        raise DeviceAuthorizationError(f"{_WHAT} answered without a code", code="no_device_code")
    user_code = answer.get("user_code")
    if not isinstance(user_code, str) or not user_code.strip() or not user_code.isprintable():
        raise DeviceAuthorizationError(
            f"{_WHAT} answered without a code for the person", code="no_user_code"
        )
    _judge_address(answer, "verification_uri")
    if answer.get("verification_uri_complete") is not None:
        _judge_address(answer, "verification_uri_complete")
    answer["message"] = _harmless(answer.get("message")) or (
        f"Open {answer['verification_uri']} in any browser, and enter the code {user_code} there "
        "to sign in."
    )


def _harmless(message: object) -> str:
    """The provider's words, and nothing among them that a terminal would take for commands."""
    if not isinstance(message, str):
        return ""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in message).strip()


def _judge_address(answer: Mapping[str, Any], name: str) -> None:
    try:
        parse_http_url(answer.get(name))
    except ValueError as reason:
        raise DeviceAuthorizationError(
            f"The {name} of the device authorization endpoint's answer {reason}",
            code=f"{name}_refused",
        ) from None


def _seconds(answer: Mapping[str, Any], name: str, default: int) -> int:
    """Some providers send numbers as text."""
    value = answer.get(name)
    if value is None:
        return default
    try:
        number = float(value) if isinstance(value, (str, int, float)) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not 0 <= number < 1e10:
        raise DeviceAuthorizationError(
            f"The {name} of the device authorization endpoint's answer is not a number of seconds",
            code=f"{name}_refused",
        )
    return int(number)
