"""The application that can keep no secret: a desktop program, a command-line tool, a device
(RFC 6749 §2.1, RFC 8252)."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from typing import Any

from keyfob.applications.arguments import refuse_brokers
from keyfob.applications.client_application import ClientApplication
from keyfob.errors import ConfigurationError
from keyfob.protocol.results import TokenResult
from keyfob.transport import PUBLIC_PAUSE


class PublicClientApplication(ClientApplication):
    """A client application without a secret. Its arguments are `ClientApplication`'s.

    :param enable_broker_on_windows: Keyfob has no broker; anything true is refused. Likewise
        `enable_broker_on_mac`, `enable_broker_on_linux` and `enable_broker_on_wsl`.
    :raises ConfigurationError: (a ValueError) it was given a credential.
    """

    _has_own_tokens = False
    _pause = PUBLIC_PAUSE

    def __init__(
        self,
        client_id: str,
        client_credential: None = None,
        *,
        enable_broker_on_windows: bool | None = None,
        enable_broker_on_mac: bool | None = None,
        enable_broker_on_linux: bool | None = None,
        enable_broker_on_wsl: bool | None = None,
        **options: Any,
    ) -> None:
        if client_credential is not None:
            raise ConfigurationError(
                "A public client has no credential; where there is one to keep, use "
                "ConfidentialClientApplication",
                setting="CLIENT_CREDENTIAL",
            )
        refuse_brokers(
            {
                "enable_broker_on_windows": enable_broker_on_windows,
                "enable_broker_on_mac": enable_broker_on_mac,
                "enable_broker_on_linux": enable_broker_on_linux,
                "enable_broker_on_wsl": enable_broker_on_wsl,
            }
        )
        super().__init__(client_id, **options)

    def acquire_token_by_username_password(
        self,
        username: str,
        password: str,
        scopes: Collection[str],
        claims_challenge: str | None = None,
        auth_scheme: object = None,
        **options: Any,
    ) -> TokenResult:
        """As with every application, and deprecated in a public one, as with MSAL: use
        `acquire_token_interactive`, or `initiate_device_flow` where there is no browser."""
        warnings.warn(
            "Passwords in a public client are deprecated: use acquire_token_interactive or "
            "initiate_device_flow",
            DeprecationWarning,
            stacklevel=2,
        )
        return super().acquire_token_by_username_password(
            username, password, scopes, claims_challenge, auth_scheme, **options
        )
