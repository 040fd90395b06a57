"""What an application of a kind has, whether its verbs are coroutines or not."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from typing import Any, cast

from keyfob.applications.arguments import refuse_brokers, refuse_credential
from keyfob.applications.base import Application, Asked
from keyfob.errors import ConfigurationError
from keyfob.flows import client_credentials, need, on_behalf_of
from keyfob.protocol.results import TokenResult
from keyfob.transport import PUBLIC_PAUSE


class ConfidentialApplication(Application):
    """One that proves itself to the provider, with its credential (RFC 6749 §2.1)."""

    def remove_tokens_for_client(self) -> None:
        """Forget all tokens in the application's own name. Those of people stay."""
        self._client.cache.remove_client_tokens(self._client.environments, self.client_id)

    def token_at_hand_on_behalf_of(
        self, user_assertion: str, scopes: Collection[str]
    ) -> TokenResult | None:
        """As `acquire_token_on_behalf_of`, from the cache only, never from the network.

        :returns: a dict with `access_token`; None where there is no such token, or one that should
            be renewed.
        """
        wanted = on_behalf_of.need(user_assertion, scopes)
        return cast("TokenResult | None", need.at_hand(self._client, wanted))

    def _own_token(
        self,
        scopes: Collection[str],
        claims_challenge: str | None,
        fmi_path: str | None,
        forwarded_client_claims: str | None,
        options: dict[str, Any],
    ) -> Asked:
        """What `acquire_token_for_client` was asked for."""
        if options.pop("force_refresh", None):
            raise ConfigurationError(
                "acquire_token_for_client has no force_refresh: it renews by itself; "
                "remove_tokens_for_client forgets what it holds"
            )
        wanted = client_credentials.need(
            scopes,
            claims_challenge=claims_challenge,
            fmi_path=fmi_path,
            forwarded_claims=forwarded_client_claims,
        )
        if self.authority.serves_many_tenants:
            warnings.warn(
                f"The authority {self.authority.url} names no tenant: whose token this is, the "
                "provider decides. Name the tenant",
                DeprecationWarning,
                stacklevel=3,
            )
        return self._asked(wanted, options)


class PublicApplication(Application):
    """One that can keep no secret (RFC 6749 §2.1, RFC 8252)."""

    #: For `parent_window_handle`, which is a broker's: without effect.
    CONSOLE_WINDOW_HANDLE = object()

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
        refuse_credential(client_credential)
        refuse_brokers(
            {
                "enable_broker_on_windows": enable_broker_on_windows,
                "enable_broker_on_mac": enable_broker_on_mac,
                "enable_broker_on_linux": enable_broker_on_linux,
                "enable_broker_on_wsl": enable_broker_on_wsl,
            }
        )
        super().__init__(client_id, **options)
