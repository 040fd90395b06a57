"""The application that can keep no secret: a desktop program, a command-line tool, a device
(RFC 6749 §2.1, RFC 8252)."""

from __future__ import annotations

from typing import Any

from keyfob.applications.arguments import refuse_brokers
from keyfob.applications.client_application import ClientApplication
from keyfob.errors import ConfigurationError


class PublicClientApplication(ClientApplication):
    """A client application without a secret. Its arguments are `ClientApplication`'s.

    :param enable_broker_on_windows: Keyfob has no broker; anything true is refused. Likewise
        `enable_broker_on_mac`, `enable_broker_on_linux` and `enable_broker_on_wsl`.
    :raises ConfigurationError: (a ValueError) it was given a credential.
    """

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
