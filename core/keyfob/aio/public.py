"""The application that can keep no secret, in an event loop."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from contextlib import ExitStack
from typing import Any, cast

from keyfob.aio.client_application import ClientApplication
from keyfob.applications.arguments import warn_of_password
from keyfob.applications.interaction import interaction, page_options
from keyfob.applications.kinds import PublicApplication
from keyfob.flows import device_code
from keyfob.protocol.managed_identity.cloud_shell import is_cloud_shell
from keyfob.protocol.results import DeviceFlow, TokenResult


class PublicClientApplication(PublicApplication, ClientApplication):
    """`keyfob.PublicClientApplication`, with its network verbs as coroutines.

    Its arguments are `keyfob.aio.ClientApplication`'s; it has no credential.
    """

    async def acquire_token_by_username_password(
        self,
        username: str,
        password: str,
        scopes: Collection[str],
        claims_challenge: str | None = None,
        auth_scheme: object = None,
        **options: Any,
    ) -> TokenResult:
        """As `keyfob.PublicClientApplication.acquire_token_by_username_password`, and deprecated
        likewise."""
        warn_of_password()
        return await super().acquire_token_by_username_password(
            username, password, scopes, claims_challenge, auth_scheme, **options
        )

    async def initiate_device_flow(
        self,
        scopes: Collection[str] | None = None,
        *,
        claims_challenge: str | None = None,
        **options: Any,
    ) -> DeviceFlow:
        """As `keyfob.PublicClientApplication.initiate_device_flow`."""
        flow = device_code.initiate(self._client, scopes, claims_challenge=claims_challenge)
        return cast("DeviceFlow", await self._run(flow, options))

    async def acquire_token_by_device_flow(
        self,
        flow: Any,
        claims_challenge: str | None = None,
        exit_condition: Callable[[Any], object] | None = None,
        **options: Any,
    ) -> TokenResult:
        """As `keyfob.PublicClientApplication.acquire_token_by_device_flow`.

        Cancelling the task ends the wait, too; the flow then serves for another call.

        :param exit_condition: may be a coroutine function; any other is called in a thread.
        """
        client, rest = self._for_one_call(options)
        polled = device_code.poll(
            client, flow, claims_challenge=claims_challenge, exit_condition=exit_condition
        )
        return await self._token(polled, rest)

    async def acquire_token_interactive(
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
        """As `keyfob.PublicClientApplication.acquire_token_interactive`.

        The wait for the browser takes a thread. Cancelling the task ends it, and frees the port: an
        `auth_code_receiver` is then closed, too.

        :param on_before_launching_ui: may be a coroutine function, as may `auth_uri_callback`. Both
            are called in the event loop.
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
            return await self._token(self._cloud_shell(client, scopes or []), rest)
        from keyfob.aio.interaction import awaited, receive_async
        from keyfob.transport.loopback import AuthCodeReceiver

        with ExitStack() as stack:
            if receiver is None:
                receiver = stack.enter_context(AuthCodeReceiver(port))
            uri = f"http://localhost:{receiver.get_port()}"
            flow = await self._run(wanted.begin(client, uri), rest)
            if on_before_launching_ui is not None:
                await awaited(on_before_launching_ui(ui="browser"))
            response = await receive_async(
                receiver, flow["auth_uri"], state=flow["state"], timeout=timeout, **pages
            )
        return await self._token(wanted.finish(client, flow, response), rest)
