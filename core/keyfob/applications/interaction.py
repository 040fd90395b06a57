"""A sign-in in the person's own browser, by a program on their machine (RFC 8252)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from keyfob.applications.arguments import refuse_auth_scheme
from keyfob.errors import ConfigurationError
from keyfob.flows import Flow, auth_code
from keyfob.flows.client import Client
from keyfob.flows.telemetry import Api
from keyfob.protocol.scopes import checked_scopes

#: What a caller may say of the pages and the browser, beside the verb's own arguments.
PAGE_OPTIONS = (
    "welcome_template",
    "success_template",
    "error_template",
    "auth_uri_callback",
    "browser_name",
)


@dataclass(frozen=True)
class Interaction:
    """What was asked for, judged.

    :param scopes: what the token is to be good for; `extra_scopes` are consented to along with it.
    :param asked: the parameters of the authorization request.
    """

    scopes: frozenset[str]
    extra_scopes: frozenset[str]
    asked: Mapping[str, Any] = field(repr=False)

    def begin(self, client: Client, redirect_uri: str) -> Flow[auth_code.AuthCodeFlow]:
        """The attempt; the browser is to go to its `auth_uri`."""
        return auth_code.initiate(
            client,
            self.scopes | self.extra_scopes,
            redirect_uri=redirect_uri,
            # So that the code stands in no address, history or log.
            response_mode="form_post",
            **self.asked,
        )

    def finish(
        self, client: Client, flow: auth_code.AuthCodeFlow, response: Mapping[str, str]
    ) -> Flow[dict[str, Any]]:
        """The tokens, by what the browser brought."""
        scopes = self.scopes if self.extra_scopes else None
        return auth_code.redeem(client, flow, response, scopes, api=Api.INTERACTIVE)


def interaction(
    scopes: Collection[str] | None,
    extra_scopes: Collection[str] | None,
    *,
    auth_scheme: object,
    on_before_launching_ui: Callable[..., object] | None,
    **asked: Any,
) -> Interaction:
    """Judge the arguments of `acquire_token_interactive`.

    :raises ConfigurationError: (a ValueError) for what cannot be.
    """
    refuse_auth_scheme(auth_scheme)
    if on_before_launching_ui is not None and not callable(on_before_launching_ui):
        raise ConfigurationError("on_before_launching_ui is a function")
    return Interaction(checked_scopes(scopes or []), checked_scopes(extra_scopes or []), asked)


def page_options(options: dict[str, Any]) -> dict[str, Any]:
    """Take what is about pages and the browser out of a verb's further arguments."""
    return {name: options.pop(name) for name in PAGE_OPTIONS if name in options}
