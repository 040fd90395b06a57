"""What can go wrong, in Entra's words.

One table: AADSTS number, OAuth error, text. Numbers and errors are the ones the Microsoft identity
platform documents ("Microsoft Entra authentication and authorization error codes"); the texts say
the same in this program's own words.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Final

_TABLE: Final[dict[int, tuple[str, str]]] = {
    16000: (
        "interaction_required",
        "Several accounts are signed in and the request names none of them.",
    ),
    28000: ("invalid_request", "The scope '{scope}' names more than one resource: {resources}."),
    28003: ("invalid_request", "The scope must not be empty: the code covers several resources."),
    50013: ("invalid_grant", "The assertion is not acceptable: {reason}."),
    500131: (
        "invalid_grant",
        (
            "Assertion audience does not match the Client app presenting the assertion: "
            "'{audience}' is not '{client_id}'."
        ),
    ),
    500133: ("invalid_grant", "Assertion is not within its valid time range."),
    50008: ("invalid_grant", "The SAML token is not acceptable: {reason}."),
    50011: (
        "invalid_request",
        (
            "The redirect URI '{redirect_uri}' specified in the request does not match "
            "the redirect URIs configured for the application '{client_id}'."
        ),
    ),
    50020: (
        "access_denied",
        (
            "User account '{username}' from '{home}' does not exist in tenant '{tenant}' "
            "and cannot access the application '{client_id}' ({name}) there."
        ),
    ),
    50034: (
        "invalid_grant",
        "The user account {username} does not exist in the {tenant} directory.",
    ),
    50049: ("invalid_instance", "Unknown or invalid instance: '{host}'."),
    50057: ("invalid_grant", "The user account is disabled."),
    50058: ("login_required", "A silent sign-in request was sent but no user is signed in."),
    50059: (
        "invalid_request",
        "No tenant-identifying information found in the request: '{tenant}' is not a tenant.",
    ),
    50076: (
        "invalid_grant",
        (
            "A password alone is not enough to access '{resource}': sign in with multi-factor "
            "authentication."
        ),
    ),
    50126: ("invalid_grant", "Error validating credentials due to invalid username or password."),
    50148: (
        "invalid_grant",
        (
            "The request does not contain the code_verifier that belongs to the "
            "code_challenge of the authorization request."
        ),
    ),
    50173: (
        "invalid_grant",
        "The provided grant has expired because it was revoked; sign in again.",
    ),
    50194: (
        "unauthorized_client",
        (
            "Application '{client_id}' ({name}) is not configured as a multi-tenant "
            "application: use its own tenant instead of /{tenant}."
        ),
    ),
    54005: (
        "invalid_grant",
        (
            "OAuth2 Authorization code was already redeemed, please retry with a new "
            "valid code or use an existing refresh token."
        ),
    ),
    65001: (
        "invalid_grant",
        (
            "The user or administrator has not consented to use the application with ID "
            "'{client_id}' named '{name}'. Missing: {missing}."
        ),
    ),
    65004: ("access_denied", "User declined to consent to access the app."),
    70000: ("invalid_grant", "Provided grant is invalid or malformed."),
    70003: (
        "unsupported_grant_type",
        "The app requested an unsupported grant type '{grant_type}'.",
    ),
    70007: (
        "unsupported_response_mode",
        "'{response_mode}' is not a supported value of 'response_mode'.",
    ),
    70008: ("invalid_grant", "The provided authorization code or refresh token has expired."),
    70016: (
        "authorization_pending",
        "OAuth 2.0 device flow: nobody has finished the sign-in yet. Keep polling, {interval}.",
    ),
    70018: (
        "bad_verification_code",
        "The device code is unknown, was used before, or belongs to another application.",
    ),
    70020: ("expired_token", "The device code has expired. Start the sign-in again."),
    70011: (
        "invalid_scope",
        "The provided value for the input parameter 'scope' is not valid: {scope}.",
    ),
    90002: (
        "invalid_request",
        "Tenant '{tenant}' not found. Check that you have the correct tenant ID or domain name.",
    ),
    90014: ("invalid_request", "The required field '{parameter}' is missing from the request."),
    90023: ("invalid_request", "Unsupported value '{value}' of the parameter '{parameter}'."),
    90077: (
        "interaction_required",
        "The user flow has a page to show, and the request prompt parameter has a value of 'None'.",
    ),
    90091: ("access_denied", "The user has cancelled entering self-asserted information."),
    90088: (
        "invalid_grant",
        (
            "The provided grant has not been issued for this endpoint: it came from the user flow "
            "'{policy}', and this is '{asked}'."
        ),
    ),
    90118: ("access_denied", "The user has forgotten their password."),
    90094: ("access_denied", "An administrator must consent to {missing}."),
    165000: (
        "invalid_request",
        (
            "The form does not belong to this browser session, or has expired. Go back "
            "to the application and start again."
        ),
    ),
    500011: ("invalid_resource", "The resource principal named {resource} was not found."),
    500112: (
        "invalid_grant",
        (
            "The reply address '{redirect_uri}' does not match the reply address "
            "'{expected}' provided when requesting the authorization code."
        ),
    ),
    501481: (
        "invalid_grant",
        (
            "The Code_Verifier does not match the code_challenge supplied in the "
            "authorization request."
        ),
    ),
    501491: (
        "invalid_request",
        (
            "Invalid code_challenge: the method must be S256, and the challenge 43 "
            "base64url characters."
        ),
    ),
    650053: (
        "invalid_client",
        (
            "The application '{name}' asked for scope '{scope}' that doesn't exist on "
            "the resource '{resource}'."
        ),
    ),
    700005: (
        "invalid_grant",
        "Provided Authorization Code is intended to use against other tenant, thus rejected.",
    ),
    700016: (
        "unauthorized_client",
        "Application with identifier '{client_id}' was not found in the directory '{tenant}'.",
    ),
    700023: (
        "invalid_client",
        "Client assertion audience '{audience}' is not this token endpoint.",
    ),
    700024: ("invalid_client", "Client assertion is not within its valid time range."),
    700025: (
        "invalid_client",
        "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
    ),
    700027: (
        "invalid_client",
        (
            "The certificate used to sign the client assertion is not registered on the "
            "application, or the signature is wrong: {reason}."
        ),
    ),
    700211: (
        "invalid_client",
        "No matching federated identity record found for presented assertion issuer '{issuer}'.",
    ),
    700212: (
        "invalid_client",
        (
            "No matching federated identity record found for presented assertion audience "
            "'{audience}'."
        ),
    ),
    700213: (
        "invalid_client",
        (
            "No matching federated identity record found for presented assertion subject "
            "'{subject}'."
        ),
    ),
    700054: ("unsupported_response_type", "response_type '{response_type}' is not supported."),
    700082: ("invalid_grant", "The refresh token has expired due to inactivity."),
    900144: (
        "invalid_request",
        "The request must contain the following parameter: '{parameter}'.",
    ),
    900971: ("invalid_request", "No reply address provided."),
    1002012: (
        "invalid_scope",
        (
            "The provided value for scope {scope} is not valid. Client credential flows "
            "must have a scope value with /.default suffixed to the resource identifier."
        ),
    ),
    5000611: (
        "invalid_client",
        "The signature of the assertion is not that of a key of its issuer '{issuer}'.",
    ),
    7000215: (
        "invalid_client",
        (
            "Invalid client secret provided. Ensure the secret being sent in the "
            "request is the client secret value, for app '{client_id}'."
        ),
    ),
    7000218: (
        "invalid_client",
        (
            "The request body must contain the following parameter: 'client_assertion' "
            "or 'client_secret'."
        ),
    ),
    9001023: (
        "invalid_request",
        (
            "This grant type does not work over /{tenant}: use /organizations or the endpoint of "
            "a tenant."
        ),
    ),
    9000411: (
        "invalid_request",
        "The request is not properly formatted. The parameter '{parameter}' is duplicated.",
    ),
    9002313: ("invalid_request", "Invalid request. Request is malformed or invalid: {reason}."),
    9002331: (
        "invalid_request",
        (
            "Application '{client_id}' ({name}) is configured for personal accounts "
            "only: use the /consumers endpoint."
        ),
    ),
    9002346: (
        "unauthorized_client",
        (
            "Application '{client_id}' ({name}) is not configured for personal "
            "accounts: do not use the /consumers endpoint."
        ),
    ),
}


_B2C: Final = frozenset({90077, 90088, 90091, 90118})
"""Numbers of Azure AD B2C, which has a series of its own."""


class ProtocolError(Exception):
    """A refusal, before it is known how it will be told (JSON, page or redirect)."""

    def __init__(
        self,
        code: int,
        error: str,
        text: str,
        *,
        status: int = 400,
        suberror: str | None = None,
        more: Mapping[str, object] | None = None,
    ) -> None:
        self.label = f"{'AADB2C' if code in _B2C else 'AADSTS'}{code}"
        super().__init__(f"{self.label}: {text}")
        self.code = code
        self.error = error
        self.text = text
        self.status = status
        self.suberror = suberror
        self.more = dict(more or {})


def problem(
    code: int,
    *,
    error: str | None = None,
    suberror: str | None = None,
    more: Mapping[str, object] | None = None,
    **facts: object,
) -> ProtocolError:
    """The error with that AADSTS number; ``facts`` fill the gaps of its text.

    ``more`` are members of the JSON answer that only this error has.
    """
    usual, text = _TABLE[code]
    chosen = error or usual
    # RFC 6749 section 5.2: failed client authentication is a 401, everything else a 400.
    unauthenticated = chosen == "invalid_client" and code != 650053
    return ProtocolError(
        code,
        chosen,
        text.format(**facts),
        status=401 if unauthenticated else 400,
        suberror=suberror,
        more=more,
    )


class Incident:
    """One telling of an error: when, and under which ids."""

    def __init__(self, error: ProtocolError, now: float, correlation_id: str) -> None:
        self.error = error
        self.correlation_id = correlation_id
        self.trace_id = str(uuid.uuid4())
        self.timestamp = datetime.fromtimestamp(now, timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")

    @property
    def description(self) -> str:
        """``error_description`` as Entra writes it."""
        return (
            f"{self.error.label}: {self.error.text} Trace ID: {self.trace_id} "
            f"Correlation ID: {self.correlation_id} Timestamp: {self.timestamp}"
        )

    def as_json(self, base_url: str) -> dict[str, Any]:
        """The body of an error answer (RFC 6749 section 5.2, with Entra's additions)."""
        body: dict[str, Any] = {
            "error": self.error.error,
            "error_description": self.description,
            "error_codes": [self.error.code],
            "timestamp": self.timestamp,
            "trace_id": self.trace_id,
            "correlation_id": self.correlation_id,
            "error_uri": f"{base_url}/error?code={self.error.code}",
        }
        if self.error.suberror:
            body["suberror"] = self.error.suberror
        return body | self.error.more


def explanation(code: int) -> tuple[str, str] | None:
    """OAuth error and text of an AADSTS number, gaps unfilled: the page behind ``error_uri``."""
    return _TABLE.get(code)
