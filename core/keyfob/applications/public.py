"""The application that can keep no secret: a desktop program, a command-line tool, a device
(RFC 6749 §2.1, RFC 8252)."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from contextlib import ExitStack
from typing import Any, cast

from keyfob.applications.arguments import warn_of_password
from keyfob.applications.client_application import ClientApplication
from keyfob.applications.interaction import interaction, page_options
from keyfob.applications.kinds import PublicApplication
from keyfob.flows import device_code
from keyfob.protocol.managed_identity.cloud_shell import is_cloud_shell
from keyfob.protocol.results import DeviceFlow, TokenResult


class PublicClientApplication(PublicApplication, ClientApplication):
    """A client application without a secret. Its arguments are `ClientApplication`'s.

    :param enable_broker_on_windows: Keyfob has no broker; anything true is refused. Likewise
        `enable_broker_on_mac`, `enable_broker_on_linux` and `enable_broker_on_wsl`.
    :raises ConfigurationError: (a ValueError) it was given a credential.
    """

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
        warn_of_password()
        return super().acquire_token_by_username_password(
            username, password, scopes, claims_challenge, auth_scheme, **options
        )

    def initiate_device_flow(
        self,
        scopes: Collection[str] | None = None,
        *,
        claims_challenge: str | None = None,
        **options: Any,
    ) -> DeviceFlow:
        """Begin a sign-in on another device (RFC 8628 §3.1).

        :param scopes: beyond `openid profile offline_access`.
        :param claims_challenge: an API's claims challenge, a JSON object as text, to pass on.
        :returns: show its `message`, which names an address and a code; keep all of it to yourself.
            Without a `user_code` it is the provider's refusal, with `error`.
        :raises ConfigurationError: (a ValueError) the provider offers no such sign-in.
        """
        flow = device_code.initiate(self._client, scopes, claims_challenge=claims_challenge)
        return cast("DeviceFlow", self._run(flow, options))

    def acquire_token_by_device_flow(
        self,
        flow: Any,
        claims_challenge: str | None = None,
        exit_condition: Callable[[Any], object] | None = None,
        **options: Any,
    ) -> TokenResult:
        """Wait until the person has finished on the other device (RFC 8628 §3.4).

        :param flow: what `initiate_device_flow` returned. Setting its `expires_at` to 0, from
            another thread, ends the wait.
        :param exit_condition: is given the flow before each second of waiting; where its answer is
            true, the wait ends. In its place there is the flow's expiry. `lambda flow: True` asks
            once.
        :returns: a dict with `access_token`, or with `error`: `authorization_pending` where the
            wait ended before the person did.
        :raises MissingKeyError: (a KeyError and ValueError) the flow has no `device_code`.
        """
        client, rest = self._for_one_call(options)
        polled = device_code.poll(
            client,
            flow,
            claims_challenge=claims_challenge,
            exit_condition=exit_condition,
        )
        return self._token(polled, rest)

    def acquire_token_interactive(
        self,
        scopes: Collection[str] | None = None,
        prompt: str | None = None,
        login_hint: str | None = None,
        domain_hint: str | None = None,
        claims_challenge: str | None = None,
        timeout: float | None = None,
        port: int | None = None,
        extra_scopes_to_consent: Collection[str] | None = None,
        max_age: int | None = None,
        parent_window_handle: object = None,
        on_before_launching_ui: Callable[..., object] | None = None,
        auth_scheme: object = None,
        **options: Any,
    ) -> TokenResult:
        """Sign somebody in with their browser, on this machine (RFC 8252).

        `http://localhost` must be registered as a redirect URI; any port of it will do. In Azure
        Cloud Shell, `prompt="none"` gives the token of whoever sits there.

        :param scopes: what the token is to be good for.
        :param prompt: `none`, `login`, `consent`, `select_account` or `create`.
        :param login_hint: who is expected, such as a user name.
        :param domain_hint: Microsoft's: the domain whose sign-in page is to be shown at once.
        :param claims_challenge: an API's claims challenge, a JSON object as text.
        :param timeout: seconds to wait for the browser; None for as long as it takes.
        :param port: to listen on, on this machine only; None for one that is free.
        :param extra_scopes_to_consent: of other APIs, to be consented to on this occasion.
        :param max_age: seconds since the person last proved themselves.
        :param parent_window_handle: for a broker, which Keyfob has not; without effect.
        :param on_before_launching_ui: is called as `on_before_launching_ui(ui="browser")`.
        :param auth_scheme: for a broker, which Keyfob has not.
        :param options: also `welcome_template`, `success_template`, `error_template` (pages of the
            application's own), `auth_uri_callback` (is given the address where no browser opened),
            `browser_name`, and `auth_code_receiver`, which is then used and left open.
        :returns: the token response with proven `id_token_claims`, or a dict with `error`.
        :raises BrowserInteractionTimeoutError: (a RuntimeError) the browser brought no answer.
        :raises LoopbackUnavailable: (an OSError) the port is taken.
        """
        del parent_window_handle
        wanted = interaction(
            scopes,
            extra_scopes_to_consent,
            auth_scheme=auth_scheme,
            on_before_launching_ui=on_before_launching_ui,
            prompt=prompt,
            login_hint=login_hint,
            domain_hint=domain_hint,
            claims_challenge=claims_challenge,
            max_age=max_age,
        )
        pages, receiver = page_options(options), options.pop("auth_code_receiver", None)
        client, rest = self._for_one_call(options)
        if prompt == "none" and is_cloud_shell(os.environ):
            return self._token(self._cloud_shell(client, scopes or []), rest)
        from keyfob.transport.loopback import AuthCodeReceiver, receive

        with ExitStack() as stack:
            if receiver is None:
                receiver = stack.enter_context(AuthCodeReceiver(port))
            uri = f"http://localhost:{receiver.get_port()}"
            flow = self._run(wanted.begin(client, uri), rest)
            if on_before_launching_ui is not None:
                on_before_launching_ui(ui="browser")
            response = receive(
                receiver, flow["auth_uri"], state=flow["state"], timeout=timeout, **pages
            )
        return self._token(wanted.finish(client, flow, response), rest)
