"""The authorization request, and what comes back to the redirect URI (RFC 6749 §4.1, RFC 9207)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from keyfob.errors import AuthorizationResponseError, StateMismatchError
from keyfob.protocol.metadata import ProviderMetadata

#: Entra's codes are some 1,500 characters; nothing sensible is longer than this.
MAX_PARAMETER_LENGTH = 8192


@dataclass(frozen=True)
class AuthorizationCode:
    """A code that came back to the attempt that asked for it."""

    code: str = field(repr=False)
    client_info: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class AuthorizationRefusal:
    """The provider's `no`. Texts are the provider's, not ours: escape them."""

    error: str
    description: str = ""
    uri: str = ""


def build_authorization_url(
    metadata: ProviderMetadata, parameters: Mapping[str, str | None]
) -> str:
    """Where the browser is sent. Parameters that are None are left out."""
    given = {name: value for name, value in parameters.items() if value is not None}
    # A hint may come from a visitor's address; half a character in it is no reason to fail.
    query = urlencode(given, errors="replace")
    endpoint = metadata.authorization_endpoint
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"


def judge_authorization_response(
    response: Mapping[str, str], *, state: str, metadata: ProviderMetadata
) -> AuthorizationCode | AuthorizationRefusal:
    """Whether this response answers the attempt with this `state`, and with what.

    :raises StateMismatchError: it belongs to no attempt, or to another.
    :raises AuthorizationResponseError: it is not by this provider, or says nothing usable.
    """
    got = response.get("state")
    if not isinstance(got, str) or not hmac.compare_digest(
        got.encode("utf-8", "replace"), state.encode("utf-8", "replace")
    ):
        raise StateMismatchError("The response's state is not that of this sign-in attempt")
    _judge_issuer(response.get("iss"), metadata)
    refusal, code = refusal_in(response), response.get("code")
    if refusal is not None and code is not None:
        raise AuthorizationResponseError(
            "The response has both a code and an error", code="code_and_error"
        )
    if refusal is not None:
        return refusal
    # RFC 6749 appendix A.11: visible ASCII and spaces only.
    if not isinstance(code, str) or not _is_code(code):
        raise AuthorizationResponseError("The response has no usable code", code="no_code")
    client_info = response.get("client_info")
    return AuthorizationCode(code, client_info if isinstance(client_info, str) else None)


def refusal_in(response: Mapping[str, str]) -> AuthorizationRefusal | None:
    """The provider's `no`, where the response is one (RFC 6749 §4.1.2.1)."""
    error = response.get("error")
    if error is None:
        return None
    return AuthorizationRefusal(
        _readable(error, 100) or "unknown_error",
        _readable(response.get("error_description", ""), 1000),
        _readable(response.get("error_uri", ""), 300),
    )


def _judge_issuer(issuer: object, metadata: ProviderMetadata) -> None:
    """RFC 9207 §2.4: a response that names its issuer must name ours; one that should, must."""
    if issuer is None:
        if metadata.sends_issuer:
            raise AuthorizationResponseError(
                "The response does not name its issuer, as this provider's do", code="iss_missing"
            )
        return
    if not isinstance(issuer, str) or not metadata.is_issuer(issuer):
        raise AuthorizationResponseError("The response is by another issuer", code="iss_mismatch")


def _is_code(text: str) -> bool:
    return 0 < len(text) <= MAX_PARAMETER_LENGTH and all(" " <= c <= "~" for c in text)


def _readable(text: object, length: int) -> str:
    """A provider's text, cut to a length, with nothing in it that does not print."""
    if not isinstance(text, str):
        return ""
    return "".join(c if c.isprintable() else " " for c in text[:length]).strip()
