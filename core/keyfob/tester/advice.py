"""What went wrong, in a sentence, and what to do about it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyfob.errors import (
    BrowserInteractionTimeoutError,
    IdTokenError,
    KeyfobError,
    LoopbackUnavailable,
    ProviderUnreachable,
    StateMismatchError,
)
from keyfob.tester.demo import HOW_TO_START

_BROWSER = "Sign in with the browser (or a device code): there the person can do what is asked."
_SPELLING = "Compare the client id and the authority with the registration, letter by letter."

#: Microsoft's numbers (AADSTS...), which say more than OAuth's words.
_BY_NUMBER: Mapping[int, tuple[str, str]] = {
    7000215: (
        "the client secret is wrong",
        (
            "Use the secret's value, not its id; it is only shown when it is made. "
            "KEYFOB_CLIENT_SECRET has it."
        ),
    ),
    7000222: ("the client secret has expired", "Make a new one, and set KEYFOB_CLIENT_SECRET."),
    7000218: (
        "the provider wants this application's secret",
        (
            "Either it is a confidential client: start with --confidential. Or allow public client "
            "flows in its registration."
        ),
    ),
    700016: ("this tenant does not know the application", _SPELLING),
    90002: ("there is no such tenant", _SPELLING),
    50059: ("the authority names no tenant that the provider knows", _SPELLING),
    9001023: (
        "passwords do not work at an authority for everybody",
        "Use /organizations, or the tenant's own authority: app, then own.",
    ),
    50194: (
        "the application is for its own tenant only",
        "Use that tenant's authority in the place of /common.",
    ),
    50011: (
        "the redirect URI is not registered",
        "Register it, or use one that is: the two must be the same, letter by letter.",
    ),
    50020: (
        "this account has no access to that tenant",
        "Use another account, or an authority that serves this one.",
    ),
    50034: ("there is no such user in this tenant", "Check the user name and the authority."),
    50126: ("the user name or the password is wrong", "Try again."),
    50057: ("the account is disabled", "An administrator can enable it; or use another account."),
    50055: ("the password has expired", _BROWSER),
    50076: ("more than a password is needed", _BROWSER),
    50079: ("the person must register for multi-factor sign-in", _BROWSER),
    50158: ("a further check is needed", _BROWSER),
    53003: (
        "a conditional access policy forbids it",
        "An administrator can look the sign-in up by its correlation id.",
    ),
    65001: ("nobody has consented to these scopes yet", _BROWSER),
    65004: ("the person declined", "Try again, and accept."),
    70011: ("a scope is not valid", "Check its spelling, and that the API is registered."),
    28000: ("the scopes belong to more than one API", "Ask for one API's scopes at a time."),
    1002012: (
        "for a token in its own name an application asks for a whole API",
        "Use one scope that ends in /.default.",
    ),
    70008: ("the code or refresh token has expired", "Sign in again."),
    700082: ("the refresh token has expired: nobody used it for too long", "Sign in again."),
    50173: ("the sign-in was revoked, perhaps by a new password", "Sign in again."),
    54005: ("the code was used before", "Begin again: each code serves once."),
    500131: (
        "the token was issued for another API",
        "The token to act on behalf of must be for this very application: ask for its own scopes.",
    ),
}

#: OAuth's words, for every provider.
_BY_WORD: Mapping[str, tuple[str, str]] = {
    "invalid_client": (
        "the provider does not accept the application's proof",
        f"Check KEYFOB_CLIENT_SECRET. {_SPELLING}",
    ),
    "unauthorized_client": ("the application may not use this flow", _SPELLING),
    "invalid_grant": (
        "what was presented is wrong, expired or used before",
        "Begin again.",
    ),
    "invalid_scope": ("a scope is unknown or not allowed", "Check the spelling of the scopes."),
    "invalid_request": (
        "the provider does not understand the request",
        "Read what it says above; the scopes and the redirect URI are the usual reasons.",
    ),
    "unsupported_grant_type": ("the provider does not offer this flow", "Use another flow."),
    "access_denied": ("the person, or the provider, declined", "Try again, and accept."),
    "authorization_declined": ("the person declined", "Try again, and accept."),
    "authorization_pending": (
        "the code expired before anybody had signed in",
        "Begin again; a code serves for some minutes only.",
    ),
    "expired_token": (
        "the code expired before anybody had signed in",
        "Begin again; a code serves for some minutes only.",
    ),
    "interaction_required": ("only the person can get this token", _BROWSER),
    "consent_required": ("nobody has consented to these scopes yet", _BROWSER),
    "login_required": ("the person has to sign in again", _BROWSER),
    "temporarily_unavailable": ("the provider is busy", "Try again in a minute."),
    "server_error": ("the provider failed", "Try again in a minute."),
}

_NUMBER_IN_TEXT = re.compile(r"AADSTS(\d{4,9})")


@dataclass(frozen=True)
class Advice:
    """A refusal, explained.

    :param sentence: what happened, without a full stop, to go behind `No token: `.
    :param cure: what to do next.
    :param names: the error's names, to look it up by.
    """

    sentence: str
    cure: str
    names: str = ""
    said: str = ""
    correlation_id: str = ""


def of_refusal(result: Mapping[str, Any]) -> Advice:
    """The provider's refusal, a dict with `error`."""
    word = _text(result, "error") or "an error without a name"
    said = _text(result, "error_description")
    number = next((n for n in _numbers(result, said) if n in _BY_NUMBER), None)
    if number is not None:
        sentence, cure = _BY_NUMBER[number]
    elif _text(result, "suberror"):
        # Microsoft's word for what only a person at its pages can put right.
        sentence, cure = "only the person can get this token", _BROWSER
    else:
        sentence, cure = _BY_WORD.get(
            word, ("the provider refused", "Read what it says above, and look the error up there.")
        )
    shown = next(iter(_numbers(result, said)), None)
    names = [word, *([f"AADSTS{shown}"] if shown else []), _text(result, "suberror")]
    return Advice(
        sentence,
        cure,
        ", ".join(name for name in names if name),
        _first_lines(said),
        _text(result, "correlation_id"),
    )


def of_error(error: KeyfobError, *, is_demo: bool = False) -> Advice:
    """An exception: what it says, which names the cure where there is one, and what else helps."""
    cure = ""
    if isinstance(error, ProviderUnreachable):
        cure = "Check the authority's spelling and the network."
        if is_demo:
            cure = f"Start the local identity provider in another terminal: {HOW_TO_START}"
    elif isinstance(error, StateMismatchError):
        cure = "Begin again, and paste the address that belongs to the newest attempt."
    elif isinstance(error, IdTokenError):
        cure = "Check that the authority is the right one, and that this machine's clock is."
    elif isinstance(error, BrowserInteractionTimeoutError):
        cure = "Begin again; or use a device code, where no browser can reach this machine."
    elif isinstance(error, LoopbackUnavailable):
        cure = "End the program that has the port; or use a device code."
    elif error.retryable:
        cure = "Try again in a minute."
    correlation_id = getattr(error, "correlation_id", "")
    return Advice(str(error).rstrip("."), cure, error.code, correlation_id=correlation_id)


def _text(result: Mapping[str, Any], name: str) -> str:
    value = result.get(name)
    return value if isinstance(value, str) else ""


def _numbers(result: Mapping[str, Any], said: str) -> list[int]:
    codes = result.get("error_codes")
    listed = [c for c in codes if type(c) is int] if isinstance(codes, list) else []
    return listed or [int(number) for number in _NUMBER_IN_TEXT.findall(said)]


def _first_lines(said: str) -> str:
    """Without the lines in which Microsoft repeats its ids and the time."""
    text = re.split(r"\s*(?:Trace ID|Correlation ID|Timestamp):", said, maxsplit=1)[0]
    return text[:600].strip()
